//! Times: how fresh the values of a mount are, and what it does while the cloud does not answer.

use std::time::Duration;

use crate::{
    freshness::{Caching, MANAGED_INTERVALS},
    preview::Mount,
    spc::{objects::Object, source::Source},
};

/// How often kubelet and the driver have a volume mounted again, together.
const REMOUNT: Duration = Duration::from_secs(72);

pub(super) fn freshness(mount: &Mount, caching: &Caching) -> Vec<String> {
    let asked = mount.spec.refresh;
    let interval = caching.freshness.of(asked);
    let from = match asked {
        Some(asked) if asked == interval => "refreshInterval of the class",
        Some(_) => "refreshInterval of the class, within the operator's limits",
        None => "the operator's --refresh-interval",
    };
    let mut told = Vec::new();
    let again = match mount.sync {
        false => format!("about every {}", words(REMOUNT)),
        true => "every time the sync controller polls".to_owned(),
    };
    told.push(match interval.is_zero() {
        true => format!("read from the cloud each time it is mounted again, {again} ({from}: 0)"),
        false => format!(
            "mounted again {again}; read from the cloud once a value is {} old ({from})",
            words(interval)
        ),
    });
    if let Some(asked) = asked.filter(|asked| *asked != interval) {
        told.push(format!(
            "refreshInterval {} is outside the operator's limits, so that {} holds",
            words(asked),
            words(interval)
        ));
    }
    let is_pinned = |object: &&Object| object.read.source.facts().version().is_some();
    let rotates =
        |object: &Object| matches!(object.read.source, Source::Kms(_)) && !is_pinned(&object);
    if !interval.is_zero() && mount.spec.objects.iter().any(rotates) {
        let managed = interval.saturating_mul(MANAGED_INTERVALS).min(caching.freshness.most);
        told.push(format!(
            "a secret that rotates by itself: read again once it is {} old, or at its planned rotation",
            words(managed)
        ));
    }
    let pinned = mount.spec.objects.iter().filter(is_pinned);
    let pinned: Vec<&str> = pinned.map(|object| object.read.source.facts().name()).collect();
    if !pinned.is_empty() {
        told.push(format!(
            "read at the version or label that the class names: {}",
            pinned.join(", ")
        ));
    }
    if mount.sub_path {
        told.push("a container mounts it by subPath: what that sees never changes".to_owned());
    }
    if !mount.sync {
        told.push(
            "only with rotation turned on in the driver; without it files never change".to_owned(),
        );
    }
    told
}

pub(super) fn outage(mount: &Mount, shared: bool, caching: &Caching) -> Vec<String> {
    let mut told = Vec::new();
    let interval = caching.freshness.of(mount.spec.refresh);
    told.push(match (mount.sync, shared) {
        (true, _) => "the Secret keeps what it has; a SecretSync without one gets none".to_owned(),
        (false, false) => "running pods keep their files; new pods wait until the cloud answers".to_owned(),
        (false, true) => {
            "running pods keep their files; new pods wait until the cloud answers, unless all values are in \
             the cache of their node"
                .to_owned()
        }
    });
    let whom = if mount.sync { "the sync controller is" } else { "running pods are" };
    // Who wants no value kept is served a stale one in an outage alone.
    let throttled = if interval.is_zero() { Duration::ZERO } else { caching.throttled };
    let flag = match throttled >= caching.grace {
        true => "--stale-while-throttled",
        false => "--outage-grace",
    };
    told.push(match throttled.max(caching.grace) {
        Duration::ZERO => "while the cloud throttles: nothing stale is served".to_owned(),
        most => format!(
            "while the cloud throttles: {whom} served values up to {} old ({flag})",
            words(most)
        ),
    });
    told.push(match caching.grace {
        Duration::ZERO => {
            "while it does not answer: mounting again fails, which changes no file (--outage-grace is 0)"
                .to_owned()
        }
        grace => format!(
            "while it does not answer: {whom} served values up to {} old (--outage-grace)",
            words(grace)
        ),
    });
    told.push("after a refusal nothing stale is served".to_owned());
    told
}

/// As flags have it: `90s`, `5m`, `1h`.
fn words(time: Duration) -> String {
    match time.as_secs() {
        0 => "0".to_owned(),
        hours if hours % 3600 == 0 => format!("{}h", hours / 3600),
        minutes if minutes % 60 == 0 => format!("{}m", minutes / 60),
        seconds => format!("{seconds}s"),
    }
}
