//! Circuit breaker: a host that does not answer is probed now and then, by one call for all that
//! wait, until it answers again.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{cloud::Failure, retry::random_fraction};

/// Failures in a row after which a host counts as down.
const FAILURES: u32 = 3;
/// From one probe to the next: less than two a second.
const PAUSE: Duration = Duration::from_millis(700);
/// The longest at hosts that pods name, where it doubles each time.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// Calls that began before then and fail tell nothing new.
    answered: Option<Instant>,
    down: Option<Down>,
}

#[derive(Debug)]
struct Down {
    why: Arc<Failure>,
    next: Instant,
    pause: Duration,
    /// Probes under way: one that hangs keeps no other from finding that the host is back.
    probes: usize,
}

impl Breaker {
    /// When the next call may begin; `None` while the answer to another is waited for.
    pub(super) fn next(&self, named: bool, now: Instant) -> Option<Instant> {
        match &self.down {
            Some(down) if named && down.probes > 0 => None,
            Some(down) => Some(down.next),
            None => Some(now),
        }
    }

    pub(super) fn begin(&mut self, now: Instant) {
        if let Some(down) = &mut self.down {
            down.probes += 1;
            // Nodes that lost a host together should not come back together.
            down.next = now + down.pause.mul_f64(0.8 + 0.4 * random_fraction());
        }
    }

    pub(super) fn answered(&mut self, now: Instant) {
        *self = Self { failures: 0, answered: Some(now), down: None };
    }

    pub(super) fn failed(&mut self, why: Arc<Failure>, began: Instant, named: bool, now: Instant) {
        if self.answered.is_some_and(|answered| began < answered) {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        match &mut self.down {
            Some(down) => {
                down.why = why;
                if named && down.probes > 0 {
                    down.pause = (down.pause * 2).min(LONGEST_PAUSE);
                }
            }
            None if self.failures >= FAILURES => {
                let next = now + PAUSE.mul_f64(0.8 + 0.4 * random_fraction());
                self.down = Some(Down { why, next, pause: PAUSE, probes: 0 });
            }
            None => {}
        }
    }

    /// After a call of which nothing is known, and after each that failed.
    pub(super) fn ended(&mut self) {
        if let Some(down) = &mut self.down {
            down.probes = down.probes.saturating_sub(1);
        }
    }

    pub(super) fn down(&self) -> Option<&Arc<Failure>> {
        self.down.as_ref().map(|down| &down.why)
    }
}
