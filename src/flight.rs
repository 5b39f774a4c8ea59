//! One piece of work at a time per key: whoever asks meanwhile gets the same answer, and whoever
//! asked first may go away without taking the work down.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// The work under way.
pub struct Flights<K, V>(Mutex<HashMap<K, Arc<Work<V>>>>);

struct Work<V> {
    progress: Mutex<Progress<V>>,
    /// When somebody asked for it last.
    asked: Mutex<Instant>,
    over: Notify,
}

enum Progress<V> {
    /// With what the answer would be if the work ended now, as far as that is known.
    UnderWay(Option<V>),
    Landed(V),
    Lost,
}

impl<K: Clone + Eq + Hash, V: Clone> Flights<K, V> {
    /// To wait for the work for `key`; and, if none is under way, to do it. Dropping the pilot
    /// without landing tells those who wait that the work was lost.
    pub fn board(self: &Arc<Self>, key: K) -> (Running<V>, Option<Pilot<K, V>>) {
        let mut flights = lock(&self.0);
        if let Some(work) = flights.get(&key) {
            *lock(&work.asked) = Instant::now();
            return (Running(work.clone()), None);
        }
        let progress = Mutex::new(Progress::UnderWay(None));
        let asked = Mutex::new(Instant::now());
        let work = Arc::new(Work { progress, asked, over: Notify::new() });
        flights.insert(key.clone(), work.clone());
        (Running(work.clone()), Some(Pilot { flights: self.clone(), key, work }))
    }
}

/// What waits for an answer.
#[derive(Clone)]
pub struct Running<V>(Arc<Work<V>>);

/// How waiting ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited<V> {
    Landed(V),
    /// The caller's time was up first; with what had been noted by then.
    OutOfTime(Option<V>),
    /// The work panicked.
    Lost,
}

impl<V: Clone> Running<V> {
    pub async fn until(self, deadline: Instant) -> Waited<V> {
        // From here on it hears of the end, so that it cannot miss it after the look.
        let over = self.0.over.notified();
        let told = self.told();
        match told {
            Waited::OutOfTime(_) => {
                let _ = timeout_at(deadline, over).await;
                self.told()
            }
            over => over,
        }
    }

    fn told(&self) -> Waited<V> {
        match &*lock(&self.0.progress) {
            Progress::UnderWay(noted) => Waited::OutOfTime(noted.clone()),
            Progress::Landed(value) => Waited::Landed(value.clone()),
            Progress::Lost => Waited::Lost,
        }
    }
}

/// What does the work.
pub struct Pilot<K: Eq + Hash, V> {
    flights: Arc<Flights<K, V>>,
    key: K,
    work: Arc<Work<V>>,
}

impl<K: Eq + Hash, V> Pilot<K, V> {
    pub fn key(&self) -> &K {
        &self.key
    }

    /// When somebody asked for the work last.
    pub fn asked(&self) -> Instant {
        *lock(&self.work.asked)
    }

    /// For those whose time is up before the work is done; wakes nobody.
    pub fn note(&self, so_far: V) {
        *lock(&self.work.progress) = Progress::UnderWay(Some(so_far));
    }

    pub fn land(self, value: V) {
        *lock(&self.work.progress) = Progress::Landed(value);
    }
}

impl<K: Eq + Hash, V> Drop for Pilot<K, V> {
    fn drop(&mut self) {
        lock(&self.flights.0).remove(&self.key);
        let mut progress = lock(&self.work.progress);
        if matches!(*progress, Progress::UnderWay(_)) {
            *progress = Progress::Lost;
        }
        drop(progress);
        self.work.over.notify_waiters();
    }
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K, V> fmt::Debug for Flights<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flights")
    }
}

impl<V> fmt::Debug for Running<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Running")
    }
}

impl<K: Eq + Hash, V> fmt::Debug for Pilot<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pilot")
    }
}

/// The maps behind these locks are whole between any two statements, so a panic elsewhere while
/// one was held leaves nothing broken.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_ask_meanwhile_share_one_answer_even_if_the_first_goes_away() {
        let flights = Arc::new(Flights::<u8, usize>::default());
        let (leader, pilot) = flights.board(1);
        let pilot = pilot.unwrap();
        tokio::spawn(async move {
            sleep(Duration::from_secs(1)).await;
            pilot.land(7);
        });
        let (follower, none) = flights.board(1);
        assert!(none.is_none());
        assert!(flights.board(2).1.is_some(), "another key is another flight");
        drop(leader);
        assert_eq!(follower.until(soon()).await, Waited::Landed(7));
        assert!(flights.board(1).1.is_some(), "an answer is not kept");
        assert!(lock(&flights.0).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_runs_out_of_time_hears_what_was_noted() {
        let flights = Arc::new(Flights::<u8, usize>::default());
        let (running, pilot) = flights.board(1);
        let pilot = pilot.unwrap();
        assert_eq!(running.clone().until(soon()).await, Waited::OutOfTime(None));
        pilot.note(3);
        assert_eq!(running.until(soon()).await, Waited::OutOfTime(Some(3)));
    }

    #[tokio::test]
    async fn a_panic_is_told_and_forgotten() {
        let flights = Arc::new(Flights::<u8, u8>::default());
        let (running, pilot) = flights.board(1);
        let work = tokio::spawn(async move {
            let _pilot = pilot;
            panic!("boom")
        });
        assert_eq!(running.until(soon()).await, Waited::Lost);
        assert!(work.await.is_err());
        assert!(flights.board(1).1.is_some());
    }
}
