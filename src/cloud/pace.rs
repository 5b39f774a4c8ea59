//! How fast calls to a host that throttles may follow each other. The host's quota belongs to all
//! nodes together, and none sees the others: each slows down by a third when it is throttled, and
//! grows faster again the longer it is not, at first hardly, then quickly.

use std::time::Duration;

use tokio::time::Instant;

use super::random_fraction;

/// Of the speed at which the host throttled.
const SLOWER: f64 = 0.7;
/// What the speed grows by is this times the cube of the seconds since: after 10 s hardly anything,
/// after a minute three calls a second, after four minutes almost two hundred.
const GROWTH: f64 = 1.3e-5;
/// One call in 20 s always may.
const SLOWEST: f64 = 0.05;
/// A node of fewer calls a second than this is taken to make as many: by itself it is not what uses
/// the quota up, and goes slower only as often as it is throttled again.
const FEW: f64 = 0.7;
/// A refresh leaves a pause of this many calls before it: nodes that have all they need take less of
/// a quota that is used up than those that do not (docs/simulation.md: new pods wait half as long).
const REFRESH_GAPS: u32 = 3;
/// How far back the speed is measured, in seconds.
const MEASURED: f64 = 10.0;

#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the host last throttled, and the speed then allowed.
    slowed: Option<(Instant, f64)>,
    /// Calls a second of late, as of the last call.
    speed: f64,
    last: Option<Instant>,
    /// When the next call may begin, and when one that can wait.
    next: Option<(Instant, Instant)>,
}

impl Pace {
    /// When the next call may begin; `can_wait`: for a pod that has what it needs.
    pub(super) fn next(&self, can_wait: bool) -> Instant {
        match self.next {
            None => Instant::now(),
            Some((_, next)) if can_wait => next,
            Some((next, _)) => next,
        }
    }

    /// Whether calls are held back at all.
    pub(super) fn is_slowed(&self) -> bool {
        self.next.is_some()
    }

    /// Nodes that slowed down together should not go on together.
    fn wait(&mut self, now: Instant, allowed: f64) {
        let gap = Duration::from_secs_f64((0.5 + random_fraction()) / allowed);
        self.next = Some((now + gap, now + gap * REFRESH_GAPS));
    }

    pub(super) fn begin(&mut self) {
        let now = Instant::now();
        self.speed = self.measured(now) + 1.0 / MEASURED;
        self.last = Some(now);
        match self.allowed(now) {
            None => self.next = None,
            Some(allowed) => self.wait(now, allowed),
        }
    }

    pub(super) fn slow_down(&mut self) {
        let now = Instant::now();
        let speed = self.measured(now).max(FEW);
        let speed = self.allowed(now).map_or(speed, |allowed| allowed.min(speed));
        let allowed = (speed * SLOWER).max(SLOWEST);
        self.slowed = Some((now, allowed));
        self.wait(now, allowed);
    }

    fn measured(&self, now: Instant) -> f64 {
        let since = self.last.map_or(Duration::MAX, |last| now.duration_since(last));
        self.speed * (-since.as_secs_f64() / MEASURED).exp()
    }

    /// Calls a second; `None` for as many as there are.
    fn allowed(&self, now: Instant) -> Option<f64> {
        let (when, allowed) = self.slowed?;
        Some(allowed + GROWTH * now.duration_since(when).as_secs_f64().powi(3))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep_until};

    use super::*;

    /// Calls a second that go through in so many seconds, of as many as may.
    async fn speed(pace: &mut Pace, seconds: u32) -> f64 {
        let end = Instant::now() + Duration::from_secs(u64::from(seconds));
        let mut calls = 0;
        while pace.next(false) < end && calls < 100_000 {
            sleep_until(pace.next(false)).await;
            pace.begin();
            calls += 1;
        }
        f64::from(calls) / f64::from(seconds)
    }

    async fn after_calls(a_second: f64) -> Pace {
        let mut pace = Pace::default();
        for _ in 0..(a_second * 60.0) as usize {
            pace.begin();
            advance(Duration::from_secs_f64(1.0 / a_second)).await;
        }
        pace
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_never_throttled_is_asked_as_fast_as_may_be() {
        let mut pace = after_calls(20.0).await;
        assert!(speed(&mut pace, 1).await > 1000.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_throttled_is_asked_slower_and_then_faster_and_faster() {
        let mut pace = after_calls(20.0).await;
        pace.slow_down();
        let slow = speed(&mut pace, 5).await;
        assert!((8.0..20.0).contains(&slow), "{slow}");
        pace.slow_down();
        let slower = speed(&mut pace, 5).await;
        assert!(slower < slow, "{slower}, before {slow}");
        advance(Duration::from_secs(60)).await;
        let minute = speed(&mut pace, 5).await;
        assert!(minute > slower, "{minute}, before {slower}");
        advance(Duration::from_secs(180)).await;
        assert!(speed(&mut pace, 5).await > 100.0);
    }

    /// What one node does of late is not what all of them together did in a burst.
    #[tokio::test(start_paused = true)]
    async fn a_node_of_few_calls_is_slowed_down_step_by_step() {
        let mut pace = after_calls(0.1).await;
        pace.slow_down();
        let once = speed(&mut pace, 20).await;
        assert!((0.3..1.0).contains(&once), "{once}");
        for _ in 0..20 {
            pace.slow_down();
        }
        let often = speed(&mut pace, 20).await;
        assert!(often < 0.2, "{often}");
    }
}
