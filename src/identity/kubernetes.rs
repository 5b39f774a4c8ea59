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

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::{super::api_server::tests::Fake, *};

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
        let annotations: HashMap<_, _> = annotations.iter().copied().collect();
        let body = serde_json::json!({ "metadata": { "annotations": annotations } }).to_string();
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
            (&[][..], None, Class::Unusable, "has no RAM role; annotate it with"),
            (&[blank], None, Class::Unusable, "has no RAM role"),
            (&[arn, other], None, Class::Invalid, "has two RAM roles: "),
            (&[other], Some(WEB), Class::Invalid, "acs:ram::1:role/web by parameter roleArn"),
            (&[(ROLE_ARN, "web")], None, Class::Invalid, "role-arn: is not acs:ram::"),
            (&[(ROLE_NAME, "w/b")], None, Class::Invalid, "role-name: is not a role's name"),
        ] {
            let (_fake, accounts) = answering(200, annotations).await;
            let error = role(&accounts, parameter).await.unwrap_err();
            assert_eq!(error.class, class, "{error}");
            let text = error.to_string();
            assert!(text.starts_with("ServiceAccount shop/web") && text.contains(told), "{text}");
        }
        let error = role(&ServiceAccounts::new(None), None).await.unwrap_err();
        assert_eq!(&*error.fix, "set parameter roleArn (look-ups are off here)");
    }

    #[tokio::test]
    async fn what_was_found_is_not_asked_for_again_and_what_failed_is() {
        let (fake, accounts) = answering(200, &[(ROLE_ARN, WEB)]).await;
        for _ in 0..3 {
            role(&accounts, None).await.unwrap();
        }
        assert_eq!(fake.asked().len(), 1);
        let (fake, accounts) = answering(404, &[]).await;
        for _ in 0..3 {
            role(&accounts, None).await.unwrap_err();
        }
        assert_eq!(fake.asked().len(), 3);
    }

    #[tokio::test]
    async fn a_look_up_that_failed_says_whether_it_passes() {
        let fix = "the mount is tried again";
        for (status, class, told) in [
            (403, Class::Unusable, "the look-up is forbidden; the provider's ClusterRole"),
            (404, Class::Unusable, "it does not exist"),
            (401, Class::Unusable, "the API server answered HTTP 401"),
            (503, Class::Internal, "the API server answered HTTP 503; the mount is tried again"),
        ] {
            let (_fake, accounts) = answering(status, &[]).await;
            let error = role(&accounts, None).await.unwrap_err();
            let text = error.to_string();
            let told = format!("ServiceAccount \"shop/web\": cannot be looked up: {told}");
            assert!(error.class == class && text.starts_with(&told), "{text}");
            assert_eq!(&*error.fix == fix, class == Class::Internal);
        }
        // Nobody listens there any more.
        let (fake, accounts) = answering(200, &[]).await;
        drop(fake);
        tokio::task::yield_now().await;
        let error = role(&accounts, None).await.unwrap_err();
        assert_eq!((error.class, &*error.fix), (Class::Internal, fix), "{error}");
        let fake = Fake::answering(200, "[]").await;
        let error = role(&ServiceAccounts::new(Some(fake.api())), None).await.unwrap_err();
        assert_eq!(error.class, Class::Unusable);
        assert!(error.fix.starts_with("run in a cluster"), "{error}");
    }

    fn found(role: &str) -> Annotations {
        Annotations { role_arn: Some(role.to_owned()), role_name: None }
    }

    fn name(service_account: &str) -> Name {
        ("shop".to_owned(), service_account.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_is_believed_for_a_minute_and_none_for_three_seconds() {
        for (annotations, seconds) in [(found(WEB), 60), (Annotations::default(), 3)] {
            let cache = Cache::default();
            keep(&cache, &name("web"), Ok(annotations.clone())).unwrap();
            assert_eq!(fresh(&cache, &name("api")), None);
            advance(SECOND * seconds - SECOND / 1000).await;
            assert_eq!(fresh(&cache, &name("web")).as_ref(), Some(&annotations));
            advance(SECOND / 1000).await;
            assert_eq!(fresh(&cache, &name("web")), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_kept_than_there_is_room_for() {
        let cache = Cache::default();
        let keep = |number: usize, annotations: Annotations| {
            let kept = keep(&cache, &name(&number.to_string()), Ok(annotations.clone()));
            assert_eq!(kept, Ok(annotations));
            lock(&cache).len()
        };
        for number in 1..MAX_CACHED {
            assert_eq!(keep(number, found(WEB)), number);
        }
        assert_eq!(keep(MAX_CACHED, Annotations::default()), MAX_CACHED);
        // All of them are fresh.
        assert_eq!(keep(MAX_CACHED + 1, found(WEB)), MAX_CACHED);
        assert_eq!(fresh(&cache, &name(&(MAX_CACHED + 1).to_string())), None);
        // One of them no more, to the moment.
        advance(3 * SECOND).await;
        assert_eq!(keep(MAX_CACHED + 1, found(WEB)), MAX_CACHED);
        assert_eq!(fresh(&cache, &name(&(MAX_CACHED + 1).to_string())), Some(found(WEB)));
        assert_eq!(fresh(&cache, &name("1")), Some(found(WEB)));
        let failure = Error::new(Class::Internal, "no");
        assert_eq!(super::keep(&cache, &name("x"), Err(failure.clone())), Err(failure));
        advance(ROLE_TTL).await;
        assert_eq!(keep(0, found(WEB)), 1);
    }
}
