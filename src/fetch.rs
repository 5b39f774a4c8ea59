//! Step 4: every object's value, fetched at once and each only once. All or nothing: the caller
//! gets every value or every failure.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::Instant;

use crate::{
    cloud::{
        Api, Cause, Cloud, Failure,
        endpoint::Endpoint,
        kms::Value,
        oos::{BATCH, ParameterRef},
    },
    credentials::{Login, LoginKey, Proof, Sessions},
    error::{Class, Error, Errors},
    identity::Identity,
    names::{Region, RoleArn},
    request::{
        Mount,
        objects::{Object, Read, Source},
    },
    values::Values,
};

/// What the cloud holds for one object; `None` for an optional one that does not exist.
pub type Fetched = Option<Arc<Value>>;

/// The values in the order of `objects`, from memory if all of them are fresh there.
pub async fn fetch(
    cloud: &Cloud,
    sessions: &Sessions,
    values: &Values,
    identity: &Identity,
    mount: &Mount,
    interval: Duration,
    deadline: Instant,
) -> Result<(Vec<Fetched>, Origin), Errors> {
    let objects = &mount.objects;
    let own = sessions.key(&identity.login);
    let who: Vec<(LoginKey, &Read)> = objects
        .iter()
        .map(|object| {
            let read = &object.read;
            let led_on = read.cross_account_role.as_ref().map(|role| identity.led_on_to(role));
            (led_on.map_or(own, |login| sessions.key(&login)), read)
        })
        .collect();
    if let Some(kept) = values.all(&who, interval)
        // What is missing may be left out of this mount, or not.
        && kept.iter().zip(objects).all(|(kept, object)| kept.is_some() || object.optional)
    {
        return Ok((kept, Origin::Memory));
    }
    let fetcher = Fetcher { cloud, sessions, identity, deadline };
    // One login, told once if it fails, before many calls that need it.
    let own_reads = objects.iter().any(|object| object.read.cross_account_role.is_none());
    if own_reads && let Err(error) = fetcher.prove(&identity.login).await {
        if is_refusal(error.class) {
            who.iter().for_each(|(login, read)| values.drop_one(login, read));
        }
        return Err(error.into());
    }
    let mut running: FuturesUnordered<_> =
        calls(objects).into_iter().map(|call| fetcher.run(call)).collect();
    let mut outcomes: HashMap<&Read, Result<Arc<Value>, Missed>> = HashMap::new();
    while let Some(found) = running.next().await {
        outcomes.extend(found);
    }
    for (login, read) in &who {
        match outcomes.get(read) {
            Some(Ok(value)) => values.keep(login, read, &Some(value.clone()), interval),
            Some(Err(Missed::NotThere(_))) => values.keep(login, read, &None, interval),
            Some(Err(missed)) if is_refusal(missed.class()) => values.drop_one(login, read),
            _ => {}
        }
    }
    let mut found = Vec::with_capacity(objects.len());
    let mut errors = Vec::new();
    for object in objects {
        match outcomes.get(&object.read) {
            Some(Ok(value)) => found.push(Some(value.clone())),
            Some(Err(Missed::NotThere(_))) if object.optional => found.push(None),
            Some(Err(missed)) => errors.push(missed.error(object, identity)),
            None => {
                errors.push(Error::new(Class::Internal, "was not asked for").about(&object.label))
            }
        }
    }
    Errors::of(errors).map_or(Ok((found, Origin::Cloud)), Err)
}

/// Whether the cloud said no, as against saying nothing: memory may not answer what it refuses.
fn is_refusal(class: Class) -> bool {
    matches!(class, Class::Denied | Class::Unauthenticated | Class::NotFound)
}

/// Where a mount's values came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Cloud,
    Memory,
}

impl Origin {
    pub fn name(self) -> &'static str {
        match self {
            Origin::Cloud => "cloud",
            Origin::Memory => "memory",
        }
    }
}

/// One call to make, and the reads it answers.
enum Plan<'a> {
    One(&'a Read),
    Parameters(Vec<(&'a Read, &'a ParameterRef)>),
}

