//! Rate limit of a caller, or of a host for all callers, while it throttles. A quota is a count per
//! second that belongs to many nodes together, and none sees the others: after a single throttled
//! call there is a short pause and no more. As it repeats, the rate falls below what it was and grows
//! again with the cube of time (as TCP CUBIC's window does), the slower the more often it repeats.

use std::time::Duration;

use tokio::time::Instant;

use crate::cloud::random_fraction;

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
/// The same after a single throttled call, in pauses.
const REFRESH_PAUSES: u32 = 6;
/// No pause between two refreshes is longer than this.
const LONGEST_GAP: Duration = Duration::from_secs(60);
/// How far back the rate is measured, in seconds.
const MEASURED: f64 = 10.0;

#[derive(Debug)]
pub(super) struct Rate {
    levels: u32,
    slowest: f64,
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
    /// When the next call may begin, and when one that can wait.
    next: Option<(Instant, Instant)>,
}

impl Rate {
    pub(super) fn of_host() -> Self {
        Self::new(HOST_LEVELS, HOST_SLOWEST)
    }

    pub(super) fn of_caller() -> Self {
        Self::new(CALLER_LEVELS, CALLER_SLOWEST)
    }

    fn new(levels: u32, slowest: f64) -> Self {
        Self {
            levels,
            slowest,
            throttled: None,
            in_a_row: 0,
            level: 0,
            slowed: None,
            measured: 0.0,
            last: None,
            next: None,
        }
    }

    /// When the next call may begin; `can_wait`: for a pod that has what it needs.
    pub(super) fn next(&self, can_wait: bool, now: Instant) -> Instant {
        match self.next {
            None => now,
            Some((_, next)) if can_wait => next,
            Some((next, _)) => next,
        }
    }

    /// Whether it was throttled more than once of late, or calls are held back this moment.
    pub(super) fn is_throttling(&self, now: Instant) -> bool {
        let held = |(next, refresh)| next > now || self.slowed.is_some() && refresh > now;
        self.next.is_some_and(held)
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

    /// `can_wait`: for a pod that has what it needs.
    pub(super) fn begin(&mut self, can_wait: bool, now: Instant) {
        self.measured = self.measured_now(now) + 1.0 / MEASURED;
        self.last = Some(now);
        let refresh = self.next.map(|(_, refresh)| refresh);
        self.next = self.allowed(now).map(|allowed| Self::pauses(now, allowed));
        if let (false, Some((_, next)), Some(refresh)) = (can_wait, &mut self.next, refresh) {
            // New pods that come and come do not put off refreshes for ever.
            *next = refresh.min(*next);
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
            self.next = Some((now + pause, now + pause * REFRESH_PAUSES));
            return;
        }
        self.level = (self.level + 1).min(self.levels);
        let rate = self.measured_now(now).max(FEW);
        let rate = self.allowed(now).map_or(rate, |allowed| allowed.min(rate));
        let allowed = (rate * SLOWER).max(self.slowest);
        self.slowed = Some((now, allowed));
        self.next = Some(Self::pauses(now, allowed));
    }

    /// Nodes that slowed down together should not go on together.
    fn pauses(now: Instant, allowed: f64) -> (Instant, Instant) {
        let gap = Duration::from_secs_f64((0.5 + random_fraction()) / allowed);
        let refresh = (gap * REFRESH_GAPS).min(LONGEST_GAP.max(gap));
        (now + gap, now + refresh)
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
mod tests {
    use tokio::time::{advance, sleep_until};

    use super::*;

    /// Calls a second that go through in so many seconds, of as many as may.
    async fn speed(rate: &mut Rate, seconds: u32) -> f64 {
        let end = Instant::now() + Duration::from_secs(u64::from(seconds));
        let mut calls = 0;
        while rate.next(false, Instant::now()) < end && calls < 100_000 {
            sleep_until(rate.next(false, Instant::now())).await;
            rate.begin(false, Instant::now());
            calls += 1;
        }
        f64::from(calls) / f64::from(seconds)
    }

    async fn after_calls(a_second: f64) -> Rate {
        let mut rate = Rate::of_host();
        for _ in 0..(a_second * 60.0) as usize {
            rate.begin(false, Instant::now());
            advance(Duration::from_secs_f64(1.0 / a_second)).await;
        }
        rate
    }

    fn throttle(rate: &mut Rate) {
        rate.throttled(Instant::now(), Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn rate_without_throttling_is_unlimited() {
        let mut rate = after_calls(20.0).await;
        assert!(speed(&mut rate, 1).await > 1000.0);
    }

    #[tokio::test(start_paused = true)]
    async fn single_throttled_call_pauses_for_a_moment() {
        for a_second in [0.1, 20.0] {
            let mut rate = after_calls(a_second).await;
            throttle(&mut rate);
            let begun = Instant::now();
            assert!(speed(&mut rate, 1).await > 1000.0);
            assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn second_throttled_call_of_a_minute_slows_and_the_rate_soon_grows_again() {
        let mut rate = after_calls(20.0).await;
        throttle(&mut rate);
        advance(Duration::from_secs(1)).await;
        throttle(&mut rate);
        let slow = speed(&mut rate, 1).await;
        assert!((8.0..20.0).contains(&slow), "{slow}");
        advance(Duration::from_secs(10)).await;
        let fast = speed(&mut rate, 1).await;
        assert!(fast > 40.0, "{fast}");
    }

    #[tokio::test(start_paused = true)]
    async fn lasting_shortage_slows_the_growth_too() {
        let mut rate = after_calls(20.0).await;
        for _ in 0..12 {
            throttle(&mut rate);
            advance(Duration::from_secs(2)).await;
        }
        let slow = speed(&mut rate, 10).await;
        assert!(slow < 5.0, "{slow}");
        advance(Duration::from_secs(240)).await;
        let fast = speed(&mut rate, 5).await;
        assert!(fast > 100.0, "{fast}");
    }

    #[tokio::test(start_paused = true)]
    async fn always_throttled_rate_keeps_its_floor() {
        let mut rate = after_calls(0.1).await;
        for _ in 0..40 {
            throttle(&mut rate);
        }
        assert!(rate.is_always_throttled());
        let often = speed(&mut rate, 35).await;
        assert!((0.02..0.2).contains(&often), "{often}");
        let mut rate = Rate::of_caller();
        for _ in 0..40 {
            throttle(&mut rate);
        }
        let often = speed(&mut rate, 10).await;
        assert!((0.3..3.0).contains(&often), "{often}");
    }
}
