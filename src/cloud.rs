//! One call to the cloud: sign, send, classify, and ask again where asking again can help. Knows
//! nothing of pods or of where keys come from.

pub mod codes;
pub mod kms;
pub mod limiter;
pub mod oos;
pub mod read;
pub mod sign;
pub mod trust;

mod cause;
mod failure;
mod probe;
mod reach;

use std::{borrow::Cow, collections::BTreeMap, fmt, ops::ControlFlow, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request,
    header::{
        ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
    },
};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

pub use cause::Cause;
pub use failure::Failure;
pub(crate) use probe::Probe;

use crate::{
    api::Api,
    endpoint::{Endpoint, Service},
    keys::Keys,
    login::Caller,
    readiness::Readiness,
    retry::{backoff, retry},
    secret::Secret,
    telemetry::Metrics,
};
use limiter::{Granted, Limiter, LimiterState, Priority, Target};
use sign::Unsigned;
use trust::Clients;

const MAX_ATTEMPTS: u32 = 8;
/// The cloud may ask for a longer pause than a mount can take; it gets this much.
const LONGEST_HINT: Duration = Duration::from_secs(15);

/// One operation with its parameters.
pub struct Call<'a> {
    pub api: Api,
    pub endpoint: &'a Endpoint,
    pub query: Vec<(&'a str, &'a str)>,
    /// Parameters that must stay out of the URL, in form encoding.
    pub form: Option<Secret<String>>,
    /// `None` for an anonymous call.
    pub keys: Option<&'a Keys>,
    /// Whose login it is, and which mount's: where calls have to wait.
    pub caller: Caller,
    pub priority: Priority,
    /// Hears what the failure would be if the time ended now, each time that this changes.
    pub on_error: Option<&'a (dyn Fn(&Failure) + Sync)>,
    /// Called whenever it is sent, which may be long after it was wanted.
    pub sent: Option<&'a (dyn Fn() + Sync)>,
}

/// A read: where, as whom, and how long it may take.
pub struct ReadOptions<'a> {
    pub endpoint: &'a Endpoint,
    pub keys: &'a Keys,
    pub caller: Caller,
    pub priority: Priority,
    pub deadline: Instant,
    pub on_error: &'a (dyn Fn(&Failure) + Sync),
    pub sent: &'a (dyn Fn() + Sync),
}

impl fmt::Debug for ReadOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOptions").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("api", &self.api)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub struct Cloud {
    clients: Clients,
    metrics: Arc<Metrics>,
    sts_calls: Limiter,
    kms_calls: Limiter,
    oos_calls: Limiter,
    readiness: Arc<Readiness>,
    /// What requests say of who sends them.
    agent: HeaderValue,
}

/// Logins of many pods at once; the operator has no setting for these.
const STS_CALLS: usize = 64;

impl Cloud {
    pub fn new(
        clients: Clients,
        metrics: Arc<Metrics>,
        kms_calls: usize,
        oos_calls: usize,
    ) -> Self {
        Self {
            clients,
            metrics,
            sts_calls: Limiter::new(STS_CALLS),
            kms_calls: Limiter::new(kms_calls),
            oos_calls: Limiter::new(oos_calls),
            readiness: Arc::default(),
            agent: HeaderValue::from_static(AGENT),
        }
    }

    /// Says it in place of the program's name and version alone.
    pub fn with_agent(self, agent: HeaderValue) -> Self {
        Self { agent, ..self }
    }

    /// Watches the operator's own hosts there.
    pub fn with_readiness(self, readiness: Arc<Readiness>) -> Self {
        Self { readiness, ..self }
    }

    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Takes some milliseconds, which the first call then need not.
    pub fn warm(&self) {
        self.clients.warm();
    }

    async fn read(
        &self,
        options: &ReadOptions<'_>,
        api: Api,
        query: Vec<(&str, &str)>,
    ) -> Result<Secret<Vec<u8>>, Failure> {
        let ReadOptions { endpoint, keys, caller, priority, deadline, on_error, sent } = *options;
        let (form, keys) = (None, Some(keys));
        let (on_error, sent) = (Some(on_error), Some(sent));
        let call = Call { api, endpoint, query, form, keys, caller, priority, on_error, sent };
        self.call(&call, deadline).await
    }

