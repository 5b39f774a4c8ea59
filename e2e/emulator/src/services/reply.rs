//! Answers, whole and damaged.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, channel::Channel};
use hyper::Response;
use serde_json::{Value, json};

use crate::net::server::Link;
use crate::state::faults::FaultEffect;

pub(crate) type Body = BoxBody<Bytes, io::Error>;

/// What becomes of a request on the wire.
pub(crate) enum Reply {
    Response(Response<Body>),
    Hang,
    Reset,
}

/// An answer before it is put on the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    /// Error code for the list of requests; empty on success.
    pub(crate) code: String,
}

const JSON: &str = "application/json;charset=utf-8";

impl Answer {
    pub(crate) fn json(status: u16, code: &str, body: &Value) -> Self {
        Self::new(status, code, JSON, body.to_string())
    }

    pub(crate) fn text(status: u16, code: &str, body: impl Into<Bytes>) -> Self {
        Self::new(status, code, "text/plain;charset=utf-8", body)
    }

    pub(crate) fn xml(status: u16, code: &str, root: &str, body: &Value) -> Self {
        let mut text = String::from("<?xml version='1.0' encoding='UTF-8'?>");
        write_xml(&mut text, root, body);
        Self::new(status, code, "text/xml;charset=utf-8", text)
    }

    fn new(status: u16, code: &str, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, content_type, headers: Vec::new(), body: body.into(), code: code.to_owned() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let body = Full::new(self.body.clone()).map_err(|never| match never {}).boxed();
        self.respond_with(body, None)
    }

    fn respond_with(self, body: Body, length: Option<usize>) -> Response<Body> {
        let mut response =
            Response::builder().status(self.status).header("content-type", self.content_type);
        if let Some(length) = length {
            response = response.header("content-length", length);
        }
        for (name, value) in &self.headers {
            response = response.header(name, value);
        }
        response.body(body).unwrap_or_else(|_| Response::new(empty()))
    }
}

fn empty() -> Body {
    Full::new(Bytes::new()).map_err(|never| match never {}).boxed()
}

fn write_xml(out: &mut String, name: &str, value: &Value) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| write_xml(out, name, item)),
        Value::Null => {}
        _ => {
            out.push_str(&format!("<{name}>"));
            match value {
                Value::Object(members) => {
                    members.iter().for_each(|(name, member)| write_xml(out, name, member));
                }
                Value::String(text) => out.push_str(
                    &text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
                ),
                other => out.push_str(&other.to_string()),
            }
            out.push_str(&format!("</{name}>"));
        }
    }
}

/// What a fault may repeat or copy from the request it hits.
#[derive(Debug)]
pub(crate) struct Victim<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) host: &'a str,
    /// The caller's security token or OIDC token.
    pub(crate) token: &'a str,
}

/// The answer a fault gives instead of the real one; None for those that damage the real one.
pub(crate) fn instead(effect: &FaultEffect, victim: &Victim<'_>) -> Option<Answer> {
    let error = |status: u16, code: &str, message: &str| {
        Answer::json(
            status,
            code,
            &json!({
                "HttpStatus": status,
                "RequestId": victim.request_id,
                "HostId": victim.host,
                "Code": code,
                "Message": message,
            }),
        )
    };
    let answer = match effect {
        FaultEffect::Error { status, code, message, headers } => {
            let message = message.as_deref().unwrap_or("This error was asked for.");
            let mut answer = error(*status, code, message);
            answer.headers.extend(headers.clone());
            answer
        }
        FaultEffect::Echo { status, code } => {
            error(*status, code, &format!("The token {} was not accepted.", victim.token))
        }
        FaultEffect::Garbage => Answer::new(200, "", JSON, "}{ not json"),
        FaultEffect::WrongSchema => {
            Answer::json(200, "", &json!({ "RequestId": victim.request_id, "Unexpected": true }))
        }
        FaultEffect::Html { status } => Answer::new(
            *status,
            "",
            "text/html",
            "<html><head><title>Error</title></head><body>gateway</body></html>",
        ),
        FaultEffect::Empty { status } => Answer::new(*status, "", JSON, ""),
        FaultEffect::Body { status, body } => Answer::new(*status, "", JSON, body.clone()),
        FaultEffect::Protobuf { status } => {
            let mut body = vec![0x08];
            body.extend([0x90, 0x03, 0x12, 0x10]);
            body.extend(b"MissingParameter\x1a\x14x-kms-acccesskeyid\x00\xff");
            Answer::new(*status, "", "application/x-protobuf", body)
        }
        FaultEffect::Latency { .. }
        | FaultEffect::Hang
        | FaultEffect::Reset
        | FaultEffect::ResetAfter { .. }
        | FaultEffect::Truncate
        | FaultEffect::Huge { .. } => return None,
    };
    Some(answer)
}

/// Long enough for what was written before to leave.
const FLUSH: Duration = Duration::from_millis(50);

/// Sends the answer cut short, over-long or not at all.
pub(crate) fn damaged(effect: &FaultEffect, answer: Answer, link: &Link) -> Reply {
    let whole = answer.body.len();
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(4);
    match effect {
        FaultEffect::Hang => return Reply::Hang,
        FaultEffect::Reset => return Reply::Reset,
        FaultEffect::ResetAfter { bytes } => {
            let part = answer.body.slice(..whole.min(*bytes));
            let link = link.clone();
            tokio::spawn(async move {
                let _ = sender.send_data(part).await;
                tokio::time::sleep(FLUSH).await;
                link.reset();
            });
        }
        FaultEffect::Truncate => {
            let part = answer.body.slice(..whole / 2);
            tokio::spawn(async move {
                let _ = sender.send_data(part).await;
                tokio::time::sleep(FLUSH).await;
                sender.abort(io::ErrorKind::UnexpectedEof.into());
            });
        }
        FaultEffect::Huge { mib } => {
            let chunks = mib.saturating_mul(16);
            tokio::spawn(async move {
                let filler = Bytes::from(vec![b'a'; 64 << 10]);
                let start = Bytes::from_static(b"{\"SecretDataType\":\"text\",\"SecretData\":\"");
                let mut alive = sender.send_data(start).await.is_ok();
                for _ in 0..chunks {
                    alive = alive && sender.send_data(filler.clone()).await.is_ok();
                }
                let _ = sender.send_data(Bytes::from_static(b"\"}")).await;
            });
            let answer = Answer { status: 200, content_type: JSON, ..answer };
            return Reply::Response(answer.respond_with(body.boxed(), None));
        }
        _ => return Reply::Response(answer.into_response()),
    }
    Reply::Response(answer.respond_with(body.boxed(), Some(whole)))
}
