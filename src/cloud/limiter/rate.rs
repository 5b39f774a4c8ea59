//! Rate limit of a caller, or of a host for all callers, while it throttles. A quota is a count per
//! second that belongs to many nodes together, and none sees the others: after a single throttled
//! call there is a short pause and no more. As it repeats, the rate falls below what it was and grows
//! again with the cube of time (as TCP CUBIC's window does), the slower the more often it repeats.

use std::time::Duration;

use tokio::time::Instant;

use super::Priority;
use crate::retry::random_fraction;

/// After a single throttled call, half as much more or less.
const PAUSE: Duration = Duration::from_millis(100);
/// A throttled call after so long is a single one again.
const SINGLE_AFTER: Duration = Duration::from_secs(60);
/// A rate that fell this long ago still tells that the cloud throttles.
const OF_LATE: Duration = Duration::from_secs(120);
/// Throttled as often as this without a success in between, a caller says nothing of the others.
const ALWAYS: u32 = 4;
/// Of the rate at which it was throttled.
const SLOWER: f64 = 0.7;
/// What the rate grows by is this times the cube of the seconds since, at level 1: three calls a
/// second after four seconds, fifty after ten.
const GROWTH: f64 = 0.05;
/// At each further level it is divided by this.
const GROWTH_STEP: f64 = 4.0;
/// A host's last level: it grows by hardly anything in 10 s, three calls a second in a minute, two
/// hundred in four.
const HOST_LEVELS: u32 = 7;
/// A caller's: three calls a second after ten seconds.
const CALLER_LEVELS: u32 = 3;
/// A host's floor: one call in 20 s always may, since a thousand nodes may share a quota.
const HOST_SLOWEST: f64 = 0.05;
/// A caller's: one that was always throttled soon hears that it is not any more.
const CALLER_SLOWEST: f64 = 0.5;
/// A node of fewer calls a second than this is taken to make as many: by itself it is not what uses
/// the quota up, and goes slower only as often as it is throttled again. With 0.7 new pods in a full
/// cluster waited twice as long (docs/simulation.md).
const FEW: f64 = 2.0;
/// Between two refreshes there is a pause of this many calls: nodes that have all they need take less of
/// a quota that is used up than those that do not (docs/simulation.md).
const REFRESH_GAPS: u32 = 30;
/// No pause between two refreshes is shorter than this many calls'.
const LEAST_GAPS: u32 = 2;
/// The same after a single throttled call, in pauses.
const REFRESH_PAUSES: u32 = 6;
/// For values older than this the pause is shorter by the square of their age: a node that is behind the
/// others catches up with them. With five minutes, new pods waited a third longer (docs/simulation.md).
const OLD: Duration = Duration::from_secs(7 * 60);
/// Who is throttled alone is behind nobody: if always, its values grow old in vain.
const NEVER_OLD: Duration = Duration::MAX;
/// No pause between two refreshes is longer than this.
const LONGEST_GAP: Duration = Duration::from_secs(60);
/// How far back the rate is measured, in seconds.
const MEASURED: f64 = 10.0;

#[derive(Debug)]
pub(super) struct Rate {
    levels: u32,
    slowest: f64,
    /// Refreshes of values older than this are held back for a shorter time.
    old: Duration,
    /// When it was last throttled: calls that were under way then tell nothing new.
    throttled: Option<Instant>,
    /// How often, without a success in between.
    in_a_row: u32,
    /// How lasting the shortage is: each throttled call raises it, each `SINGLE_AFTER` without one
    /// lowers it.
    level: u32,
    /// When the rate fell, and to how many calls a second.
    slowed: Option<(Instant, f64)>,
    /// Calls a second of late, as of the last call.
    measured: f64,
    last: Option<Instant>,
    pause: Option<Pause>,
}

/// How long calls are held back.
#[derive(Clone, Copy, Debug)]
struct Pause {
    /// When the next call of a new pod may begin.
    next: Instant,
    /// When the last refresh began.
    refreshed: Instant,
    /// Between two calls.
    gap: Duration,
    /// Between two refreshes.
    refresh_gap: Duration,
}

impl Pause {
    /// `gaps`: between two refreshes.
    fn new(now: Instant, gap: Duration, gaps: u32) -> Self {
        let refresh_gap = (gap * gaps).min(LONGEST_GAP.max(gap));
        Self { next: now + gap, refreshed: now, gap, refresh_gap }
    }

    /// When a pod whose values are so old may be refreshed.
    fn refresh(&self, age: Duration, old: Duration) -> Instant {
        let share = old.as_secs_f64() / age.max(old).as_secs_f64();
        self.refreshed + self.refresh_gap.mul_f64(share * share).max(self.gap * LEAST_GAPS)
    }
}

