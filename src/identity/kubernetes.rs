//! The RAM role of a ServiceAccount, as its annotations name it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{Instant, timeout};

use super::api_server::{ApiServer, Refused};

use crate::{
    error::{Error, Reason},
    fair_cache::FairCache,
    names::{OidcProviderArn, RoleArn},
    request::Pod,
    retry::is_transient,
    singleflight::{Group, Waited},
    sync::lock,
    telemetry,
    text::quoted,
};

/// The official provider's annotation: a role's ARN.
const ROLE_ARN: &str = "ack.alibabacloud.com/role-arn";
/// ack-pod-identity-webhook's annotation: a role's name in the cluster's account.
const ROLE_NAME: &str = "pod-identity.alibabacloud.com/role-name";

/// How long a role that was found is believed; a changed annotation takes this long to be seen.
pub const ROLE_TTL: Duration = Duration::from_secs(60);
/// An annotation that is missing is about to be added by someone who waits for it.
const NO_ROLE_TTL: Duration = Duration::from_secs(3);
/// For how long stale annotations serve while the API server does not answer, so that pods whose
/// values and sessions are cached go on.
const STALE_TTL: Duration = Duration::from_secs(3600);
/// After a look-up failed and stale annotations serve.
const RETRY_AFTER: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(10);
/// For how long a mount waits for the API server where stale annotations can serve.
const STALE_PATIENCE: Duration = Duration::from_secs(1);
const MAX_CACHED: usize = 4096;

/// What a ServiceAccount's annotations say, unjudged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Annotations {
    role_arn: Option<String>,
    role_name: Option<String>,
    /// Where neither is there: what looks as if it were meant to be one of them.
    near_miss: Option<String>,
}

#[derive(Debug)]
struct Known {
    annotations: Annotations,
    fresh_until: Instant,
    stale_until: Instant,
}

/// Why there are no annotations.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unknown {
    error: Box<Error>,
    /// The API server said that there is no such ServiceAccount: only then are cached annotations
    /// forgotten. Whatever else answers, or does not, says nothing of the role.
    gone: bool,
}

type Name = (String, String);
type Found = Result<Annotations, Unknown>;
/// By namespace: one that has many takes no other's place.
type Cache = Mutex<FairCache<String, String, Known>>;

fn new_cache() -> Cache {
    Mutex::new(FairCache::new(MAX_CACHED))
}

#[derive(Debug)]
pub struct ServiceAccounts {
    api: Option<Arc<ApiServer>>,
    cache: Arc<Cache>,
    in_flight: Arc<Group<Name, Found>>,
}

impl ServiceAccounts {
    /// `None` where the operator turned look-ups off: roles come from `roleArn` alone.
    pub fn new(api: Option<ApiServer>) -> Self {
        Self { api: api.map(Arc::new), cache: Arc::new(new_cache()), in_flight: Arc::default() }
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
            Error::new(Reason::InvalidAnnotation, format!("is not {form}"))
                .subject(format!("{account}, annotation {annotation}"))
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
            let hint = match self.api {
                None => "set parameter roleArn (look-ups are off here)".to_owned(),
                Some(_) => format!("annotate it with {ROLE_ARN}: {}", RoleArn::FORM),
            };
            let what = match annotations.near_miss {
                None => "has no RAM role".to_owned(),
                Some(near) => format!("has no RAM role; its annotation {near} is not one for it"),
            };
            return Err(Error::new(Reason::NoRole, what).subject(account).hint(hint));
        };
        match named.iter().find(|(_, other)| other != role) {
            None => Ok(role.clone()),
            Some((source, other)) => Err(Error::new(
                Reason::InvalidAnnotation,
                format!("has two RAM roles: {role} by {first_source}, {other} by {source}"),
            )
            .subject(account)
            .hint("keep one")),
        }
    }

    async fn annotations(&self, pod: &Pod) -> Result<Annotations, Error> {
        let Some(api) = self.api.clone() else { return Ok(Annotations::default()) };
        let name = (pod.namespace.clone(), pod.service_account.clone());
        if let Some(known) = fresh(&self.cache, &name) {
            return Ok(known);
        }
        let (waiter, leader) = self.in_flight.join(name.clone());
        if let Some(leader) = leader {
            let (cache, asked) = (self.cache.clone(), name.clone());
            telemetry::spawn(async move {
                // Another look-up may have ended between our look and this start.
                if let Some(known) = fresh(&cache, &asked) {
                    return leader.complete(Ok(known));
                }
                let late = || Err(away(&api, &asked, "no answer in time"));
                let found = timeout(TIMEOUT, look_up(&api, &asked)).await;
                leader.complete(keep(&cache, &asked, found.unwrap_or_else(|_| late())));
            });
        }
        let lost = || Error::new(Reason::Fault, "looking up the ServiceAccount failed inside");
        let end = Instant::now() + 2 * TIMEOUT;
        let soon = Instant::now() + STALE_PATIENCE;
        let early = if stale(&self.cache, &name).is_some() { soon } else { end };
        match waiter.clone().until(early).await {
            Waited::Completed(found) => return found.map_err(|unknown| *unknown.error),
            Waited::Lost => return Err(lost()),
            Waited::TimedOut(_) => {}
        }
        // The look-up goes on, and its answer serves the mounts after this one.
        if let Some(known) = stale(&self.cache, &name) {
            return Ok(known);
        }
        match waiter.until(end).await {
            Waited::Completed(found) => found.map_err(|unknown| *unknown.error),
            Waited::TimedOut(_) | Waited::Lost => Err(lost()),
        }
    }
}

