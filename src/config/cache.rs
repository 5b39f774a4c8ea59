//! Caching: how fresh values are, and what is served stale.

use std::time::Duration;

use super::{
    flag::{FRESHNESS, Flag, flag},
    settings::Settings,
};
use crate::{freshness::Freshness, spc::parse_interval};

pub(super) const FLAGS: &[Flag] = &[
    flag(
        FRESHNESS,
        "refresh-interval",
        "INTERVAL",
        "Cache TTL: a mount is served from the cache until one of its values is this old: 30s, 5m, \
         1h; 0 reads from the cloud every time [default: 5m]",
    ),
    flag(
        FRESHNESS,
        "min-refresh-interval",
        "INTERVAL",
        "The least that a SecretProviderClass can ask for with refreshInterval, and the least of \
         --refresh-interval [default: 0]",
    ),
    flag(
        FRESHNESS,
        "max-refresh-interval",
        "INTERVAL",
        "Upper limit of refreshInterval and of the cache TTL of every value; a revoked right is \
         noticed by then, except while stale values are served (--stale-while-throttled, \
         --outage-grace) [default: 1h, or \
         --refresh-interval or --min-refresh-interval if longer]",
    ),
    flag(
        FRESHNESS,
        "share",
        "WHO",
        "Who shares a RAM session and its cached values: pod (nobody) or service-account (the pods \
         of one ServiceAccount and role: 30 replicas then cost what one does, and ActionTrail \
         shows the ServiceAccount, not the pod) [default: pod]",
    ),
    flag(
        FRESHNESS,
        "kms-batch",
        "auto|off",
        "Read up to 20 secrets with one BatchGetSecretValue, where KMS and the role allow it \
         [default: off]",
    ),
    flag(
        FRESHNESS,
        "value-cache-mib",
        "N",
        "Size of the value cache, which is encrypted in memory; the least recently used are \
         evicted, and 0 turns it off [default: 16]",
    ),
    flag(
        FRESHNESS,
        "stale-while-throttled",
        "INTERVAL",
        "Serves values of running pods stale up to this age, at most 24h, while STS, KMS or OOS \
         throttles, and refreshes them behind; never after a refusal. Each time is logged, counted \
         and recorded; 0 turns it off [default: 1h, or --max-refresh-interval if shorter]",
    ),
    flag(
        FRESHNESS,
        "outage-grace",
        "INTERVAL",
        "Serves stale values up to this age, at most 24h, while STS, KMS or OOS cannot be reached, \
         throttles or returns 5xx (stale-if-error); never after a refusal. Each time is logged, \
         counted and recorded [default: 0]",
    ),
];

/// The driver asks for every volume again about every 72 s (kubelet's and the driver's own intervals together); one answer in
/// five then comes from the cloud.
const DEFAULT_REFRESH: Duration = Duration::from_secs(300);
/// Twice as long as managed secrets are served from the cache with the default interval.
const DEFAULT_MAX_REFRESH: Duration = Duration::from_secs(3600);
const DEFAULT_STALE_WHILE_THROTTLED: Duration = Duration::from_secs(3600);

impl Settings<'_> {
    pub(super) fn value_cache_bytes(&mut self) -> usize {
        self.count("value-cache-mib", 0, 16) << 20
    }

    pub(super) fn kms_batch(&mut self) -> bool {
        self.parsed("kms-batch", &[], auto_or_off, "auto or off").unwrap_or_default()
    }

    pub(super) fn freshness(&mut self) -> Freshness {
        let default = self.interval("refresh-interval");
        // A mistake in it is reported by itself.
        let comparable = default.is_some() || !self.is_given("refresh-interval");
        let default = default.unwrap_or(DEFAULT_REFRESH);
        let least = self.interval("min-refresh-interval").unwrap_or_default();
        let most = self.interval("max-refresh-interval");
        for (flag, other) in [("refresh-interval", default), ("min-refresh-interval", least)] {
            if comparable && most.is_some_and(|most| most < other) {
                let most = self.with_value("max-refresh-interval", "");
                let other = self.with_value(flag, "5m, the default");
                self.wrong(format!("{most} is less than {other}: lower that too, or raise this"));
            }
        }
        let most = most.unwrap_or(DEFAULT_MAX_REFRESH.max(default).max(least));
        Freshness { default, least, most }
    }

    pub(super) fn outage_grace(&mut self) -> Duration {
        let grace = self.interval("outage-grace").unwrap_or_default();
        if !grace.is_zero() && self.text("value-cache-mib", &[]).as_deref() == Some("0") {
            self.wrong("--outage-grace needs values in memory, and --value-cache-mib is 0");
        }
        grace
    }

    pub(super) fn stale_while_throttled(&mut self, freshness: Freshness) -> Duration {
        let default = DEFAULT_STALE_WHILE_THROTTLED.min(freshness.most);
        self.interval("stale-while-throttled").unwrap_or(default)
    }

    fn interval(&mut self, flag: &str) -> Option<Duration> {
        self.parsed(
            flag,
            &[],
            parse_interval,
            "0, or one number with s, m or h, such as 30s, 5m, 1h, up to 24h",
        )
    }
}

fn auto_or_off(text: &str) -> Option<bool> {
    match text {
        "auto" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}
