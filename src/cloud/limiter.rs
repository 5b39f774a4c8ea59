//! Limiter: how many calls go to a service at once, and how fast. Each host has a limit on calls at
//! once, a circuit breaker and, once several accounts were throttled, a rate; each login and account
//! that was throttled has a rate of its own. Who waits is served by priority.

mod breaker;
mod callers;
mod concurrency;
mod host;
mod priority;
mod queue;
mod rate;

use std::{
    collections::{BTreeMap, HashMap, VecDeque, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout_at},
};

pub use priority::Priority;

use super::{
    Api, Caller,
    cause::{Cause, Full},
    failure::Failure,
};
use crate::{
    digest::Digest,
    endpoint::Endpoint,
    http::{Broken, ConnectionError, NameError},
};
use host::{Host, HostState};
use queue::Waiter;

/// Idle hosts beyond these are forgotten, except the operator's: pod authors name KMS instances.
const MAX_HOSTS: usize = 256;
/// What one attempt may take: the official clients' read timeout.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// The same at a host that a pod names and that never answered.
const UNPROVEN_TIMEOUT: Duration = Duration::from_secs(3);
/// A call that its mount's deadline ends sooner says nothing of the host.
const LONG: Duration = UNPROVEN_TIMEOUT;

/// One call that wants to be made.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub endpoint: &'a Endpoint,
    pub api: Api,
    pub caller: Caller,
    pub priority: Priority,
}

/// The permits for calls to one service.
#[derive(Clone)]
pub struct Limiter(Arc<Mutex<State>>);

struct State {
    /// The operator's limit over all hosts.
    most: usize,
    taken: usize,
    /// At hosts that pods name, and at those of them that never answered.
    named: usize,
    unproven: usize,
    /// The latter by account, so that one with many such hosts leaves some to others.
    unproven_of: HashMap<Digest, usize>,
    hosts: HashMap<Arc<str>, Host>,
    /// Hosts at which somebody waits, the next to be served first.
    waiting: VecDeque<Arc<str>>,
}

/// What a limiter can be asked about itself.
#[derive(Debug, Serialize)]
pub struct LimiterState {
    /// Calls at once, over all hosts.
    pub limit: usize,
    pub in_flight: usize,
    pub hosts: BTreeMap<String, HostState>,
}

/// What the end of a call says of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    /// It said no, which takes another time than a success.
    Answered,
    /// It answered that it cannot, or did not answer in a long time.
    Overloaded,
    /// There is no connection to it.
    Unreachable,
    /// The quota is used up: the caller's, or that of all callers together.
    Throttled,
    /// Nothing, such as a connection that broke.
    Unknown,
}

impl Outcome {
    fn of(cause: Cause, took: Duration) -> Self {
        match cause {
            Cause::Throttled => Outcome::Throttled,
            Cause::Server => Outcome::Overloaded,
            Cause::TimedOut if took < LONG => Outcome::Unknown,
            Cause::TimedOut => Outcome::Overloaded,
            Cause::Broken(Broken::Connection(
                ConnectionError::TimedOut | ConnectionError::Name(NameError::NoAnswer),
            )) => Outcome::Overloaded,
            Cause::Broken(Broken::Connection(
                ConnectionError::Refused
                | ConnectionError::NoRoute
                | ConnectionError::Name(_)
                | ConnectionError::NoTunnel(_),
            )) => Outcome::Unreachable,
            Cause::Broken(_) | Cause::Garbled | Cause::OnTheWay | Cause::Unsendable => {
                Outcome::Unknown
            }
            _ => Outcome::Answered,
        }
    }
}

/// Leave to make one call; the next has it when this is dropped.
#[derive(Debug)]
pub struct Permit {
    limiter: Limiter,
    host: Arc<str>,
    named: bool,
    unproven: bool,
    api: Api,
    caller: Caller,
    since: Instant,
    /// What the call came to, and how it failed.
    ended: Option<(Outcome, Option<Arc<Failure>>)>,
}

impl Permit {
    pub fn succeeded(mut self) {
        self.ended = Some((Outcome::Succeeded, None));
    }

    pub fn failed(mut self, failure: &Failure) {
        let outcome = Outcome::of(failure.cause, self.since.elapsed());
        self.ended = Some((outcome, Some(Arc::new(failure.for_others()))));
    }

    /// When the attempt has taken too long.
    pub fn timeout(&self) -> Duration {
        if self.unproven { UNPROVEN_TIMEOUT } else { ATTEMPT_TIMEOUT }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let limiter = self.limiter.clone();
        limiter.release(self);
    }
}

