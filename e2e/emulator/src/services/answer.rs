//! Answers as values, and those that a fault gives instead.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::state::faults::FaultEffect;

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

pub(crate) const JSON: &str = "application/json;charset=utf-8";

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
