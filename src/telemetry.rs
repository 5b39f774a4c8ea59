//! What operators see: metrics with bounded labels, and logs.

pub mod log;

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};
use tracing::Instrument;

/// From a mount served from the cache to one that used its whole deadline.
const SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 20.0, 90.0];

/// Without the SecretProviderClass: pod authors name these, so there is no bound on their number.
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
    mounts: Family<MountLabels, Counter>,
    mount_seconds: Histogram,
    mounts_in_flight: Gauge,
    cloud_calls: Family<CallLabels, Counter>,
    cloud_seconds: Family<ApiLabels, Histogram, fn() -> Histogram>,
    optional_missing: Counter,
    sessions: Gauge,
    values: Gauge,
    value_bytes: Gauge,
    answered: Family<SourceLabels, Counter>,
    audit: Family<RecordLabels, Counter>,
    tasks: Gauge,
}

impl Metrics {
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("csi_provider_alibabacloud"),
            mounts: Family::default(),
            mount_seconds: histogram(),
            mounts_in_flight: Gauge::default(),
            cloud_calls: Family::default(),
            cloud_seconds: Family::new_with_constructor(histogram),
            optional_missing: Counter::default(),
            sessions: Gauge::default(),
            values: Gauge::default(),
            value_bytes: Gauge::default(),
            answered: Family::default(),
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

    pub fn optional_missing(&self, objects: usize) {
        self.optional_missing.inc_by(u64::try_from(objects).unwrap_or(u64::MAX));
    }

    pub fn sessions(&self, held: usize) {
        self.sessions.set(i64::try_from(held).unwrap_or(i64::MAX));
    }

    pub fn values(&self, held: usize, bytes: usize) {
        self.values.set(i64::try_from(held).unwrap_or(i64::MAX));
        self.value_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// `source` is "memory" or "cloud".
    pub fn answered(&self, source: &'static str) {
        self.answered.get_or_create(&SourceLabels { source }).inc();
    }

    pub fn audit_written(&self, records: u64) {
        self.audit.get_or_create(&RecordLabels { result: "written" }).inc_by(records);
    }

    pub fn audit_lost(&self, records: u64) {
        self.audit.get_or_create(&RecordLabels { result: "lost" }).inc_by(records);
    }

    /// OpenMetrics text.
    pub fn text(&self) -> String {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let alive = runtime.metrics().num_alive_tasks();
            self.tasks.set(i64::try_from(alive).unwrap_or(i64::MAX));
        }
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register(
            "build",
            "The program's version",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register(
            "mounts",
            "Mounts that ended, by identity mode and outcome",
            self.mounts.clone(),
        );
        registry.register(
            "mount_duration_seconds",
            "Time from a mount request to its answer",
            self.mount_seconds.clone(),
        );
        registry.register(
            "mounts_in_flight",
            "Mounts being worked on",
            self.mounts_in_flight.clone(),
        );
        registry.register(
            "cloud_calls",
            "Calls to Alibaba Cloud, attempts counted singly, by API and error code",
            self.cloud_calls.clone(),
        );
        registry.register(
            "cloud_call_duration_seconds",
            "Time of one attempt of a call",
            self.cloud_seconds.clone(),
        );
        registry.register(
            "optional_objects_missing",
            "Objects left out of a mount because they are optional and do not exist",
            self.optional_missing.clone(),
        );
        registry.register("sessions", "RAM sessions held", self.sessions.clone());
        registry.register("values", "Values held, sealed", self.values.clone());
        registry.register("value_bytes", "What they take", self.value_bytes.clone());
        registry.register(
            "values_answered",
            "Mounts by where their values came from: the cache (memory), the cloud, or stale values",
            self.answered.clone(),
        );
        registry.register(
            "audit_records",
            "Audit records written, and lost because they could not be",
            self.audit.clone(),
        );
        registry.register(
            "tasks",
            "Pieces of work that are under way inside: calls, connections, timers",
            self.tasks.clone(),
        );
        self
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
