//! Singleflight: one call at a time for each key. Callers that come meanwhile wait for the same result,
//! and the call goes on if the first caller gives up.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex},
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::sync::lock;

/// The calls in flight.
pub struct Group<K, V>(Mutex<HashMap<K, Arc<Call<V>>>>);

struct Call<V> {
    progress: Mutex<Progress<V>>,
    /// When a caller joined last.
    asked: Mutex<Instant>,
    over: Notify,
}

enum Progress<V> {
    /// With the interim result, if there is one.
    UnderWay(Option<V>),
    Completed(V),
    Lost,
}

impl<K: Clone + Eq + Hash, V: Clone> Group<K, V> {
    /// How many calls are in flight.
    pub fn count(&self) -> usize {
        lock(&self.0).len()
    }

    /// A waiter for the call of `key`; with the leader that has to make it, if none is in flight. A leader
    /// that is dropped before it completes ends the wait with [`Waited::Lost`].
    pub fn join(self: &Arc<Self>, key: K) -> (Waiter<V>, Option<Leader<K, V>>) {
        let mut calls = lock(&self.0);
        if let Some(call) = calls.get(&key) {
            *lock(&call.asked) = Instant::now();
            return (Waiter(call.clone()), None);
        }
        let progress = Mutex::new(Progress::UnderWay(None));
        let asked = Mutex::new(Instant::now());
        let call = Arc::new(Call { progress, asked, over: Notify::new() });
        calls.insert(key.clone(), call.clone());
        (Waiter(call.clone()), Some(Leader { group: self.clone(), key, call }))
    }
}

/// Waits for the result.
#[derive(Clone)]
pub struct Waiter<V>(Arc<Call<V>>);

/// How a wait ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited<V> {
    Completed(V),
    /// The deadline passed first; with the leader's interim result.
    TimedOut(Option<V>),
    /// The call panicked.
    Lost,
}

impl<V: Clone> Waiter<V> {
    pub async fn until(self, deadline: Instant) -> Waited<V> {
        // From here on it hears of the end, so that it cannot miss it after the look.
        let over = self.0.over.notified();
        match self.look() {
            Waited::TimedOut(_) => {
                let _ = timeout_at(deadline, over).await;
                self.look()
            }
            over => over,
        }
    }

    fn look(&self) -> Waited<V> {
        match &*lock(&self.0.progress) {
            Progress::UnderWay(noted) => Waited::TimedOut(noted.clone()),
            Progress::Completed(value) => Waited::Completed(value.clone()),
            Progress::Lost => Waited::Lost,
        }
    }
}

/// Makes the call.
pub struct Leader<K: Eq + Hash, V> {
    group: Arc<Group<K, V>>,
    key: K,
    call: Arc<Call<V>>,
}

impl<K: Eq + Hash, V> Leader<K, V> {
    pub fn key(&self) -> &K {
        &self.key
    }

    /// When a caller joined last.
    pub fn asked(&self) -> Instant {
        *lock(&self.call.asked)
    }

    /// What those hear whose deadline passes before the call completes; wakes nobody.
    pub fn interim(&self, so_far: V) {
        *lock(&self.call.progress) = Progress::UnderWay(Some(so_far));
    }

    pub fn complete(self, value: V) {
        *lock(&self.call.progress) = Progress::Completed(value);
    }
}

impl<K: Eq + Hash, V> Drop for Leader<K, V> {
    fn drop(&mut self) {
        lock(&self.group.0).remove(&self.key);
        let mut progress = lock(&self.call.progress);
        if matches!(*progress, Progress::UnderWay(_)) {
            *progress = Progress::Lost;
        }
        drop(progress);
        self.call.over.notify_waiters();
    }
}

impl<K, V> Default for Group<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K, V> fmt::Debug for Group<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Group")
    }
}

impl<V> fmt::Debug for Waiter<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiter")
    }
}

impl<K: Eq + Hash, V> fmt::Debug for Leader<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Leader")
    }
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
    async fn callers_share_one_call_even_if_the_first_gives_up() {
        let group = Arc::new(Group::<u8, usize>::default());
        let (first, leader) = group.join(1);
        let leader = leader.unwrap();
        tokio::spawn(async move {
            sleep(Duration::from_secs(1)).await;
            leader.complete(7);
        });
        let (follower, none) = group.join(1);
        assert!(none.is_none());
        assert!(group.join(2).1.is_some(), "another key is another call");
        drop(first);
        assert_eq!(follower.until(soon()).await, Waited::Completed(7));
        assert!(group.join(1).1.is_some(), "an answer is not kept");
        assert!(lock(&group.0).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn waiter_past_its_deadline_gets_the_interim_result() {
        let group = Arc::new(Group::<u8, usize>::default());
        let (waiter, leader) = group.join(1);
        let leader = leader.unwrap();
        assert_eq!(waiter.clone().until(soon()).await, Waited::TimedOut(None));
        leader.interim(3);
        assert_eq!(waiter.until(soon()).await, Waited::TimedOut(Some(3)));
    }

    #[tokio::test]
    async fn panic_ends_the_wait_and_frees_the_key() {
        let group = Arc::new(Group::<u8, u8>::default());
        let (waiter, leader) = group.join(1);
        let work = tokio::spawn(async move {
            let _leader = leader;
            panic!("boom")
        });
        assert_eq!(waiter.until(soon()).await, Waited::Lost);
        assert!(work.await.is_err());
        assert!(group.join(1).1.is_some());
    }
}