impl Rate {
    pub(super) fn of_host() -> Self {
        Self::new(HOST_LEVELS, HOST_SLOWEST, OLD)
    }

    /// As slow as a host, since its quota may be shared by many nodes.
    pub(super) fn of_account() -> Self {
        Self::new(HOST_LEVELS, HOST_SLOWEST, NEVER_OLD)
    }

    pub(super) fn of_caller() -> Self {
        Self::new(CALLER_LEVELS, CALLER_SLOWEST, NEVER_OLD)
    }

    fn new(levels: u32, slowest: f64, old: Duration) -> Self {
        Self {
            levels,
            slowest,
            old,
            throttled: None,
            in_a_row: 0,
            level: 0,
            slowed: None,
            measured: 0.0,
            last: None,
            pause: None,
        }
    }

    /// When the next call may begin.
    pub(super) fn next(&self, priority: Priority, now: Instant) -> Instant {
        match (self.pause, priority.age(now)) {
            (None, _) => now,
            (Some(pause), Some(age)) => pause.refresh(age, self.old),
            (Some(pause), None) => pause.next,
        }
    }

    /// Whether it was throttled more than once of late, or calls are held back this moment.
    pub(super) fn is_throttling(&self, now: Instant) -> bool {
        let refresh =
            |pause: &Pause| self.slowed.is_some() && pause.refresh(Duration::ZERO, self.old) > now;
        self.pause.is_some_and(|pause| pause.next > now || refresh(&pause))
            || self.slowed.is_some_and(|(since, _)| now.duration_since(since) < OF_LATE)
    }

    pub(super) fn is_always_throttled(&self) -> bool {
        self.in_a_row >= ALWAYS
    }

    pub(super) fn was_throttled_of_late(&self, now: Instant) -> bool {
        self.throttled.is_some_and(|at| now.duration_since(at) < OF_LATE)
    }

    /// Whether there is nothing left to remember.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.throttled.is_none_or(|at| now.duration_since(at) > OF_LATE * self.levels)
    }

    pub(super) fn begin(&mut self, priority: Priority, now: Instant) {
        self.measured = self.measured_now(now) + 1.0 / MEASURED;
        self.last = Some(now);
        let last = self.pause;
        self.pause = self.allowed(now).map(|allowed| Self::pause(now, allowed));
        if let (Some(pause), Some(last)) = (&mut self.pause, last) {
            // New pods that come and come do not put off refreshes for ever, nor refreshes new pods.
            if priority.can_wait() {
                pause.next = pause.next.min(last.next);
            } else {
                pause.refreshed = last.refreshed;
            }
        }
    }

    pub(super) fn succeeded(&mut self) {
        self.in_a_row = 0;
    }

    pub(super) fn throttled(&mut self, began: Instant, now: Instant) {
        if self.throttled.is_some_and(|at| began < at) {
            return;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        let since = self.throttled.map_or(Duration::MAX, |at| now.duration_since(at));
        self.throttled = Some(now);
        let quiet = u32::try_from(since.as_secs() / SINGLE_AFTER.as_secs()).unwrap_or(u32::MAX);
        self.level = self.level.saturating_sub(quiet);
        if self.level == 0 && quiet > 0 {
            self.slowed = None;
            let pause = PAUSE.mul_f64(0.5 + random_fraction());
            self.pause = Some(Pause::new(now, pause, REFRESH_PAUSES));
            return;
        }
        self.level = (self.level + 1).min(self.levels);
        let rate = self.measured_now(now).max(FEW);
        let rate = self.allowed(now).map_or(rate, |allowed| allowed.min(rate));
        let allowed = (rate * SLOWER).max(self.slowest);
        self.slowed = Some((now, allowed));
        self.pause = Some(Self::pause(now, allowed));
    }

    /// Nodes that slowed down together should not go on together.
    fn pause(now: Instant, allowed: f64) -> Pause {
        let gap = Duration::from_secs_f64((0.5 + random_fraction()) / allowed);
        Pause::new(now, gap, REFRESH_GAPS)
    }

    fn measured_now(&self, now: Instant) -> f64 {
        let since = self.last.map_or(Duration::MAX, |last| now.duration_since(last));
        self.measured * (-since.as_secs_f64() / MEASURED).exp()
    }

    /// Calls a second; `None` for as many as there are.
    fn allowed(&self, now: Instant) -> Option<f64> {
        let (since, allowed) = self.slowed?;
        let growth = GROWTH / GROWTH_STEP.powf(f64::from(self.level.saturating_sub(1)));
        Some(allowed + growth * now.duration_since(since).as_secs_f64().powi(3))
    }
}

#[cfg(test)]
mod tests;
