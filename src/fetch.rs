//! Step 4: every object's value, from memory or else from the cloud, where each is asked for once
//! however many mounts wait for it. All or nothing: the caller gets every value or every failure.

mod advice;
mod call;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::future::join_all;
use tokio::time::Instant;

use crate::{
    cloud::{Cause, Cloud, Failure, gate::Turn, kms::Value},
    credentials::{Keyed, LoginKey, NoSession, Sessions},
    error::{Class, Error, Errors},
    flight::{Flights, Waited, lock},
    identity::Identity,
    names::RoleArn,
    request::{
        Mount,
        objects::{Object, Source},
    },
    values::{Key, Values},
};
use call::{Batching, Caller, Flight, plans};

/// What the cloud holds for one object; `None` for an optional one that does not exist.
pub type Fetched = Option<Arc<Value>>;

/// How the read of one object ended; memory may know that there is none without an error.
#[derive(Debug)]
pub struct ReadEnd {
    pub origin: Origin,
    pub value: Fetched,
    /// It does not exist, which an optional object is forgiven for.
    pub missing: bool,
    /// The cloud said no, and did not only fail to answer.
    pub refused: bool,
    /// It was asked for with a session of the mount's own login.
    pub asked: bool,
    /// Also why there is only a last value.
    pub error: Option<Error>,
}

impl ReadEnd {
    /// Whether the object is there, or may be left out.
    fn serves(&self, object: &Object) -> bool {
        self.error.is_none() || self.stands_in() || self.missing && object.optional
    }

    fn stands_in(&self) -> bool {
        matches!(self.origin, Origin::Grace(_))
    }

    fn failed(error: Error, refused: bool) -> Self {
        let (origin, value) = (Origin::Cloud, None);
        Self { origin, value, missing: false, refused, asked: false, error: Some(error) }
    }

    fn from_memory(value: Fetched) -> Self {
        let missing = value.is_none();
        let (origin, refused) = (Origin::Memory, false);
        Self { origin, value, missing, refused, asked: false, error: None }
    }

    /// `own`: read by the mount's own login.
    fn of(
        origin: Origin,
        outcome: &Outcome,
        own: bool,
        error: impl FnOnce(&Missed) -> Error,
    ) -> Self {
        match outcome {
            Ok(value) => {
                let (value, missing, refused) = (Some(value.clone()), false, false);
                Self { origin, value, missing, refused, asked: own, error: None }
            }
            Err(missed) => Self {
                origin,
                value: None,
                missing: missed.is_missing(),
                refused: missed.is_refusal(),
                asked: own && matches!(missed, Missed::Failed(_)),
                error: Some(error(missed)),
            },
        }
    }
}

/// What all mounts fetch with.
#[derive(Debug)]
pub struct Fetcher {
    shared: Arc<Shared>,
    mounts: AtomicU64,
    /// When a login last had all it asked the cloud for: its pods can wait for those that have
    /// nothing yet.
    answered: Mutex<HashMap<LoginKey, Instant>>,
    /// The clamped intervals that were logged.
    clamped: Mutex<HashSet<(LoginKey, Duration)>>,
}

/// How long the cloud is waited for where last values stand ready.
const GRACE_PATIENCE: Duration = Duration::from_secs(10);
/// For how long that is remembered; several times the longest interval in use.
const ANSWERED_FOR: Duration = Duration::from_secs(2 * 3600);
const MOST_ANSWERED: usize = 4096;
const MOST_CLAMPED: usize = 4096;
const TASK_CALLS: usize = 8;

/// What a call needs: it may outlive the mount that began it, where others wait for it too.
#[derive(Debug)]
struct Shared {
    cloud: Arc<Cloud>,
    sessions: Sessions,
    values: Arc<Values>,
    flights: Arc<Flights<Key, Outcome>>,
    batching: Batching,
}

type Outcome = Result<Arc<Value>, Missed>;

impl Fetcher {
    /// `kms_batch`: try to read several secrets with one call.
    pub fn new(
        cloud: Arc<Cloud>,
        sessions: Sessions,
        values: Arc<Values>,
        kms_batch: bool,
    ) -> Self {
        let (flights, batching) = (Arc::default(), Batching::new(kms_batch));
        let shared = Shared { cloud, sessions, values, flights, batching };
        let (mounts, answered, clamped) = (AtomicU64::new(0), Mutex::default(), Mutex::default());
        Self { shared: Arc::new(shared), mounts, answered, clamped }
    }

