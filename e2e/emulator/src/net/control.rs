//! The control listener: its own listeners and certificates, and the control service.

use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use serde_json::json;

use crate::net::exchange::body_of;
use crate::net::link::Link;
use crate::net::listeners::Listeners;
use crate::net::options::Addresses;
use crate::net::reply::Reply;
use crate::net::server::Serve;
use crate::net::tls::Authorities;
use crate::services::answer::Answer;
use crate::services::control::{answer, done, ok, refused};
use crate::state::cloud::Cloud;

#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) authorities: Arc<Authorities>,
    pub(crate) addresses: Addresses,
    pub(crate) listeners: Arc<Listeners>,
}

impl Serve for Control {
    async fn serve(&self, cloud: &Cloud, _: &Link, request: Request<Incoming>) -> Reply {
        let method = request.method().to_string();
        let path = request.uri().path().trim_matches('/').to_owned();
        let body = body_of(request).await;
        let answer = match (method.as_str(), path.as_str()) {
            ("GET", "addresses") => ok(&json!(self.addresses)),
            ("GET", "ca.pem") => Answer::text(200, "", self.authorities.ca_pem()),
            ("GET", "instance-ca.pem") => Answer::text(200, "", self.authorities.instance_ca_pem()),
            ("POST", "stop-listening") => {
                self.listeners.stop().await;
                done()
            }
            ("POST", "resume") => match self.listeners.start().await {
                Ok(()) => done(),
                Err(error) => refused(500, &error.to_string()),
            },
            (method, path) => answer(cloud, method, path, &body),
        };
        answer.into()
    }
}
