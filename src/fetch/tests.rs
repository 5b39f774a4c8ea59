//! By way of the cloud that sessions are tested with, on a clock that jumps.

use futures::future::join;
use serde_json::{Value as Json, json};
use tokio::time::{advance, sleep};

use super::*;
use crate::{
    cloud::trust::Clients,
    credentials::{
        metadata::Metadata,
        tests::{Fake, mount_of},
    },
    endpoint::{Endpoints, Service},
    error::ErrorKind,
    error::Errors,
    keys::Keys,
    login::Login,
    names::OidcProviderArn,
    policy::ChosenBy,
    secret::Secret,
    spc::{mode::Mode, objects::tests::parsed},
    telemetry::Metrics,
    value::Value,
};

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MOMENT: Duration = Duration::from_millis(1);
/// What an answer of that cloud takes.
pub(super) const WAY: Duration = Duration::from_millis(100);
pub(super) const NONE: Duration = Duration::ZERO;

pub(super) const GET: &str = "GetSecretValue";
pub(super) const OIDC: &str = "AssumeRoleWithOIDC";
pub(super) const TWO: &str = "- objectName: a\n- objectName: b\n";

/// What a node fetches with.
pub(super) struct Node {
    pub(super) fake: Arc<Fake>,
    fetcher: Fetcher,
}

impl Node {
    pub(super) fn new() -> Self {
        Self::of(NONE, NONE, false)
    }

    /// That serves stale values for so long: in an outage, and while the cloud throttles.
    pub(super) fn stale(grace: Duration, throttled: Duration) -> Self {
        Self::of(grace, throttled, false)
    }

    pub(super) fn batching() -> Self {
        Self::of(HOUR, NONE, true)
    }

    fn of(grace: Duration, throttled: Duration, batch: bool) -> Self {
        let fake = Arc::new(Fake::default());
        let metrics = Arc::new(Metrics::new());
        let cloud = Arc::new(Cloud::new(Clients::by(fake.clone()), metrics.clone(), 64, 64));
        let endpoints = Endpoints::of_hangzhou();
        let sts = endpoints.of(Service::Sts, &endpoints.region);
        let sessions =
            Sessions::new(cloud.clone(), sts, Metadata::by(fake.clone()), metrics.clone());
        let values = ValueCache::new(1 << 20, metrics).unwrap().with_stale(grace, throttled);
        Self { fake, fetcher: Fetcher::new(cloud, sessions, Arc::new(values), batch) }
    }

    /// How the reads of these objects end, with an access key.
    pub(super) async fn ends(&self, objects: &str, interval: Duration) -> Vec<ReadOutcome> {
        self.ends_as(&access_key(), objects, interval).await.unwrap()
    }

    pub(super) async fn ends_as(
        &self,
        identity: &Identity,
        objects: &str,
        interval: Duration,
    ) -> Result<Vec<ReadOutcome>, Error> {
        self.ends_within(MINUTE, identity, objects, interval).await
    }

    pub(super) async fn ends_within(
        &self,
        patience: Duration,
        identity: &Identity,
        objects: &str,
        interval: Duration,
    ) -> Result<Vec<ReadOutcome>, Error> {
        let deadline = Instant::now() + patience;
        self.fetcher.fetch(identity, &mount(objects), interval, deadline).await
    }

    /// The values of these objects, or all that failed.
    pub(super) async fn values(
        &self,
        objects: &str,
        interval: Duration,
    ) -> Result<Vec<Option<String>>, Errors> {
        let ends = self.ends(objects, interval).await;
        let values = require_all(&parsed(objects).unwrap(), &ends)?;
        Ok(values.into_iter().map(|value| value.map(|value| text(&value))).collect())
    }

    /// What a secret holds from now on.
    pub(super) fn hold(&self, name: &str, value: &str) {
        let body = json!({ "SecretName": name, "SecretData": value, "VersionId": "v" });
        self.fake.answer(&format!("{GET} {name}"), 200, body);
    }

    /// What kind of no a read of this secret gets from now on.
    pub(super) fn fail(&self, name: &str, (status, code): (u16, &str)) {
        self.fake.refuse(&format!("{GET} {name}"), status, code);
    }
}

