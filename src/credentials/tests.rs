//! By way of what mounts fetch with, on a clock that jumps.

use std::collections::HashMap;

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request};
use serde_json::{Value, json};
use tokio::time::{advance, sleep};

use super::*;
use crate::{
    cloud::trust::Clients,
    endpoint::{Endpoints, HostTemplate, Service},
    fetch::Fetcher,
    http::{Answer, Broken, Transport},
    identity::Identity,
    names::{OidcProviderArn, RoleArn},
    policy::ChosenBy,
    request::{Mount, NodePublishKeys, Pod, TokenInput, caller::Via},
    secret::Secret,
    spc::{
        Spec,
        context::Context,
        file::{FileMode, PathTranslation},
        mode::Mode,
        objects::{self, Object},
    },
    value_cache::ValueCache,
};

const ROLE: &str = "acs:ram::1:role/web";
const OTHER: &str = "acs:ram::1:role/api";
const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
/// What an HTTP answer takes.
const WAY: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(100);

/// Hands out keys by number, and values that name the key that they were read with.
#[derive(Debug, Default)]
pub(crate) struct Fake(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    /// Operation or path, and all that came with it.
    asked: Vec<(String, String)>,
    keys: usize,
    /// In place of the usual answers, by operation or path, or by operation and object; `None` never
    /// comes.
    answers: HashMap<String, Option<(u16, Value)>>,
}

impl Fake {
    pub(crate) fn answer(&self, what: &str, status: u16, body: Value) {
        lock(&self.0).answers.insert(what.to_owned(), Some((status, body)));
    }

    pub(crate) fn refuse(&self, what: &str, status: u16, code: &str) {
        self.answer(what, status, json!({ "Code": code, "RequestId": "r" }));
    }

    pub(crate) fn hang(&self, what: &str) {
        lock(&self.0).answers.insert(what.to_owned(), None);
    }

    pub(crate) fn heal(&self) {
        lock(&self.0).answers.clear();
    }

    /// How often it was asked for.
    pub(crate) fn times(&self, what: &str) -> usize {
        lock(&self.0).asked.iter().filter(|(asked, _)| asked == what).count()
    }

    /// How often it was asked for this object.
    pub(crate) fn times_of(&self, what: &str, object: &str) -> usize {
        let asked = &lock(&self.0).asked;
        asked.iter().filter(|(asked, with)| asked == what && named(with) == Some(object)).count()
    }

    /// All that came with the last such call.
    pub(crate) fn last(&self, what: &str) -> String {
        let open = lock(&self.0);
        open.asked.iter().rfind(|(asked, _)| asked == what).unwrap().1.clone()
    }

    fn usual(&self, what: &str, with: &str) -> Value {
        let mut open = lock(&self.0);
        match what {
            "GetSecretValue" => {
                let key = with.split_once("Credential=").unwrap().1.split(',').next().unwrap();
                json!({ "SecretData": key, "VersionId": "v", "RequestId": "r" })
            }
            "/latest/api/token" => "planted-metadata-token".into(),
            "/latest/meta-data/region-id" => " cn-hangzhou\n".into(),
            "/latest/meta-data/ram/security-credentials/" => "node\n".into(),
            _ => {
                open.keys += 1;
                let session = session(&format!("key-{}", open.keys), "2126-01-01T00:00:00Z");
                match what.starts_with('/') {
                    true => session,
                    false => json!({ "Credentials": session, "RequestId": "r" }),
                }
            }
        }
    }
}

/// The object that a request asks for.
fn named(request: &str) -> Option<&str> {
    let names = request.split(['?', '&', ' ']);
    names.filter_map(|part| part.strip_prefix("SecretName=").or(part.strip_prefix("Name="))).next()
}

fn session(id: &str, until: &str) -> Value {
    json!({
        "Code": "Success",
        "AccessKeyId": id,
        "AccessKeySecret": "s",
        "SecurityToken": format!("token of {id}"),
        "Expiration": until,
    })
}

