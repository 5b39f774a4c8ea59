//! A ServiceAccount's annotations, looked up, kept, and served stale; `role` judges them.

use std::{
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
    role::Annotations,
    singleflight::{Group, Waited},
    sync::lock,
    telemetry,
    text::quoted,
};

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
    pub fn new(api: Option<Arc<ApiServer>>) -> Self {
        Self { api, cache: Arc::new(new_cache()), in_flight: Arc::default() }
    }

    /// The one role that annotations and parameter name. Two that differ are an error.
    pub async fn role(
        &self,
        pod: &Pod,
        parameter: Option<&RoleArn>,
        provider: &OidcProviderArn,
    ) -> Result<RoleArn, Error> {
        let annotations = self.annotations(pod).await?;
        let account = format!("{}/{}", pod.namespace, pod.service_account);
        let looked_up = self.api.is_some();
        annotations.role(&account, parameter, provider.account(), looked_up)
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
                let late = || {
                    Err(unknown(&asked, &Refused::Unanswered("no answer in time"), api.address()))
                };
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
        Err(refused) => Err(unknown(name, &refused, api.address())),
    }
}

fn unknown(name: &Name, refused: &Refused, address: &str) -> Unknown {
    let error = failed(name, &refused.why(address));
    match refused {
        Refused::Absent => Unknown { error: Box::new(error), gone: true },
        Refused::Status(403) => failed(name, "the look-up is forbidden")
            .hint(
                "the provider's ClusterRole must allow get on serviceaccounts, or turn look-ups off \
                 with --service-account-lookup=false",
            )
            .into(),
        Refused::Status(status) if is_transient(*status) => {
            passing(error.hint("the mount is tried again"))
        }
        Refused::Status(_) => error.into(),
        Refused::Foreign(_) => passing(error.hint(
            "a proxy or gateway on the way must let the call through, or correct --kubernetes-api; the mount \
             is tried again",
        )),
        Refused::Unanswered(_) => passing(error.hint(
            "NetworkPolicies and firewalls must let the provider reach it; the mount is tried again",
        )),
        Refused::Untrusted => {
            error.hint("check what answers at this address; the mount is tried again").into()
        }
        Refused::Unasked(_) => error
            .hint("run in a cluster with a ServiceAccount token, or give --kubernetes-api")
            .into(),
    }
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
