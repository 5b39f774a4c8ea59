//! Control: what happened, and what to change.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::services::answer::Answer;
use crate::services::change::Change;
use crate::state::cloud::Cloud;

pub(crate) fn answer(cloud: &Cloud, method: &str, path: &str, body: &[u8]) -> Answer {
    match (method, path) {
        ("GET", "requests") => ok(&json!(cloud.journal.list())),
        ("DELETE", "requests") => {
            cloud.journal.clear();
            done()
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
            done()
        }
        ("GET", "connections") => ok(&json!(cloud.handshakes.load(Ordering::SeqCst))),
        ("GET", "issued-secrets") => ok(&json!(cloud.issued())),
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

pub(crate) fn ok(body: &Value) -> Answer {
    Answer::json(200, "", body)
}

pub(crate) fn done() -> Answer {
    ok(&json!("done"))
}

pub(crate) fn refused(status: u16, message: &str) -> Answer {
    Answer::json(status, "Refused", &json!({ "error": message }))
}