impl Transport for Fake {
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Answer, Broken>> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let action = head.headers.get("x-acs-action").map(|name| name.to_str().unwrap());
            let what = action.unwrap_or(head.uri.path()).to_owned();
            let mut with = format!("{} {}", head.method, head.uri);
            for (name, value) in &head.headers {
                with.push_str(&format!(" {name}: {}", value.to_str().unwrap()));
            }
            with.push_str(&format!(" {}", body.escape_ascii()));
            lock(&self.0).asked.push((what.clone(), with.clone()));
            sleep(WAY).await;
            let told = {
                let answers = &lock(&self.0).answers;
                let of_object =
                    named(&with).and_then(|object| answers.get(&format!("{what} {object}")));
                of_object.or(answers.get(&what)).cloned()
            };
            let (status, body) = match told {
                Some(None) => std::future::pending().await,
                Some(Some(answer)) => answer,
                None => (200, self.usual(&what, &with)),
            };
            let body = match body {
                Value::String(text) => text.into_bytes(),
                body => serde_json::to_vec(&body).unwrap(),
            };
            Ok(Answer { status, headers: HeaderMap::new(), body: Secret::new(body) })
        })
    }
}

/// What a node has, and its cloud.
struct Node {
    fake: Arc<Fake>,
    cloud: Arc<Cloud>,
    sessions: Sessions,
    fetcher: Fetcher,
    metrics: Arc<Metrics>,
}

impl Node {
    fn new() -> Self {
        let fake = Arc::new(Fake::default());
        let metrics = Arc::new(Metrics::new());
        let clients = Clients::by(fake.clone());
        let cloud = Arc::new(Cloud::new(clients, metrics.clone(), 64, 64));
        let endpoints = endpoints();
        let sts = endpoints.of(Service::Sts, &endpoints.region);
        let metadata = Metadata::by(fake.clone());
        let sessions = Sessions::new(cloud.clone(), sts, metadata, metrics.clone());
        let values = Arc::new(ValueCache::new(1 << 20, metrics.clone()).unwrap());
        let fetcher = Fetcher::new(cloud.clone(), sessions.clone(), values, false);
        Self { fake, cloud, sessions, fetcher, metrics }
    }

    /// The key that a secret is read with.
    async fn read(&self, login: &Login) -> Result<String, Error> {
        self.read_within(login, LIMIT, Duration::ZERO).await
    }

    async fn read_within(
        &self,
        login: &Login,
        limit: Duration,
        interval: Duration,
    ) -> Result<String, Error> {
        let identity = Identity {
            mode: Mode::Pod,
            chosen_by: ChosenBy::OperatorDefault,
            own_allowed: true,
            login: KeyedLogin::new(login.clone()),
            session_name: "s".to_owned(),
            trust_hint: "fix the trust".to_owned(),
        };
        let deadline = Instant::now() + limit;
        let end = self.fetcher.fetch(&identity, &mount(), interval, deadline).await?.pop().unwrap();
        let text =
            |value: &crate::value::Value| String::from_utf8(value.bytes.expose().clone()).unwrap();
        end.value.map(|value| text(&value)).ok_or_else(|| end.error.unwrap())
    }

    fn logins(&self) -> usize {
        self.fake.times("AssumeRoleWithOIDC")
    }

    fn held(&self) -> usize {
        let text = self.metrics.text();
        let line = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .find_map(|line| line.split_once("_sessions "));
        line.unwrap().1.parse().unwrap()
    }
}

fn endpoints() -> Endpoints {
    Endpoints { sts: HostTemplate::parse("sts.example"), ..Endpoints::of_hangzhou() }
}

fn mount() -> Mount {
    let endpoints = endpoints();
    let context = Context {
        endpoints: &endpoints,
        region: &endpoints.region,
        translation: PathTranslation::Off,
        mode: FileMode::parse_octal("0400").unwrap(),
    };
    mount_of(objects::parse("- objectName: a", &context).unwrap())
}

