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
mod tests;
