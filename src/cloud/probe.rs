//! Probe: one attempt at an operation, for who wants to know how a host answers. Nothing is asked again, and no
//! limiter and no readiness hears of it.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Call, Cause, Cloud, Failure, failure, nonce, request_once};

/// What an answer says of itself. What else it holds is dropped.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) status: u16,
    pub(crate) code: Option<String>,
    pub(crate) request_id: Option<String>,
    /// By the clock of who answered: header Date.
    pub(crate) date: Option<String>,
    pub(crate) took: Duration,
    /// What a mount would make of it; `None` after a success.
    pub(crate) failure: Option<Failure>,
}

impl Cloud {
    /// Answered within the limit, or why it was not.
    pub(crate) async fn probe(&self, call: &Call<'_>, limit: Duration) -> Result<Probe, Failure> {
        self.probe_as(call, nonce().as_deref(), limit).await
    }

    /// The same, with a nonce that may have been sent before.
    pub(crate) async fn probe_as(
        &self,
        call: &Call<'_>,
        nonce: Option<&str>,
        limit: Duration,
    ) -> Result<Probe, Failure> {
        let failed = |cause| Failure::new(call.api, call.endpoint, cause);
        let request = nonce.and_then(|nonce| request_once(call, &self.agent, nonce));
        let request = request.ok_or_else(|| failed(Cause::Unsendable))?;
        let started = Instant::now();
        let sent = self.clients.of(call.endpoint.trust()).send(request);
        let answer = match timeout(limit, sent).await {
            Err(_elapsed) => return Err(failed(Cause::TimedOut)),
            Ok(Err(broken)) => return Err(failed(Cause::Broken(broken))),
            Ok(Ok(answer)) => answer,
        };
        let (code, request_id) = failure::named(&answer);
        let date = answer.headers.get("date").and_then(|date| date.to_str().ok());
        Ok(Probe {
            status: answer.status,
            code,
            request_id,
            date: date.map(str::to_owned),
            took: started.elapsed(),
            failure: (answer.status != 200).then(|| Failure::refused(call, &answer)),
        })
    }
}
