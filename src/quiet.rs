//! Tells when what went on has come to rest, so that connections can be put away with what went
//! through them: the buffers that libraries keep are wiped when they are freed, and no earlier.

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

/// Between one and two of these after the last thing ended, all is over.
const REST: Duration = Duration::from_millis(500);
/// So many of them after the first thing began it is called over however busy.
const MOST_RESTS: u32 = 60;

/// What is under way on a set of connections. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Activity(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    under_way: AtomicUsize,
    first: Notify,
}

impl Activity {
    /// For as long as the guard lives something is under way.
    pub fn begin(&self) -> UnderWay {
        self.0.under_way.fetch_add(1, Relaxed);
        if self.0.begun.fetch_add(1, Release) == 0 {
            self.0.first.notify_one();
        }
        UnderWay(self.0.clone())
    }

    /// Waits for the first thing to begin. One task may do this.
    pub async fn begun(&self) {
        if self.0.begun.load(Acquire) == 0 {
            self.0.first.notified().await;
        }
    }

    /// Waits for something to begin, and then for its end and a short rest; under a load that knows
    /// no rest, for half a minute.
    pub async fn over(&self) {
        self.begun().await;
        let (mut seen, mut rests) = (0, 0);
        loop {
            sleep(REST).await;
            let begun = self.0.begun.load(Acquire);
            rests += 1;
            let at_rest = begun == seen && self.0.under_way.load(Relaxed) == 0;
            if at_rest || rests >= MOST_RESTS {
                return;
            }
            seen = begun;
        }
    }
}

#[derive(Debug)]
pub struct UnderWay(Arc<Counts>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Release);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, timeout};

    use super::*;

    async fn over_within(activity: &Activity, time: Duration) -> bool {
        timeout(time, activity.over()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn rest_follows_the_end_of_all_that_was_under_way() {
        let activity = Activity::default();
        assert!(!over_within(&activity, REST * 1000).await, "nothing has begun");
        let (one, other) = (activity.begin(), activity.begin());
        drop(one);
        assert!(!over_within(&activity, REST * 10).await);
        drop(other);
        assert!(over_within(&activity, REST * 3).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_without_rest_is_called_over_too() {
        let activity = Activity::default();
        let load = activity.clone();
        let load = tokio::spawn(async move {
            loop {
                let _under_way = load.begin();
                sleep(REST / 7).await;
            }
        });
        let started = Instant::now();
        activity.over().await;
        load.abort();
        assert_eq!(started.elapsed().as_millis(), (REST * MOST_RESTS).as_millis());
    }
}
