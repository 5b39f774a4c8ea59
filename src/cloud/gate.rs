//! How many calls go to a host at once, and how fast. Each host has a limit that halves when the
//! host is overloaded and grows while it is quick, and a pace once it has throttled; the operator's
//! limit holds over all hosts of a service. Who waits is served in the order of turns.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout_at},
};

use super::{failure::Cause, pace::Pace};
use crate::http::{Broken, ConnectionError, NameError};

/// Whose turn it is: the least is served first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    has: Option<Instant>,
    number: u64,
}

impl Turn {
    /// Mounts are served whole, in the order in which they came: taking turns call by call, all of
    /// a host's mounts would run out of time together. One of many objects lets others go first
    /// after every few calls. A pod that `has` values since some time waits for those that have
    /// none, or older ones.
    pub fn of(mount: u64, call: usize, has: Option<Instant>) -> Self {
        const CALLS: u64 = 8;
        const MOUNTS: u64 = 16;
        let call = u64::try_from(call).unwrap_or(u64::MAX);
        Self { has, number: mount.saturating_add((call / CALLS).saturating_mul(MOUNTS)) }
    }

    fn can_wait(self) -> bool {
        self.has.is_some()
    }
}

/// An answer is quick up to this many times the quickest, and this much more.
const QUICK_TIMES: u32 = 3;
const QUICK_SLACK: Duration = Duration::from_millis(20);
/// Idle hosts beyond these are forgotten: pod authors name KMS instances.
const MAX_HOSTS: usize = 64;

/// The places for calls to one service.
#[derive(Clone)]
pub struct Gate(Arc<Mutex<State>>);

struct State {
    most: usize,
    taken: usize,
    hosts: HashMap<Arc<str>, Host>,
    /// Hosts at which somebody waits, the next to be served first.
    waiting: VecDeque<Arc<str>>,
}

struct Host {
    /// From 1 to the service's `most`; its whole part counts.
    limit: f64,
    taken: usize,
    quickest: Option<Duration>,
    /// When the limit was lowered: calls that were under way then tell nothing new.
    lowered: Option<Instant>,
    turns: BTreeMap<Turn, VecDeque<oneshot::Sender<Place>>>,
    pace: Pace,
    /// Somebody will look again then, when the pace allows the next call.
    woken: Option<Instant>,
}

/// What the end of a call says of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    Answered,
    Overloaded,
    /// More calls in a second than the host takes from all its callers together.
    Throttled,
    /// Nothing, as a connection that broke.
    Unknown,
}

impl Load {
    pub fn of(cause: Cause) -> Self {
        match cause {
            Cause::Throttled => Load::Throttled,
            // What is not connected in time held a place for seconds, as a call without an answer.
            Cause::TimedOut
            | Cause::Server
            | Cause::Broken(Broken::Connection(
                ConnectionError::TimedOut | ConnectionError::Name(NameError::NoAnswer),
            )) => Load::Overloaded,
            Cause::Broken(_) | Cause::Garbled | Cause::OnTheWay | Cause::Unsendable => {
                Load::Unknown
            }
            _ => Load::Answered,
        }
    }
}

/// Which limit on calls at once was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The operator's, over all hosts of a service.
    Service(usize),
    /// That of one host, which was overloaded.
    Host(usize),
}

/// Leave to make one call; the next has it when this is dropped.
#[derive(Debug)]
pub struct Place {
    gate: Gate,
    host: Arc<str>,
    since: Instant,
    load: Load,
}

impl Place {
    pub fn told(mut self, load: Load) {
        self.load = load;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.release(&self.host, self.since, self.load);
    }
}

/// All places are taken.
#[derive(Debug)]
pub struct Queued(oneshot::Receiver<Place>);

impl Queued {
    /// `None` if none came free in time.
    pub async fn until(self, deadline: Instant) -> Option<Place> {
        timeout_at(deadline, self.0).await.ok()?.ok()
    }
}

