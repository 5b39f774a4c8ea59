//! The calls of one mount: which reads go out together, with which session, and what becomes of
//! the answers.

use std::{
    ops::ControlFlow,
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
    api::Api,
    cloud::{Cause, Failure, ReadOptions, limiter::Priority, read::Part},
    digest::Digest,
    endpoint::Endpoint,
    fair_cache::FairCache,
    login::KeyedLogin,
    plan,
    retry::retry,
    singleflight::Leader,
    spc::{
        read::Read,
        source::{Batch, Source},
    },
    sync::lock,
    value_cache::Key,
};

/// A read that this mount makes, for all who wait for it.
#[derive(Debug)]
pub(super) struct PendingRead {
    pub(super) read: Arc<Read>,
    pub(super) login: KeyedLogin,
    pub(super) leader: Leader<Key, Outcome>,
}

/// One call to make: alone or, of one login and host, together.
pub(super) enum Plan {
    One(Box<PendingRead>),
    Batch(Vec<PendingRead>),
}

impl Plan {
    fn of(mut reads: Vec<PendingRead>) -> Self {
        match (reads.len(), reads.pop()) {
            (1, Some(only)) => Plan::One(Box::new(only)),
            (_, last) => {
                reads.extend(last);
                Plan::Batch(reads)
            }
        }
    }
}

/// Nothing goes out together where that was refused a short while ago.
pub(super) fn plans(reads: Vec<PendingRead>, batching: &Batching) -> Vec<Plan> {
    let asked: Vec<&Read> = reads.iter().map(|pending| &*pending.read).collect();
    let may = |at: usize, batch: &Batch<'_>| {
        let pending = reads.get(at);
        pending
            .is_some_and(|pending| batching.may(batch.api, &pending.login, &pending.read.endpoint))
    };
    let calls = plan::calls(&asked, may);
    let mut reads: Vec<Option<PendingRead>> = reads.into_iter().map(Some).collect();
    let mut take = |at: &usize| reads.get_mut(*at).and_then(Option::take);
    calls.iter().map(|call| Plan::of(call.reads.iter().filter_map(&mut take).collect())).collect()
}

/// Batching: which logins may read several objects with one call. The first answer to each identity at each
/// host shows whether the service has that operation and the identity its permission.
#[derive(Debug)]
pub(super) struct Batching {
    /// For secrets the operator decides.
    kms: bool,
    /// By ServiceAccount and role, and host.
    refused: Mutex<FairCache<Digest, Arc<str>, Instant>>,
}

impl Batching {
    /// Then it is tried again: the right may have been given meanwhile.
    const REMEMBERED: Duration = Duration::from_secs(3600);
    /// Far more of them than a node has; beyond them each pays one call again.
    const MOST: usize = 4096;

    pub(super) fn new(kms: bool) -> Self {
        Self { kms, refused: Mutex::new(FairCache::new(Self::MOST)) }
    }

    fn may(&self, api: Api, login: &KeyedLogin, endpoint: &Endpoint) -> bool {
        if api == Api::BatchGetSecretValue && !self.kms {
            return false;
        }
        let refused = lock(&self.refused);
        let at = refused.peek(&login.caller().account, &endpoint.shared_host());
        at.is_none_or(|at| at.elapsed() >= Self::REMEMBERED)
    }

    fn refused(&self, login: &KeyedLogin, endpoint: &Endpoint) {
        lock(&self.refused).insert(
            login.caller().account,
            endpoint.shared_host(),
            Instant::now(),
            1,
        );
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

/// When the cloud was asked last: a value is as old as the question, and not as the request for it.
type Asked = Mutex<Instant>;

impl Caller {
    pub(super) async fn run(self, plan: Plan) {
        self.carry_out(plan).await;
    }

    /// Boxed because a batch may become smaller ones.
    fn carry_out(&self, plan: Plan) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let plans = match plan {
                Plan::One(pending) => return self.one(pending).await,
                Plan::Batch(reads) => self.batch(reads).await,
            };
            join_all(plans.into_iter().map(|plan| self.carry_out(plan))).await;
        })
    }

    async fn one(&self, pending: Box<PendingRead>) {
        let asked = Asked::new(Instant::now());
        let reads = std::slice::from_ref(&*pending);
        let outcome = match self.signed(&pending, reads, &asked).await {
            Ok(mut parts) => match parts.pop() {
                Some(Part::Value(value)) => Ok(Arc::new(value)),
                _ => {
                    let (api, endpoint) =
                        (pending.read.source.facts().api(), &pending.read.endpoint);
                    Err(Failure::new(api, endpoint, Cause::Garbled).into())
                }
            },
            Err(failed) => Err(failed.of_version(&pending.read.source)),
        };
        self.complete(*pending, outcome, *lock(&asked));
    }

    /// One call for all of them, as far as it has them. Gives back what is better asked for in other
    /// calls, so that each object gets its own answer.
    async fn batch(&self, reads: Vec<PendingRead>) -> Vec<Plan> {
        let asked = Asked::new(Instant::now());
        let one_by_one = |reads: Vec<PendingRead>| {
            reads.into_iter().map(|pending| Plan::One(Box::new(pending))).collect()
        };
        let Some(first) = reads.first() else { return Vec::new() };
        let outcome = self.signed(first, &reads, &asked).await;
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
            ReadError::Failed(Failure { cause, .. }) if cause.is_too_large() => halves(reads),
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
        let on_error = &on_error;
        let outlived = &outlived;
        let first_try = (false, self.deadline);
        retry(first_try, |(renewed, deadline), _| async move {
            let credentials = sessions.credentials(&first.login, self.priority, deadline).await;
            let credentials = match credentials {
                Ok(credentials) => credentials,
                Err(none) => return ControlFlow::Break(Err(ReadError::NoSession(none))),
            };
            let options = ReadOptions {
                endpoint: &first.read.endpoint,
                keys: credentials.keys(),
                caller: first.login.caller(),
                priority: self.priority,
                deadline,
                on_error,
                sent: &|| *lock(asked) = Instant::now(),
            };
            match self.ask(reads, &options).await {
                Err(failure) if !renewed && failure.cause == Cause::SessionRefused => {
                    sessions.refused(&first.login, &credentials);
                    ControlFlow::Continue(((true, deadline), Duration::ZERO))
                }
                Err(failure) if failure.late && failure.cause == Cause::Throttled => {
                    let asked = reads.iter().map(|pending| pending.leader.asked()).max();
                    let later = asked.map(|asked| asked + THROTTLED_LIMIT);
                    on_error(&failure);
                    outlived.store(true, Relaxed);
                    match later {
                        Some(later) if later > deadline => {
                            ControlFlow::Continue(((renewed, later), Duration::ZERO))
                        }
                        _ => ControlFlow::Break(Err(failure.into())),
                    }
                }
                outcome => ControlFlow::Break(outcome.map_err(ReadError::from)),
            }
        })
        .await
    }

    async fn ask(
        &self,
        reads: &[PendingRead],
        options: &ReadOptions<'_>,
    ) -> Result<Vec<Part>, Failure> {
        let cloud = &self.shared.cloud;
        if let [only] = reads {
            let value = cloud.read_one(options, &only.read.source).await;
            return value.map(|value| vec![Part::Value(value)]);
        }
        let sources: Vec<&Source> = reads.iter().map(|pending| &pending.read.source).collect();
        cloud.read_batch(options, &sources).await
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
fn halves(mut reads: Vec<PendingRead>) -> Vec<Plan> {
    let rest = reads.split_off(reads.len() / 2);
    vec![Plan::of(reads), Plan::of(rest)]
}

#[cfg(test)]
mod tests;
