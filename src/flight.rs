//! One piece of work at a time per key: whoever asks meanwhile gets the same answer, and whoever
//! asked first may go away without taking the work down.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};

/// Work under way, as all who wait for it hold it.
pub type Running<V> = Shared<BoxFuture<'static, Option<V>>>;

pub struct Flights<K, V: Clone> {
    running: Mutex<HashMap<K, Running<V>>>,
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Starts `work` unless work for `key` is under way already; the future waits for the answer.
    /// `None` is the answer of work that panicked.
    pub fn join<F>(self: &Arc<Self>, key: K, work: impl FnOnce() -> F) -> Running<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut running = lock(&self.running);
        if let Some(flight) = running.get(&key) {
            return flight.clone();
        }
        let landed = Landing { flights: self.clone(), key: key.clone() };
        let work = work();
        let task = tokio::spawn(async move {
            let _landed = landed;
            work.await
        });
        let flight = task.map(Result::ok).boxed().shared();
        running.insert(key, flight.clone());
        flight
    }
}

/// Forgets the flight when its work ends, in whatever way.
struct Landing<K: Eq + Hash, V: Clone> {
    flights: Arc<Flights<K, V>>,
    key: K,
}

impl<K: Eq + Hash, V: Clone> Drop for Landing<K, V> {
    fn drop(&mut self) {
        lock(&self.flights.running).remove(&self.key);
    }
}

impl<K, V: Clone> Default for Flights<K, V> {
    fn default() -> Self {
        Self { running: Mutex::default() }
    }
}

impl<K, V: Clone> fmt::Debug for Flights<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flights")
    }
}

/// The maps behind these locks are whole between any two statements, so a panic elsewhere while
/// one was held leaves nothing broken.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
        time::Duration,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_who_ask_meanwhile_share_one_answer_even_if_the_first_goes_away() {
        let flights = Arc::new(Flights::<u8, usize>::default());
        let runs = Arc::new(AtomicUsize::new(0));
        let ask = || {
            let runs = runs.clone();
            flights.join(1, move || async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                runs.fetch_add(1, SeqCst)
            })
        };
        let leader = ask();
        let followers = (ask(), ask());
        drop(leader);
        assert_eq!(tokio::join!(followers.0, followers.1), (Some(0), Some(0)));
        assert_eq!(ask().await, Some(1), "an answer is not kept");
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_forgotten() {
        let flights = Arc::new(Flights::<u8, u8>::default());
        assert_eq!(flights.join(1, || async { panic!("boom") }).await, None);
        assert_eq!(flights.join(1, || async { 7 }).await, Some(7));
    }
}
