//! Host: its limit on calls at once, its breaker, its rate and those of callers that it throttled,
//! and who waits for it.

use std::sync::Arc;

use serde::Serialize;
use tokio::time::Instant;

use super::{
    Outcome, Permit, Priority,
    breaker::Breaker,
    callers::{Callers, First},
    concurrency::Concurrency,
    queue::{Among, Queue, Waiter},
    rate::Rate,
};
use crate::{cloud::Failure, digest::Digest, login::Caller};

/// Calls at once to a host that a pod names and that never answered.
const UNPROVEN: usize = 2;
/// Of so many calls that waited one is a refresh, if any waits: new pods that come and come do not
/// keep those that run from hearing of a rotation.
const REFRESH_OF: u32 = 4;

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
    callers: Callers,
    /// Calls that waited and went, since the last that was a refresh.
    since_refresh: u32,
    /// Somebody will look again then.
    pub(super) woken: Option<Instant>,
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
            callers: Callers::default(),
            since_refresh: 0,
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
        self.has_room(now, most)
            && self.rate.next(priority, now) <= now
            && self.callers.next(caller, priority, now) <= now
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
    pub(super) fn take(&mut self, caller: &Caller, priority: Priority, now: Instant) -> bool {
        self.taken += 1;
        self.breaker.begin(now);
        self.rate.begin(priority, now);
        self.callers.begin(caller, priority, now);
        !self.is_proven()
    }

    pub(super) fn wait(&mut self, waiter: Waiter, priority: Priority, now: Instant) {
        self.concurrency.reached(now);
        if self.callers.holds(&waiter.caller, priority, now) {
            self.callers.wait(waiter, priority);
        } else {
            self.queue.push(priority, waiter);
        }
    }

    pub(super) fn is_waited_for(&mut self) -> bool {
        !self.queue.is_empty() || self.callers.is_waited_for()
    }

    /// The next call that may be made now, if its caller `may` make one more.
    pub(super) fn pop(
        &mut self,
        now: Instant,
        most: usize,
        may: impl Fn(&Caller) -> bool,
    ) -> Option<(Priority, Waiter)> {
        if !self.has_room(now, most) {
            if !self.queue.is_empty() {
                self.concurrency.reached(now);
            }
            return None;
        }
        let refresh = match self.since_refresh + 1 >= REFRESH_OF {
            true => self.best(Among::Refreshes, now),
            false => None,
        };
        let (priority, login) = refresh.or_else(|| self.best(Among::All, now))?;
        let queue = match login {
            None => &mut self.queue,
            Some(login) => self.callers.queue(&login)?,
        };
        let among = if refresh.is_some() { Among::Refreshes } else { Among::All };
        let (_, waiter) = queue.first(among)?;
        if !may(&waiter.caller) {
            return None;
        }
        self.since_refresh = if priority.can_wait() { 0 } else { self.since_refresh + 1 };
        Some((priority, queue.pop(priority)?))
    }

    /// The first that its rates allow now, and by which login's queue.
    fn best(&mut self, among: Among, now: Instant) -> Option<(Priority, Option<Digest>)> {
        let mut best = None;
        while let Some((priority, waiter)) = self.queue.first(among) {
            // Its caller may have been throttled since it began to wait.
            let caller = waiter.caller;
            if !self.callers.holds(&caller, priority, now) {
                best = Some((priority, None));
                break;
            }
            self.callers.wait(self.queue.pop(priority)?, priority);
        }
        for First { login, priority, at } in self.callers.firsts(among, now) {
            if at <= now && best.is_none_or(|(least, _)| priority < least) {
                best = Some((priority, Some(login)));
            }
        }
        best.filter(|(priority, _)| self.rate.next(*priority, now) <= now)
    }

    /// When time alone may allow the next call.
    pub(super) fn next_look(&mut self, now: Instant) -> Option<Instant> {
        let breaker = self.breaker.next(self.named, now)?;
        let rate = &self.rate;
        let at = |priority: Priority| rate.next(priority, now);
        let own = self.queue.first(Among::All).map(|(priority, _)| at(priority));
        let callers = self.callers.firsts(Among::All, now);
        let callers = callers.map(|first| first.at.max(at(first.priority)));
        let next = callers.chain(own).min()?;
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
                self.callers.succeeded(&permit.caller);
            }
            Outcome::Throttled if self.callers.throttled(&permit.caller, began, now) => {
                self.rate.throttled(began, now);
            }
            _ => {}
        }
        let down = match outcome {
            Outcome::Overloaded | Outcome::Unreachable => self.breaker.down().cloned(),
            _ => None,
        };
        let Some(down) = down else { return Vec::new() };
        let mut waiters: Vec<_> = self.queue.drain().collect();
        waiters.extend(self.callers.drain());
        waiters.into_iter().map(|waiter| (waiter, down.clone())).collect()
    }

    pub(super) fn down(&self) -> Option<&Arc<Failure>> {
        self.breaker.down()
    }

    pub(super) fn is_throttling(&self, caller: &Caller) -> bool {
        let now = Instant::now();
        self.callers.is_throttling(caller, now) || self.rate.is_throttling(now)
    }
}

/// What a limiter knows of one host.
#[derive(Debug, Serialize)]
pub struct HostState {
    /// By a SecretProviderClass, and not by the operator.
    pub named_by_pods: bool,
    /// Calls at once, and how many there are.
    pub limit: f64,
    pub in_flight: usize,
    /// Whether calls wait for it.
    pub waited_for: bool,
    /// Whether it slows all callers, and how many it throttled of late.
    pub throttling: bool,
    pub throttled_callers: usize,
    /// Why it counts as down.
    pub down: Option<String>,
}

impl Host {
    pub(super) fn state(&mut self, most: usize, now: Instant) -> HostState {
        HostState {
            named_by_pods: self.named,
            limit: self.limit(most),
            in_flight: self.taken,
            waited_for: self.is_waited_for(),
            throttling: self.rate.is_throttling(now),
            throttled_callers: self.callers.len(),
            down: self.breaker.down().map(|why| why.message()),
        }
    }

    pub(super) fn limit(&self, most: usize) -> f64 {
        self.concurrency.now(most)
    }
}