    /// The body of a successful answer, or the last failure before `deadline`.
    pub async fn call(
        &self,
        call: &Call<'_>,
        deadline: Instant,
    ) -> Result<Secret<Vec<u8>>, Failure> {
        retry(None::<Failure>, |last, attempts| async move {
            let (mut failure, begun) = match self.attempt(call, deadline, last.is_some()).await {
                Ok(body) => return ControlFlow::Break(Ok(body)),
                Err(Ended::Failed(failure)) => (failure, true),
                Err(Ended::OnlyWaited(failure)) => (failure, false),
            };
            let late = |failure| ControlFlow::Break(Err(Failure { late: true, ..failure }));
            failure.attempts = attempts;
            let cut_short = failure.cause == Cause::TimedOut && Instant::now() >= deadline;
            if !begun || cut_short {
                // What the host answered before says more than that there was no time to ask it
                // again.
                return late(last.unwrap_or(failure));
            }
            let singly = call.api.is_batch() && failure.cause.is_of_a_batch();
            let wait = match failure.cause {
                Cause::NonceUsed if attempts == 1 => Duration::ZERO,
                cause if cause.is_transient() && !singly && attempts < MAX_ATTEMPTS => {
                    failure.retry_after.map_or_else(|| backoff(attempts), |d| d.min(LONGEST_HINT))
                }
                _ => return ControlFlow::Break(Err(failure)),
            };
            if Instant::now() + wait >= deadline {
                return late(failure);
            }
            tracing::debug!(
                api = call.api.name(),
                host = call.endpoint.host(),
                cause = failure.label(),
                attempts,
                wait_ms = wait.as_millis(),
                "asking the cloud again"
            );
            note(call, &failure);
            ControlFlow::Continue((Some(failure), wait))
        })
        .await
    }

    async fn attempt(
        &self,
        call: &Call<'_>,
        deadline: Instant,
        again: bool,
    ) -> Result<Secret<Vec<u8>>, Ended> {
        let failed = |cause| Failure::new(call.api, call.endpoint, cause);
        let limiter = self.limiter(call.api.service());
        let Call { api, endpoint, caller, priority, .. } = *call;
        let target = Target { endpoint, api, caller, priority };
        let permit = match limiter.acquire(target) {
            Ok(permit) => permit,
            Err(queued) => {
                let waited_for = limiter.awaited(&target);
                // While it waits to ask again, the last answer is still the reason.
                if !again {
                    note(call, &waited_for);
                }
                match queued.until(deadline).await {
                    // A permit that comes free when the time is up comes too late.
                    Granted::Permit(permit) if Instant::now() < deadline => {
                        if !again {
                            note(call, &failed(Cause::TimedOut));
                        }
                        permit
                    }
                    Granted::Down(why) => {
                        return Err(Ended::Failed(why.of_another(api, endpoint)));
                    }
                    // It may have throttled meanwhile.
                    _ if limiter.is_throttling(endpoint.host(), &caller) => {
                        return Err(Ended::OnlyWaited(failed(Cause::Throttled)));
                    }
                    _ => return Err(Ended::OnlyWaited(waited_for)),
                }
            }
        };
        let started = Instant::now();
        let until = deadline.min(started + permit.timeout());
        let request =
            request(call, &self.agent).ok_or_else(|| Ended::Failed(failed(Cause::Unsendable)))?;
        if let Some(sent) = call.sent {
            sent();
        }
        let sent = timeout_at(until, self.clients.of(call.endpoint.trust()).send(request)).await;
        let outcome = match sent {
            Err(_) => Err(failed(Cause::TimedOut)),
            Ok(Err(broken)) => Err(failed(Cause::Broken(broken))),
            Ok(Ok(answer)) if answer.status == 200 => Ok(answer.body),
            Ok(Ok(answer)) => Err(Failure::refused(call, &answer)),
        };
        match &outcome {
            Ok(_) => permit.succeeded(),
            Err(failure) => permit.failed(failure),
        }
        let unanswered = outcome.as_ref().err().filter(|failure| failure.is_unanswered());
        let why = unanswered.map(|failure| || failure.message());
        self.readiness.record_host(
            call.endpoint.host(),
            &caller.login,
            why.as_ref().map(|why| why as _),
        );
        let label = outcome.as_ref().map_or_else(Failure::label, |_| "OK");
        self.metrics.cloud_call(call.api.name(), label, started.elapsed());
        if outcome.as_ref().is_err_and(|failure| failure.cause == Cause::Throttled) {
            self.metrics.cloud_throttled(call.api.name());
        }
        outcome.map_err(Ended::Failed)
    }