/// What serves now: what was found, or stale annotations while the API server gives no answer about
/// this ServiceAccount.
fn keep(cache: &Cache, name: &Name, found: Found) -> Found {
    let ((namespace, account), now) = (name, Instant::now());
    let mut cache = lock(cache);
    let annotations = match found {
        Ok(annotations) => annotations,
        Err(unknown) => {
            let known = cache.get(namespace, account).filter(|known| known.stale_until > now);
            let Some(known) = known.filter(|_| !unknown.gone) else {
                cache.remove(namespace, account);
                return Err(unknown);
            };
            known.fresh_until = known.stale_until.min(now + RETRY_AFTER);
            let error = &unknown.error;
            tracing::warn!(%error, "a ServiceAccount cannot be looked up; stale annotations are served");
            return Ok(known.annotations.clone());
        }
    };
    let ttl = if annotations.name_a_role() { ROLE_TTL } else { NO_ROLE_TTL };
    let (fresh_until, stale_until) = (now + ttl, now + STALE_TTL);
    let known = Known { annotations: annotations.clone(), fresh_until, stale_until };
    cache.insert(namespace.clone(), account.clone(), known, 1);
    Ok(annotations)
}

fn fresh(cache: &Cache, (namespace, account): &Name) -> Option<Annotations> {
    let mut cache = lock(cache);
    let known = cache.get(namespace, account).filter(|known| known.fresh_until > Instant::now())?;
    Some(known.annotations.clone())
}

/// Stale annotations, while they may still serve.
fn stale(cache: &Cache, (namespace, account): &Name) -> Option<Annotations> {
    let mut cache = lock(cache);
    let known = cache.get(namespace, account).filter(|known| known.stale_until > Instant::now())?;
    Some(known.annotations.clone())
}

async fn look_up(api: &ApiServer, name: &Name) -> Found {
    let (namespace, account) = name;
    match api.service_account(namespace, account).await {
        Ok(annotations) => Ok(Annotations::of(annotations)),
        Err(Refused::Absent) => {
            let error = failed(name, "it does not exist");
            Err(Unknown { error: Box::new(error), gone: true })
        }
        Err(Refused::Status(403)) => Err(failed(name, "the look-up is forbidden").hint(
            "the provider's ClusterRole must allow get on serviceaccounts, or turn look-ups off \
             with --service-account-lookup=false",
        )
        .into()),
        Err(Refused::Status(status)) => {
            let error = failed(name, &format!("the API server at {} answered HTTP {status}", api.address()));
            Err(match is_transient(status) {
                true => passing(error.hint("the mount is tried again")),
                false => error.into(),
            })
        }
        Err(Refused::Foreign(status)) => Err(passing(
            failed(name, &format!("what answers at {} is not the API server (HTTP {status})", api.address()))
                .hint(
                    "a proxy or gateway on the way must let the call through, or correct \
                     --kubernetes-api; the mount is tried again",
                ),
        )),
        Err(Refused::Unanswered(what)) => Err(away(api, name, what)),
        Err(Refused::Untrusted) => {
            let what = format!("the API server at {}: its certificate is not the cluster's", api.address());
            Err(failed(name, &what)
                .hint("check what answers at this address; the mount is tried again")
                .into())
        }
        Err(Refused::Unasked(what)) => {
            Err(failed(name, &format!("the API server at {}: {what}", api.address()))
                .hint("run in a cluster with a ServiceAccount token, or give --kubernetes-api")
                .into())
        }
    }
}

impl Annotations {
    fn of(mut all: BTreeMap<String, String>) -> Self {
        let mut take = |name: &str| all.remove(name).filter(|text| !text.trim().is_empty());
        let (role_arn, role_name) = (take(ROLE_ARN), take(ROLE_NAME));
        let found = Self { role_arn, role_name, near_miss: None };
        match found.name_a_role() {
            true => found,
            false => Self { near_miss: near_miss(&all), ..found },
        }
    }

    fn name_a_role(&self) -> bool {
        self.role_arn.is_some() || self.role_name.is_some()
    }
}

/// An annotation whose name speaks of a role, Alibaba Cloud's first. Its value is named only if it
/// is a role's ARN.
fn near_miss(annotations: &BTreeMap<String, String>) -> Option<String> {
    let of_a_role = |key: &&String| {
        let name = key.rsplit_once('/').map_or(key.as_str(), |(_, name)| name);
        name.to_ascii_lowercase().contains("role")
    };
    let ours = |key: &&String| key.contains("alibabacloud.com/") || key.contains("aliyun");
    let keys = || annotations.keys().filter(of_a_role);
    let key = keys().find(ours).or_else(|| keys().next())?;
    let value = annotations.get(key).and_then(|value| RoleArn::parse(value.trim()));
    let value = value.map_or_else(String::new, |role| format!(" ({role})"));
    Some(format!("{}{value}", quoted(key)))
}

fn away(api: &ApiServer, name: &Name, why: &str) -> Unknown {
    passing(failed(name, &format!("the API server at {}: {why}", api.address())).hint(
        "NetworkPolicies and firewalls must let the provider reach it; the mount is tried again",
    ))
}

/// Nobody has to change anything, unless it lasts.
fn passing(error: Error) -> Unknown {
    Unknown::from(Error { reason: Reason::LookupFailed, ..error })
}

impl From<Error> for Unknown {
    fn from(error: Error) -> Self {
        Self { error: Box::new(error), gone: false }
    }
}

fn failed((namespace, account): &Name, what: &str) -> Error {
    Error::new(Reason::LookupRefused, format!("cannot be looked up: {what}"))
        .subject(format!("ServiceAccount {}", quoted(&format!("{namespace}/{account}"))))
}

#[cfg(test)]
mod tests;
