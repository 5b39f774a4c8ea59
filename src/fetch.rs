//! Step 4: every object's value, from the cache or else from the cloud, where each is read once however
//! many mounts wait for it. All or nothing: the caller gets every value or every failure.

mod advice;
mod call;
mod outcome;
mod stale;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::future::join_all;
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    cloud::{
        Cause, Cloud, Failure,
        limiter::{LimiterState, Priority},
    },
    credentials::{NoSession, Sessions},
    error::{Error, Reason},
    fair_cache::FairCache,
    identity::Identity,
    login::{KeyedLogin, LoginKey},
    names::RoleArn,
    request::Mount,
    singleflight::{Group, Waited, Waiter},
    spc::{objects::Object, read::Read},
    sync::lock,
    telemetry,
    value_cache::{Key, Stale, ValueCache},
};
pub use outcome::{Origin, ReadOutcome, require_all};

use call::{Batching, Caller, PendingRead, plans};
use outcome::{Outcome, ReadError, is_denied};
use stale::refreshed_by;

/// What all mounts fetch with.
#[derive(Debug)]
pub struct Fetcher {
    shared: Arc<Shared>,
    mounts: AtomicU64,
    /// When a login last had all it asked the cloud for: its pods can wait for those that have
    /// nothing yet.
    answered: Mutex<FairCache<(), LoginKey, Instant>>,
    /// The clamped intervals that were logged.
    clamped: Mutex<FairCache<(), (LoginKey, Duration), ()>>,
}

/// What a fetcher can be asked about itself.
#[derive(Debug, Serialize)]
pub struct FetchState {
    pub limiters: BTreeMap<&'static str, LimiterState>,
    pub sessions: usize,
    pub reads_in_flight: usize,
    pub cached_values: usize,
    /// Encrypted, with what is kept beside each.
    pub cached_bytes: usize,
}

/// How long the cloud is waited for where last values stand ready.
const GRACE_PATIENCE: Duration = Duration::from_secs(10);
/// For how long that is remembered; several times the longest interval in use.
const ANSWERED_FOR: Duration = Duration::from_secs(2 * 3600);
const MOST_ANSWERED: usize = 4096;
const MOST_CLAMPED: usize = 4096;
const TASK_CALLS: usize = 8;
/// Objects of a mount whose reads go on without it.
const FEW: usize = 16;

/// What a call needs: it may outlive the mount that began it, where others wait for it too.
#[derive(Debug)]
struct Shared {
    cloud: Arc<Cloud>,
    sessions: Sessions,
    values: Arc<ValueCache>,
    in_flight: Arc<Group<Key, Outcome>>,
    batching: Batching,
}

impl Fetcher {
    /// `kms_batch`: try to read several secrets with one call.
    pub fn new(
        cloud: Arc<Cloud>,
        sessions: Sessions,
        values: Arc<ValueCache>,
        kms_batch: bool,
    ) -> Self {
        let (in_flight, batching) = (Arc::default(), Batching::new(kms_batch));
        let shared = Shared { cloud, sessions, values, in_flight, batching };
        Self {
            shared: Arc::new(shared),
            mounts: AtomicU64::new(0),
            answered: Mutex::new(FairCache::new(MOST_ANSWERED)),
            clamped: Mutex::new(FairCache::new(MOST_CLAMPED)),
        }
    }

    /// What can be shown of it without a name or a value.
    pub fn state(&self) -> FetchState {
        let Shared { cloud, sessions, values, in_flight, .. } = &*self.shared;
        let (cached_values, cached_bytes) = values.size();
        FetchState {
            limiters: cloud.limiters(),
            sessions: sessions.count(),
            reads_in_flight: in_flight.count(),
            cached_values,
            cached_bytes,
        }
    }

    /// Wipes what is over: sessions, and values that no mount can believe any more.
    pub fn sweep(&self) {
        self.shared.sessions.sweep();
        self.shared.values.sweep();
        lock(&self.answered).remove_if(|at| at.elapsed() >= ANSWERED_FOR);
    }

    /// Whether a value of each object is kept, however old: what a mount may be served, whatever the
    /// cloud does.
    pub fn keeps(&self, identity: &Identity, objects: &[Object]) -> bool {
        let logins = logins(identity, objects);
        let keys = logins.iter().zip(objects).map(|(login, object)| Key::new(login, &object.read));
        self.shared.values.oldest(&keys.collect::<Vec<_>>()).is_some()
    }