/// Of the pod shop/web-1, without a token or a key.
pub(crate) fn mount_of(objects: Vec<Object>) -> Mount {
    let own = str::to_owned;
    let (namespace, name, service_account) = (own("shop"), own("web-1"), own("web"));
    Mount {
        pod: Pod { namespace, name, uid: String::new(), service_account },
        via: Via::Driver,
        token: TokenInput::Absent,
        node_publish_keys: NodePublishKeys::Absent,
        spec: Spec::of(objects.into()),
    }
}

fn role(arn: &str) -> RoleArn {
    RoleArn::parse(arn).unwrap()
}

fn pod(token: &str) -> Login {
    Login::Oidc {
        role: role(ROLE),
        provider: OidcProviderArn::of_cluster("1", "c").unwrap(),
        token: Arc::new(Secret::new(token.to_owned())),
        subject: "shop:web".to_owned(),
        shared: false,
        name: "shop@web@web-1".to_owned(),
        lifetime: HOUR,
    }
}

fn shared_by(login: &mut Login, of: &str) {
    if let Login::Oidc { subject, shared, .. } = login {
        (*subject, *shared) = (of.to_owned(), true);
    }
}

fn keys(id: &str, secret: &str) -> Login {
    let secret = Secret::new(secret.to_owned());
    Login::Keys(Arc::new(Keys { id: id.to_owned(), secret, token: None }))
}

