//! Idle detection: when a set of connections has had nothing in flight for a while, they can be closed.
//! Libraries' buffers are wiped when they are freed, and no earlier.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};

/// The connections count as idle between one and two of these after the last request ended.
const IDLE_AFTER: Duration = Duration::from_millis(500);
/// However busy, they count as idle so many of them after the first request began.
const MOST_WAITS: u32 = 60;

/// Requests in flight on a set of connections. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    in_flight: AtomicUsize,
    first: Notify,
}

impl InFlight {
    /// Counts a request as in flight for as long as the guard lives.
    pub fn begin(&self) -> InFlightGuard {
        self.0.in_flight.fetch_add(1, Relaxed);
        if self.0.begun.fetch_add(1, Release) == 0 {
            self.0.first.notify_one();
        }
        InFlightGuard(self.0.clone())
    }

    /// Waits for the first request. One task may do this.
    pub async fn begun(&self) {
        if self.0.begun.load(Acquire) == 0 {
            self.0.first.notified().await;
        }
    }

    /// Waits for a request to begin, and then until none has been in flight for a while; under constant
    /// load, for half a minute.
    pub async fn idle(&self) {
        self.begun().await;
        let (mut seen, mut waits) = (0, 0);
        loop {
            sleep(IDLE_AFTER).await;
            let begun = self.0.begun.load(Acquire);
            waits += 1;
            let idle = begun == seen && self.0.in_flight.load(Relaxed) == 0;
            if idle || waits >= MOST_WAITS {
                return;
            }
            seen = begun;
        }
    }
}

#[derive(Debug)]
pub struct InFlightGuard(Arc<Counts>);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Release);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, timeout};

    use super::*;

    async fn idle_within(in_flight: &InFlight, time: Duration) -> bool {
        timeout(time, in_flight.idle()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn idle_follows_the_end_of_all_requests() {
        let in_flight = InFlight::default();
        assert!(!idle_within(&in_flight, IDLE_AFTER * 1000).await, "no request has begun");
        let (one, other) = (in_flight.begin(), in_flight.begin());
        drop(one);
        assert!(!idle_within(&in_flight, IDLE_AFTER * 10).await);
        drop(other);
        assert!(idle_within(&in_flight, IDLE_AFTER * 3).await);
    }

    #[tokio::test(start_paused = true)]
    async fn constant_load_counts_as_idle_after_half_a_minute() {
        let in_flight = InFlight::default();
        let load = in_flight.clone();
        let load = tokio::spawn(async move {
            loop {
                let _in_flight = load.begin();
                sleep(IDLE_AFTER / 7).await;
            }
        });
        let started = Instant::now();
        in_flight.idle().await;
        load.abort();
        assert_eq!(started.elapsed().as_millis(), (IDLE_AFTER * MOST_WAITS).as_millis());
    }
}