/// What kinds of no there are: about the object, to the identity, about neither, and for a while.
pub(super) const GONE: (u16, &str) = (404, "Forbidden.ResourceNotFound");
pub(super) const DENIED: (u16, &str) = (403, "Forbidden.NoPermission");
/// It is asked once, and is no answer about the object.
pub(super) const CLOCK: (u16, &str) = (400, "InvalidTimeStamp.Expired");
pub(super) const BUSY: (u16, &str) = (429, "Throttling.User");

pub(super) fn text(value: &Value) -> String {
    String::from_utf8(value.bytes.expose().clone()).unwrap()
}

pub(super) fn identity(mode: Mode, login: Login) -> Identity {
    Identity {
        mode,
        chosen_by: ChosenBy::OperatorDefault,
        own_allowed: true,
        login: KeyedLogin::new(login),
        session_name: "s".to_owned(),
        trust_hint: "fix the trust".to_owned(),
    }
}

pub(super) fn access_key() -> Identity {
    let secret = Secret::new("s".to_owned());
    let keys = Keys { id: "LTAI1".to_owned(), secret, token: None };
    identity(Mode::AccessKey, Login::Keys(Arc::new(keys)))
}

/// A pod of its own role.
pub(super) fn pod(token: &str) -> Identity {
    let login = Login::Oidc {
        role: RoleArn::parse("acs:ram::1:role/web").unwrap(),
        provider: OidcProviderArn::of_cluster("1", "c").unwrap(),
        token: Arc::new(Secret::new(token.to_owned())),
        subject: "shop:web".to_owned(),
        shared: false,
        name: "shop@web@web-1".to_owned(),
        lifetime: HOUR,
    };
    identity(Mode::Pod, login)
}

fn mount(objects: &str) -> Mount {
    mount_of(parsed(objects).unwrap())
}

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}

// Each value once.

#[tokio::test(start_paused = true)]
async fn two_objects_of_one_read_cost_one_call() {
    let node = Node::new();
    node.hold("a", "1");
    let twice = "- objectName: a\n- {objectName: a, objectAlias: b}\n";
    assert_eq!(node.values(twice, NONE).await.unwrap(), some(&["1", "1"]));
    assert_eq!(node.fake.times(GET), 1);
}

#[tokio::test(start_paused = true)]
async fn another_version_is_another_read() {
    let node = Node::new();
    let both = "- objectName: a\n- {objectName: a, objectVersionLabel: old, objectAlias: b}\n";
    node.values(both, NONE).await.unwrap();
    assert_eq!(node.fake.times(GET), 2);
}

#[tokio::test(start_paused = true)]
async fn two_mounts_of_one_login_at_once_share_a_call() {
    let node = Node::new();
    node.hold("a", "1");
    let objects = "- objectName: a";
    let (one, other) = join(node.values(objects, NONE), node.values(objects, NONE)).await;
    assert_eq!((one.unwrap(), other.unwrap()), (some(&["1"]), some(&["1"])));
    assert_eq!(node.fake.times(GET), 1);
}

#[tokio::test(start_paused = true)]
async fn two_logins_at_once_share_nothing() {
    let node = Node::new();
    let (one, other) = (pod("a"), pod("b"));
    let objects = "- objectName: a";
    let (one, other) =
        join(node.ends_as(&one, objects, HOUR), node.ends_as(&other, objects, HOUR)).await;
    let value = |ends: Vec<ReadOutcome>| text(ends[0].value.as_ref().unwrap());
    assert_ne!(value(one.unwrap()), value(other.unwrap()));
    assert_eq!(node.fake.times(GET), 2);
}

#[tokio::test(start_paused = true)]
async fn objects_in_one_other_account_cost_one_login_there() {
    let node = Node::new();
    let role = "crossAccountRoleArn: 'acs:ram::2:role/partner'";
    let objects = format!("- {{objectName: a, {role}}}\n- {{objectName: b, {role}}}\n");
    let ends = node.ends(&objects, NONE).await;
    assert!(ends.iter().all(|end| end.error.is_none() && !end.asked));
    assert_eq!((node.fake.times("AssumeRole"), node.fake.times(GET)), (1, 2));
}

