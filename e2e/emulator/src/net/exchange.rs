//! One exchange: a request is answered or sabotaged as planned, and recorded.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::Request;
use hyper::body::Incoming;

use crate::net::link::Link;
use crate::net::reply::{Reply, damaged};
use crate::services::answer::{Answer, Victim, instead};
use crate::state::cloud::Cloud;
use crate::state::faults::{FaultEffect, Plan};
use crate::state::journal::RequestRecord;
use crate::state::{clock, random};

/// Of a request, in bytes.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// Waits, answers or misbehaves as planned, and records what came of it.
pub(crate) async fn carry_out(
    cloud: &Cloud,
    link: &Link,
    mut record: RequestRecord,
    plan: Plan,
    token: &str,
    answering: impl AsyncFnOnce(&str) -> (Option<String>, Answer),
) -> Reply {
    let request_id = random::request_id();
    record.request_id.clone_from(&request_id);
    record.time = clock::format(cloud.clock.now());
    record.tls_connection = link.tls_number;
    let mut entry = Entry { cloud, record: Some(record) };
    if !plan.latency.is_zero() {
        tokio::time::sleep(plan.latency).await;
    }
    let Some(effect) = plan.effect else {
        let (subject, answer) = answering(&request_id).await;
        entry.close(answer.status, &answer.code, subject);
        return answer.into();
    };
    let victim = Victim { request_id: &request_id, host: entry.host(), token };
    let replaced = instead(&effect, &victim);
    let (subject, answer) = match replaced {
        Some(answer) => (None, answer),
        None => answering(&request_id).await,
    };
    let unanswered = matches!(effect, FaultEffect::Hang | FaultEffect::Reset);
    let code = match &effect {
        FaultEffect::Error { code, .. } | FaultEffect::Echo { code, .. } => code,
        other => other.name(),
    };
    entry.close(if unanswered { 0 } else { answer.status }, code, subject);
    damaged(&effect, answer, link)
}

/// A request under way, which is listed even when the client gives up on it.
struct Entry<'a> {
    cloud: &'a Cloud,
    record: Option<RequestRecord>,
}

impl Entry<'_> {
    fn host(&self) -> &str {
        self.record.as_ref().map_or("", |record| &record.host)
    }

    fn close(&mut self, status: u16, code: &str, oidc_subject: Option<String>) {
        if let Some(record) = self.record.take() {
            let code = code.to_owned();
            self.cloud.journal.add(RequestRecord { status, code, oidc_subject, ..record });
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.close(0, "Abandoned", None);
    }
}

/// The body of a request; empty when it cannot be had.
pub(crate) async fn body_of(request: Request<Incoming>) -> Bytes {
    match Limited::new(request.into_body(), MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::new(),
    }
}