/// What a wait for a permit came to.
#[derive(Debug)]
pub enum Granted {
    Permit(Permit),
    /// Another's call found that the host is down.
    Down(Arc<Failure>),
    /// The time was up first.
    Late,
}

/// A place in the queue.
#[derive(Debug)]
pub struct Queued(oneshot::Receiver<Result<Permit, Arc<Failure>>>);

impl Queued {
    pub async fn until(self, deadline: Instant) -> Granted {
        match timeout_at(deadline, self.0).await {
            Ok(Ok(Ok(permit))) => Granted::Permit(permit),
            Ok(Ok(Err(down))) => Granted::Down(down),
            Ok(Err(_)) | Err(_) => Granted::Late,
        }
    }
}

impl Limiter {
    /// At most `most` calls at once.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            most,
            taken: 0,
            named: 0,
            unproven: 0,
            unproven_of: HashMap::new(),
            hosts: HashMap::new(),
            waiting: VecDeque::new(),
        })))
    }

    pub fn state(&self) -> LimiterState {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (limit, in_flight, now) = (state.most, state.taken, Instant::now());
        let hosts = state.hosts.iter_mut();
        let hosts = hosts.map(|(name, host)| (name.to_string(), host.state(limit, now))).collect();
        LimiterState { limit, in_flight, hosts }
    }

    pub fn acquire(&self, target: Target<'_>) -> Result<Permit, Queued> {
        let mut state = self.lock();
        let Target { endpoint, api, caller, priority } = target;
        let name = state.host(endpoint);
        let now = Instant::now();
        let (room, most) = (state.room(), state.most);
        let State { hosts, unproven_of, .. } = &mut *state;
        let Some(host) = hosts.get_mut(&name) else { return Err(Queued::never()) };
        // Where there is room, nobody waits any more who has not given up.
        let free = room.has(host) && room.may(host.is_proven(), unproven_of, &caller);
        if free && host.allows(&caller, priority, now, most) {
            let unproven = host.take(&caller, priority, now);
            return Ok(self.permit(&mut state, name, api, caller, unproven));
        }
        let idle = host.is_waited_for();
        let (give, take) = oneshot::channel();
        host.wait(Waiter { api, caller, give }, priority, now);
        self.wake(&name, host, now);
        if !idle {
            state.waiting.push_back(name);
        }
        Err(Queued(take))
    }

    /// What this call waits for: a permit, a host that is down, or a rate.
    pub(super) fn awaited(&self, target: &Target<'_>) -> Failure {
        let failure = |cause| Failure::new(target.api, target.endpoint, cause);
        let state = self.lock();
        let Some(host) = state.hosts.get(target.endpoint.host()) else {
            return failure(Cause::NoPlace(Full::Service(state.most)));
        };
        if let Some(down) = host.down() {
            return down.of_another(target.api, target.endpoint);
        }
        if host.is_throttling(&target.caller) {
            return failure(Cause::Throttled);
        }
        let room = state.room();
        let full = if host.named && room.total && !room.has(host) {
            let most = if host.answered { room.named_most } else { room.unproven_most };
            Full::Named(most)
        } else if room.total && host.is_at_its_limit(state.most) {
            if host.named && !host.answered {
                Full::Named(host.taken)
            } else {
                Full::Host(host.taken)
            }
        } else {
            Full::Service(state.most)
        };
        failure(Cause::NoPlace(full))
    }

    /// Whether calls of this caller to the host wait because it throttles.
    pub(super) fn is_throttling(&self, host: &str, caller: &Caller) -> bool {
        self.lock().hosts.get(host).is_some_and(|host| host.is_throttling(caller))
    }

    /// Looks again when time alone allows the next call: until then nothing else might.
    fn wake(&self, name: &Arc<str>, host: &mut Host, now: Instant) {
        let Some(next) = host.next_look(now) else { return };
        if next <= now || host.woken.is_some_and(|woken| woken <= next) {
            return;
        }
        host.woken = Some(next);
        let (limiter, name) = (self.clone(), name.clone());
        tokio::spawn(async move {
            sleep_until(next).await;
            let mut state = limiter.lock();
            match state.hosts.get_mut(&name) {
                Some(host) if host.woken == Some(next) => host.woken = None,
                // Somebody had to look earlier, and has seen to the rest.
                _ => return,
            }
            let unwanted = limiter.serve(&mut state);
            drop(state);
            drop(unwanted);
        });
    }

    fn release(&self, permit: &mut Permit) {
        let now = Instant::now();
        let mut state = self.lock();
        state.taken = state.taken.saturating_sub(1);
        state.named = state.named.saturating_sub(usize::from(permit.named));
        if permit.unproven {
            state.unproven = state.unproven.saturating_sub(1);
            if let Entry::Occupied(mut of) = state.unproven_of.entry(permit.caller.account) {
                *of.get_mut() = of.get().saturating_sub(1);
                if *of.get() == 0 {
                    of.remove();
                }
            }
        }
        let most = state.most;
        let mut refused = Vec::new();
        if let Some(host) = state.hosts.get_mut(&permit.host) {
            let (outcome, failure) = permit.ended.take().unwrap_or((Outcome::Unknown, None));
            refused = host.ended(permit, outcome, failure, now, most);
        }
        let unwanted = self.serve(&mut state);
        drop(state);
        drop(unwanted);
        for (waiter, down) in refused {
            let _ = waiter.give.send(Err(down));
        }
    }

    /// Gives permits to those who wait, one to each host in its turn: many calls that wait at one
    /// host, which may not even answer, keep no other from what comes free. Those that nobody waits
    /// for any more are to be dropped after the lock: they are released in their turn.
    fn serve(&self, state: &mut State) -> Vec<Permit> {
        let now = Instant::now();
        let mut unwanted = Vec::new();
        // Hosts that may have no more calls now keep their turn.
        let mut passed = VecDeque::new();
        while state.taken < state.most
            && let Some(name) = state.waiting.pop_front()
        {
            let (room, most) = (state.room(), state.most);
            let State { hosts, unproven_of, .. } = &mut *state;
            let Some(host) = hosts.get_mut(&name) else { continue };
            let proven = host.is_proven();
            let may = |caller: &Caller| room.may(proven, unproven_of, caller);
            let next = if room.has(host) { host.pop(now, most, may) } else { None };
            let taken = next.map(|(priority, waiter)| {
                let unproven = host.take(&waiter.caller, priority, now);
                (waiter, unproven)
            });
            self.wake(&name, host, now);
            let waits_on = host.is_waited_for();
            match taken {
                Some((Waiter { api, caller, give }, unproven)) => {
                    let permit = self.permit(state, name.clone(), api, caller, unproven);
                    // Who gave up meanwhile wants none.
                    if let Err(Ok(permit)) = give.send(Ok(permit)) {
                        unwanted.push(permit);
                    }
                    if waits_on {
                        state.waiting.push_back(name);
                    }
                }
                None if waits_on => passed.push_back(name),
                None => {}
            }
        }
        passed.append(&mut state.waiting);
        state.waiting = passed;
        unwanted
    }

    fn permit(
        &self,
        state: &mut State,
        host: Arc<str>,
        api: Api,
        caller: Caller,
        unproven: bool,
    ) -> Permit {
        let named = state.hosts.get(&host).is_some_and(|host| host.named);
        state.taken += 1;
        state.named += usize::from(named);
        if unproven {
            state.unproven += 1;
            *state.unproven_of.entry(caller.account).or_default() += 1;
        }
        let (limiter, since) = (self.clone(), Instant::now());
        Permit { limiter, host, named, unproven, api, caller, since, ended: None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Limiter")
    }
}