    /// By service.
    pub fn limiters(&self) -> BTreeMap<&'static str, LimiterState> {
        let services = [Service::Sts, Service::Kms, Service::Oos];
        services.map(|service| (service.name(), self.limiter(service).state())).into()
    }

    /// Whether calls of this caller to the host wait, since it throttles them.
    pub fn is_throttling(&self, service: Service, endpoint: &Endpoint, caller: &Caller) -> bool {
        self.limiter(service).is_throttling(endpoint.host(), caller)
    }

    fn limiter(&self, service: Service) -> &Limiter {
        match service {
            Service::Sts => &self.sts_calls,
            Service::Kms => &self.kms_calls,
            Service::Oos => &self.oos_calls,
        }
    }
}

/// Why an attempt brought nothing.
enum Ended {
    Failed(Failure),
    /// The time was up before it could begin.
    OnlyWaited(Failure),
}

fn note(call: &Call<'_>, failure: &Failure) {
    if let Some(on_error) = call.on_error {
        on_error(failure);
    }
}

/// Every attempt has a nonce, a date and so a signature of its own.
fn request(call: &Call<'_>, agent: &HeaderValue) -> Option<Request<Full<Bytes>>> {
    request_once(call, agent, &nonce()?)
}

fn request_once(call: &Call<'_>, agent: &HeaderValue, nonce: &str) -> Option<Request<Full<Bytes>>> {
    let host = call.endpoint.host();
    let date = format!("{:.0}", jiff::Timestamp::now());
    let query = sign::canonical_query(call.query.iter().copied());
    let body = call.form.as_ref().map_or("", |form| form.expose().as_str());
    let body_sha256 = match body {
        "" => Cow::Borrowed(sign::SHA256_OF_NOTHING),
        body => Cow::Owned(sign::sha256_hex(body.as_bytes())),
    };
    let mut fields = vec![
        ("host", host),
        ("x-acs-action", call.api.name()),
        ("x-acs-version", call.api.version()),
        ("x-acs-date", &date),
        ("x-acs-signature-nonce", nonce),
        ("x-acs-content-sha256", &body_sha256),
    ];
    if call.form.is_some() {
        fields.push(("content-type", "application/x-www-form-urlencoded"));
    }
    let mut headers = HeaderMap::with_capacity(fields.len() + 4);
    if let Some(keys) = call.keys {
        if let Some(token) = &keys.token {
            fields.push(("x-acs-security-token", token.expose()));
        }
        let unsigned = Unsigned {
            method: "POST",
            path: "/",
            query: &query,
            headers: &fields,
            body_sha256: &body_sha256,
        };
        headers.insert(AUTHORIZATION, sensitive(&sign::authorization(keys, &unsigned))?);
    }
    for (name, value) in fields {
        match name {
            "host" => headers.insert(HOST, HeaderValue::from_str(value).ok()?),
            "content-type" => headers.insert(CONTENT_TYPE, HeaderValue::from_str(value).ok()?),
            other => headers.insert(HeaderName::from_static(other), sensitive(value)?),
        };
    }
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, agent.clone());
    let body = match body {
        "" => Bytes::new(),
        // Wiped when the last frame of it has been written.
        body => Bytes::from_owner(Zeroizing::new(body.as_bytes().to_vec())),
    };
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = hyper::Method::POST;
    *request.uri_mut() = ["https://", host, "/?", &query].concat().try_into().ok()?;
    *request.headers_mut() = headers;
    Some(request)
}

const AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// The program's name and version, and behind them words of the operator's.
pub fn agent(words: &str) -> Option<HeaderValue> {
    let printable = words.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let fits = !words.trim().is_empty() && words.len() <= AGENT_WORDS;
    (printable && fits).then(|| HeaderValue::from_str(&[AGENT, words.trim()].join(" ")).ok())?
}

/// Ours: a name and a version have room, and no request grows by much.
const AGENT_WORDS: usize = 128;

fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn nonce() -> Option<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(sign::hex(&bytes))
}

#[cfg(test)]
mod tests;
