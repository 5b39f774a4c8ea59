//! What operators see: metrics with bounded labels, and logs.

pub mod catalogue;
pub mod log;
pub mod volumes;

use std::{
    sync::{Mutex, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Metric, Registry},
};
use tracing::Instrument;

use crate::sync::lock;
use catalogue::Described;
use volumes::{ClassName, Volumes};

/// From a mount served from the cache to one that used its whole deadline.
const SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 20.0, 90.0];

/// Of what is measured in minutes and hours.
const LONG_SECONDS: [f64; 12] =
    [10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 21600.0, 86400.0];
/// Kinds and outcomes.
const LOGINS: [(&str, &str); 4] =
    [("new", "OK"), ("new", "failed"), ("renewal", "OK"), ("renewal", "failed")];
/// The class of all that have no series of their own; they are in no namespace, so that no class is called this.
const OTHER: &str = "other";

/// Without the SecretProviderClass, which would multiply them: metrics of classes have a bound of their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MountLabels {
    identity: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    api: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabels {
    api: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoginLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabels {
    namespace: String,
    secret_provider_class: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RecordLabels {
    result: &'static str,
}

/// A task whose log lines belong to the mount that began it, which it may outlive.
pub fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(future.in_current_span())
}

#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// How the volumes of this node fare.
    pub volumes: Volumes,
    /// One text at a time: what it says of classes is made for it.
    writing: Mutex<()>,
    mounts: Family<MountLabels, Counter>,
    mount_failures: Family<ReasonLabels, Counter>,
    mount_seconds: Histogram,
    mounts_in_flight: Gauge,
    cloud_calls: Family<CallLabels, Counter>,
    cloud_seconds: Family<ApiLabels, Histogram, fn() -> Histogram>,
    cloud_throttled: Family<ApiLabels, Counter>,
    optional_missing: Counter,
    sessions: Gauge,
    logins: Family<LoginLabels, Counter>,
    values: Gauge,
    value_bytes: Gauge,
    value_limit: Gauge,
    answered: Family<SourceLabels, Counter>,
    stale_age: Histogram,
    rotation_lag: Histogram,
    class_age: Family<ClassLabels, Gauge<f64, AtomicU64>>,
    class_behind: Family<ClassLabels, Gauge>,
    refresh_events: Family<RecordLabels, Counter>,
    audit: Family<RecordLabels, Counter>,
    tasks: Gauge,
}

