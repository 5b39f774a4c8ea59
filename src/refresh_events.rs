//! Refresh Events: a Warning Event of Kubernetes for a pod whose refresh keeps failing, of which neither the
//! driver nor kubelet tells anyone while the pod has its files.
//!
//! They are written behind the mounts, a few a minute, and what cannot be written is counted and let go: no
//! mount waits for the API server, and an outage of the cloud does not become one of the cluster.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    digest::Digest,
    error::Errors,
    identity::api_server::{ApiServer, Refused},
    limits,
    request::Pod,
    sync::lock,
    telemetry::{Metrics, volumes::Failing},
};

/// Stays when messages change.
const REASON: &str = "SecretRefreshFailed";
/// A single failure may pass; kubelet tries again after half a second.
const LEAST_FAILURES: u32 = 3;
/// Until the same volume has another Event; twice as long each time, up to an Event's life.
const FIRST_PAUSE: Duration = Duration::from_secs(600);
/// Between two Events of this node: when the cloud is down, each of its pods has one.
const WRITE_EVERY: Duration = Duration::from_secs(3);
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
const MOST_WAITING: usize = 64;
/// Volumes that have had an Event.
const MOST_REPORTED: usize = 1024;

/// What the operator wants.
#[derive(Debug)]
pub struct Options {
    pub api: ApiServer,
    /// How long a refresh has to have been failing.
    pub after: Duration,
    /// Empty if it is not known.
    pub node: String,
}

/// A mount that failed.
#[derive(Debug)]
pub struct Failure<'a> {
    /// Tells it from all other mounts.
    pub mount: &'a str,
    pub pod: &'a Pod,
    pub class: &'a str,
    pub errors: &'a Errors,
}

#[derive(Debug)]
pub struct RefreshEvents {
    after: Duration,
    node: String,
    reported: Mutex<HashMap<Digest, Reported>>,
    queue: mpsc::Sender<Event>,
    metrics: Arc<Metrics>,
    _writer: AbortOnDropHandle<()>,
}

#[derive(Clone, Copy, Debug)]
struct Reported {
    again_at: Instant,
    pause: Duration,
}

/// One Event as the API server takes it, and where.
#[derive(Debug)]
struct Event {
    path: String,
    object: String,
}

impl RefreshEvents {
    /// Needs a tokio runtime around it.
    pub fn start(Options { api, after, node }: Options, metrics: Arc<Metrics>) -> Self {
        metrics.refresh_events_begin();
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        let writer = tokio::spawn(write(api, waiting, metrics.clone()));
        let reported = Mutex::default();
        Self { after, node, reported, queue, metrics, _writer: AbortOnDropHandle::new(writer) }
    }

    /// Queues an Event where it has been failing for long, and had none a short while ago.
    pub fn failed(&self, volume: Digest, failing: Failing, failure: &Failure<'_>) {
        let lasts = failing.times >= LEAST_FAILURES && failing.since.elapsed() >= self.after;
        if !failing.has_files || !lasts {
            return;
        }
        let now = Instant::now();
        let mut reported = lock(&self.reported);
        let before = reported.get(&volume).copied();
        if before.is_some_and(|before| now < before.again_at) {
            return;
        }
        if reported.len() >= MOST_REPORTED && before.is_none() {
            reported.retain(|_, reported| now < reported.again_at);
        }
        let Some(event) = self.event(failing, failure) else { return };
        // What is dropped is queued again at the volume's next failure.
        if reported.len() >= MOST_REPORTED && before.is_none()
            || self.queue.try_send(event).is_err()
        {
            self.metrics.refresh_event("dropped");
            return;
        }
        let longer = |before: Reported| (before.pause * 2).min(limits::EVENT_LIFETIME);
        let pause = before.map_or(FIRST_PAUSE, longer);
        reported.insert(volume, Reported { again_at: now + pause, pause });
    }

    /// What it failed with before is over.
    pub fn mounted(&self, volume: &Digest) {
        lock(&self.reported).remove(volume);
    }

    /// `None` where the driver's names are none.
    fn event(&self, failing: Failing, failure: &Failure<'_>) -> Option<Event> {
        let Failure { mount, pod, class, errors } = failure;
        let Pod { namespace, name, uid, service_account } = (*pod).clone();
        let Pod { namespace, name, uid, .. } = Pod::named(namespace, name, uid, service_account)?;
        let now = Timestamp::now();
        let since = now.checked_sub(failing.since.elapsed()).unwrap_or(now);
        let note = errors.message_after(&format!(
            "SecretProviderClass {namespace}/{class}: not refreshed since {}, {} tries; the pod keeps the files \
             that it has: ",
            since.strftime("%FT%TZ"),
            failing.times,
        ));
        let most = limits::DNS_NAME - mount.len() - 1;
        let short = name.get(..most).unwrap_or(&name).trim_end_matches(['.', '-']);
        let object = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": { "name": format!("{short}.{mount}"), "namespace": namespace },
            "type": "Warning",
            "reason": REASON,
            "action": "Refresh",
            "eventTime": micro(since),
            "series": { "count": failing.times, "lastObservedTime": micro(now) },
            "reportingController": env!("CARGO_PKG_NAME"),
            "reportingInstance": if self.node.is_empty() { "unknown" } else { &self.node },
            "regarding": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": namespace,
                "name": name,
                "uid": uid,
            },
            "note": note,
        });
        let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        Some(Event { path, object: object.to_string() })
    }
}

/// As Kubernetes reads a MicroTime: with six digits.
fn micro(time: Timestamp) -> String {
    time.strftime("%FT%T%.6fZ").to_string()
}

async fn write(api: ApiServer, mut waiting: mpsc::Receiver<Event>, metrics: Arc<Metrics>) {
    let mut failed_before = false;
    while let Some(Event { path, object }) = waiting.recv().await {
        let late = Err(Refused::Unanswered("no answer in time"));
        let written = timeout(WRITE_TIMEOUT, api.create(&path, object)).await.unwrap_or(late);
        metrics.refresh_event(if written.is_ok() { "written" } else { "failed" });
        match &written {
            Err(refused) if !failed_before => {
                tracing::warn!(
                    why = why(refused),
                    "an Event about a failing refresh cannot be written"
                );
            }
            Err(refused) => tracing::debug!(why = why(refused), "an Event cannot be written"),
            Ok(()) => tracing::debug!("an Event about a failing refresh was written"),
        }
        failed_before = written.is_err();
        sleep(WRITE_EVERY).await;
    }
}

fn why(refused: &Refused) -> String {
    match refused {
        Refused::Status(403) => {
            "the provider's ServiceAccount may not create events of events.k8s.io: give it that right, or set \
             --events=off"
                .to_owned()
        }
        Refused::Status(status) => format!("the API server answered with HTTP status {status}"),
        Refused::Foreign(status) => {
            format!("something else than the API server answered with HTTP status {status}")
        }
        Refused::Absent => "the namespace does not exist".to_owned(),
        Refused::Untrusted => "the API server's certificate is not the cluster's".to_owned(),
        Refused::Unanswered(what) | Refused::Unasked(what) => (*what).to_owned(),
    }
}

#[cfg(test)]
mod tests;
