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
/// How far back the speed is measured, in seconds.
const MEASURED: f64 = 10.0;

#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the host last throttled, and the speed then allowed.
    slowed: Option<(Instant, f64)>,
    /// Calls a second of late, as of the last call.
    speed: f64,
    last: Option<Instant>,
    next: Option<Instant>,
}

impl Pace {
    /// When the next call may begin.
    pub(super) fn next(&self) -> Instant {
        self.next.unwrap_or_else(Instant::now)
    }

    pub(super) fn begin(&mut self) {
        let now = Instant::now();
        self.speed = self.measured(now) + 1.0 / MEASURED;
        self.last = Some(now);
        // Nodes that slowed down together should not go on together.
        let gap = |allowed: f64| Duration::from_secs_f64((0.5 + random_fraction()) / allowed);
        self.next = self.allowed(now).map(|allowed| now + gap(allowed));
    }

    pub(super) fn slow_down(&mut self) {
        let now = Instant::now();
        let speed = self.measured(now);
        let speed = self.allowed(now).map_or(speed, |allowed| allowed.min(speed));
        let allowed = (speed * SLOWER).max(SLOWEST);
        self.slowed = Some((now, allowed));
        self.next = Some(now + Duration::from_secs_f64((0.5 + random_fraction()) / allowed));
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