    /// Wipes what is over: sessions, and values that no mount can believe any more.
    pub fn sweep(&self) {
        self.shared.sessions.sweep();
        self.shared.values.sweep();
        lock(&self.answered).retain(|_, at| at.elapsed() < ANSWERED_FOR);
    }

    /// How the read of each of the mount's objects ended, in their order; or why none was made.
    pub async fn fetch(
        &self,
        identity: &Identity,
        mount: &Mount,
        interval: Duration,
        deadline: Instant,
    ) -> Result<Vec<ReadEnd>, Error> {
        let objects = &*mount.objects;
        let Shared { sessions, values, .. } = &*self.shared;
        let (own, logins) = (&identity.login, logins(identity, objects));
        let reads = logins.iter().zip(objects);
        let keys: Vec<Key> = reads.map(|(login, object)| Key::new(login, &object.read)).collect();
        if let Some(kept) = values.all(own.key(), &keys, interval)
            // What is missing may be left out of this mount, or not.
            && kept.iter().zip(objects).all(|(kept, object)| kept.is_some() || object.optional)
        {
            return Ok(kept.into_iter().map(ReadEnd::from_memory).collect());
        }
        self.log_clamped(mount, *own.key(), interval);
        // One login, told once if it fails, before many calls that need it.
        let own_values = values.outlast(&keys, false);
        let deadline = if own_values { patient(deadline) } else { deadline };
        let own_reads = objects.iter().any(|object| object.read.cross_account_role.is_none());
        if own_reads
            && let Err(NoSession { error, refusal, .. }) = sessions.prove(own, deadline).await
        {
            if refusal {
                keys.iter().for_each(|key| values.drop_one(key));
            }
            let error = identity.mended(*error);
            let failed = |_| ReadEnd::failed(error.clone(), refusal);
            let mut ends: Vec<ReadEnd> = objects.iter().map(failed).collect();
            return match self.fall_back(objects, &keys, &mut ends) {
                true => Ok(ends),
                false => Err(error),
            };
        }
        let deadline = match !own_values && values.outlast(&keys, true) {
            true => patient(deadline),
            false => deadline,
        };
        let outcomes = self.read(own, logins, objects, &keys, interval, deadline).await;
        let denied = outcomes.values().filter(|(_, outcome)| is_denied(outcome)).count();
        let ends = objects.iter().zip(&keys).map(|(object, key)| match outcomes.get(key) {
            Some((origin, outcome)) => {
                let own = object.read.cross_account_role.is_none();
                let error = |missed: &Missed| missed.error(object, identity, denied == 1);
                ReadEnd::of(*origin, outcome, own, error)
            }
            None => ReadEnd::failed(Error::new(Class::Internal, "it was not asked for"), false),
        });
        let mut ends: Vec<ReadEnd> = ends.collect();
        if objects.iter().zip(&ends).all(|(object, end)| end.serves(object)) {
            self.answered(*own.key());
        } else if !self.fall_back(objects, &keys, &mut ends) {
            let got = |key: &&Key| matches!(outcomes.get(*key), Some((_, Ok(_))));
            values.leave(keys.iter().filter(got));
        }
        Ok(ends)
    }

    /// In an outage, and where the operator wants it: what was last read stands in for what cannot be
    /// read, if that makes the mount whole. A refusal of any object stands.
    fn fall_back(&self, objects: &[Object], keys: &[Key], ends: &mut [ReadEnd]) -> bool {
        let mut last = Vec::new();
        for (at, ((object, key), end)) in objects.iter().zip(keys).zip(&*ends).enumerate() {
            let Some(error) = end.error.clone().filter(|_| !end.serves(object)) else { continue };
            if end.refused {
                return false;
            }
            let last_value = self.shared.values.last(key, end.asked);
            let Some((value, age)) = last_value else { return false };
            let missing = value.is_none();
            if missing && !object.optional {
                return false;
            }
            let error = Some(error);
            let (origin, refused, asked) = (Origin::Grace(age), false, end.asked);
            last.push((at, ReadEnd { origin, value, missing, refused, asked, error }));
        }
        for (at, end) in last {
            if let Some(place) = ends.get_mut(at) {
                *place = end;
            }
        }
        true
    }

