//! Step 4: every object's value, from memory or else from the cloud, where each is asked for once
//! however many mounts wait for it. All or nothing: the caller gets every value or every failure.

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
    credentials::{Keyed, LoginKey, Sessions},
    error::{Class, Error, Errors},
    flight::{Flights, Waited, lock},
    identity::Identity,
    names::RoleArn,
    request::{
        Mount,
        objects::{Object, Source},
    },
    values::{Key, Values, key},
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

    fn failed(error: Error) -> Self {
        Self { origin: Origin::Cloud, value: None, missing: false, error: Some(error) }
    }

    fn from_memory(value: Fetched) -> Self {
        let missing = value.is_none();
        Self { origin: Origin::Memory, value, missing, error: None }
    }

    fn of(origin: Origin, outcome: &Outcome, object: &Object, identity: &Identity) -> Self {
        match outcome {
            Ok(value) => Self { origin, value: Some(value.clone()), missing: false, error: None },
            Err(missed) => {
                let missing = matches!(missed, Missed::NotThere(_));
                Self { origin, value: None, missing, error: Some(missed.error(object, identity)) }
            }
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
}

/// How long the cloud is waited for where last values stand ready.
const GRACE_PATIENCE: Duration = Duration::from_secs(10);
/// For how long that is remembered; several times the longest interval in use.
const ANSWERED_FOR: Duration = Duration::from_secs(2 * 3600);
const MOST_ANSWERED: usize = 4096;
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
        let (mounts, answered) = (AtomicU64::new(0), Mutex::default());
        Self { shared: Arc::new(shared), mounts, answered }
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
        let keys: Vec<Key> = reads.map(|(login, object)| key(login.key(), &object.read)).collect();
        if let Some(kept) = values.all(own.key(), &keys, interval)
            // What is missing may be left out of this mount, or not.
            && kept.iter().zip(objects).all(|(kept, object)| kept.is_some() || object.optional)
        {
            return Ok(kept.into_iter().map(ReadEnd::from_memory).collect());
        }
        // One login, told once if it fails, before many calls that need it.
        let deadline = match values.outlast(&keys) {
            true => patient(deadline),
            false => deadline,
        };
        let own_reads = objects.iter().any(|object| object.read.cross_account_role.is_none());
        if own_reads && let Err(error) = sessions.prove(own, deadline).await {
            if is_refusal(error.class) {
                keys.iter().for_each(|key| values.drop_one(key));
            }
            let error = identity.mended(error);
            let failed = |_| ReadEnd::failed(error.clone());
            let mut ends: Vec<ReadEnd> = objects.iter().map(failed).collect();
            return match self.fall_back(objects, &keys, &mut ends) {
                true => Ok(ends),
                false => Err(error),
            };
        }
        let outcomes = self.read(own, logins, objects, &keys, interval, deadline).await;
        let ends = objects.iter().zip(&keys).map(|(object, key)| match outcomes.get(key) {
            Some((origin, outcome)) => ReadEnd::of(*origin, outcome, object, identity),
            None => ReadEnd::failed(Error::new(Class::Internal, "it was not asked for")),
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
            if is_refusal(error.class) {
                return false;
            }
            let Some((value, age)) = self.shared.values.last(key) else { return false };
            let missing = value.is_none();
            if missing && !object.optional {
                return false;
            }
            let error = Some(error);
            last.push((at, ReadEnd { origin: Origin::Grace(age), value, missing, error }));
        }
        for (at, end) in last {
            if let Some(place) = ends.get_mut(at) {
                *place = end;
            }
        }
        true
    }

    fn answered(&self, login: LoginKey) {
        let mut answered = lock(&self.answered);
        if answered.len() >= MOST_ANSWERED {
            answered.clear();
        }
        answered.insert(login, Instant::now());
    }

    /// Joins the reads that are under way, makes the others, and waits for all of them.
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
        let (mut waits, mut ours) = (Vec::new(), Vec::new());
        let mut outcomes = HashMap::new();
        for ((object, login), key) in objects.iter().zip(logins).zip(keys) {
            if !seen.insert(*key) {
                continue;
            }
            if let Some(Some(left)) = self.shared.values.left(key, interval) {
                outcomes.insert(*key, (Origin::Memory, Ok(left)));
                continue;
            }
            let read = &object.read;
            let (running, pilot) = self.shared.flights.board(*key);
            if let Some(pilot) = pilot {
                ours.push(Flight { read: read.clone(), login, pilot });
            }
            waits.push((*key, read, running));
        }
        let mount = self.mounts.fetch_add(1, Relaxed);
        let has = lock(&self.answered).get(own.key()).copied();
        let plans = plans(ours, &self.shared.batching).into_iter().enumerate();
        let mut calls = plans.map(|(call, plan)| {
            let (shared, deadline) = (self.shared.clone(), call::ends(deadline));
            let turn = Turn::of(mount, call, has);
            Caller { shared, turn, interval, deadline }.run(plan)
        });
        // A task of its own for each would cost more than the call's own steps, and one for all looks
        // at all of them whenever one is answered.
        while let Some(first) = calls.next() {
            let few = [first].into_iter().chain(calls.by_ref().take(TASK_CALLS - 1));
            tokio::spawn(join_all(few.collect::<Vec<_>>()));
        }
        // One after another: the calls go on by themselves, and all waits end at one time.
        for (key, read, running) in waits {
            let outcome = match running.until(deadline).await {
                Waited::Landed(outcome) | Waited::OutOfTime(Some(outcome)) => outcome,
                Waited::OutOfTime(None) => {
                    let (api, endpoint) = (call::api(read), &read.endpoint);
                    Err(Missed::Failed(Failure::new(api, endpoint, Cause::TimedOut)))
                }
                Waited::Lost => {
                    let error = Error::new(Class::Internal, "the call failed inside");
                    Err(Missed::NoSession(error))
                }
            };
            outcomes.insert(key, (Origin::Cloud, outcome));
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

/// Whether it is so until somebody mends it, as against what passes: memory may not answer what the
/// cloud refuses.
fn is_refusal(class: Class) -> bool {
    class != Class::Internal
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
    /// It does not exist: what `optional` forgives.
    NotThere(Failure),
    Failed(Failure),
    /// There was no session to ask with.
    NoSession(Error),
}

impl Missed {
    fn class(&self) -> Class {
        match self {
            Missed::NotThere(failure) | Missed::Failed(failure) => failure.class(),
            Missed::NoSession(error) => error.class,
        }
    }

    fn error(&self, object: &Object, identity: &Identity) -> Error {
        let role = object.read.cross_account_role.as_ref();
        let who = role.map_or_else(|| identity.login.who(), |role| format!("role {role}"));
        match self {
            Missed::NoSession(error) => {
                let error = match role {
                    None => identity.mended(error.clone()),
                    Some(_) => error.clone(),
                };
                let about = match &*error.subject {
                    "" => object.label.clone(),
                    subject => format!("{}, {subject}", object.label),
                };
                error.about(about)
            }
            Missed::NotThere(failure) | Missed::Failed(failure) => {
                let action = match object.read.source {
                    Source::Kms(_) => "kms:GetSecretValue",
                    Source::Oos(_) => "oos:GetSecretParameter and kms:GetSecretValue",
                };
                let own = match role {
                    None => identity.own_instead(),
                    Some(_) => String::new(),
                };
                let fix = match failure.cause {
                    Cause::Denied if own.is_empty() => format!("allow {who} {action} on it"),
                    Cause::Denied => format!("allow {who} {action} on it, or {own}"),
                    Cause::NotFound => "check its name, region and version".to_owned(),
                    Cause::Unauthenticated => format!("check the keys of {who}"),
                    _ => String::new(),
                };
                failure.error(&object.label, fix)
            }
        }
    }
}

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        match failure.cause {
            Cause::NotFound => Missed::NotThere(failure),
            _ => Missed::Failed(failure),
        }
    }
}
