//! One account of the cloud, for all nodes: answers as STS and KMS do, within quotas, unless down.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::Full;
use hyper::{HeaderMap, Request};
use provider::{
    http::{Answer, Broken, ConnectionError},
    secret::Secret,
    sync::lock,
};
use tokio::time::{Instant, sleep};

use crate::node::THROTTLED;

/// Calls a second; `None` answers all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quotas {
    pub(crate) kms: f64,
    pub(crate) sts: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Up,
    /// Connections are refused.
    Refusing,
    /// Nothing answers.
    Silent,
}

/// What came in one second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Second {
    pub(crate) kms: Calls,
    pub(crate) sts: Calls,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Calls {
    pub(crate) answered: u32,
    pub(crate) throttled: u32,
    /// While the cloud was down.
    pub(crate) lost: u32,
}

impl Calls {
    pub(crate) fn all(self) -> u32 {
        self.answered + self.throttled + self.lost
    }
}

#[derive(Debug)]
pub(crate) struct Account {
    begun: Instant,
    version: AtomicU64,
    latency: Latency,
    open: Mutex<Open>,
}

/// Of a call there and back, from least to most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) answer: (Duration, Duration),
    pub(crate) error: (Duration, Duration),
}

#[derive(Debug)]
struct Open {
    state: State,
    quotas: Option<(Bucket, Bucket)>,
    seconds: Vec<Second>,
}

/// A second's worth at most.
#[derive(Debug)]
struct Bucket {
    rate: f64,
    left: f64,
    filled: Instant,
}

impl Bucket {
    fn full(rate: f64) -> Self {
        Self { rate, left: rate, filled: Instant::now() }
    }

    fn take(&mut self) -> bool {
        let now = Instant::now();
        let since = now.duration_since(self.filled).as_secs_f64();
        self.left = (self.left + since * self.rate).min(self.rate);
        self.filled = now;
        let taken = self.left >= 1.0;
        if taken {
            self.left -= 1.0;
        }
        taken
    }
}

enum Reply {
    Refused,
    Never,
    Answer(u16, String),
}

impl Account {
    /// Without quotas, so that a cluster can be brought up at once.
    pub(crate) fn open(latency: Latency) -> Arc<Self> {
        let open = Mutex::new(Open { state: State::Up, quotas: None, seconds: Vec::new() });
        let (begun, version) = (Instant::now(), AtomicU64::new(1));
        Arc::new(Self { begun, version, latency, open })
    }

    pub(crate) fn enforce(&self, quotas: Quotas) {
        let buckets = (Bucket::full(quotas.kms), Bucket::full(quotas.sts));
        lock(&self.open).quotas = Some(buckets);
    }

    pub(crate) fn set(&self, state: State) {
        lock(&self.open).state = state;
    }

    pub(crate) fn rotate(&self) {
        self.version.fetch_add(1, Relaxed);
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Relaxed)
    }

    pub(crate) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn seconds(&self) -> Vec<Second> {
        lock(&self.open).seconds.clone()
    }

    fn receive(&self, request: &Request<Full<Bytes>>, throttle: bool) -> Reply {
        let (action, is_sts) = (action(request), is_sts(request));
        let name = parameter(request, "SecretName=").unwrap_or_default();
        let throttle = throttle || name.starts_with(THROTTLED);
        let mut open = lock(&self.open);
        let second = usize::try_from(self.now().as_secs()).unwrap_or_default();
        let Open { state, quotas, seconds } = &mut *open;
        if seconds.len() <= second {
            seconds.resize(second + 1, Second::default());
        }
        let Some(now) = seconds.get_mut(second) else { return Reply::Never };
        let calls = if is_sts { &mut now.sts } else { &mut now.kms };
        match state {
            State::Up => {}
            State::Refusing => {
                calls.lost += 1;
                return Reply::Refused;
            }
            State::Silent => {
                calls.lost += 1;
                return Reply::Never;
            }
        }
        let mut may =
            || quotas.as_mut().is_none_or(|(kms, sts)| if is_sts { sts } else { kms }.take());
        if throttle || !may() {
            calls.throttled += 1;
            return throttled(is_sts);
        }
        calls.answered += 1;
        let settled = quotas.is_some();
        drop(open);
        let body = match action {
            _ if is_sts => session(settled),
            b"BatchGetSecretValue" => self.secrets(request),
            _ => self.secret(name),
        };
        Reply::Answer(200, body)
    }

    /// The value is the time at which it was told, the version the rotation that it comes from.
    fn secret(&self, name: &str) -> String {
        let (told, version) = (self.now().as_millis(), self.version());
        format!(
            r#"{{"SecretName":"{name}","SecretType":"Generic","SecretData":"{told}","SecretDataType":"text","VersionId":"{version}","VersionStages":{{"VersionStage":["ACSCurrent"]}},"CreateTime":"2026-11-23T00:00:00Z","AutomaticRotation":"Disabled","RequestId":"0d7e1d0c-8a4b-4b0c-9a55-2f6d0a3c1b7e"}}"#
        )
    }

    fn secrets(&self, request: &Request<Full<Bytes>>) -> String {
        let list = parameter(request, "SecretsList=").unwrap_or_default();
        let names = list.split("%22SecretName%22%3A%22").skip(1);
        let values: Vec<_> = names
            .filter_map(|rest| rest.split("%22").next())
            .map(|name| self.secret(name))
            .collect();
        format!(r#"{{"SecretValues":[{}],"Errors":[]}}"#, values.join(","))
    }
}