impl Queued {
    fn never() -> Self {
        Self(oneshot::channel().1)
    }
}

impl State {
    fn host(&mut self, endpoint: &Endpoint) -> Arc<str> {
        if let Some((name, _)) = self.hosts.get_key_value(endpoint.host()) {
            return name.clone();
        }
        if self.hosts.len() >= MAX_HOSTS {
            self.hosts.retain(|_, host| !host.named || host.is_in_use());
        }
        let name = endpoint.shared_host();
        self.hosts.insert(name.clone(), Host::new(self.most, endpoint.is_named_by_pods()));
        name
    }

    fn room(&self) -> Room {
        // Half for hosts that pods name, so that they never hold all; an eighth for those that
        // may not even exist.
        let (named_most, unproven_most) = ((self.most / 2).max(1), (self.most / 8).max(1));
        Room {
            total: self.taken < self.most,
            named: self.named < named_most,
            unproven: self.unproven < unproven_most,
            named_most,
            unproven_most,
        }
    }
}

/// Which permits are left.
#[derive(Clone, Copy)]
struct Room {
    total: bool,
    named: bool,
    unproven: bool,
    named_most: usize,
    unproven_most: usize,
}

impl Room {
    fn has(self, host: &Host) -> bool {
        self.total && (!host.named || self.named && (host.is_proven() || self.unproven))
    }

    /// Whether the caller may have one more.
    fn may(self, proven: bool, unproven_of: &HashMap<Digest, usize>, caller: &Caller) -> bool {
        let most = (self.unproven_most / 4).max(1);
        proven || unproven_of.get(&caller.account).is_none_or(|held| *held < most)
    }
}

#[cfg(test)]
mod tests;
