//! Rates of those that a host throttled: of each login, and of each account (a ServiceAccount with a
//! role) once several of its logins were. What one account does slows the others only once several
//! accounts are throttled, which means that a quota of all together is used up.

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;

use super::{
    Priority,
    queue::{Among, Queue, Waiter},
    rate::Rate,
};
use crate::{digest::Digest, login::Caller};

/// Logins whose rates are remembered. Beyond them, idle ones are forgotten; accounts the same.
const MOST: usize = 1024;
/// Throttled of late before the account, or the host, is slowed as a whole.
const SEVERAL: usize = 2;

#[derive(Debug, Default)]
pub(super) struct Callers {
    logins: HashMap<Digest, Login>,
    accounts: HashMap<Digest, Rate>,
}

/// A login that was throttled, or whose account was, and those of its calls that are held back.
#[derive(Debug)]
struct Login {
    account: Digest,
    rate: Rate,
    queue: Queue,
}

impl Login {
    fn of(caller: &Caller) -> Self {
        Self { account: caller.account, rate: Rate::of_caller(), queue: Queue::default() }
    }

    /// One that is always throttled counts for no other.
    fn counts(&self, now: Instant) -> bool {
        self.rate.was_throttled_of_late(now) && !self.rate.is_always_throttled()
    }

    fn may_be_forgotten(&mut self, now: Instant) -> bool {
        self.rate.is_over(now) && self.queue.is_empty()
    }
}

impl Callers {
    /// When the caller's next call may begin.
    /// How many were throttled of late.
    pub(super) fn len(&self) -> usize {
        self.logins.len()
    }

    pub(super) fn next(&self, caller: &Caller, priority: Priority, now: Instant) -> Instant {
        let login = self.logins.get(&caller.login).map(|login| &login.rate);
        let rates = login.into_iter().chain(self.accounts.get(&caller.account));
        rates.map(|rate| rate.next(priority, now)).max().unwrap_or(now)
    }

    /// Whether its calls have to queue by themselves.
    pub(super) fn holds(&self, caller: &Caller, priority: Priority, now: Instant) -> bool {
        self.next(caller, priority, now) > now || self.is_throttling(caller, now)
    }

    pub(super) fn is_throttling(&self, caller: &Caller, now: Instant) -> bool {
        let login = self.logins.get(&caller.login);
        login.is_some_and(|login| login.rate.is_throttling(now))
            || self.accounts.get(&caller.account).is_some_and(|rate| rate.is_throttling(now))
    }

    pub(super) fn begin(&mut self, caller: &Caller, priority: Priority, now: Instant) {
        if let Some(login) = self.logins.get_mut(&caller.login) {
            login.rate.begin(priority, now);
        }
        if let Some(rate) = self.accounts.get_mut(&caller.account) {
            rate.begin(priority, now);
        }
    }

    pub(super) fn succeeded(&mut self, caller: &Caller) {
        if let Some(login) = self.logins.get_mut(&caller.login) {
            login.rate.succeeded();
        }
    }

    /// Whether the host as a whole is to slow down.
    pub(super) fn throttled(&mut self, caller: &Caller, began: Instant, now: Instant) -> bool {
        self.forget(now);
        let login = self.logins.entry(caller.login).or_insert_with(|| Login::of(caller));
        login.rate.throttled(began, now);
        if !login.counts(now) {
            return false;
        }
        let of_late = || self.logins.values().filter(|login| login.counts(now));
        let of_account = of_late().filter(|login| login.account == caller.account).count();
        let accounts = of_late().map(|login| login.account).collect::<HashSet<_>>().len();
        if of_account >= SEVERAL {
            let rate = self.accounts.entry(caller.account).or_insert_with(Rate::of_account);
            rate.throttled(began, now);
        }
        accounts >= SEVERAL
    }

    fn forget(&mut self, now: Instant) {
        let full = self.logins.len() >= MOST;
        self.logins.retain(|_, login| match full {
            true => !login.queue.is_empty() || login.rate.was_throttled_of_late(now),
            false => !login.may_be_forgotten(now),
        });
        let full = self.accounts.len() >= MOST;
        self.accounts.retain(|_, rate| match full {
            true => rate.was_throttled_of_late(now),
            false => !rate.is_over(now),
        });
    }

    pub(super) fn wait(&mut self, waiter: Waiter, priority: Priority) {
        let caller = waiter.caller;
        let login = self.logins.entry(caller.login).or_insert_with(|| Login::of(&caller));
        login.queue.push(priority, waiter);
    }

    pub(super) fn is_waited_for(&mut self) -> bool {
        self.logins.values_mut().any(|login| !login.queue.is_empty())
    }

    /// The calls that are next in their logins' queues, and when their rates allow them.
    pub(super) fn firsts(&mut self, among: Among, now: Instant) -> impl Iterator<Item = First> {
        let Self { logins, accounts } = self;
        logins.iter_mut().filter_map(move |(name, login)| {
            let (priority, _) = login.queue.first(among)?;
            let at = |rate: &Rate| rate.next(priority, now);
            let account = accounts.get(&login.account).map_or(now, at);
            Some(First { login: *name, priority, at: at(&login.rate).max(account) })
        })
    }

    pub(super) fn queue(&mut self, login: &Digest) -> Option<&mut Queue> {
        self.logins.get_mut(login).map(|login| &mut login.queue)
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Waiter> {
        self.logins.values_mut().flat_map(|login| login.queue.drain())
    }
}

/// A call that is next in its login's queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct First {
    pub(super) login: Digest,
    pub(super) priority: Priority,
    pub(super) at: Instant,
}
