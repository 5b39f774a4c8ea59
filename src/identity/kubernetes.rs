//! The RAM role of a ServiceAccount, as its annotations name it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{Instant, timeout};

use super::api_server::{ApiServer, Refused};

use crate::{
    cloud::passes,
    error::{Error, Reason},
    fair_cache::FairCache,
    names::{OidcProviderArn, RoleArn},
    request::Pod,
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
/// For how long what was last read serves while the API server does not answer, so that pods whose
/// values and sessions are cached go on.
const STALE_TTL: Duration = Duration::from_secs(3600);
/// After a look-up failed and what was last read serves.
const RETRY_AFTER: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(10);
/// For how long a mount waits for the API server where what was last read can serve.
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
    /// The API server said that there is no such ServiceAccount: only then is what was last read
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
            let fix = match self.api {
                None => "set parameter roleArn (look-ups are off here)".to_owned(),
                Some(_) => format!("annotate it with {ROLE_ARN}: {}", RoleArn::FORM),
            };
            let what = match annotations.near_miss {
                None => "has no RAM role".to_owned(),
                Some(near) => format!("has no RAM role; its annotation {near} is not one for it"),
            };
            return Err(Error::new(Reason::NoRole, what).subject(account).hint(fix));
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

/// What serves now: what was found, or what was last read while the API server gives no answer about
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
            tracing::warn!(%error, "a ServiceAccount cannot be looked up; what was last read serves");
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

/// What was last read, while it may still serve.
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
            Err(match passes(status) {
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
mod tests {
    use tokio::time::advance;

    use super::{
        super::api_server::tests::{Fake, refusal},
        *,
    };
    use crate::error::ErrorKind;

    const WEB: &str = "acs:ram::1:role/web";
    const SECOND: Duration = Duration::from_secs(1);

    fn pod(service_account: &str) -> Pod {
        let own = str::to_owned;
        let (namespace, name, service_account) = (own("shop"), own("p"), own(service_account));
        Pod { namespace, name, uid: String::new(), service_account }
    }

    async fn role(accounts: &ServiceAccounts, parameter: Option<&str>) -> Result<String, Error> {
        let parameter = parameter.map(|arn| RoleArn::parse(arn).unwrap());
        let provider = OidcProviderArn::of_cluster("1", "c").unwrap();
        let role = accounts.role(&pod("web"), parameter.as_ref(), &provider).await;
        role.map(|role| role.as_str().to_owned())
    }

    async fn answering(status: u16, annotations: &[(&str, &str)]) -> (Fake, ServiceAccounts) {
        let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
        let body = match status {
            200 => serde_json::json!({ "metadata": { "annotations": annotations } }).to_string(),
            _ => refusal(status),
        };
        let fake = Fake::answering(status, &body).await;
        let accounts = ServiceAccounts::new(Some(fake.api()));
        (fake, accounts)
    }

    #[tokio::test]
    async fn annotations_and_parameter_name_one_role_or_none() {
        let arn = (ROLE_ARN, " acs:ram::1:role/web ");
        let name = (ROLE_NAME, " web ");
        let other = (ROLE_NAME, "api");
        let blank = (ROLE_ARN, " ");
        for (annotations, parameter) in [
            (&[arn][..], None),
            (&[name], None),
            (&[arn, name], None),
            (&[arn, name], Some(WEB)),
            (&[], Some(WEB)),
            (&[blank, name], None),
            (&[("other.io/role-arn", "x"), name], None),
        ] {
            let (_fake, accounts) = answering(200, annotations).await;
            let role = role(&accounts, parameter).await;
            assert_eq!(role.as_deref(), Ok(WEB), "{annotations:?}");
        }
        for (annotations, parameter, class, told) in [
            (&[][..], None, ErrorKind::Unusable, "has no RAM role; annotate it with"),
            (&[blank], None, ErrorKind::Unusable, "has no RAM role"),
            (&[arn, other], None, ErrorKind::Invalid, "has two RAM roles: "),
            (&[other], Some(WEB), ErrorKind::Invalid, "acs:ram::1:role/web by parameter roleArn"),
            (&[(ROLE_ARN, "web")], None, ErrorKind::Invalid, "role-arn: is not acs:ram::"),
            (&[(ROLE_NAME, "w/b")], None, ErrorKind::Invalid, "role-name: is not a role's name"),
        ] {
            let (_fake, accounts) = answering(200, annotations).await;
            let error = role(&accounts, parameter).await.unwrap_err();
            assert_eq!(error.kind(), class, "{error}");
            let text = error.to_string();
            assert!(text.starts_with("ServiceAccount shop/web") && text.contains(told), "{text}");
        }
        let error = role(&ServiceAccounts::new(None), None).await.unwrap_err();
        assert_eq!(&*error.hint, "set parameter roleArn (look-ups are off here)");
    }

    #[tokio::test]
    async fn what_was_found_is_not_asked_for_again_and_what_failed_is() {
        let (fake, accounts) = answering(200, &[(ROLE_ARN, WEB)]).await;
        for _ in 0..3 {
            role(&accounts, None).await.unwrap();
        }
        assert_eq!(fake.asked().len(), 1);
        let (fake, accounts) = answering(403, &[]).await;
        for _ in 0..3 {
            role(&accounts, None).await.unwrap_err();
        }
        assert_eq!(fake.asked().len(), 3);
    }

    #[tokio::test]
    async fn near_miss_annotation_is_named_with_its_value_only_if_that_is_an_arn() {
        for (annotations, says) in [
            (
                &[("pod-identity.alibabacloud.com/role-arn", WEB)][..],
                "role-arn\" (acs:ram::1:role/web)",
            ),
            (
                &[("ack.alibabacloud.com/ramRole", "planted")],
                "\"ack.alibabacloud.com/ramRole\" is not",
            ),
            (
                &[("a.io/role", "x"), ("eks.amazonaws.com/role-arn", "planted")],
                "\"a.io/role\" is not",
            ),
            (
                &[("a.io/role", "x"), ("ack.alibabacloud.com/role", "y")],
                "\"ack.alibabacloud.com/role\"",
            ),
            (
                &[("meta.helm.sh/release-name", "web"), (ROLE_ARN, "")],
                "has no RAM role; annotate it",
            ),
        ] {
            let (_fake, accounts) = answering(200, annotations).await;
            let text = role(&accounts, None).await.unwrap_err().to_string();
            assert!(text.contains(says) && text.contains("annotate it with"), "{text}");
            assert!(!text.contains("planted"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_look_up_that_failed_says_whether_it_passes() {
        let fix = "the mount is tried again";
        for (status, class, told) in [
            (403, ErrorKind::Unusable, "the look-up is forbidden; the provider's ClusterRole"),
            (404, ErrorKind::Unusable, "it does not exist"),
            (401, ErrorKind::Unusable, "the API server at HOST answered HTTP 401"),
            (
                503,
                ErrorKind::Internal,
                "the API server at HOST answered HTTP 503; the mount is tried",
            ),
        ] {
            let (fake, accounts) = answering(status, &[]).await;
            let error = role(&accounts, None).await.unwrap_err();
            let text = error.to_string().replace(fake.api().address(), "HOST");
            let told = format!("ServiceAccount \"shop/web\": cannot be looked up: {told}");
            assert!(error.kind() == class && text.starts_with(&told), "{text}");
            assert_eq!(&*error.hint == fix, class == ErrorKind::Internal);
        }
        // Nobody listens there any more.
        let (fake, accounts) = answering(200, &[]).await;
        let address = fake.api().address().to_owned();
        drop(fake);
        tokio::task::yield_now().await;
        let error = role(&accounts, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
        assert!(
            error.message.contains(&address) && error.hint.contains("NetworkPolicies"),
            "{error}"
        );
        assert!(error.hint.ends_with(fix), "{error}");
        for (status, body) in [(200, "[]"), (403, "<html>"), (404, "<html>"), (302, "")] {
            let fake = Fake::answering(status, body).await;
            let error = role(&ServiceAccounts::new(Some(fake.api())), None).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
            assert!(error.message.contains("is not the API server"), "{error}");
            assert!(error.hint.contains("proxy") && error.hint.ends_with(fix), "{error}");
        }
    }

    fn found(role: &str) -> Annotations {
        Annotations { role_arn: Some(role.to_owned()), ..Annotations::default() }
    }

    fn name(service_account: &str) -> Name {
        ("shop".to_owned(), service_account.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_is_believed_for_a_minute_and_none_for_three_seconds() {
        for (annotations, seconds) in [(found(WEB), 60), (Annotations::default(), 3)] {
            let cache = new_cache();
            keep(&cache, &name("web"), Ok(annotations.clone())).unwrap();
            assert_eq!(fresh(&cache, &name("api")), None);
            advance(SECOND * seconds - SECOND / 1000).await;
            assert_eq!(fresh(&cache, &name("web")).as_ref(), Some(&annotations));
            advance(SECOND / 1000).await;
            assert_eq!(fresh(&cache, &name("web")), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn last_annotations_serve_for_an_hour_while_the_api_server_fails() {
        let cache = new_cache();
        let down = || passing(failed(&name("web"), "down"));
        assert_eq!(keep(&cache, &name("web"), Err(down())), Err(down()), "nothing was read");
        keep(&cache, &name("web"), Ok(found(WEB))).unwrap();
        advance(ROLE_TTL).await;
        assert_eq!(keep(&cache, &name("web"), Err(down())), Ok(found(WEB)));
        // The API server is left alone for a while.
        advance(RETRY_AFTER - SECOND).await;
        assert_eq!(fresh(&cache, &name("web")), Some(found(WEB)));
        advance(SECOND).await;
        assert_eq!(fresh(&cache, &name("web")), None);
        advance(STALE_TTL - ROLE_TTL - RETRY_AFTER - SECOND).await;
        assert_eq!(keep(&cache, &name("web"), Err(down())), Ok(found(WEB)));
        advance(SECOND).await;
        assert_eq!(fresh(&cache, &name("web")), None);
        assert_eq!(keep(&cache, &name("web"), Err(down())), Err(down()), "an hour is over");
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_account_that_is_gone_ends_what_was_last_read() {
        let cache = new_cache();
        keep(&cache, &name("web"), Ok(found(WEB))).unwrap();
        let error = || Box::new(failed(&name("web"), "it does not exist"));
        let gone = || Unknown { error: error(), gone: true };
        assert_eq!(keep(&cache, &name("web"), Err(gone())), Err(gone()));
        let down = || passing(failed(&name("web"), "down"));
        assert_eq!(keep(&cache, &name("web"), Err(down())), Err(down()));
    }

    #[tokio::test]
    async fn only_the_api_servers_own_404_ends_what_was_last_read() {
        for (status, body, served) in [
            (401, refusal(401), true),
            (403, refusal(403), true),
            (404, refusal(404), false),
            (404, "<html>".to_owned(), true),
            (403, "<html>".to_owned(), true),
            (302, String::new(), true),
            (200, "<html>".to_owned(), true),
            (200, "x".repeat((1 << 20) + 1), true),
        ] {
            let fake = Fake::answering(status, &body).await;
            let accounts = ServiceAccounts::new(Some(fake.api()));
            keep(&accounts.cache, &name("web"), Ok(found(WEB))).unwrap();
            let (namespace, account) = name("web");
            lock(&accounts.cache).get(&namespace, &account).unwrap().fresh_until = Instant::now();
            let role = role(&accounts, None).await;
            assert_eq!(role.is_ok(), served, "{status}: {role:?}");
            assert_eq!(stale(&accounts.cache, &name("web")).is_some(), served, "{status}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn last_annotations_serve_soon_where_the_api_server_hangs() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let accounts = ServiceAccounts::new(ApiServer::at(&url));
        keep(&accounts.cache, &name("web"), Ok(found(WEB))).unwrap();
        advance(ROLE_TTL).await;
        let started = Instant::now();
        assert_eq!(role(&accounts, None).await.as_deref(), Ok(WEB));
        assert!(started.elapsed() < 2 * SECOND, "{:?}", started.elapsed());
        // Where nothing was read, there is the whole time.
        let started = Instant::now();
        lock(&accounts.cache).remove_if(|_| true);
        role(&accounts, None).await.unwrap_err();
        assert!(started.elapsed() > 5 * SECOND, "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn service_accounts_beyond_the_bound_replace_those_not_used_for_longest() {
        let cache = new_cache();
        for number in 0..=MAX_CACHED {
            keep(&cache, &name(&number.to_string()), Ok(found(WEB))).unwrap();
        }
        assert_eq!(lock(&cache).len(), MAX_CACHED);
        assert_eq!(fresh(&cache, &name("0")), None);
        assert_eq!(fresh(&cache, &name("1")), Some(found(WEB)));
        assert_eq!(fresh(&cache, &name(&MAX_CACHED.to_string())), Some(found(WEB)));
    }
}
