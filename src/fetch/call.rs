//! The calls of one mount: which reads go out together, with which session, and what becomes of
//! the answers.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::future::{BoxFuture, join_all};
use tokio::time::Instant;

use super::{Outcome, ReadError, Shared};
use crate::{
    cloud::{
        Api, Cause, Failure, ReadOptions,
        kms::{self},
        limiter::Priority,
        oos::{self, Part},
    },
    credentials::{KeyedLogin, Login},
    endpoint::Endpoint,
    names::{Region, RoleArn},
    request::objects::Read,
    singleflight::Leader,
    source::{ParameterRef, SecretRef, Source},
    sync::lock,
    value::Value,
    value_cache::Key,
};

/// A read that this mount makes, for all who wait for it.
#[derive(Debug)]
pub(super) struct PendingRead {
    pub(super) read: Arc<Read>,
    pub(super) login: KeyedLogin,
    pub(super) leader: Leader<Key, Outcome>,
}

/// One call to make.
pub(super) enum Plan {
    One(Box<PendingRead>),
    /// Of one login, endpoint and region.
    Parameters(Vec<PendingRead>),
    /// Of one login and endpoint, all of them with names of their own.
    Secrets(Vec<PendingRead>),
}

impl Plan {
    fn of(mut reads: Vec<PendingRead>, parameters: bool) -> Self {
        match (reads.len(), reads.pop()) {
            (1, Some(only)) => Plan::One(Box::new(only)),
            (_, last) => {
                reads.extend(last);
                if parameters { Plan::Parameters(reads) } else { Plan::Secrets(reads) }
            }
        }
    }
}

/// Parameters go out in tens, except those of a chosen version, which that operation cannot give;
/// secrets in twenties, if the operator wants it. Neither where it was refused a short while ago.
pub(super) fn plans(reads: Vec<PendingRead>, batching: &Batching) -> Vec<Plan> {
    type Group = (Endpoint, Option<Region>, Option<RoleArn>);
    let mut plans = Vec::new();
    let mut groups: HashMap<Group, (Vec<PendingRead>, HashSet<String>)> = HashMap::new();
    for pending in reads {
        let Read { endpoint, source, cross_account_role, .. } = &*pending.read;
        let (region, name) = match source {
            Source::Oos(ParameterRef { region, name, version: None })
                if batching.may(&pending.login, endpoint) =>
            {
                (Some(region), name)
            }
            // An ARN is answered under a name that may be another's.
            Source::Kms(SecretRef { name, .. })
                if batching.kms
                    && !name.starts_with("acs:")
                    && batching.may(&pending.login, endpoint) =>
            {
                (None, name)
            }
            _ => {
                plans.push(Plan::One(Box::new(pending)));
                continue;
            }
        };
        let group = (endpoint.clone(), region.cloned(), cross_account_role.clone());
        let (reads, names) = groups.entry(group).or_default();
        if names.insert(name.clone()) {
            reads.push(pending);
        } else {
            plans.push(Plan::One(Box::new(pending)));
        }
    }
    for ((_, region, _), (mut reads, _)) in groups {
        let most = if region.is_some() { oos::BATCH } else { kms::BATCH };
        while !reads.is_empty() {
            let rest = reads.split_off(most.min(reads.len()));
            let chunk = std::mem::replace(&mut reads, rest);
            plans.push(Plan::of(chunk, region.is_some()));
        }
    }
    plans
}

/// Batching: which logins may read several objects with one call. The first answer to each identity at each
/// host shows whether the service has that operation and the identity its permission.
#[derive(Debug)]
pub(super) struct Batching {
    /// For secrets the operator decides.
    kms: bool,
    refused: Mutex<HashMap<(String, String), Instant>>,
}

impl Batching {
    /// Then it is tried again: the right may have been given meanwhile.
    const REMEMBERED: Duration = Duration::from_secs(3600);

    pub(super) fn new(kms: bool) -> Self {
        Self { kms, refused: Mutex::default() }
    }

    fn may(&self, login: &Login, endpoint: &Endpoint) -> bool {
        let refused = lock(&self.refused);
        let at = refused.get(&(login.who(), endpoint.host().to_owned()));
        at.is_none_or(|at| at.elapsed() >= Self::REMEMBERED)
    }

    fn refused(&self, login: &Login, endpoint: &Endpoint) {
        /// Far more identities than a node has; beyond them each pays one call again.
        const MOST: usize = 4096;
        let mut refused = lock(&self.refused);
        if refused.len() >= MOST {
            refused.clear();
        }
        refused.insert((login.who(), endpoint.host().to_owned()), Instant::now());
    }
}

/// The operation that reads it alone.
pub(super) fn api(read: &Read) -> Api {
    match read.source {
        Source::Kms(_) => Api::GetSecretValue,
        Source::Oos(_) => Api::GetSecretParameter,
    }
}