impl Gate {
    /// At most `most` calls at once.
    pub fn new(most: usize) -> Self {
        let (hosts, waiting) = (HashMap::new(), VecDeque::new());
        Self(Arc::new(Mutex::new(State { most, taken: 0, hosts, waiting })))
    }

    pub fn place(&self, host: &str, turn: Turn) -> Result<Place, Queued> {
        let mut state = self.lock();
        let State { most, taken, hosts, waiting } = &mut *state;
        if hosts.len() >= MAX_HOSTS && !hosts.contains_key(host) {
            hosts.retain(|_, host| host.taken > 0 || !host.turns.is_empty());
        }
        let known = hosts.get_key_value(host).map(|(name, _)| name.clone());
        let host = known.unwrap_or_else(|| host.into());
        let entry = hosts.entry(host.clone()).or_insert_with(|| Host::new(*most));
        // Where there is room, nobody waits any more who has not given up.
        if *taken < *most && entry.has_room(turn) {
            *taken += 1;
            entry.take();
            return Ok(self.taken(host));
        }
        if entry.turns.is_empty() {
            waiting.push_back(host.clone());
        }
        let (give, take) = oneshot::channel();
        entry.turns.entry(turn).or_default().push_back(give);
        self.wake(&host, entry);
        Err(Queued(take))
    }

    /// What a call to this host waits for: a place, or a turn at a host that has throttled.
    pub(super) fn awaited(&self, host: &str) -> Cause {
        let state = self.lock();
        match state.hosts.get(host) {
            Some(host) if state.taken < state.most && !host.is_below_its_limit() => {
                Cause::NoPlace(Full::Host(host.taken))
            }
            Some(host) if state.taken < state.most && host.pace.is_slowed() => Cause::Throttled,
            _ => Cause::NoPlace(Full::Service(state.most)),
        }
    }

    /// Looks again when the pace allows the next call: until then nothing else might.
    fn wake(&self, name: &Arc<str>, host: &mut Host) {
        let Some(first) = host.first() else { return };
        let next = host.pace.next(first.can_wait());
        if next <= Instant::now() || host.woken.is_some_and(|woken| woken <= next) {
            return;
        }
        host.woken = Some(next);
        let (gate, name) = (self.clone(), name.clone());
        tokio::spawn(async move {
            sleep_until(next).await;
            let mut state = gate.lock();
            match state.hosts.get_mut(&name) {
                Some(host) if host.woken == Some(next) => host.woken = None,
                // Somebody had to look earlier, and has seen to the rest.
                _ => return,
            }
            let unwanted = gate.serve(&mut state);
            drop(state);
            drop(unwanted);
        });
    }

    fn release(&self, host: &str, since: Instant, load: Load) {
        let mut state = self.lock();
        let State { most, taken, hosts, .. } = &mut *state;
        *taken = taken.saturating_sub(1);
        if let Some(entry) = hosts.get_mut(host) {
            entry.learn(since, load, *most);
            entry.taken = entry.taken.saturating_sub(1);
        }
        let unwanted = self.serve(&mut state);
        drop(state);
        drop(unwanted);
    }

    /// Gives places to those who wait, one to each host in its turn: many calls that wait at one host,
    /// which may not even answer, keep no other from what comes free. Those that nobody waits for any
    /// more are to be dropped after the lock: they are released in their turn.
    fn serve(&self, state: &mut State) -> Vec<Place> {
        let mut unwanted = Vec::new();
        let State { most, taken, hosts, waiting } = state;
        // Hosts that may have no more calls now keep their turn.
        let mut passed = VecDeque::new();
        while *taken < *most
            && let Some(name) = waiting.pop_front()
        {
            let Some(entry) = hosts.get_mut(&name) else { continue };
            let turn = entry.first().filter(|turn| entry.has_room(*turn));
            let call = turn.and_then(|_| entry.next());
            let next = if call.is_some() { &mut *waiting } else { &mut passed };
            if let Some(call) = call {
                *taken += 1;
                entry.take();
                unwanted.extend(call.send(self.taken(name.clone())).err());
            }
            self.wake(&name, entry);
            if !entry.turns.is_empty() {
                next.push_back(name);
            }
        }
        passed.append(waiting);
        *waiting = passed;
        unwanted
    }