    /// Once for each login, or every mount of a pod would log it, also those that fail.
    fn log_clamped(&self, mount: &Mount, login: LoginKey, interval: Duration) {
        let Some(asked) = mount.refresh.filter(|asked| *asked != interval) else { return };
        let mut clamped = lock(&self.clamped);
        if clamped.len() >= MOST_CLAMPED {
            clamped.clear();
        }
        if clamped.insert((login, asked)) {
            tracing::info!(
                namespace = mount.pod.namespace,
                pod = mount.pod.name,
                refresh_interval_s = asked.as_secs(),
                used_s = interval.as_secs(),
                "refreshInterval is clamped"
            );
        }
    }

    fn answered(&self, login: LoginKey) {
        let mut answered = lock(&self.answered);
        if answered.len() >= MOST_ANSWERED {
            answered.clear();
        }
        answered.insert(login, Instant::now());
    }

    /// Joins the reads that are under way, makes the others, and waits for all of them. A read that
    /// ended because the time of whoever began it was up is begun again.
    async fn read(
        &self,
        own: &Keyed,
        logins: Vec<Keyed>,
        objects: &[Object],
        keys: &[Key],
        interval: Duration,
        deadline: Instant,
    ) -> HashMap<Key, (Origin, Outcome)> {
        let mut seen = HashSet::new();
        let mut outcomes = HashMap::new();
        let mut open = Vec::new();
        for ((object, login), key) in objects.iter().zip(logins).zip(keys) {
            if !seen.insert(*key) {
                continue;
            }
            match self.shared.values.left(key, interval) {
                Some(Some(left)) => drop(outcomes.insert(*key, (Origin::Memory, Ok(left)))),
                _ => open.push((*key, &object.read, login)),
            }
        }
        let mount = self.mounts.fetch_add(1, Relaxed);
        let has = lock(&self.answered).get(own.key()).copied();
        while !open.is_empty() {
            let (mut waits, mut ours) = (Vec::new(), Vec::new());
            for (key, read, login) in open {
                let (running, pilot) = self.shared.flights.board(key);
                let joined = pilot.is_none();
                if let Some(pilot) = pilot {
                    ours.push(Flight { read: read.clone(), login: login.clone(), pilot });
                }
                waits.push((key, read, login, joined, running));
            }
            let plans = plans(ours, &self.shared.batching).into_iter().enumerate();
            let mut calls = plans.map(|(call, plan)| {
                let (shared, deadline) = (self.shared.clone(), call::ends(deadline));
                let turn = Turn::of(mount, call, has);
                Caller { shared, turn, interval, deadline }.run(plan)
            });
            // A task of its own for each would cost more than the call's own steps, and one for all
            // looks at all of them whenever one is answered.
            while let Some(first) = calls.next() {
                let few = [first].into_iter().chain(calls.by_ref().take(TASK_CALLS - 1));
                tokio::spawn(join_all(few.collect::<Vec<_>>()));
            }
            open = Vec::new();
            // One after another: the calls go on by themselves, and all waits end at one time.
            for (key, read, login, joined, running) in waits {
                let outcome = match running.until(deadline).await {
                    Waited::Landed(outcome) | Waited::OutOfTime(Some(outcome)) => outcome,
                    Waited::OutOfTime(None) => {
                        let (api, endpoint) = (call::api(read), &read.endpoint);
                        Err(Missed::Failed(Failure::new(api, endpoint, Cause::TimedOut)))
                    }
                    Waited::Lost => {
                        let error = Error::new(Class::Internal, "the call failed inside");
                        Err(Missed::Lost(error))
                    }
                };
                let late = outcome.as_ref().is_err_and(Missed::is_late);
                if joined && late && Instant::now() < call::ends(deadline) {
                    open.push((key, read, login));
                } else {
                    outcomes.insert(key, (Origin::Cloud, outcome));
                }
            }
        }
        outcomes
    }
}

/// Some of the mount's time is left for what comes after the last values.
fn patient(deadline: Instant) -> Instant {
    let now = Instant::now();
    let left = deadline.saturating_duration_since(now);
    now + GRACE_PATIENCE.min(left * 4 / 5)
}

