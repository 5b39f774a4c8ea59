//! Host: its limit on calls at once, its breaker, its rate and those of callers that it throttled,
//! and who waits for it.

use std::{collections::HashMap, sync::Arc};

use tokio::time::Instant;

use super::{
    Caller, Outcome, Permit, Priority,
    breaker::Breaker,
    concurrency::Concurrency,
    queue::{Queue, Waiter},
    rate::Rate,
};
use crate::cloud::Failure;

/// Calls at once to a host that a pod names and that never answered.
const UNPROVEN: usize = 2;
/// Callers whose rates are remembered. Beyond them, those at rest are forgotten.
const MOST_CALLERS: usize = 1024;
/// Callers that must have been throttled of late before the host as a whole is slowed.
const SEVERAL: usize = 2;

#[derive(Debug)]
pub(super) struct Host {
    /// By pods, and not by the operator.
    pub(super) named: bool,
    /// Ever.
    pub(super) answered: bool,
    pub(super) taken: usize,
    concurrency: Concurrency,
    breaker: Breaker,
    rate: Rate,
    queue: Queue,
    /// Those that were throttled of late.
    callers: HashMap<Caller, Throttled>,
    /// Somebody will look again then.
    pub(super) woken: Option<Instant>,
}

/// A caller that was throttled, and those of its calls that its rate holds back.
#[derive(Debug)]
struct Throttled {
    rate: Rate,
    queue: Queue,
}

impl Host {
    pub(super) fn new(most: usize, named: bool) -> Self {
        Self {
            named,
            answered: false,
            taken: 0,
            concurrency: Concurrency::new(most),
            breaker: Breaker::default(),
            rate: Rate::of_host(),
            queue: Queue::default(),
            callers: HashMap::new(),
            woken: None,
        }
    }

    /// Whether it is known to exist.
    pub(super) fn is_proven(&self) -> bool {
        !self.named || self.answered
    }

    pub(super) fn is_in_use(&self) -> bool {
        self.taken > 0 || self.woken.is_some()
    }

    /// Whether a call may be made now, as far as the host is concerned.
    pub(super) fn allows(
        &mut self,
        caller: &Caller,
        priority: Priority,
        now: Instant,
        most: usize,
    ) -> bool {
        let can_wait = priority.can_wait();
        let due = |rate: &Rate| rate.next(can_wait, now) <= now;
        self.has_room(now, most)
            && due(&self.rate)
            && self.callers.get_mut(caller).is_none_or(|caller| due(&caller.rate))
    }

    fn has_room(&self, now: Instant, most: usize) -> bool {
        self.breaker.next(self.named, now).is_some_and(|next| next <= now)
            && !self.is_at_its_limit(most)
    }

    /// A probe of a host that is down has nothing to do with what it can take.
    pub(super) fn is_at_its_limit(&self, most: usize) -> bool {
        if !self.is_proven() && self.taken >= UNPROVEN {
            return true;
        }
        let now = Instant::now();
        self.breaker.down().is_none() && !self.concurrency.allows(self.taken, most, now)
    }

    /// Counts a call that begins. Whether it is one to a host that never answered.
    pub(super) fn take(&mut self, caller: &Caller, now: Instant) -> bool {
        self.taken += 1;
        self.breaker.begin(now);
        self.rate.begin(now);
        if let Some(caller) = self.callers.get_mut(caller) {
            caller.rate.begin(now);
        }
        !self.is_proven()
    }

    pub(super) fn wait(&mut self, waiter: Waiter, priority: Priority, now: Instant) {
        self.concurrency.reached(now);
        match self.callers.get_mut(&waiter.caller) {
            Some(caller) if caller.rate.holds(priority.can_wait(), now) => {
                caller.queue.push(priority, waiter);
            }
            _ => self.queue.push(priority, waiter),
        }
    }

    pub(super) fn is_waited_for(&mut self) -> bool {
        !self.queue.is_empty() || self.callers.values_mut().any(|caller| !caller.queue.is_empty())
    }

    /// The next call that may be made now, if its caller `may` make one more.
    pub(super) fn pop(
        &mut self,
        now: Instant,
        most: usize,
        may: impl Fn(&Caller) -> bool,
    ) -> Option<Waiter> {
        if !self.has_room(now, most) {
            if !self.queue.is_empty() {
                self.concurrency.reached(now);
            }
            return None;
        }
        let host_due = |rate: &Rate, priority: Priority| rate.next(priority.can_wait(), now) <= now;
        loop {
            let mut best = None;
            if let Some((priority, waiter)) = self.queue.first() {
                // Its caller may have been throttled since it began to wait.
                let caller = waiter.caller;
                if let Some(throttled) = self.callers.get_mut(&caller)
                    && throttled.rate.holds(priority.can_wait(), now)
                {
                    throttled.queue.push(priority, self.queue.pop()?);
                    continue;
                }
                best = Some((priority, None));
            }
            for (name, caller) in &mut self.callers {
                if let Some((priority, _)) = caller.queue.first()
                    && caller.rate.next(priority.can_wait(), now) <= now
                    && best.is_none_or(|(least, _)| priority < least)
                {
                    best = Some((priority, Some(*name)));
                }
            }
            let (priority, caller) = best?;
            if !host_due(&self.rate, priority) {
                return None;
            }
            let queue = match caller {
                None => &mut self.queue,
                Some(name) => &mut self.callers.get_mut(&name)?.queue,
            };
            let (_, waiter) = queue.first()?;
            return if may(&waiter.caller) { queue.pop() } else { None };
        }
    }