fn action(request: &Request<Full<Bytes>>) -> &[u8] {
    request.headers().get("x-acs-action").map_or(&b""[..], |value| value.as_bytes())
}

pub(crate) fn is_sts(request: &Request<Full<Bytes>>) -> bool {
    action(request).starts_with(b"Assume")
}

/// As it stands in the query: names here need no encoding.
fn parameter<'a>(request: &'a Request<Full<Bytes>>, name: &str) -> Option<&'a str> {
    request.uri().query()?.split('&').find_map(|pair| pair.strip_prefix(name))
}

/// Sessions from before the clock counts are of all ages, as after hours of work.
fn session(settled: bool) -> String {
    let seconds = if settled { 3600.0 } else { 3600.0 - 2600.0 * fastrand::f64() };
    let ends = jiff::Timestamp::now() + Duration::from_secs_f64(seconds);
    let token = "CAIShwJ1q6Ft5B2yfSjIr5bSEsj4g7BihPWGWHz".repeat(12);
    format!(
        r#"{{"RequestId":"6894B13B-6D71-4EF5-88FA-F32781734A7F","Credentials":{{"AccessKeyId":"STS.NUgYrLnoC37mZZCNnAbez","AccessKeySecret":"CVwjCkNzTMupZ8NbTCxCBRq3K16jtcWFTJAyBEv2","SecurityToken":"{token}","Expiration":"{ends:.0}"}}}}"#
    )
}

fn throttled(is_sts: bool) -> Reply {
    if is_sts {
        let body = r#"{"Code":"Throttling.User","Message":"Request was denied due to user flow control.","RequestId":"6894B13B"}"#;
        return Reply::Answer(400, body.to_owned());
    }
    let body = r#"{"HttpStatus":429,"Code":"Rejected.Throttling","Message":"QPS Limit Exceeded","RequestId":"0d7e1d0c"}"#;
    Reply::Answer(429, body.to_owned())
}

impl Latency {
    /// There and back: 20 ms, give or take a quarter.
    pub(crate) const EQUAL: Self = {
        let both = (Duration::from_millis(15), Duration::from_millis(25));
        Self { answer: both, error: both }
    };

    fn of(self, status: u16) -> Duration {
        let (least, most) = if status == 200 { self.answer } else { self.error };
        least + most.saturating_sub(least).mul_f64(fastrand::f64())
    }
}

impl Account {
    /// Takes a call, which is throttled if that is wanted of it.
    pub(crate) fn take(
        &self,
        request: Request<Full<Bytes>>,
        throttle: bool,
    ) -> BoxFuture<'_, Result<Answer, Broken>> {
        let reply = self.receive(&request, throttle);
        Box::pin(async move {
            match reply {
                Reply::Refused => {
                    sleep(Duration::from_millis(1)).await;
                    Err(Broken::Connection(ConnectionError::Refused))
                }
                Reply::Never => std::future::pending().await,
                Reply::Answer(status, body) => {
                    sleep(self.latency.of(status)).await;
                    let body = Secret::new(body.into_bytes());
                    Ok(Answer { status, headers: HeaderMap::new(), body })
                }
            }
        })
    }
}
