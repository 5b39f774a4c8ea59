//! The RAM role of a ServiceAccount, as its annotations name it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{Instant, timeout};

use super::api_server::{ApiServer, Refused};

use crate::{
    cloud::passes,
    error::{Class, Error, quoted},
    flight::{Flights, Waited, lock},
    names::{OidcProviderArn, RoleArn},
    request::Pod,
};

/// The official provider's annotation: a role's ARN.
const ROLE_ARN: &str = "ack.alibabacloud.com/role-arn";
/// ack-pod-identity-webhook's annotation: a role's name in the cluster's account.
const ROLE_NAME: &str = "pod-identity.alibabacloud.com/role-name";

/// How long a role that was found is believed; a changed annotation takes this long to be seen.
pub const ROLE_TTL: Duration = Duration::from_secs(60);
/// An annotation that is missing is about to be added by someone who waits for it.
const NO_ROLE_TTL: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_CACHED: usize = 4096;

/// What a ServiceAccount's annotations say, unjudged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Annotations {
    role_arn: Option<String>,
    role_name: Option<String>,
}

type Name = (String, String);
type Found = Result<Annotations, Error>;
type Cache = Mutex<HashMap<Name, (Instant, Annotations)>>;

#[derive(Debug)]
pub struct ServiceAccounts {
    api: Option<Arc<ApiServer>>,
    cache: Arc<Cache>,
    flights: Arc<Flights<Name, Found>>,
}

impl ServiceAccounts {
    /// `None` where the operator turned look-ups off: roles come from `roleArn` alone.
    pub fn new(api: Option<ApiServer>) -> Self {
        Self { api: api.map(Arc::new), cache: Arc::default(), flights: Arc::default() }
    }

    /// The one role that annotations and parameter name. Two that differ are an error.
    pub async fn role(
        &self,
        pod: &Pod,
        parameter: Option<&RoleArn>,
        provider: &OidcProviderArn,
    ) -> Result<RoleArn, Error> {
        let annotations = self.annotations(pod).await?;
        let account = format!("ServiceAccount {}/{}", pod.namespace, pod.service_account);
        let malformed = |annotation: &str, form: &str| {
            Error::invalid(format!("{account}, annotation {annotation}"), format!("is not {form}"))
        };
        let mut named: Vec<(String, RoleArn)> = Vec::new();
        if let Some(arn) = &annotations.role_arn {
            let role = RoleArn::parse(arn.trim());
            let role = role.ok_or_else(|| malformed(ROLE_ARN, RoleArn::FORM))?;
            named.push((format!("annotation {ROLE_ARN}"), role));
        }
        if let Some(name) = &annotations.role_name {
            let role = RoleArn::of(provider.account(), name.trim());
            let role = role.ok_or_else(|| malformed(ROLE_NAME, "a role's name"))?;
            named.push((format!("annotation {ROLE_NAME}"), role));
        }
        if let Some(role) = parameter {
            named.push(("parameter roleArn".to_owned(), role.clone()));
        }
        let Some((first_source, role)) = named.first() else {
            let fix = match self.api {
                None => "set parameter roleArn (look-ups are off here)".to_owned(),
                Some(_) => format!("annotate it with {ROLE_ARN}: {}", RoleArn::FORM),
            };
            return Err(Error::new(Class::Unusable, "has no RAM role").about(account).fix(fix));
        };
        match named.iter().find(|(_, other)| other != role) {
            None => Ok(role.clone()),
            Some((source, other)) => Err(Error::invalid(
                account,
                format!("has two RAM roles: {role} by {first_source}, {other} by {source}"),
            )
            .fix("keep one")),
        }
    }

    async fn annotations(&self, pod: &Pod) -> Found {
        let Some(api) = self.api.clone() else { return Ok(Annotations::default()) };
        let name = (pod.namespace.clone(), pod.service_account.clone());
        if let Some(known) = fresh(&self.cache, &name) {
            return Ok(known);
        }
        let (running, pilot) = self.flights.board(name.clone());
        if let Some(pilot) = pilot {
            let (cache, asked) = (self.cache.clone(), name.clone());
            tokio::spawn(async move {
                // Another look-up may have ended between our look and this start.
                if let Some(known) = fresh(&cache, &asked) {
                    return pilot.land(Ok(known));
                }
                let late = || Err(passing(failed(&asked, "the API server did not answer in time")));
                let found = timeout(TIMEOUT, look_up(&api, &asked)).await;
                pilot.land(keep(&cache, &asked, found.unwrap_or_else(|_| late())));
            });
        }
        match running.until(Instant::now() + 2 * TIMEOUT).await {
            Waited::Landed(found) => found,
            Waited::OutOfTime(_) | Waited::Lost => {
                Err(Error::new(Class::Internal, "looking up the ServiceAccount failed inside"))
            }
        }
    }
}

fn keep(cache: &Cache, name: &Name, found: Found) -> Found {
    let found = found?;
    let ttl = if found == Annotations::default() { NO_ROLE_TTL } else { ROLE_TTL };
    let mut cache = lock(cache);
    if cache.len() >= MAX_CACHED {
        cache.retain(|_, (until, _)| *until > Instant::now());
    }
    if cache.len() < MAX_CACHED {
        cache.insert(name.clone(), (Instant::now() + ttl, found.clone()));
    }
    Ok(found)
}

fn fresh(cache: &Cache, name: &Name) -> Option<Annotations> {
    let cache = lock(cache);
    let (until, known) = cache.get(name)?;
    (*until > Instant::now()).then(|| known.clone())
}

async fn look_up(api: &ApiServer, name: &Name) -> Found {
    let (namespace, account) = name;
    let mut annotations = match api.service_account(namespace, account).await {
        Ok(annotations) => annotations,
        Err(Refused::Status(403)) => {
            return Err(failed(name, "the look-up is forbidden").fix(
                "the provider's ClusterRole must allow get on serviceaccounts, or turn look-ups \
                 off with --service-account-lookup=false",
            ));
        }
        Err(Refused::Status(404)) => return Err(failed(name, "it does not exist")),
        Err(Refused::Status(status)) => {
            let error = failed(name, &format!("the API server answered HTTP {status}"));
            return Err(if passes(status) { passing(error) } else { error });
        }
        Err(Refused::Unanswered(what)) => {
            return Err(passing(failed(name, &format!("the API server: {what}"))));
        }
        Err(Refused::Unasked(what)) => {
            return Err(failed(name, &format!("the API server: {what}"))
                .fix("run in a cluster with a ServiceAccount token, or give --kubernetes-api"));
        }
    };
    let mut take = |name: &str| annotations.remove(name).filter(|text| !text.trim().is_empty());
    Ok(Annotations { role_arn: take(ROLE_ARN), role_name: take(ROLE_NAME) })
}

/// Nobody has to mend it, unless it lasts.
fn passing(error: Error) -> Error {
    Error { class: Class::Internal, ..error }.fix("the mount is tried again")
}

fn failed((namespace, account): &Name, what: &str) -> Error {
    Error::new(Class::Unusable, format!("cannot be looked up: {what}"))
        .about(format!("ServiceAccount {}", quoted(&format!("{namespace}/{account}"))))
}