    /// When time alone may allow the next call.
    pub(super) fn next_look(&mut self, now: Instant) -> Option<Instant> {
        let breaker = self.breaker.next(self.named, now)?;
        let rate = &self.rate;
        let at = |priority: Priority| rate.next(priority.can_wait(), now);
        let first = self.queue.first().map(|(priority, _)| at(priority));
        let callers = self.callers.values_mut().filter_map(|caller| {
            let priority = caller.queue.first()?.0;
            Some(at(priority).max(caller.rate.next(priority.can_wait(), now)))
        });
        let next = callers.chain(first).min()?;
        Some(next.max(breaker))
    }

    /// Learns from the end of a call. Returns those who need not wait any more, and why.
    pub(super) fn ended(
        &mut self,
        permit: &Permit,
        outcome: Outcome,
        failure: Option<Arc<Failure>>,
        now: Instant,
        most: usize,
    ) -> Vec<(Waiter, Arc<Failure>)> {
        let (taken, began) = (self.taken, permit.since);
        self.taken = self.taken.saturating_sub(1);
        match outcome {
            Outcome::Succeeded | Outcome::Answered | Outcome::Throttled => {
                self.answered = true;
                if self.breaker.down().is_some() {
                    self.concurrency.is_back(most, now);
                }
                self.breaker.answered(now);
            }
            Outcome::Overloaded | Outcome::Unreachable => {
                if outcome == Outcome::Overloaded {
                    self.concurrency.overloaded(began, taken, most, now);
                }
                if let Some(why) = failure {
                    self.breaker.failed(why, began, self.named, now);
                }
                self.breaker.ended();
            }
            Outcome::Unknown => self.breaker.ended(),
        }
        match outcome {
            Outcome::Succeeded => {
                let took = now.duration_since(began);
                self.concurrency.succeeded(permit.api, took, most, now);
                if let Some(caller) = self.callers.get_mut(&permit.caller) {
                    caller.rate.succeeded();
                }
            }
            Outcome::Throttled => self.throttled(&permit.caller, began, now),
            _ => {}
        }
        let down = match outcome {
            Outcome::Overloaded | Outcome::Unreachable => self.breaker.down().cloned(),
            _ => None,
        };
        let Some(down) = down else { return Vec::new() };
        let mut told: Vec<_> = self.queue.drain().collect();
        self.callers.values_mut().for_each(|caller| told.extend(caller.queue.drain()));
        told.into_iter().map(|waiter| (waiter, down.clone())).collect()
    }

    fn throttled(&mut self, caller: &Caller, began: Instant, now: Instant) {
        if self.callers.len() >= MOST_CALLERS {
            self.callers.retain(|_, caller| {
                !caller.queue.is_empty() || caller.rate.was_throttled_of_late(now)
            });
        } else {
            let over = |caller: &mut Throttled| caller.rate.is_over(now) && caller.queue.is_empty();
            self.callers.retain(|_, caller| !over(caller));
        }
        let throttled = self
            .callers
            .entry(*caller)
            .or_insert_with(|| Throttled { rate: Rate::of_caller(), queue: Queue::default() });
        throttled.rate.throttled(began, now);
        // One that is always throttled counts neither for itself nor for others.
        if throttled.rate.is_always_throttled() {
            return;
        }
        let of_late = self.callers.values().filter(|caller| {
            caller.rate.was_throttled_of_late(now) && !caller.rate.is_always_throttled()
        });
        if of_late.count() >= SEVERAL {
            self.rate.throttled(began, now);
        }
    }

    pub(super) fn down(&self) -> Option<&Arc<Failure>> {
        self.breaker.down()
    }

    pub(super) fn is_throttling(&self, caller: &Caller) -> bool {
        let now = Instant::now();
        let own = self.callers.get(caller).is_some_and(|caller| caller.rate.is_throttling(now));
        own || self.rate.is_throttling(now)
    }
}

#[cfg(test)]
impl Host {
    pub(super) fn limit(&self, most: usize) -> f64 {
        self.concurrency.now(most)
    }
}
