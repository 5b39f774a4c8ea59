use std::collections::BTreeMap;

use tokio::time::advance;

use super::{
    super::api_server::tests::{Fake, refusal},
    *,
};
use crate::{
    error::ErrorKind,
    role::{ROLE_ARN, ROLE_NAME},
};

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
    let accounts = ServiceAccounts::new(Some(fake.api().into()));
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
        (&[("ack.alibabacloud.com/ramRole", "planted")], "\"ack.alibabacloud.com/ramRole\" is not"),
        (&[("a.io/role", "x"), ("eks.amazonaws.com/role-arn", "planted")], "\"a.io/role\" is not"),
        (
            &[("a.io/role", "x"), ("ack.alibabacloud.com/role", "y")],
            "\"ack.alibabacloud.com/role\"",
        ),
        (&[("meta.helm.sh/release-name", "web"), (ROLE_ARN, "")], "has no RAM role; annotate it"),
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
        (503, ErrorKind::Internal, "the API server at HOST answered HTTP 503; the mount is tried"),
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
    assert!(error.message.contains(&address) && error.hint.contains("NetworkPolicies"), "{error}");
    assert!(error.hint.ends_with(fix), "{error}");
    for (status, body) in [(200, "[]"), (403, "<html>"), (404, "<html>"), (302, "")] {
        let fake = Fake::answering(status, body).await;
        let error = role(&ServiceAccounts::new(Some(fake.api().into())), None).await.unwrap_err();
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
        let accounts = ServiceAccounts::new(Some(fake.api().into()));
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
    let accounts = ServiceAccounts::new(ApiServer::at(&url).map(Arc::new));
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