/// Who reads each of the objects: the mount's own login, or one for each role of another account.
fn logins(identity: &Identity, objects: &[Object]) -> Vec<Keyed> {
    let mut others: HashMap<&RoleArn, Keyed> = HashMap::new();
    let roles = objects.iter().map(|object| object.read.cross_account_role.as_ref());
    let logins = roles.map(|role| match role {
        None => identity.login.clone(),
        Some(role) => others.entry(role).or_insert_with(|| identity.led_on_to(role)).clone(),
    });
    logins.collect()
}

/// The values, if every object has one or may be left out; else all that failed.
pub fn whole(objects: &[Object], ends: &[ReadEnd]) -> Result<Vec<Fetched>, Errors> {
    let failed = objects.iter().zip(ends).filter(|(object, end)| !end.serves(object));
    let failed = failed.filter_map(|(_, end)| end.error.clone());
    let values = || ends.iter().map(|end| end.value.clone()).collect();
    Errors::of(failed.collect()).map_or_else(|| Ok(values()), Err)
}

/// Where a mount's values came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Cloud,
    Memory,
    /// Memory too, since the cloud did not answer; with the value's age.
    Grace(Duration),
}

impl Origin {
    pub fn name(self) -> &'static str {
        match self {
            Origin::Cloud => "cloud",
            Origin::Memory => "memory",
            Origin::Grace(_) => "grace",
        }
    }

    /// Of a mount as a whole: one value that stands in for a fresh one makes it such a mount, one
    /// that was asked for makes it one of the cloud.
    pub fn of(ends: &[ReadEnd]) -> Option<Self> {
        let origins = || ends.iter().map(|end| end.origin);
        let grace = origins().find(|origin| matches!(origin, Origin::Grace(_)));
        grace.or_else(|| origins().find(|origin| *origin == Origin::Cloud)).or(origins().next())
    }
}

/// Why a read gave no value.
#[derive(Clone, Debug)]
enum Missed {
    Failed(Failure),
    /// There was no session to ask with.
    NoSession(NoSession),
    /// By a fault of ours.
    Lost(Error),
}

impl Missed {
    /// Whether it does not exist: what `optional` forgives.
    fn is_missing(&self) -> bool {
        matches!(self, Missed::Failed(failure) if failure.cause.is_missing())
    }

    fn is_refusal(&self) -> bool {
        match self {
            Missed::Failed(failure) => failure.cause.is_refusal(),
            Missed::NoSession(failed) => failed.refusal,
            Missed::Lost(_) => false,
        }
    }

    /// Whether only the time of whoever asked was up.
    fn is_late(&self) -> bool {
        match self {
            Missed::Failed(failure) => failure.late,
            Missed::NoSession(failed) => failed.late,
            Missed::Lost(_) => false,
        }
    }

    /// KMS has one code for a secret and for a version of it that do not exist. Where a version was
    /// asked for, it is not certain that the secret is what is missing.
    fn of_version(mut self, source: &Source) -> Self {
        if let Missed::Failed(failure) = &mut self
            && failure.cause == Cause::NotFound
            && advice::version(source).is_some()
        {
            failure.cause = Cause::NoVersion;
        }
        self
    }

    /// `alone`: no other object of the mount was denied.
    fn error(&self, object: &Object, identity: &Identity, alone: bool) -> Error {
        match self {
            Missed::Lost(error) => error.clone().about(&object.label),
            Missed::NoSession(NoSession { error, .. }) => {
                let error = match object.read.cross_account_role {
                    None => identity.mended(Error::clone(error)),
                    Some(_) => Error::clone(error),
                };
                let about = match &*error.subject {
                    "" => object.label.clone(),
                    subject => format!("{}, {subject}", object.label),
                };
                error.about(about)
            }
            Missed::Failed(failure) => {
                let fix = advice::fix(failure.cause, object, identity, alone);
                failure.error(&object.label, fix)
            }
        }
    }
}

fn is_denied(outcome: &Outcome) -> bool {
    matches!(outcome, Err(Missed::Failed(failure)) if failure.cause == Cause::Denied)
}

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        Missed::Failed(failure)
    }
}