    fn taken(&self, host: Arc<str>) -> Place {
        Place { gate: self.clone(), host, since: Instant::now(), load: Load::Unknown }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}

impl Host {
    /// Starts with all places, so that a mount of many objects takes one round trip.
    fn new(most: usize) -> Self {
        let limit = f64::from(u32::try_from(most).unwrap_or(u32::MAX));
        Self {
            limit,
            taken: 0,
            quickest: None,
            lowered: None,
            turns: BTreeMap::new(),
            pace: Pace::default(),
            woken: None,
        }
    }

    fn has_room(&self, turn: Turn) -> bool {
        self.is_below_its_limit() && self.pace.next(turn.can_wait()) <= Instant::now()
    }

    fn is_below_its_limit(&self) -> bool {
        f64::from(u32::try_from(self.taken).unwrap_or(u32::MAX)) + 1.0 <= self.limit
    }

    fn take(&mut self) {
        self.taken += 1;
        self.pace.begin();
    }

    /// Whose turn it is. Calls that gave up waiting are left out.
    fn first(&mut self) -> Option<Turn> {
        while let Some(mut turn) = self.turns.first_entry() {
            match turn.get().front() {
                Some(call) if call.is_closed() => drop(turn.get_mut().pop_front()),
                Some(_) => return Some(*turn.key()),
                None => drop(turn.remove()),
            }
        }
        None
    }

    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        self.turns.first_entry()?.get_mut().pop_front()
    }