impl Metrics {
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix(catalogue::PREFIX),
            volumes: Volumes::default(),
            writing: Mutex::default(),
            mounts: Family::default(),
            mount_failures: Family::default(),
            mount_seconds: histogram(),
            mounts_in_flight: Gauge::default(),
            cloud_calls: Family::default(),
            cloud_seconds: Family::new_with_constructor(histogram),
            cloud_throttled: Family::default(),
            optional_missing: Counter::default(),
            sessions: Gauge::default(),
            logins: Family::default(),
            values: Gauge::default(),
            value_bytes: Gauge::default(),
            value_limit: Gauge::default(),
            answered: Family::default(),
            stale_age: Histogram::new(LONG_SECONDS),
            rotation_lag: Histogram::new(LONG_SECONDS),
            class_age: Family::default(),
            class_behind: Family::default(),
            refresh_events: Family::default(),
            audit: Family::default(),
            tasks: Gauge::default(),
        };
        metrics.registered()
    }

    /// `outcome` is "OK", a gRPC code's name, or "CALLER_GONE" or "PANIC" for a mount without an answer.
    pub fn mount(&self, identity: &'static str, outcome: &'static str, took: Duration) {
        self.mounts.get_or_create(&MountLabels { identity, outcome }).inc();
        self.mount_seconds.observe(took.as_secs_f64());
    }

    /// `reason` is the name of a `Reason`.
    pub fn mount_failed(&self, reason: &'static str) {
        self.mount_failures.get_or_create(&ReasonLabels { reason }).inc();
    }

    pub fn mounts_now(&self) -> i64 {
        self.mounts_in_flight.get()
    }

    /// Counts a mount as in flight for as long as the guard lives.
    pub fn mount_in_flight(&self) -> impl Drop + use<> {
        self.mounts_in_flight.inc();
        InFlight(self.mounts_in_flight.clone())
    }

    /// `code` is "OK", a known error code, or a word for why there was none.
    pub fn cloud_call(&self, api: &'static str, code: &'static str, took: Duration) {
        self.cloud_calls.get_or_create(&CallLabels { api, code }).inc();
        self.cloud_seconds.get_or_create(&ApiLabels { api }).observe(took.as_secs_f64());
    }

    pub fn cloud_throttled(&self, api: &'static str) {
        self.cloud_throttled.get_or_create(&ApiLabels { api }).inc();
    }

    pub fn optional_missing(&self, objects: usize) {
        self.optional_missing.inc_by(u64::try_from(objects).unwrap_or(u64::MAX));
    }

    pub fn sessions(&self, held: usize) {
        self.sessions.set(signed(held));
    }

    /// A session was asked for; `renewal` of one that is held.
    pub fn login(&self, renewal: bool, succeeded: bool) {
        let kind = if renewal { "renewal" } else { "new" };
        let outcome = if succeeded { "OK" } else { "failed" };
        self.logins.get_or_create(&LoginLabels { kind, outcome }).inc();
    }

    pub fn values(&self, held: usize, bytes: usize) {
        self.values.set(signed(held));
        self.value_bytes.set(signed(bytes));
    }

    pub fn value_limit(&self, bytes: usize) {
        self.value_limit.set(signed(bytes));
    }

    /// `source` is "memory", "cloud", "stale" or "grace".
    pub fn answered(&self, source: &'static str) {
        self.answered.get_or_create(&SourceLabels { source }).inc();
    }

    /// A mount was served stale values, of which the oldest has this age.
    pub fn stale(&self, age: Duration) {
        self.stale_age.observe(age.as_secs_f64());
    }

    /// A value has another version than the cloud gave so long ago.
    pub fn rotated(&self, lag: Duration) {
        self.rotation_lag.observe(lag.as_secs_f64());
    }

    /// Events may be written: an increase is seen from a number that was there before.
    pub fn refresh_events_begin(&self) {
        for result in ["written", "failed", "dropped"] {
            self.refresh_events.get_or_create(&RecordLabels { result }).inc_by(0);
        }
    }

    /// `result` is "written", "failed" or "dropped".
    pub fn refresh_event(&self, result: &'static str) {
        self.refresh_events.get_or_create(&RecordLabels { result }).inc();
    }

    pub fn audit_written(&self, records: u64) {
        self.audit.get_or_create(&RecordLabels { result: "written" }).inc_by(records);
    }

    pub fn audit_lost(&self, records: u64) {
        self.audit.get_or_create(&RecordLabels { result: "lost" }).inc_by(records);
    }

    /// OpenMetrics text.
    pub fn text(&self) -> String {
        let _one = lock(&self.writing);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.tasks.set(signed(runtime.metrics().num_alive_tasks()));
        }
        self.class_age.clear();
        self.class_behind.clear();
        for (class, state) in self.volumes.classes() {
            let other = ClassName { namespace: String::new(), name: OTHER.to_owned() };
            let ClassName { namespace, name: secret_provider_class } = class.unwrap_or(other);
            let labels = ClassLabels { namespace, secret_provider_class };
            self.class_age.get_or_create(&labels).set(state.age.as_secs_f64());
            self.class_behind.get_or_create(&labels).set(state.behind);
        }
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }

    fn registered(mut self) -> Self {
        use catalogue as of;
        let registry = &mut self.registry;
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        register(registry, of::BUILD, version);
        register(registry, of::MOUNTS, self.mounts.clone());
        register(registry, of::MOUNT_FAILURES, self.mount_failures.clone());
        register(registry, of::MOUNT_SECONDS, self.mount_seconds.clone());
        register(registry, of::MOUNTS_IN_FLIGHT, self.mounts_in_flight.clone());
        register(registry, of::CLOUD_CALLS, self.cloud_calls.clone());
        register(registry, of::CLOUD_SECONDS, self.cloud_seconds.clone());
        register(registry, of::CLOUD_THROTTLED, self.cloud_throttled.clone());
        register(registry, of::OPTIONAL_MISSING, self.optional_missing.clone());
        register(registry, of::SESSIONS, self.sessions.clone());
        register(registry, of::LOGINS, self.logins.clone());
        register(registry, of::VALUES, self.values.clone());
        register(registry, of::VALUE_BYTES, self.value_bytes.clone());
        register(registry, of::VALUE_LIMIT, self.value_limit.clone());
        register(registry, of::ANSWERED, self.answered.clone());
        register(registry, of::STALE_AGE, self.stale_age.clone());
        register(registry, of::ROTATION_LAG, self.rotation_lag.clone());
        register(registry, of::CLASS_AGE, self.class_age.clone());
        register(registry, of::CLASS_BEHIND, self.class_behind.clone());
        register(registry, of::REFRESH_EVENTS, self.refresh_events.clone());
        register(registry, of::AUDIT, self.audit.clone());
        register(registry, of::TASKS, self.tasks.clone());
        // An increase is seen from a number that was there before.
        for result in ["written", "lost"] {
            self.audit.get_or_create(&RecordLabels { result }).inc_by(0);
        }
        for (kind, outcome) in LOGINS {
            self.logins.get_or_create(&LoginLabels { kind, outcome }).inc_by(0);
        }
        self
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn register(registry: &mut Registry, metric: &Described, series: impl Metric) {
    registry.register(metric.name, metric.meaning, series);
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests;
