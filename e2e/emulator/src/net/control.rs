//! The control listener: what happened, and what to change.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::Request;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::net::emulator::Addresses;
use crate::net::gateway::body_of;
use crate::net::listeners::Listeners;
use crate::net::tls::Authorities;
use crate::services::change::Change;
use crate::services::reply::{Answer, Reply};
use crate::state::cloud::Cloud;

pub(crate) struct Control {
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) authorities: Arc<Authorities>,
    pub(crate) addresses: Addresses,
    pub(crate) listeners: Arc<Listeners>,
}

pub(crate) async fn serve(control: &Control, request: Request<Incoming>) -> Reply {
    let method = request.method().to_string();
    let path = request.uri().path().trim_matches('/').to_owned();
    let body = body_of(request).await;
    Reply::Response(answer(control, &method, &path, &body).await.into_response())
}

async fn answer(control: &Control, method: &str, path: &str, body: &[u8]) -> Answer {
    let cloud = &control.cloud;
    match (method, path) {
        ("GET", "requests") => ok(&json!(cloud.journal.list())),
        ("DELETE", "requests") => {
            cloud.journal.clear();
            ok(&json!("done"))
        }
        ("GET", "faults") => {
            let faults = cloud.faults.list().into_iter();
            let faults: Vec<Value> = faults
                .map(|(id, fault, hits)| json!({ "id": id, "hits": hits, "fault": fault }))
                .collect();
            ok(&json!(faults))
        }
        ("DELETE", "faults") => {
            cloud.faults.clear(None);
            ok(&json!("done"))
        }
        ("GET", "connections") => ok(&json!(cloud.handshakes.load(Ordering::SeqCst))),
        ("GET", "addresses") => ok(&json!(control.addresses)),
        ("GET", "ca.pem") => Answer::text(200, "", control.authorities.ca_pem()),
        ("GET", "instance-ca.pem") => Answer::text(200, "", control.authorities.instance_ca_pem()),
        ("GET", "issued-secrets") => ok(&json!(cloud.issued())),
        ("POST", "stop-listening") => {
            control.listeners.stop().await;
            ok(&json!("done"))
        }
        ("POST", "resume") => match control.listeners.start().await {
            Ok(()) => ok(&json!("done")),
            Err(error) => refused(500, &error.to_string()),
        },
        ("POST", change) => apply(cloud, change, body),
        _ => refused(404, "no such control; see --help"),
    }
}

fn apply(cloud: &Cloud, name: &str, body: &[u8]) -> Answer {
    let fields: Value = match body.is_empty() {
        true => json!({}),
        false => match serde_json::from_slice(body) {
            Ok(fields) => fields,
            Err(error) => return refused(400, &error.to_string()),
        },
    };
    let change: Change = match serde_json::from_value(json!({ name: fields })) {
        Ok(change) => change,
        Err(error) => return refused(400, &error.to_string()),
    };
    match cloud.apply(change) {
        Ok(outcome) => ok(&json!(outcome)),
        Err(error) => refused(404, &error.to_string()),
    }
}

fn ok(body: &Value) -> Answer {
    Answer::json(200, "", body)
}

fn refused(status: u16, message: &str) -> Answer {
    Answer::json(status, "Refused", &json!({ "error": message }))
}
