//! Catalogue: every metric with its labels, what it means and what to do when it grows. The registry is made of
//! it, and so is docs/metrics.md.

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, and begins anew with the process.
    Counter,
    Gauge,
    Histogram,
    /// A gauge of 1 whose labels are what it tells.
    Info,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        }
    }
}

/// One metric.
#[derive(Debug)]
pub struct Described {
    /// Without the prefix, and without what a counter or an info ends in.
    pub(super) name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    /// It is served as the metric's help too.
    pub meaning: &'static str,
    /// What to do when it grows.
    pub grows: &'static str,
}

/// How every name begins.
pub const PREFIX: &str = "csi_provider_alibabacloud";

impl Described {
    /// Its family, as `# TYPE` has it.
    pub fn family(&self) -> String {
        format!("{PREFIX}_{}", self.name)
    }

    /// As queries name it.
    pub fn exposed(&self) -> String {
        let end = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        self.family() + end
    }

    /// What it is counted in: a base unit, which its name ends in, or the things themselves.
    pub fn unit(&self) -> &'static str {
        match self.name.rsplit('_').next() {
            Some("seconds") => "seconds",
            Some("bytes") => "bytes",
            _ => "number",
        }
    }
}

macro_rules! catalogue {
    ($($id:ident = $name:literal, $kind:ident, [$($label:literal),*], $meaning:literal, $grows:literal;)*) => {
        $(pub(super) const $id: &Described = &Described {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            meaning: $meaning,
            grows: $grows,
        };)*
        pub const ALL: &[&Described] = &[$($id,)*];
    };
}

catalogue! {
    BUILD = "build", Info, ["version"],
        "The program's version",
        "It does not. Several versions are a rollout that is under way or stuck.";
    MOUNTS = "mounts", Counter, ["identity", "outcome"],
        "Mounts that ended, by identity mode and outcome: OK, a gRPC code, CALLER_GONE or PANIC",
        "It does with every pod that starts and every refresh. Of an outcome that is not OK, see \
         `mount_failures_total` for the reason; a PANIC is a fault of the provider, to be reported.";
    MOUNT_FAILURES = "mount_failures", Counter, ["reason"],
        "Mounts that were refused or failed, by reason",
        "Look the reason up in [reasons](reasons.md), or with `explain-code REASON`; the log's line `mount failed` \
         names pod and class.";
    MOUNT_SECONDS = "mount_duration_seconds", Histogram, [],
        "Time from a mount request to its answer",
        "Compare it with `cloud_call_duration_seconds`: if that did not grow, calls wait for their turn \
         (`--max-concurrent-kms-secret-pulls`) or for a rate that throttling lowered.";
    MOUNTS_IN_FLIGHT = "mounts_in_flight", Gauge, [],
        "Mounts being worked on",
        "Many for long are mounts that wait: for a throttled quota, or for a host that does not answer.";
    CLOUD_CALLS = "cloud_calls", Counter, ["api", "code"],
        "Calls to Alibaba Cloud, attempts counted singly, by API and error code",
        "Fewer calls: a longer `--refresh-interval`, `--share=service-account`, `--kms-batch=auto`. Codes are in \
         [cloud errors](cloud-errors.md).";
    CLOUD_SECONDS = "cloud_call_duration_seconds", Histogram, ["api"],
        "Time of one attempt of a call",
        "The network or the service is slow; look at its host from the node.";
    CLOUD_THROTTLED = "cloud_calls_throttled", Counter, ["api"],
        "Attempts that were answered with throttling, by API",
        "Fewer calls, as for `cloud_calls_total`, or a larger quota. Running pods are served stale values meanwhile.";
    OPTIONAL_MISSING = "optional_objects_missing", Counter, [],
        "Objects left out of a mount because they are optional and do not exist",
        "Create the secret or parameter, or take the object out of the class.";
    SESSIONS = "sessions", Gauge, [],
        "RAM sessions held",
        "It follows the pods of the node; with `--share=service-account` their ServiceAccounts. 4096 at most.";
    LOGINS = "logins", Counter, ["kind", "outcome"],
        "RAM sessions asked for: new ones, and renewals of those held; OK or failed",
        "Failed renewals do no harm until the session ends; their line in the log says why. Many new ones follow \
         from many new pods, or from a role whose trust policy refuses.";
    VALUES = "values", Gauge, [],
        "Values held, sealed",
        "It follows the objects that the pods of the node mount.";
    VALUE_BYTES = "value_bytes", Gauge, [],
        "What they take",
        "Near `value_cache_limit_bytes` values give way and are read again: raise `--value-cache-mib`, and the \
         container's memory with it.";
    VALUE_LIMIT = "value_cache_limit_bytes", Gauge, [],
        "What they may take",
        "It is the setting `--value-cache-mib`.";
    ANSWERED = "values_answered", Counter, ["source"],
        "Mounts by where their values came from: memory, cloud, or stale values because the cloud throttles (stale) \
         or does not answer (grace)",
        "Of stale and grace: running pods hold old values. See `cloud_calls_throttled_total` and the codes of \
         `cloud_calls_total`.";
    STALE_AGE = "stale_age_seconds", Histogram, [],
        "Age of the oldest value of a mount that was served stale values",
        "Near `--stale-while-throttled` or `--outage-grace`, mounts are about to fail: end the throttling or the outage.";
    ROTATION_LAG = "rotation_lag_seconds", Histogram, [],
        "When another version of a value was read: time since the version before was last confirmed, which is the \
         longest that it can have been out of date; not with a refresh interval of 0",
        "It is the refresh interval, and more where refreshes are held back: see `class_refresh_age_seconds`.";
    CLASS_AGE = "class_refresh_age_seconds", Gauge, ["namespace", "secret_provider_class"],
        "Time since the last refresh with fresh values, of the volume of the class on this node that has waited \
         longest; where it had none, since its first try. 100 classes at most, all others together as class other \
         without a namespace",
        "Above a few minutes with `class_volumes_behind` above 0, refreshes fail or are served stale: the log's lines \
         of that class say why.";
    CLASS_BEHIND = "class_volumes_behind", Gauge, ["namespace", "secret_provider_class"],
        "Volumes of the class on this node whose last mount failed or was served stale values",
        "The pods of these volumes wait, or run on old values: the log's lines of that class say why.";
    REFRESH_EVENTS = "refresh_events", Counter, ["result"],
        "Kubernetes Events about refreshes that keep failing (`--events`): written, failed, or dropped because too \
         many were waiting",
        "Of failed: the log has the API server's answer, such as a missing right to create Events. Of dropped: many \
         pods fail at once; they are told of later.";
    AUDIT = "audit_records", Counter, ["result"],
        "Audit records written, and lost because they could not be",
        "Of lost: the log says why the record cannot be written, such as a full disk.";
    TASKS = "tasks", Gauge, [],
        "Pieces of work that are under way inside: calls, connections, timers",
        "If it never falls while mounts do not grow, report it: something is not let go.";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the Prometheus documents ask of names.
    #[test]
    fn names_are_words_with_underscores_and_end_in_base_units() {
        let plain = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let other_units =
            ["ms", "milliseconds", "minutes", "mib", "kb", "percent", "total", "info"];
        for metric in ALL {
            assert!(plain(metric.name), "{}", metric.name);
            let end = metric.name.rsplit('_').next().unwrap();
            assert!(!other_units.contains(&end), "{}", metric.name);
            for label in metric.labels {
                assert!(plain(label) && !metric.name.contains(label), "{} {label}", metric.name);
            }
            assert!(!metric.meaning.is_empty() && !metric.grows.is_empty(), "{}", metric.name);
        }
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