/// How long a call is held back while the cloud throttles, from the last mount on that asked for it. The
/// mount stops waiting earlier, and kubelet comes back to it within 122 s: the call keeps its place in the
/// queue until then, and what it brings is there.
pub(super) const THROTTLED_LIMIT: Duration = Duration::from_secs(240);

/// When the calls of a mount end: a moment before the mount does, so that it hears why.
pub(super) fn ends(deadline: Instant) -> Instant {
    deadline.checked_sub(Duration::from_millis(50)).unwrap_or(deadline)
}

/// Makes the calls of one mount.
pub(super) struct Caller {
    pub(super) shared: Arc<Shared>,
    pub(super) priority: Priority,
    pub(super) interval: Duration,
    pub(super) deadline: Instant,
}

/// When the cloud was asked last: a value is as old as the question, and not as the wish.
type Asked = Mutex<Instant>;

enum Ask<'a> {
    Secret(&'a SecretRef),
    Secrets(&'a [&'a SecretRef]),
    Parameter(&'a ParameterRef),
    Parameters(&'a Region, &'a [&'a str]),
}

impl Caller {
    pub(super) async fn run(self, plan: Plan) {
        self.carry_out(plan).await;
    }

    /// Boxed because a batch may become smaller ones.
    fn carry_out(&self, plan: Plan) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (reads, parameters) = match plan {
                Plan::One(pending) => return self.one(pending).await,
                Plan::Parameters(reads) => (reads, true),
                Plan::Secrets(reads) => (reads, false),
            };
            let plans = self.batch(reads, parameters).await;
            join_all(plans.into_iter().map(|plan| self.carry_out(plan))).await;
        })
    }

    async fn one(&self, pending: Box<PendingRead>) {
        let asked = Asked::new(Instant::now());
        let ask = match &pending.read.source {
            Source::Kms(secret) => Ask::Secret(secret),
            Source::Oos(parameter) => Ask::Parameter(parameter),
        };
        let reads = std::slice::from_ref(&*pending);
        let outcome = match self.signed(&pending, reads, &ask, &asked).await {
            Ok(mut parts) => match parts.pop() {
                Some(Part::Value(value)) => Ok(Arc::new(value)),
                _ => {
                    let (api, endpoint) = (api(&pending.read), &pending.read.endpoint);
                    Err(Failure::new(api, endpoint, Cause::Garbled).into())
                }
            },
            Err(failed) => Err(failed.of_version(&pending.read.source)),
        };
        self.complete(*pending, outcome, *lock(&asked));
    }

    /// One call for all of them, as far as it has them. Gives back what is better asked for in other
    /// calls, so that each object gets its own answer.
    async fn batch(&self, reads: Vec<PendingRead>, parameters: bool) -> Vec<Plan> {
        let asked = Asked::new(Instant::now());
        let one_by_one = |reads: Vec<PendingRead>| {
            reads.into_iter().map(|pending| Plan::One(Box::new(pending))).collect()
        };
        let outcome = match reads.first() {
            None => return Vec::new(),
            Some(first) if parameters => {
                let of: Vec<&ParameterRef> = reads.iter().filter_map(parameter).collect();
                let Some(region) = of.first().map(|parameter| &parameter.region) else {
                    return one_by_one(reads);
                };
                let names: Vec<&str> = of.iter().map(|parameter| &*parameter.name).collect();
                self.signed(first, &reads, &Ask::Parameters(region, &names), &asked).await
            }
            Some(first) => {
                let secrets: Vec<&SecretRef> = reads.iter().filter_map(secret).collect();
                self.signed(first, &reads, &Ask::Secrets(&secrets), &asked).await
            }
        };
        let failed = match outcome {
            Ok(parts) => {
                let mut singly = Vec::new();
                for (pending, part) in reads.into_iter().zip(parts) {
                    match part {
                        Part::Value(value) => {
                            self.complete(pending, Ok(Arc::new(value)), *lock(&asked));
                            continue;
                        }
                        // From now on it is not served from the cache either.
                        Part::Refused => self.shared.values.remove(pending.leader.key()),
                        Part::Absent => {}
                    }
                    singly.push(pending);
                }
                return one_by_one(singly);
            }
            Err(failed) => failed,
        };
        match &failed {
            ReadError::Failed(Failure { cause, .. }) if cause.is_too_large() => {
                halves(reads, parameters)
            }
            ReadError::Failed(Failure { cause, .. }) if cause.is_of_a_batch() => {
                // Policies made for the official provider allow only the single read, and one name
                // that is not allowed fails the whole batch.
                let lasts = matches!(cause, Cause::Denied | Cause::Invalid | Cause::UnknownApi);
                if let Some(first) = reads.first().filter(|_| lasts) {
                    self.shared.batching.refused(&first.login, &first.read.endpoint);
                }
                one_by_one(reads)
            }
            _ => {
                let fail = |pending| self.complete(pending, Err(failed.clone()), *lock(&asked));
                reads.into_iter().for_each(fail);
                Vec::new()
            }
        }
    }

    /// Asks with the session that the reads need; once more with a new one if the cloud says that
    /// this one is over.
    async fn signed(
        &self,
        first: &PendingRead,
        reads: &[PendingRead],
        ask: &Ask<'_>,
        asked: &Asked,
    ) -> Result<Vec<Part>, ReadError> {
        let sessions = &self.shared.sessions;
        let outlived = AtomicBool::new(false);
        // What the cloud said in the mount's time is what the mount hears, and not that the call waits on.
        let on_error = |failure: &Failure| {
            if !outlived.load(Relaxed) {
                reads
                    .iter()
                    .for_each(|pending| pending.leader.interim(Err(failure.clone().into())));
            }
        };
        let (mut again, mut deadline) = (true, self.deadline);
        loop {
            let credentials = sessions.credentials(&first.login, self.priority, deadline).await;
            let credentials = credentials.map_err(ReadError::NoSession)?;
            let options = ReadOptions {
                endpoint: &first.read.endpoint,
                keys: credentials.keys(),
                caller: first.login.caller(),
                priority: self.priority,
                deadline,
                on_error: &on_error,
                sent: &|| *lock(asked) = Instant::now(),
            };
            match self.ask(ask, &options).await {
                Err(failure) if again && failure.cause == Cause::SessionRefused => {
                    again = false;
                    sessions.refused(&first.login, &credentials);
                }
                Err(failure) if failure.late && failure.cause == Cause::Throttled => {
                    let asked = reads.iter().map(|pending| pending.leader.asked()).max();
                    let later = asked.map(|asked| asked + THROTTLED_LIMIT);
                    on_error(&failure);
                    outlived.store(true, Relaxed);
                    deadline = match later {
                        Some(later) if later > deadline => later,
                        _ => return Err(failure.into()),
                    };
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    async fn ask(&self, ask: &Ask<'_>, options: &ReadOptions<'_>) -> Result<Vec<Part>, Failure> {
        let cloud = &self.shared.cloud;
        let one = |value| vec![Part::Value(value)];
        match ask {
            Ask::Secret(secret) => cloud.get_secret_value(options, secret).await.map(one),
            Ask::Parameter(parameter) => {
                cloud.get_secret_parameter(options, parameter).await.map(one)
            }
            Ask::Secrets(secrets) => {
                let values = cloud.batch_get_secret_value(options, secrets).await?;
                let part = |value: Option<Value>| value.map_or(Part::Absent, Part::Value);
                Ok(values.into_iter().map(part).collect())
            }
            Ask::Parameters(region, names) => {
                cloud.get_secret_parameters(options, region, names).await
            }
        }
    }

    fn complete(&self, pending: PendingRead, outcome: Outcome, asked: Instant) {
        let values = &self.shared.values;
        match &outcome {
            Ok(value) => values.insert(pending.leader.key(), Some(value), self.interval, asked),
            Err(failed) if failed.is_missing() && !self.interval.is_zero() => {
                values.insert(pending.leader.key(), None, self.interval, asked);
            }
            Err(failed) if failed.is_refusal() => values.remove(pending.leader.key()),
            Err(_) => {}
        }
        pending.leader.complete(outcome);
    }
}

/// Two calls in place of one.
fn halves(mut reads: Vec<PendingRead>, parameters: bool) -> Vec<Plan> {
    let rest = reads.split_off(reads.len() / 2);
    vec![Plan::of(reads, parameters), Plan::of(rest, parameters)]
}

fn parameter(pending: &PendingRead) -> Option<&ParameterRef> {
    match &pending.read.source {
        Source::Oos(parameter) => Some(parameter),
        Source::Kms(_) => None,
    }
}

fn secret(pending: &PendingRead) -> Option<&SecretRef> {
    match &pending.read.source {
        Source::Kms(secret) => Some(secret),
        Source::Oos(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::endpoint::{Endpoints, Service};

    #[tokio::test(start_paused = true)]
    async fn refused_batch_is_tried_again_after_an_hour() {
        let (batching, endpoints) = (Batching::new(true), Endpoints::of_hangzhou());
        let kms = endpoints.of(Service::Kms, &endpoints.region);
        let oos = endpoints.of(Service::Oos, &endpoints.region);
        let login = Login::EcsRole;
        batching.refused(&login, &kms);
        assert!(!batching.may(&login, &kms) && batching.may(&login, &oos));
        advance(Batching::REMEMBERED - Duration::from_secs(1)).await;
        assert!(!batching.may(&login, &kms));
        advance(Duration::from_secs(1)).await;
        assert!(batching.may(&login, &kms));
    }
}