    /// `taken` still counts the call that ended.
    fn learn(&mut self, since: Instant, load: Load, most: usize) {
        let taken = f64::from(u32::try_from(self.taken).unwrap_or(u32::MAX));
        match load {
            Load::Throttled if self.lowered.is_none_or(|lowered| since >= lowered) => {
                self.pace.slow_down();
                self.lowered = Some(Instant::now());
            }
            Load::Overloaded if self.lowered.is_none_or(|lowered| since >= lowered) => {
                self.limit = (self.limit.min(taken) / 2.0).max(1.0);
                self.lowered = Some(Instant::now());
            }
            Load::Answered => {
                let took = since.elapsed();
                let quickest = self.quickest.map_or(took, |quickest| quickest.min(took));
                self.quickest = Some(quickest);
                let quick = took <= quickest * QUICK_TIMES + QUICK_SLACK;
                // A limit that nobody touches says nothing about what the host can take.
                if quick && taken + 1.0 > self.limit {
                    let most = f64::from(u32::try_from(most).unwrap_or(u32::MAX));
                    self.limit = (self.limit + 1.0 / self.limit).min(most);
                }
            }
            Load::Overloaded | Load::Throttled | Load::Unknown => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    const A: &str = "a.example";
    const B: &str = "b.example";

    fn of(mount: u64) -> Turn {
        Turn::of(mount, 0, None)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    fn limit(gate: &Gate, host: &str) -> f64 {
        gate.lock().hosts[host].limit
    }

    #[tokio::test(start_paused = true)]
    async fn the_operators_limit_holds_over_all_hosts() {
        let gate = Gate::new(2);
        let (first, _second) = (gate.place(A, of(1)).unwrap(), gate.place(B, of(1)).unwrap());
        let queued = gate.place(B, of(2)).unwrap_err();
        assert!(gate.place(A, of(2)).unwrap_err().until(soon()).await.is_none());
        let late = gate.place("c.example", of(3)).unwrap_err();
        drop(first);
        let place = queued.until(soon()).await.unwrap();
        assert_eq!(&*place.host, B);
        assert_eq!(gate.lock().taken, 2);
        assert!(late.until(soon()).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn mounts_take_turns() {
        let gate = Gate::new(1);
        let held = gate.place(A, of(0)).unwrap();
        let has = gate.place(A, Turn::of(1, 0, Some(Instant::now()))).unwrap_err();
        let many = (0..100).map(|call| gate.place(A, Turn::of(2, call, None)).unwrap_err());
        let mut many: VecDeque<_> = many.collect();
        let one = gate.place(A, of(3)).unwrap_err();
        drop(held);
        // A few calls of the mount that came first, then the next mount, whole.
        for _ in 0..8 {
            drop(many.pop_front().unwrap().until(soon()).await.unwrap());
        }
        drop(one.until(soon()).await.unwrap());
        // Who has something already waits for all who have not.
        for call in many {
            drop(call.until(soon()).await.unwrap());
        }
        drop(has.until(soon()).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_take_turns() {
        let gate = Gate::new(4);
        let mut held: Vec<_> = (0..4).map(|_| gate.place(A, of(0)).unwrap()).collect();
        let mut many: VecDeque<_> = (0..400).map(|_| gate.place(A, of(1)).unwrap_err()).collect();
        for one in [2, 3].map(|mount| gate.place(B, of(mount)).unwrap_err()) {
            held.pop();
            held.push(many.pop_front().unwrap().until(Instant::now()).await.unwrap());
            held.pop();
            held.push(one.until(Instant::now()).await.unwrap());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_without_room_keeps_its_turn() {
        let gate = Gate::new(2);
        gate.place(A, of(0)).unwrap().told(Load::Overloaded);
        let (a, b) = (gate.place(A, of(0)).unwrap(), gate.place(B, of(0)).unwrap());
        let [at_a, at_c, at_b] =
            [A, "c.example", B].map(|host| gate.place(host, of(1)).unwrap_err());
        drop(b);
        let c = at_c.until(Instant::now()).await.unwrap();
        drop(a);
        let a = at_a.until(Instant::now()).await.unwrap();
        assert!(at_b.until(Instant::now()).await.is_none());
        drop((a, c));
    }

    #[tokio::test(start_paused = true)]
    async fn awaited_tells_the_operators_limit_a_hosts_and_throttling_apart() {
        let gate = Gate::new(2);
        let first = gate.place(A, of(0)).unwrap();
        let second = gate.place(B, of(1)).unwrap();
        assert_eq!(gate.awaited(A), Cause::NoPlace(Full::Service(2)));
        second.told(Load::Overloaded);
        let again = gate.place(B, of(2)).unwrap();
        drop(first);
        assert_eq!(gate.awaited(B), Cause::NoPlace(Full::Host(1)));
        drop(again);
        assert_ne!(gate.awaited(A), Cause::Throttled, "it never throttled");
        gate.place(A, of(3)).unwrap().told(Load::Throttled);
        assert_eq!(gate.awaited(A), Cause::Throttled);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_cannot_be_reached_leaves_its_places_to_others() {
        let late = Load::of(Cause::Broken(Broken::Connection(ConnectionError::TimedOut)));
        assert_eq!(late, Load::Overloaded);
        assert_eq!(
            Load::of(Cause::Broken(Broken::Connection(ConnectionError::Refused))),
            Load::Unknown
        );
        let gate = Gate::new(16);
        for _ in 0..4 {
            let all: Vec<_> = (0..).map_while(|turn| gate.place(A, of(turn)).ok()).collect();
            advance(Duration::from_secs(5)).await;
            all.into_iter().for_each(|place| place.told(late));
        }
        assert_eq!(limit(&gate, A), 1.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_throttles_is_asked_slower_and_then_faster_again() {
        let gate = Gate::new(16);
        // Ten seconds at 50 calls a second, then the quota is used up.
        for _ in 0..500 {
            advance(Duration::from_millis(20)).await;
            gate.place(A, of(0)).unwrap().told(Load::Answered);
        }
        gate.place(A, of(0)).unwrap().told(Load::Throttled);
        let calls_in = async |seconds: u64| {
            let (mut calls, until) = (0, Instant::now() + Duration::from_secs(seconds));
            while Instant::now() < until {
                let place = match gate.place(A, of(1)) {
                    Ok(place) => place,
                    Err(queued) => match queued.until(until).await {
                        Some(place) => place,
                        None => break,
                    },
                };
                place.told(Load::Answered);
                calls += 1;
            }
            calls / seconds
        };
        let after = calls_in(10).await;
        assert!((10..40).contains(&after), "{after}");
        calls_in(300).await;
        assert!(calls_in(1).await > 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refresh_leaves_a_host_that_throttles_to_those_who_have_nothing() {
        let gate = Gate::new(16);
        gate.place(A, of(0)).unwrap().told(Load::Throttled);
        let begun = Instant::now();
        let refresh = gate.place(A, Turn::of(1, 0, Some(begun))).unwrap_err();
        // One that has given up holds nobody back, and hurries nobody on.
        drop(gate.place(A, of(2)).unwrap_err());
        let new = gate.place(A, of(3)).unwrap_err();
        // The slowest that a node of few calls is set to at once is one in 1.02 to 3.07 s.
        new.until(begun + Duration::from_millis(3100)).await.unwrap().told(Load::Answered);
        let since = Instant::now();
        refresh.until(since + Duration::from_secs(10)).await.unwrap().told(Load::Answered);
        assert!(since.elapsed() > Duration::from_secs(3), "{:?}", since.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_stays_behind_to_look_again() {
        let gate = Gate::new(16);
        gate.place(A, of(0)).unwrap().told(Load::Throttled);
        let has = Some(Instant::now());
        for mount in 0..200 {
            let _refresh = gate.place(A, Turn::of(mount, 0, has));
            if let Err(new) = gate.place(A, of(mount)) {
                new.until(soon()).await.unwrap().told(Load::Answered);
            }
        }
        // Some sleep on to the time of a refresh that had to look later; one for each mount, if they
        // stayed.
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        assert!(tasks < 50, "{tasks}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_waiting_keeps_no_place() {
        let gate = Gate::new(1);
        let held = gate.place(A, of(0)).unwrap();
        let gone = gate.place(A, of(1)).unwrap_err();
        let waits = gate.place(A, of(2)).unwrap_err();
        drop(gone);
        drop(held);
        drop(waits.until(soon()).await.unwrap());
        // A place that was given, and not taken, comes back.
        let held = gate.place(A, of(0)).unwrap();
        let given = gate.place(A, of(1)).unwrap_err();
        drop(held);
        drop(given);
        assert_eq!(gate.lock().taken, 0);
        assert!(gate.place(A, of(3)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_halves_under_overload_and_grows_while_the_host_is_quick() {
        let gate = Gate::new(16);
        let all: Vec<_> = (0..16).map(|turn| gate.place(A, of(turn)).unwrap()).collect();
        advance(Duration::from_millis(20)).await;
        // All of them saw the same overload.
        all.into_iter().for_each(|place| place.told(Load::Overloaded));
        assert_eq!(limit(&gate, A), 8.0);
        assert!(gate.place(B, of(0)).is_ok(), "another host is not to blame");
        let round = async |took: u64| {
            let places: Vec<_> = (0..).map_while(|turn| gate.place(A, of(turn)).ok()).collect();
            sleep(Duration::from_millis(took)).await;
            let count = places.len();
            places.into_iter().for_each(|place| place.told(Load::Answered));
            count
        };
        assert_eq!(round(20).await, 8);
        let grown = limit(&gate, A);
        assert!(grown > 8.0, "{grown}");
        // Slow answers do not raise it.
        round(500).await;
        assert_eq!(limit(&gate, A), grown);
        for _ in 0..100 {
            round(20).await;
        }
        assert_eq!(limit(&gate, A), 16.0);
        for _ in 0..10 {
            gate.place(A, of(0)).unwrap().told(Load::Overloaded);
        }
        assert_eq!(limit(&gate, A), 1.0, "one call always may");
    }
}