/// The same read asked for twice is made once; parameters go out in tens, except those of a chosen
/// version, which the batch operation cannot give.
fn calls(objects: &[Object]) -> Vec<Plan<'_>> {
    let mut seen = HashSet::new();
    let mut plans = Vec::new();
    type Group<'a> = (&'a Endpoint, &'a Region, Option<&'a RoleArn>);
    let mut groups: HashMap<Group<'_>, Vec<(&Read, &ParameterRef)>> = HashMap::new();
    for read in objects.iter().map(|object| &object.read).filter(|read| seen.insert(*read)) {
        match &read.source {
            Source::Oos(parameter) if parameter.version.is_none() => {
                let group = (&read.endpoint, &parameter.region, read.cross_account_role.as_ref());
                groups.entry(group).or_default().push((read, parameter));
            }
            _ => plans.push(Plan::One(read)),
        }
    }
    for group in groups.into_values() {
        plans.extend(group.chunks(BATCH).map(|chunk| match chunk {
            [(read, _)] => Plan::One(read),
            many => Plan::Parameters(many.to_vec()),
        }));
    }
    plans
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
        let who = object
            .read
            .cross_account_role
            .as_ref()
            .map_or_else(|| identity.login.who(), |role| format!("role {role}"));
        match self {
            Missed::NoSession(error) => {
                let about = format!("{}, {}", object.label, error.subject);
                error.clone().about(about)
            }
            Missed::NotThere(failure) | Missed::Failed(failure) => {
                let action = match object.read.source {
                    Source::Kms(_) => "kms:GetSecretValue",
                    Source::Oos(_) => "oos:GetSecretParameter and kms:GetSecretValue",
                };
                let fix = match failure.cause {
                    Cause::Denied => format!("allow {who} {action} on it"),
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

type Outcomes<'a> = Vec<(&'a Read, Result<Arc<Value>, Missed>)>;

struct Fetcher<'a> {
    cloud: &'a Cloud,
    sessions: &'a Sessions,
    identity: &'a Identity,
    deadline: Instant,
}

impl<'a> Fetcher<'a> {
    async fn run(&self, plan: Plan<'a>) -> Outcomes<'a> {
        match plan {
            Plan::One(read) => vec![(read, self.one(read).await)],
            Plan::Parameters(many) => self.parameters(many).await,
        }
    }

    async fn one(&self, read: &Read) -> Result<Arc<Value>, Missed> {
        let Self { cloud, deadline, .. } = *self;
        let endpoint = &read.endpoint;
        let value = self.signed(read, |proof| async move {
            let keys = proof.keys();
            match &read.source {
                Source::Kms(secret) => {
                    cloud.get_secret_value(endpoint, keys, secret, deadline).await
                }
                Source::Oos(parameter) => {
                    cloud.get_secret_parameter(endpoint, keys, parameter, deadline).await
                }
            }
        });
        value.await.map(Arc::new)
    }

    async fn parameters(&self, many: Vec<(&'a Read, &'a ParameterRef)>) -> Outcomes<'a> {
        let Some((first, parameter)) = many.first().copied() else { return Vec::new() };
        let names: Vec<&str> = many.iter().map(|(_, parameter)| &*parameter.name).collect();
        let Self { cloud, deadline, .. } = *self;
        let (endpoint, region) = (&first.endpoint, &parameter.region);
        let names = &names;
        let batch = self.signed(first, |proof| async move {
            let keys = proof.keys();
            cloud.get_secret_parameters(endpoint, keys, region, names, deadline).await
        });
        match batch.await {
            Ok(values) => many
                .into_iter()
                .zip(values)
                .map(|((read, _), value)| {
                    let missing = || {
                        let failure =
                            Failure::new(Api::GetSecretParameters, endpoint, Cause::NotFound);
                        Missed::NotThere(failure)
                    };
                    (read, value.map(Arc::new).ok_or_else(missing))
                })
                .collect(),
            // Policies made for the official provider allow only the single read, and one name
            // that is not allowed fails the whole batch: singly, each object gets its own answer.
            Err(Missed::Failed(Failure { cause: Cause::Denied | Cause::UnknownApi, .. })) => {
                let singles =
                    many.into_iter().map(|(read, _)| async move { (read, self.one(read).await) });
                futures::future::join_all(singles).await
            }
            Err(missed) => many.into_iter().map(|(read, _)| (read, Err(missed.clone()))).collect(),
        }
    }

    /// Calls with the session that the read needs; once more with a new one if the cloud says that
    /// this one is over.
    async fn signed<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        read: &Read,
        call: impl Fn(Proof) -> F,
    ) -> Result<T, Missed> {
        let login = match &read.cross_account_role {
            None => &self.identity.login,
            Some(role) => &self.identity.led_on_to(role),
        };
        let proof = self.prove(login).await.map_err(Missed::NoSession)?;
        match call(proof.clone()).await {
            Err(failure) if failure.cause == Cause::SessionRefused => {
                self.sessions.refused(login, &proof);
                let proof = self.prove(login).await.map_err(Missed::NoSession)?;
                Ok(call(proof).await?)
            }
            outcome => Ok(outcome?),
        }
    }

    async fn prove(&self, login: &Login) -> Result<Proof, Error> {
        self.sessions.prove(login, self.deadline).await.map_err(|error| {
            match (error.fix.is_empty(), login) {
                (true, Login::Oidc { .. }) => error.fix(&self.identity.trust_fix),
                _ => error,
            }
        })
    }
}
