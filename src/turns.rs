//! Turns: room that mounts share, given out by namespace. Each namespace has at most its share, and
//! those that wait are served in rotation: what one asks for again and again keeps no other waiting
//! for more than a turn.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex},
};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use crate::sync::lock;

#[derive(Clone)]
pub struct Turns(Arc<Mutex<State>>);

/// In units that the user of the turns chooses: places, or bytes.
struct State {
    /// The most that one namespace has at once.
    each: usize,
    free: usize,
    held: HashMap<Arc<str>, usize>,
    waiting: HashMap<Arc<str>, VecDeque<Waiter>>,
    /// Those that wait, the next to be served first.
    order: VecDeque<Arc<str>>,
}

struct Waiter {
    amount: usize,
    give: oneshot::Sender<Turn>,
}

/// The next has the room when this is dropped.
pub struct Turn {
    turns: Turns,
    who: Arc<str>,
    amount: usize,
}

impl Turns {
    /// `each`: the most that one namespace has at once.
    pub fn new(total: usize, each: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            each: each.min(total),
            free: total,
            held: HashMap::new(),
            waiting: HashMap::new(),
            order: VecDeque::new(),
        })))
    }

    /// `None` if the time is up first. Who asks for more than the share of a namespace gets the share.
    pub async fn take(&self, who: &str, amount: usize, deadline: Instant) -> Option<Turn> {
        let (give, given) = oneshot::channel();
        let unwanted = {
            let mut state = lock(&self.0);
            let amount = amount.clamp(1, state.each);
            let who: Arc<str> = Arc::from(who);
            if !state.waiting.contains_key(&who) {
                state.order.push_back(who.clone());
            }
            state.waiting.entry(who).or_default().push_back(Waiter { amount, give });
            self.serve(&mut state)
        };
        drop(unwanted);
        timeout_at(deadline, given).await.ok()?.ok()
    }

    /// Gives back what nobody waits for any more, to be dropped after the lock.
    fn serve(&self, state: &mut State) -> Vec<Turn> {
        let (mut unwanted, mut passed) = (Vec::new(), VecDeque::new());
        while let Some(who) = state.order.pop_front() {
            let waiters = state.waiting.entry(who.clone()).or_default();
            while waiters.front().is_some_and(|waiter| waiter.give.is_closed()) {
                waiters.pop_front();
            }
            let Some(amount) = waiters.front().map(|waiter| waiter.amount) else {
                state.waiting.remove(&who);
                continue;
            };
            let held = state.held.get(&who).copied().unwrap_or_default();
            if held + amount > state.each {
                passed.push_back(who);
                continue;
            }
            if amount > state.free {
                // Those behind it wait too, or small amounts would keep large ones out for ever.
                state.order.push_front(who);
                break;
            }
            if let Some(Waiter { give, .. }) = waiters.pop_front() {
                state.free -= amount;
                state.held.insert(who.clone(), held + amount);
                let turn = Turn { turns: self.clone(), who: who.clone(), amount };
                unwanted.extend(give.send(turn).err());
            }
            state.order.push_back(who);
        }
        // Those that have their share keep their place in the rotation.
        passed.append(&mut state.order);
        state.order = passed;
        unwanted
    }
}

impl Turn {
    /// Gives back what is not needed after all.
    pub fn keep(&mut self, amount: usize) {
        let back = self.amount.saturating_sub(amount);
        self.amount -= back;
        self.give_back(back);
    }

    fn give_back(&self, amount: usize) {
        let unwanted = {
            let mut state = lock(&self.turns.0);
            state.free += amount;
            if let Some(held) = state.held.get_mut(&self.who) {
                *held = held.saturating_sub(amount);
                if *held == 0 {
                    state.held.remove(&self.who);
                }
            }
            self.turns.serve(&mut state)
        };
        drop(unwanted);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.give_back(self.amount);
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turns")
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("amount", &self.amount).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{sync::mpsc, task::JoinHandle};

    use super::*;

    /// Each takes so much, tells who it is, and keeps it for a second.
    fn waits(
        turns: &Turns,
        told: &mpsc::UnboundedSender<&'static str>,
        who: &'static str,
        amount: usize,
    ) -> JoinHandle<()> {
        let (turns, told) = (turns.clone(), told.clone());
        tokio::spawn(async move {
            let hour = Instant::now() + Duration::from_secs(3600);
            let _turn = turns.take(who, amount, hour).await.unwrap();
            told.send(who).unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        })
    }

    async fn order(turns: &Turns, all: &[(&'static str, usize)]) -> String {
        let (tell, mut told) = mpsc::unbounded_channel();
        for (who, amount) in all {
            drop(waits(turns, &tell, who, *amount));
            tokio::task::yield_now().await;
        }
        drop(tell);
        let mut order = String::new();
        while let Some(who) = told.recv().await {
            order.push_str(who);
        }
        order
    }

    #[tokio::test(start_paused = true)]
    async fn namespaces_are_served_in_rotation() {
        let turns = Turns::new(1, 1);
        let many = [("a", 1), ("a", 1), ("a", 1), ("a", 1), ("b", 1), ("c", 1), ("b", 1)];
        assert_eq!(order(&turns, &many).await, "aabcaba");
    }

    #[tokio::test(start_paused = true)]
    async fn namespace_has_no_more_than_its_share_at_once() {
        let turns = Turns::new(2, 1);
        let many = [("a", 1), ("a", 1), ("a", 1), ("b", 1), ("b", 1)];
        // A place is left for b, however many of a wait.
        assert_eq!(order(&turns, &many).await, "ababa");
        let soon = Instant::now() + Duration::from_secs(1);
        let held = turns.take("a", 1, soon).await.unwrap();
        assert!(turns.take("a", 1, soon).await.is_none());
        drop(held);
    }

    #[tokio::test(start_paused = true)]
    async fn large_amount_is_not_kept_out_by_small_ones() {
        let turns = Turns::new(4, 3);
        let many = [("a", 2), ("b", 3), ("c", 1), ("c", 1), ("a", 9)];
        assert_eq!(order(&turns, &many).await, "abcac");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_serves_the_next() {
        let turns = Turns::new(4, 4);
        let soon = || Instant::now() + Duration::from_secs(1);
        let mut held = turns.take("a", 4, soon()).await.unwrap();
        held.keep(9);
        assert!(turns.take("b", 1, soon()).await.is_none());
        held.keep(1);
        let other = turns.take("b", 3, soon()).await.unwrap();
        assert!(turns.take("a", 1, soon()).await.is_none());
        drop((held, other));
        assert_eq!(lock(&turns.0).free, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gave_up_leaves_nothing_behind() {
        let turns = Turns::new(1, 1);
        let soon = || Instant::now() + Duration::from_secs(1);
        let held = turns.take("a", 1, soon()).await.unwrap();
        assert!(turns.take("b", 1, soon()).await.is_none());
        drop(held);
        drop(turns.take("c", 1, soon()).await.unwrap());
        let state = lock(&turns.0);
        assert_eq!((state.free, state.held.len(), state.waiting.len()), (1, 0, 0));
    }
}
