//! Replies: answers on the wire, whole and damaged.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, channel::Channel};
use hyper::Response;

use crate::net::link::Link;
use crate::services::answer::{Answer, JSON};
use crate::state::faults::FaultEffect;

pub(crate) type Body = BoxBody<Bytes, io::Error>;

/// What becomes of a request on the wire.
pub(crate) enum Reply {
    Response(Response<Body>),
    Hang,
    Reset,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        let body = whole(answer.body.clone());
        Self::Response(respond(answer, body, None))
    }
}

fn whole(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed()
}

fn respond(answer: Answer, body: Body, length: Option<usize>) -> Response<Body> {
    let mut response =
        Response::builder().status(answer.status).header("content-type", answer.content_type);
    if let Some(length) = length {
        response = response.header("content-length", length);
    }
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response.body(body).unwrap_or_else(|_| Response::new(whole(Bytes::new())))
}

/// Long enough for what was written before to leave.
const FLUSH: Duration = Duration::from_millis(50);

/// Sends the answer cut short, over-long or not at all.
pub(crate) fn damaged(effect: &FaultEffect, answer: Answer, link: &Link) -> Reply {
    let length = answer.body.len();
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(4);
    match effect {
        FaultEffect::Hang => return Reply::Hang,
        FaultEffect::Reset => return Reply::Reset,
        FaultEffect::ResetAfter { bytes } => {
            let part = answer.body.slice(..length.min(*bytes));
            let link = link.clone();
            tokio::spawn(async move {
                let _ = sender.send_data(part).await;
                tokio::time::sleep(FLUSH).await;
                link.reset();
            });
        }
        FaultEffect::Truncate => {
            let part = answer.body.slice(..length / 2);
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
            return Reply::Response(respond(answer, body.boxed(), None));
        }
        _ => return answer.into(),
    }
    Reply::Response(respond(answer, body.boxed(), Some(length)))
}
