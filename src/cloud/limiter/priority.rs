//! Priority: who is served first where calls have to wait.

use std::time::Duration;

use tokio::time::Instant;

/// The least is served first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority {
    has: Option<Instant>,
    number: u64,
}

impl Priority {
    pub(super) const LAST_OF_NEW_PODS: Self = Self { has: None, number: u64::MAX };

    /// Mounts are served whole, in the order in which they came: call by call, all of a host's
    /// mounts would run out of time together. One of many objects lets others go first after every
    /// few calls. A pod that `has` values since some time waits for those that have none, or older
    /// ones.
    pub fn of(mount: u64, call: usize, has: Option<Instant>) -> Self {
        const CALLS: u64 = 8;
        const MOUNTS: u64 = 16;
        let call = u64::try_from(call).unwrap_or(u64::MAX);
        Self { has, number: mount.saturating_add((call / CALLS).saturating_mul(MOUNTS)) }
    }

    /// For a refresh: for how long the pod has what it has.
    pub(super) fn age(self, now: Instant) -> Option<Duration> {
        self.has.map(|since| now.saturating_duration_since(since))
    }

    /// A refresh: the pod has what it needs.
    pub(super) fn can_wait(self) -> bool {
        self.has.is_some()
    }
}