// The cache.

#[tokio::test(start_paused = true)]
async fn value_is_served_from_memory_until_its_interval_is_over() {
    for (age, origin) in [(5 * MINUTE - MOMENT, Origin::Memory), (5 * MINUTE, Origin::Cloud)] {
        let node = Node::new();
        node.ends("- objectName: a", 5 * MINUTE).await;
        advance(age - WAY).await;
        let ends = node.ends("- objectName: a", 5 * MINUTE).await;
        assert_eq!(ends[0].origin, origin, "{age:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn values_of_a_mount_come_from_memory_together_or_not_at_all() {
    let node = Node::new();
    node.values("- objectName: a", HOUR).await.unwrap();
    node.values(TWO, HOUR).await.unwrap();
    assert_eq!((node.fake.times_of(GET, "a"), node.fake.times_of(GET, "b")), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn mount_without_an_interval_asks_each_time() {
    let node = Node::new();
    for _ in 0..2 {
        node.values("- objectName: a", NONE).await.unwrap();
    }
    assert_eq!(node.fake.times(GET), 2);
}

#[tokio::test(start_paused = true)]
async fn next_try_of_a_mount_reads_only_what_the_last_one_did_not_get() {
    let node = Node::new();
    node.hold("a", "1");
    node.fail("b", CLOCK);
    node.values(TWO, HOUR).await.unwrap_err();
    node.hold("b", "2");
    assert_eq!(node.values(TWO, HOUR).await.unwrap(), some(&["1", "2"]));
    assert_eq!((node.fake.times_of(GET, "a"), node.fake.times_of(GET, "b")), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn next_try_of_a_mount_reads_all_again_after_four_minutes() {
    for (age, times) in [(4 * MINUTE - MOMENT, 1), (4 * MINUTE, 2)] {
        let node = Node::new();
        node.fail("b", CLOCK);
        node.values(TWO, HOUR).await.unwrap_err();
        advance(age - WAY).await;
        node.values(TWO, HOUR).await.unwrap_err();
        assert_eq!(node.fake.times_of(GET, "a"), times, "{age:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn fetcher_keeps_a_mount_whose_every_object_was_read() {
    let node = Node::new();
    let keeps = |objects| node.fetcher.keeps(&access_key(), &parsed(objects).unwrap());
    assert!(!keeps("- objectName: a"));
    node.values("- objectName: a", HOUR).await.unwrap();
    assert!(keeps("- objectName: a"));
    assert!(!keeps(TWO));
}

#[tokio::test(start_paused = true)]
async fn sweeping_wipes_values_that_nobody_may_be_served() {
    let node = Node::stale(HOUR, NONE);
    node.values("- objectName: a", MINUTE).await.unwrap();
    let left = || {
        node.fetcher.sweep();
        node.fetcher.state().cached_values
    };
    advance(HOUR - MOMENT - WAY).await;
    assert_eq!(left(), 1);
    advance(MOMENT).await;
    assert_eq!(left(), 0);
}

#[tokio::test(start_paused = true)]
async fn state_counts_what_is_held_and_what_is_under_way() {
    let node = Node::new();
    node.ends_as(&pod("a"), "- objectName: a", HOUR).await.unwrap();
    let state = node.fetcher.state();
    assert_eq!((state.sessions, state.cached_values, state.reads_in_flight), (1, 1, 0));
    assert!(state.cached_bytes > 0);
    node.fake.hang(GET);
    let fetched = node.ends("- objectName: b", HOUR);
    let looked = async {
        sleep(WAY).await;
        node.fetcher.state().reads_in_flight
    };
    tokio::select! {
        _ = fetched => panic!("nothing answers"),
        in_flight = looked => assert_eq!(in_flight, 1),
    }
}

// Objects that do not exist.

const OPTIONAL: &str = "- {objectName: a, optional: true}";

#[tokio::test(start_paused = true)]
async fn optional_object_that_does_not_exist_is_left_out() {
    let node = Node::new();
    node.fail("a", GONE);
    let ends = node.ends(OPTIONAL, HOUR).await;
    assert!(ends[0].missing && ends[0].value.is_none());
    assert_eq!(node.values(OPTIONAL, HOUR).await.unwrap(), [None]);
}

#[tokio::test(start_paused = true)]
async fn other_object_that_does_not_exist_fails_the_mount() {
    let node = Node::new();
    node.fail("a", GONE);
    let errors = node.values("- objectName: a", HOUR).await.unwrap_err();
    assert_eq!(errors.kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn optional_object_is_left_out_for_no_other_reason() {
    for (no, kind) in [(DENIED, ErrorKind::Denied), (CLOCK, ErrorKind::Unusable)] {
        let node = Node::new();
        node.fail("a", no);
        assert_eq!(node.values(OPTIONAL, HOUR).await.unwrap_err().kind(), kind);
    }
}

#[tokio::test(start_paused = true)]
async fn optional_object_whose_version_does_not_exist_fails_the_mount() {
    let node = Node::new();
    node.fail("a", GONE);
    let version = "- {objectName: a, objectVersion: v1, optional: true}";
    let errors = node.values(version, HOUR).await.unwrap_err();
    assert_eq!(errors.kind(), ErrorKind::NotFound);
    let message = errors.message();
    assert!(message.contains("optional is for one that does not exist at all"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn optional_object_that_does_not_exist_is_not_asked_for_until_the_interval_is_over() {
    let node = Node::new();
    node.fail("a", GONE);
    node.values(OPTIONAL, HOUR).await.unwrap();
    let ends = node.ends(OPTIONAL, HOUR).await;
    assert!(ends[0].missing && ends[0].origin == Origin::Memory);
    assert_eq!(node.fake.times(GET), 1);
    advance(HOUR).await;
    node.values(OPTIONAL, HOUR).await.unwrap();
    assert_eq!(node.fake.times(GET), 2);
}

#[tokio::test(start_paused = true)]
async fn object_that_must_exist_is_asked_for_though_memory_knows_that_it_does_not() {
    let node = Node::new();
    node.fail("a", GONE);
    node.values(OPTIONAL, HOUR).await.unwrap();
    node.hold("a", "1");
    assert_eq!(node.values("- objectName: a", HOUR).await.unwrap(), some(&["1"]));
}

// Failures.

#[tokio::test(start_paused = true)]
async fn all_that_failed_is_told_together() {
    let node = Node::new();
    node.fail("a", DENIED);
    node.fail("b", GONE);
    let errors = node.values(TWO, HOUR).await.unwrap_err();
    let kinds: Vec<ErrorKind> = errors.iter().map(|error| error.kind()).collect();
    assert_eq!(kinds, [ErrorKind::Denied, ErrorKind::NotFound]);
}

#[tokio::test(start_paused = true)]
async fn outcome_tells_a_refusal_from_a_failure() {
    for (no, refused, throttled) in
        [(DENIED, true, false), (GONE, true, false), (CLOCK, false, false), (BUSY, false, true)]
    {
        let node = Node::new();
        node.fail("a", no);
        let ends = node.ends("- objectName: a", HOUR).await;
        let end = &ends[0];
        assert_eq!((end.refused, end.throttled, end.asked), (refused, throttled, true), "{no:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn fetch_ends_at_its_deadline() {
    let node = Node::new();
    node.fake.hang(GET);
    let begun = Instant::now();
    let ends = node.ends(TWO, HOUR).await;
    assert!(begun.elapsed() <= MINUTE && begun.elapsed() > MINUTE - SECOND);
    assert!(ends.iter().all(|end| end.error.as_ref().unwrap().kind() == ErrorKind::Internal));
}

#[tokio::test(start_paused = true)]
async fn login_that_is_refused_ends_the_fetch_before_any_read() {
    let node = Node::new();
    node.fake.refuse(OIDC, 403, "NoPermission");
    let error = node.ends_as(&pod("a"), TWO, HOUR).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!((node.fake.times(OIDC), node.fake.times(GET)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn login_that_is_refused_wipes_what_the_pod_had() {
    let node = Node::new();
    node.ends_as(&pod("a"), "- objectName: a", HOUR).await.unwrap();
    node.fake.refuse(OIDC, 403, "NoPermission");
    node.ends_as(&pod("b"), "- objectName: a", HOUR).await.unwrap_err();
    node.fake.heal();
    let ends = node.ends_as(&pod("a"), "- objectName: a", HOUR).await.unwrap();
    assert_eq!(ends[0].origin, Origin::Cloud);
}

#[tokio::test(start_paused = true)]
async fn own_login_is_not_made_for_objects_of_other_accounts_that_memory_has() {
    let node = Node::new();
    let objects = "- {objectName: a, crossAccountRoleArn: 'acs:ram::2:role/partner'}";
    node.ends_as(&pod("a"), objects, HOUR).await.unwrap();
    node.ends_as(&pod("a"), objects, HOUR).await.unwrap();
    assert_eq!((node.fake.times(OIDC), node.fake.times("AssumeRole")), (1, 1));
}

// What goes on after a mount.

#[tokio::test(start_paused = true)]
async fn read_that_was_throttled_goes_on_after_its_mount() {
    let node = Node::new();
    node.fail("a", BUSY);
    let ends = node.ends_within(2 * SECOND, &access_key(), "- objectName: a", HOUR).await;
    assert!(ends.unwrap()[0].throttled);
    node.hold("a", "1");
    sleep(MINUTE).await;
    assert_eq!(node.ends("- objectName: a", HOUR).await[0].origin, Origin::Memory);
}

#[tokio::test(start_paused = true)]
async fn read_that_stays_throttled_ends_some_minutes_after_its_mount() {
    let node = Node::new();
    node.fail("a", BUSY);
    let ends = node.ends_within(2 * SECOND, &access_key(), "- objectName: a", HOUR).await;
    assert!(ends.unwrap()[0].throttled);
    sleep(5 * MINUTE).await;
    let asked = node.fake.times(GET);
    sleep(5 * MINUTE).await;
    assert_eq!((node.fake.times(GET), node.fetcher.state().reads_in_flight), (asked, 0));
}

#[tokio::test(start_paused = true)]
async fn few_reads_go_on_after_a_mount_whose_login_was_throttled() {
    for (objects, read) in [(16, 16), (17, 0)] {
        let node = Node::new();
        node.fake.refuse(OIDC, BUSY.0, BUSY.1);
        let list: String = (0..objects).map(|n| format!("- objectName: n{n}\n")).collect();
        let error = node.ends_within(2 * SECOND, &pod("a"), &list, HOUR).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        node.fake.heal();
        sleep(2 * MINUTE).await;
        assert_eq!(node.fake.times(GET), read, "{objects}");
    }
}

// Origins.

#[test]
fn origin_of_a_mount_is_stale_before_cloud_before_memory() {
    let (grace, stale) = (Origin::Grace(SECOND), Origin::Stale(SECOND));
    let of = |origins: &[Origin]| {
        let ends: Vec<_> = origins.iter().map(|origin| ReadOutcome::nothing(*origin)).collect();
        Origin::of(&ends)
    };
    assert_eq!(of(&[Origin::Memory, Origin::Cloud, grace]), Some(grace));
    assert_eq!(of(&[Origin::Cloud, stale, grace]), Some(stale));
    assert_eq!(of(&[Origin::Memory, Origin::Cloud]), Some(Origin::Cloud));
    assert_eq!(of(&[Origin::Memory]), Some(Origin::Memory));
    assert_eq!(of(&[]), None);
}

#[test]
fn names_of_origins_are_those_of_the_audit_record() {
    let all = [Origin::Cloud, Origin::Memory, Origin::Grace(SECOND), Origin::Stale(SECOND)];
    assert_eq!(all.map(Origin::name), ["cloud", "memory", "grace", "stale"]);
}

/// The answer to a batch of secrets that has these.
pub(super) fn secrets(values: &[(&str, &str)]) -> Json {
    let value = |(name, value): &(&str, &str)| json!({ "SecretName": name, "SecretData": value, "VersionId": "v" });
    json!({ "SecretValues": values.iter().map(value).collect::<Vec<_>>(), "RequestId": "r" })
}