    /// How the read of each of the mount's objects ended, in their order; or why none was made.
    pub async fn fetch(
        &self,
        identity: &Identity,
        mount: &Mount,
        interval: Duration,
        deadline: Instant,
    ) -> Result<Vec<ReadOutcome>, Error> {
        let objects = &*mount.spec.objects;
        let Shared { sessions, values, .. } = &*self.shared;
        let (own, logins) = (&identity.login, logins(identity, objects));
        let reads = logins.iter().zip(objects);
        let keys: Vec<Key> = reads.map(|(login, object)| Key::new(login, &object.read)).collect();
        if let Some(kept) = values.get_fresh(&keys, interval)
            // What is missing may be left out of this mount, or not.
            && kept.iter().zip(objects).all(|(kept, object)| kept.is_some() || object.optional)
        {
            return Ok(kept.into_iter().map(ReadOutcome::from_memory).collect());
        }
        self.log_clamped(mount, *own.key(), interval);
        let mount = self.mounts.fetch_add(1, Relaxed);
        let answered = || lock(&self.answered).peek(&(), own.key()).copied();
        let has = values.oldest(&keys).or_else(answered);
        let reads = Reads { objects, keys: &keys, logins, interval };
        let stale = !interval.is_zero() && values.can_serve_stale(&keys, false, Stale::Throttled);
        if stale && self.is_throttled(own, &reads) {
            let mut open = reads.open();
            open.retain(|(key, ..)| !values.is_fresh(key, interval));
            drop(self.begin(open, (mount, has), interval, refreshed_by()));
            if let Some(ends) = self.while_throttled(identity, &reads, false) {
                return Ok(ends);
            }
        }
        // One login, whose failure is reported once, before many calls that need it.
        let own_values = values.can_serve_stale(&keys, false, Stale::Unanswered);
        let deadline = if own_values { patient(deadline) } else { deadline };
        let own_reads = objects.iter().any(|object| object.read.cross_account_role.is_none());
        if own_reads
            && let Err(NoSession { error, refusal, throttled, late }) =
                sessions.credentials(own, Priority::of(mount, 0, has), deadline).await
        {
            if late && throttled && objects.len() <= FEW {
                // They wait for the session too, and kubelet finds what they brought when it comes back.
                let until = Instant::now() + call::THROTTLED_LIMIT;
                drop(self.begin(reads.open(), (mount, has), interval, until));
            }
            if refusal {
                keys.iter().for_each(|key| values.remove(key));
            }
            let error = identity.with_hint(*error);
            let failed =
                |_| ReadOutcome { throttled, ..ReadOutcome::failed(error.clone(), refusal) };
            let mut ends: Vec<ReadOutcome> = objects.iter().map(failed).collect();
            return match self.fall_back(objects, &keys, &mut ends, false) {
                true => Ok(ends),
                false => Err(error),
            };
        }
        let deadline = match !own_values && values.can_serve_stale(&keys, true, Stale::Unanswered) {
            true => patient(deadline),
            false => deadline,
        };
        // STS took this login: what the pod read with an earlier token is its own.
        let proved = sessions.hold(own);
        let stale = !interval.is_zero() && values.can_serve_stale(&keys, proved, Stale::Throttled);
        let read = self.read((mount, has), &reads, deadline);
        let outcomes = if stale {
            tokio::select! {
                outcomes = read => outcomes,
                // The calls go on by themselves, and bring what the next mount gets.
                ends = self.once_throttled(identity, &reads, proved) => return Ok(ends),
            }
        } else {
            read.await
        };
        let denied = outcomes.values().filter(|(_, outcome)| is_denied(outcome)).count();
        let ends = objects.iter().zip(&keys).map(|(object, key)| match outcomes.get(key) {
            Some((origin, outcome)) => {
                let own = object.read.cross_account_role.is_none();
                let error = |failed: &ReadError| failed.error(object, identity, denied == 1);
                ReadOutcome::of(*origin, outcome, own, error)
            }
            None => ReadOutcome::failed(Error::new(Reason::Fault, "it was not asked for"), false),
        });
        let mut ends: Vec<ReadOutcome> = ends.collect();
        if objects.iter().zip(&ends).all(|(object, end)| end.serves(object)) {
            self.answered(*own.key());
        } else if !self.fall_back(objects, &keys, &mut ends, sessions.hold(own)) {
            let got = |key: &&Key| matches!(outcomes.get(*key), Some((_, Ok(_))));
            values.mark_partial(keys.iter().filter(got));
        }
        Ok(ends)
    }

    /// Once for each login, or every mount of a pod would log it, also those that fail.
    fn log_clamped(&self, mount: &Mount, login: LoginKey, interval: Duration) {
        let Some(asked) = mount.spec.refresh.filter(|asked| *asked != interval) else { return };
        let mut clamped = lock(&self.clamped);
        if clamped.get(&(), &(login, asked)).is_none() {
            clamped.insert((), (login, asked), (), 1);
            tracing::info!(
                refresh_interval_s = asked.as_secs(),
                used_s = interval.as_secs(),
                "refreshInterval is clamped"
            );
        }
    }

    fn answered(&self, login: LoginKey) {
        lock(&self.answered).insert((), login, Instant::now(), 1);
    }