fn assumed(base: Login) -> Login {
    Login::Assume {
        base: KeyedLogin::new(base),
        role: role(OTHER),
        name: "n".to_owned(),
        lifetime: HOUR,
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_renewed_ahead_of_its_end_while_the_old_one_serves() {
    let (node, login) = (Node::new(), pod("a"));
    assert_eq!(node.read(&login).await.unwrap(), "key-1");
    // Ten minutes before its end, or no less than four fifths of that.
    advance(50 * MINUTE - 2 * SECOND).await;
    assert_eq!(node.read(&login).await.unwrap(), "key-1");
    assert_eq!(node.logins(), 1);
    advance(2 * MINUTE + 3 * SECOND).await;
    assert_eq!(node.read(&login).await.unwrap(), "key-1");
    assert_eq!(node.logins(), 2);
    assert_eq!(node.read(&login).await.unwrap(), "key-2");
    assert_eq!((node.logins(), node.held()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_given_up_a_minute_before_its_end() {
    for (after, key) in [(59 * MINUTE - WAY - WAY, "key-1"), (59 * MINUTE - WAY, "key-2")] {
        let (node, login) = (Node::new(), pod("a"));
        node.read(&login).await.unwrap();
        // It began when its answer came, one way before the read that followed it ended.
        advance(after).await;
        assert_eq!(node.read(&login).await.unwrap(), key, "{after:?}");
    }
}

#[tokio::test]
async fn sessions_of_all_lengths_end_in_time() {
    for seconds in [1, 8, 900, 3600, 43_200] {
        let lifetime = Duration::from_secs(seconds);
        let keys = Keys { id: String::new(), secret: Secret::new(String::new()), token: None };
        let before = Instant::now();
        let session = Session::new(keys, lifetime);
        let renewed = session.renew_at.duration_since(before);
        let ended = session.ends_at.duration_since(before);
        let margin = (lifetime / 4).min(10 * MINUTE);
        assert!(renewed >= lifetime - margin, "{seconds}: {renewed:?}");
        assert!(renewed <= lifetime - margin * 8 / 10 + SECOND / 10, "{seconds}: {renewed:?}");
        let last = (lifetime / 20).min(MINUTE);
        assert!(ended >= lifetime - last && ended < lifetime, "{seconds}: {ended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_failed_is_not_tried_again_at_once() {
    let (node, login) = (Node::new(), pod("a"));
    node.read(&login).await.unwrap();
    advance(53 * MINUTE).await;
    node.fake.refuse("AssumeRoleWithOIDC", 403, "NoPermission");
    node.read(&login).await.unwrap();
    assert_eq!(node.logins(), 2);
    advance(RENEW_PAUSE - SECOND).await;
    node.read(&login).await.unwrap();
    assert_eq!(node.logins(), 2);
    advance(SECOND).await;
    assert_eq!(node.read(&login).await.unwrap(), "key-1");
    assert_eq!(node.logins(), 3);
    // A session that is over does not outlive the refusal.
    advance(11 * MINUTE).await;
    assert_eq!(node.read(&login).await.unwrap_err().kind(), ErrorKind::Denied);
}

/// Between a caller's look and its start another login may have ended.
#[tokio::test(start_paused = true)]
async fn who_comes_a_moment_late_asks_for_no_second_session() {
    let (node, login) = (Node::new(), pod("a"));
    node.read(&login).await.unwrap();
    let keyed = KeyedLogin::new(login);
    let start_login = async || match node
        .sessions
        .start_login(&keyed, Priority::default())
        .until(Instant::now() + LIMIT)
        .await
    {
        Waited::Completed(Ok(session)) => session,
        other => panic!("{other:?}"),
    };
    let first = start_login().await;
    assert_eq!((&*first.keys.id, node.logins()), ("key-1", 1));
    advance(first.renew_at - Instant::now()).await;
    assert_eq!((&*start_login().await.keys.id, node.logins()), ("key-2", 2));
}

#[tokio::test(start_paused = true)]
async fn sweeping_forgets_sessions_that_are_over_and_no_others() {
    let node = Node::new();
    node.read(&pod("a")).await.unwrap();
    advance(30 * MINUTE).await;
    node.read(&pod("b")).await.unwrap();
    node.fetcher.sweep();
    assert_eq!(node.held(), 2);
    advance(30 * MINUTE).await;
    node.fetcher.sweep();
    assert_eq!(node.held(), 1);
    // The other one too at its very end, which is an hour after its answer came, less a minute.
    advance(29 * MINUTE - WAY).await;
    node.fetcher.sweep();
    assert_eq!(node.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn many_sessions_of_one_pod_leave_other_pods_theirs() {
    let node = Node::new();
    let keep = |owner: u8, number: usize| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        let keys = Keys { id: String::new(), secret: Secret::new(String::new()), token: None };
        node.sessions.keep([owner; 32], key, Ok(Session::new(keys, HOUR))).unwrap();
        key
    };
    let others = keep(1, 0);
    for number in 0..2 * MAX_HELD {
        keep(2, number);
    }
    assert_eq!(node.held(), MAX_HELD);
    let last = keep(3, 0);
    assert_eq!(node.held(), MAX_HELD);
    let held = lock(&node.sessions.0.held);
    assert!(held.peek(&[1; 32], &others).is_some() && held.peek(&[3; 32], &last).is_some());
}

#[test]
fn sessions_of_all_roles_that_a_pod_goes_on_to_take_its_own_room() {
    let own = KeyedLogin::new(pod("a"));
    let lifetime = Duration::from_secs(900);
    let role = crate::names::RoleArn::parse("acs:ram::6543210987654321:role/partner").unwrap();
    let chained = Login::Assume { base: own.clone(), role, name: "session".to_owned(), lifetime };
    assert_eq!(KeyedLogin::new(chained).owner(), own.owner());
    assert_eq!(KeyedLogin::new(pod("b")).owner(), own.owner(), "with another token");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_the_cloud_refuses_is_replaced_once() {
    let (node, login) = (Node::new(), pod("a"));
    node.read(&login).await.unwrap();
    node.fake.refuse("GetSecretValue", 403, "InvalidSecurityToken.Expired");
    assert_eq!(node.read(&login).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    assert_eq!((node.logins(), node.fake.times("GetSecretValue")), (2, 3));
    node.fake.heal();
    assert_eq!(node.read(&login).await.unwrap(), "key-2");
}

#[tokio::test(start_paused = true)]
async fn the_session_that_a_chain_begins_with_is_replaced_once() {
    let (node, login) = (Node::new(), assumed(pod("a")));
    node.fake.refuse("AssumeRole", 403, "InvalidSecurityToken.Expired");
    let error = node.read(&login).await.unwrap_err();
    assert_eq!(
        (error.kind(), &*error.subject),
        (ErrorKind::Unauthenticated, "role acs:ram::1:role/api")
    );
    assert_eq!((node.logins(), node.fake.times("AssumeRole")), (2, 2));
    // No other refusal is one of the session.
    node.fake.refuse("AssumeRole", 403, "NoPermission");
    assert_eq!(node.read(&login).await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!((node.logins(), node.fake.times("AssumeRole")), (2, 3));
    node.fake.heal();
    advance(REFUSED_FOR).await;
    assert_eq!(node.read(&login).await.unwrap(), "key-3");
    assert_eq!(node.logins(), 2);
    let asked = node.fake.last("AssumeRole");
    for part in ["Credential=key-2,", "token of key-2", "RoleSessionName=n", "DurationSeconds=3600"]
    {
        assert!(asked.contains(part), "{part}: {asked}");
    }
}

/// Neither sessions nor what memory holds of values.
#[tokio::test(start_paused = true)]
async fn logins_that_differ_in_anything_have_nothing_in_common() {
    let change = |change: fn(&mut Login)| {
        let mut login = pod("a");
        change(&mut login);
        login
    };
    let other = || OidcProviderArn::of_cluster("1", "d").unwrap();
    let logins = [
        pod("a"),
        pod("b"),
        change(|login| {
            if let Login::Oidc { role, .. } = login {
                *role = RoleArn::parse(OTHER).unwrap();
            }
        }),
        change(|login| {
            if let Login::Oidc { name, .. } = login {
                "shop@web@web-2".clone_into(name);
            }
        }),
        change(|login| {
            if let Login::Oidc { lifetime, .. } = login {
                *lifetime = HOUR / 2;
            }
        }),
        change(|login| shared_by(login, "shop:web")),
        // Two long names may be cut to the same session name.
        change(|login| shared_by(login, "shop:web-2")),
        match pod("a") {
            Login::Oidc { role, token, subject, shared, name, lifetime, .. } => {
                Login::Oidc { role, provider: other(), token, subject, shared, name, lifetime }
            }
            login => login,
        },
        assumed(pod("a")),
        assumed(pod("b")),
        assumed(keys("id", "s")),
        assumed(keys("id", "t")),
        assumed(keys("other", "s")),
        assumed(Login::EcsRole),
        assumed(assumed(pod("a"))),
        Login::EcsRole,
    ];
    let node = Node::new();
    let mut read = Vec::new();
    for login in &logins {
        read.push(node.read_within(login, LIMIT, HOUR).await.unwrap());
    }
    let all: std::collections::BTreeSet<_> = read.iter().collect();
    assert_eq!(all.len(), logins.len(), "{read:?}");
    for (login, key) in logins.iter().zip(&read) {
        assert_eq!(&node.read_within(login, LIMIT, HOUR).await.unwrap(), key);
    }
    // Where it is shared, the token may be another.
    let mut shared = pod("c");
    shared_by(&mut shared, "shop:web");
    assert_eq!(node.read_within(&shared, LIMIT, HOUR).await.unwrap(), read[5]);
}

#[tokio::test(start_paused = true)]
async fn long_lived_keys_need_no_session() {
    let node = Node::new();
    assert_eq!(node.read(&keys("id", "s")).await.unwrap(), "id");
    let asked: Vec<_> = lock(&node.fake.0).asked.iter().map(|(what, _)| what.clone()).collect();
    assert_eq!((asked, node.held()), (vec!["GetSecretValue".to_owned()], 0));
}

#[tokio::test(start_paused = true)]
async fn a_login_ends_in_its_time_and_says_who_did_not_answer() {
    let node = Node::new();
    node.fake.hang("AssumeRoleWithOIDC");
    let hangs = async |login: &Login, limit: Duration| {
        let begun = Instant::now();
        let error = node.read_within(login, limit, Duration::ZERO).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
        (begun.elapsed().as_secs(), error)
    };
    let (took, error) = hangs(&pod("a"), 3 * SECOND).await;
    assert_eq!(took, 3);
    assert_eq!(&*error.message, "STS at sts.example has not answered in the mount's time");
    assert_eq!(&*error.subject, "role acs:ram::1:role/web");
    // All attempts together.
    let (took, error) = hangs(&pod("b"), 3 * LIMIT).await;
    assert!((80..=240).contains(&took), "{took}");
    assert!(error.message.contains("AssumeRoleWithOIDC"), "{error}");

    node.fake.hang("/latest/api/token");
    let (_, error) = hangs(&Login::EcsRole, SECOND).await;
    assert_eq!(&*error.message, "instance metadata has not answered in the mount's time");
    assert_eq!(&*error.subject, "the instance's role");
}

#[test]
fn a_login_says_who_the_cloud_sees() {
    assert_eq!(pod("a").who(), "role acs:ram::1:role/web");
    assert_eq!(assumed(pod("a")).who(), "role acs:ram::1:role/api");
    assert_eq!(keys("LTAI5tId", "planted").who(), "access key LTAI5tId");
    // The author of the Secret may have confused its entries.
    let confused = keys("planted", "LTAI5tId");
    assert_eq!(confused.who(), "the access key");
    let Login::Keys(shown) = &confused else { panic!("{confused:?}") };
    assert!(!format!("{confused:?}").contains("planted"));
    assert!(format!("{shown:?}").starts_with("Keys { id: None"), "{shown:?}");
    assert_eq!(Login::EcsRole.who(), "the instance's role");
}

/// Readiness hears of what the operator has to fix, and of no role that one pod may not have.
#[tokio::test(start_paused = true)]
async fn a_login_that_only_the_operator_can_mend_is_told_by_readiness() {
    let readiness = async |login: &Login, what: &str, status: u16, code: &str| {
        let node = Node::new();
        node.fake.refuse(what, status, code);
        for _ in 0..7 {
            node.read(login).await.unwrap_err();
            advance(MINUTE).await;
        }
        let told = node.cloud.readiness().reasons();
        node.fake.heal();
        node.read(login).await.unwrap();
        assert!(node.cloud.readiness().reasons().is_empty());
        told
    };
    const OIDC: &str = "AssumeRoleWithOIDC";
    const ECS: &str = "/latest/meta-data/ram/security-credentials/node";
    let token = readiness(&pod("a"), OIDC, 400, "AuthenticationFail.OIDCToken.Invalid").await;
    assert!(token[0].starts_with("no RAM session can be had for 7 minutes: "), "{token:?}");
    assert!(token[0].contains("the registered OIDC provider"), "{token:?}");
    assert_eq!(readiness(&pod("a"), OIDC, 400, "InvalidTimeStamp.Expired").await.len(), 1);
    assert_eq!(readiness(&Login::EcsRole, ECS, 404, "").await.len(), 1);
    for (status, code) in [
        (403, "NoPermission"),
        (401, "AuthenticationFail.NoPermission"),
        (404, "EntityNotExist.Role"),
    ] {
        assert!(readiness(&pod("a"), OIDC, status, code).await.is_empty(), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_sts_says_what_would_mend_it() {
    for (status, code, fix) in [
        (400, "AuthenticationFail.OIDCToken.Expired", "the token is too old for STS"),
        (400, "AuthenticationFail.OIDCToken.Invalid", "the registered OIDC provider must have"),
        (404, "EntityNotExist.Role", "create the role or correct its name"),
        (403, "NoPermission", "the caller needs sts:AssumeRole on the role"),
        (401, "AuthenticationFail.NoPermission", "fix the trust"),
    ] {
        let node = Node::new();
        node.fake.refuse("AssumeRoleWithOIDC", status, code);
        let error = node.read(&pod("a")).await.unwrap_err();
        assert!(error.hint.starts_with(fix), "{code}: {error}");
        assert_eq!(&*error.subject, "role acs:ram::1:role/web");
        assert_eq!(node.logins(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_token_goes_to_sts_in_the_form() {
    let node = Node::new();
    node.read(&pod("planted.to/ken+=")).await.unwrap();
    let asked = node.fake.last("AssumeRoleWithOIDC");
    let form = "DurationSeconds=3600&OIDCProviderArn=acs%3Aram%3A%3A1%3Aoidc-provider%2Fack-rrsa-c&\
                OIDCToken=planted.to%2Fken%2B%3D&RoleArn=acs%3Aram%3A%3A1%3Arole%2Fweb&\
                RoleSessionName=shop%40web%40web-1";
    assert!(asked.starts_with("POST https://sts.example/?Action=AssumeRoleWithOIDC&"), "{asked}");
    assert!(asked.ends_with(&format!(" {form}")), "{asked}");
    assert_eq!(asked.matches("planted").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_lacks_anything_is_none() {
    let mut lacking = vec![session("key", "2020-01-01T00:00:00Z"), session("key", "tomorrow")];
    for part in ["AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration"] {
        let mut session = session("key", "2126-01-01T00:00:00Z");
        session[part] = "".into();
        lacking.push(session.clone());
        session[part].take();
        lacking.push(session);
    }
    for session in lacking {
        let node = Node::new();
        node.fake.answer("AssumeRoleWithOIDC", 200, json!({ "Credentials": session }));
        let error = node.read_within(&pod("a"), SECOND, Duration::ZERO).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{session}: {error}");
        assert_eq!(node.fake.times("GetSecretValue"), 0);
    }
}

/// A clock that is behind must not make a session last longer than what was asked for, nor may a
/// machine's say so.
#[tokio::test(start_paused = true)]
async fn sessions_are_believed_for_what_was_asked_for() {
    for (after, key) in [(12 * HOUR - 2 * MINUTE, "key-1"), (12 * HOUR - MINUTE, "key-2")] {
        let node = Node::new();
        node.read(&Login::EcsRole).await.unwrap();
        advance(after).await;
        assert_eq!(node.read(&Login::EcsRole).await.unwrap(), key, "{after:?}");
    }
}

const METADATA_TOKEN: &str = "/latest/api/token";
const METADATA_ROLES: &str = "/latest/meta-data/ram/security-credentials/";
const METADATA_NODE: &str = "/latest/meta-data/ram/security-credentials/node";

#[tokio::test(start_paused = true)]
async fn the_machine_is_asked_with_a_token_for_its_role_and_then_its_session() {
    let node = Node::new();
    assert_eq!(node.read(&Login::EcsRole).await.unwrap(), "key-1");
    let token = node.fake.last(METADATA_TOKEN);
    assert!(token.starts_with("PUT http://100.100.100.200/latest/api/token "), "{token}");
    assert!(token.contains("x-aliyun-ecs-metadata-token-ttl-seconds: 60"), "{token}");
    for path in [METADATA_ROLES, METADATA_NODE] {
        let asked = node.fake.last(path);
        assert!(asked.starts_with("GET "), "{asked}");
        let token = "x-aliyun-ecs-metadata-token: planted-metadata-token";
        assert!(asked.contains(token), "{asked}");
    }
    let region = Metadata::by(node.fake.clone()).region().await.unwrap();
    assert_eq!(region, "cn-hangzhou");
}

#[tokio::test(start_paused = true)]
async fn what_the_machine_cannot_answer_is_told() {
    const NO_ROLE: &str = "no RAM role is attached to the instance";
    for (path, status, body, told) in [
        (METADATA_TOKEN, 404, json!(""), "no token: HTTP 404"),
        (METADATA_ROLES, 404, json!(""), NO_ROLE),
        (METADATA_ROLES, 200, json!(""), NO_ROLE),
        (METADATA_ROLES, 200, json!("no/../role"), NO_ROLE),
        (METADATA_ROLES, 403, json!(""), "HTTP 403"),
        (METADATA_NODE, 404, json!(""), NO_ROLE),
        (METADATA_NODE, 200, json!("{"), "the answer lacks what it must hold"),
        (METADATA_NODE, 200, json!({ "Code": "Failed" }), "the answer lacks what it must hold"),
        (METADATA_NODE, 200, session("", "2126-01-01T00:00:00Z"), "the session is over already"),
    ] {
        let node = Node::new();
        node.fake.answer(path, status, body);
        let error = node.read(&Login::EcsRole).await.unwrap_err();
        assert_eq!((error.kind(), &*error.message), (ErrorKind::Unusable, told), "{path}");
        assert_eq!((&*error.subject, node.fake.times(path)), ("instance metadata", 1));
        assert!(error.hint.starts_with("identity ecs-role needs an ECS instance"));
    }
    let node = Node::new();
    let mut failed = session("key", "2126-01-01T00:00:00Z");
    failed["Code"] = "Failed".into();
    node.fake.answer(METADATA_NODE, 200, failed);
    let error = node.read(&Login::EcsRole).await.unwrap_err();
    assert_eq!(&*error.message, "the instance's role cannot be used now");
    node.fake.answer("/latest/meta-data/region-id", 404, json!(""));
    let error = Metadata::by(node.fake.clone()).region().await.unwrap_err();
    assert_eq!(&*error.message, "HTTP 404");
}

/// What answers on the machine restarts too.
#[tokio::test(start_paused = true)]
async fn the_machine_is_asked_again_where_that_can_help() {
    for status in [429, 500, 503] {
        let node = Node::new();
        node.fake.answer(METADATA_ROLES, status, json!(""));
        let error = node.read(&Login::EcsRole).await.unwrap_err();
        assert_eq!(&*error.message, format!("HTTP {status}"));
        assert_eq!(node.fake.times(METADATA_ROLES), 3);
    }
    let node = Node::new();
    node.fake.hang(METADATA_ROLES);
    let begun = Instant::now();
    let error = node.read(&Login::EcsRole).await.unwrap_err();
    assert_eq!((&*error.message, begun.elapsed().as_secs()), ("no answer in time", 6));
}

#[tokio::test(start_paused = true)]
async fn refused_login_is_answered_without_another_call_for_a_minute() {
    let (node, login) = (Node::new(), pod("a"));
    node.fake.refuse("AssumeRoleWithOIDC", 403, "NoPermission");
    let first = node.read(&login).await.unwrap_err();
    for _ in 0..50 {
        advance(SECOND).await;
        assert_eq!(node.read(&login).await.unwrap_err(), first);
    }
    assert_eq!(node.logins(), 1);
    // Nobody else's login is taken for it.
    node.fake.heal();
    node.read(&pod("b")).await.unwrap();
    advance(11 * SECOND).await;
    node.read(&login).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn login_that_failed_for_a_moment_is_asked_for_again_at_once() {
    let (node, login) = (Node::new(), pod("a"));
    node.fake.refuse("AssumeRoleWithOIDC", 503, "ServiceUnavailable");
    node.read(&login).await.unwrap_err();
    node.fake.heal();
    node.read(&login).await.unwrap();
}