    /// Joins the reads in flight, starts the others, and waits for all of them. A joined read that ended with
    /// its leader's deadline is started again.
    async fn read(
        &self,
        turn: (u64, Option<Instant>),
        reads: &Reads<'_>,
        deadline: Instant,
    ) -> HashMap<Key, (Origin, Outcome)> {
        let mut outcomes = HashMap::new();
        let mut open = reads.open();
        open.retain(|(key, ..)| match self.shared.values.get_partial(key, reads.interval) {
            Some(Some(left)) => {
                outcomes.insert(*key, (Origin::Memory, Ok(left)));
                false
            }
            _ => true,
        });
        while !open.is_empty() {
            let waits = self.begin(std::mem::take(&mut open), turn, reads.interval, deadline);
            // One after another: the calls go on by themselves, and all waits end at one time.
            for Wait { key, read, login, joined, waiter } in waits {
                let outcome = match waiter.until(deadline).await {
                    Waited::Completed(outcome) | Waited::TimedOut(Some(outcome)) => outcome,
                    Waited::TimedOut(None) => {
                        let (api, endpoint) = (read.source.facts().api(), &read.endpoint);
                        Err(ReadError::Failed(Failure::new(api, endpoint, Cause::TimedOut)))
                    }
                    Waited::Lost => {
                        let error = Error::new(Reason::Fault, "the call failed inside");
                        Err(ReadError::Lost(error))
                    }
                };
                let late = outcome.as_ref().is_err_and(ReadError::is_late);
                if joined && late && Instant::now() < call::ends(deadline) {
                    open.push((key, read, login));
                } else {
                    outcomes.insert(key, (Origin::Cloud, outcome));
                }
            }
        }
        outcomes
    }

    /// Makes those calls that are not under way, each in a task of its own.
    fn begin(
        &self,
        open: Vec<Open>,
        (mount, has): (u64, Option<Instant>),
        interval: Duration,
        deadline: Instant,
    ) -> Vec<Wait> {
        let (mut waits, mut ours) = (Vec::new(), Vec::new());
        for (key, read, login) in open {
            let (waiter, leader) = self.shared.in_flight.join(key);
            let joined = leader.is_none();
            if let Some(leader) = leader {
                ours.push(PendingRead { read: read.clone(), login: login.clone(), leader });
            }
            waits.push(Wait { key, read, login, joined, waiter });
        }
        let plans = plans(ours, &self.shared.batching).into_iter().enumerate();
        let mut calls = plans.map(|(call, plan)| {
            let (shared, deadline) = (self.shared.clone(), call::ends(deadline));
            let priority = Priority::of(mount, call, has);
            Caller { shared, priority, interval, deadline }.run(plan)
        });
        // A task of its own for each would cost more than the call's own steps, and one for all
        // looks at all of them whenever one is answered.
        while let Some(first) = calls.next() {
            let few = [first].into_iter().chain(calls.by_ref().take(TASK_CALLS - 1));
            telemetry::spawn(join_all(few.collect::<Vec<_>>()));
        }
        waits
    }
}

/// What a mount has to read, and as whom.
struct Reads<'a> {
    objects: &'a [Object],
    keys: &'a [Key],
    logins: Vec<KeyedLogin>,
    interval: Duration,
}

/// A read that is to be made.
type Open = (Key, Arc<Read>, KeyedLogin);

/// A read that is waited for.
struct Wait {
    key: Key,
    read: Arc<Read>,
    login: KeyedLogin,
    joined: bool,
    waiter: Waiter<Outcome>,
}

impl Reads<'_> {
    /// Each once.
    fn open(&self) -> Vec<Open> {
        let mut seen = HashSet::new();
        let reads = self.objects.iter().zip(&self.logins).zip(self.keys);
        reads
            .filter(|(_, key)| seen.insert(**key))
            .map(|((object, login), key)| (*key, object.read.clone(), login.clone()))
            .collect()
    }
}

/// Some of the mount's time is left for what comes after the last values.
fn patient(deadline: Instant) -> Instant {
    let now = Instant::now();
    let left = deadline.saturating_duration_since(now);
    now + GRACE_PATIENCE.min(left * 4 / 5)
}

/// Who reads each of the objects: the mount's own login, or one for each role of another account.
fn logins(identity: &Identity, objects: &[Object]) -> Vec<KeyedLogin> {
    let mut others: HashMap<&RoleArn, KeyedLogin> = HashMap::new();
    let roles = objects.iter().map(|object| object.read.cross_account_role.as_ref());
    let logins = roles.map(|role| match role {
        None => identity.login.clone(),
        Some(role) => others.entry(role).or_insert_with(|| identity.assume_role(role)).clone(),
    });
    logins.collect()
}

#[cfg(test)]
mod tests;
