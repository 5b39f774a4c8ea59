use serde_json::json;
use tokio::time::advance;

use super::{
    super::tests::{BUSY, CLOCK, DENIED, GET, HOUR, NONE, Node, SECOND, TWO, secrets},
    *,
};
use crate::{
    endpoint::{Endpoints, Service},
    login::Login,
};

const BATCH: &str = "BatchGetSecretValue";
const PARAMETERS: &str = "- {objectName: a, objectType: oos}\n- {objectName: b, objectType: oos}\n";

#[tokio::test(start_paused = true)]
async fn refused_batch_is_tried_again_after_an_hour() {
    let (batching, endpoints) = (Batching::new(true), Endpoints::of_hangzhou());
    let kms = endpoints.of(Service::Kms, &endpoints.region);
    let oos = endpoints.of(Service::Oos, &endpoints.region);
    let (of_kms, of_oos) = (Api::BatchGetSecretValue, Api::GetSecretParameters);
    let login = KeyedLogin::new(Login::EcsRole);
    batching.refused(&login, &kms);
    assert!(!batching.may(of_kms, &login, &kms) && batching.may(of_oos, &login, &oos));
    advance(Batching::REMEMBERED - Duration::from_secs(1)).await;
    assert!(!batching.may(of_kms, &login, &kms));
    advance(Duration::from_secs(1)).await;
    assert!(batching.may(of_kms, &login, &kms));
}

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn batch_that_has_all_costs_one_call() {
    let node = Node::batching();
    node.fake.answer(BATCH, 200, secrets(&[("b", "2"), ("a", "1")]));
    assert_eq!(node.values(TWO, NONE).await.unwrap(), some(&["1", "2"]));
    assert_eq!((node.fake.times(BATCH), node.fake.times(GET)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn values_of_a_batch_are_kept_like_others() {
    let node = Node::batching();
    node.fake.answer(BATCH, 200, secrets(&[("b", "2"), ("a", "1")]));
    node.values(TWO, HOUR).await.unwrap();
    assert_eq!(node.values("- objectName: b", HOUR).await.unwrap(), some(&["2"]));
    assert_eq!((node.fake.times(BATCH), node.fake.times(GET)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn secrets_are_not_read_together_unless_the_operator_wants_it() {
    let node = Node::new();
    node.values(TWO, NONE).await.unwrap();
    assert_eq!((node.fake.times(BATCH), node.fake.times(GET)), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn secret_that_a_batch_lacks_is_asked_for_alone() {
    let node = Node::batching();
    node.fake.answer(BATCH, 200, secrets(&[("a", "1")]));
    node.hold("b", "2");
    assert_eq!(node.values(TWO, NONE).await.unwrap(), some(&["1", "2"]));
    assert_eq!((node.fake.times_of(GET, "a"), node.fake.times_of(GET, "b")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn secret_that_a_batch_lacks_fails_with_its_own_answer() {
    let node = Node::batching();
    node.fake.answer(BATCH, 200, secrets(&[("a", "1")]));
    node.fail("b", DENIED);
    let errors = node.values(TWO, NONE).await.unwrap_err();
    let subjects: Vec<&str> = errors.iter().map(|error| &*error.subject).collect();
    assert_eq!(subjects, ["object 2 \"b\""]);
}

#[tokio::test(start_paused = true)]
async fn batch_that_is_denied_is_not_tried_for_an_hour() {
    let node = Node::batching();
    node.fake.refuse(BATCH, DENIED.0, DENIED.1);
    node.values(TWO, NONE).await.unwrap();
    assert_eq!((node.fake.times(BATCH), node.fake.times(GET)), (1, 2));
    advance(HOUR - SECOND).await;
    node.values(TWO, NONE).await.unwrap();
    assert_eq!((node.fake.times(BATCH), node.fake.times(GET)), (1, 4));
    advance(SECOND).await;
    node.values(TWO, NONE).await.unwrap();
    assert_eq!(node.fake.times(BATCH), 2);
}

#[tokio::test(start_paused = true)]
async fn batch_that_does_not_exist_or_is_invalid_is_not_tried_again_either() {
    for (status, code) in [(404, "InvalidAction.NotFound"), (400, "InvalidParameter")] {
        let node = Node::batching();
        node.fake.refuse(BATCH, status, code);
        for _ in 0..2 {
            node.values(TWO, NONE).await.unwrap();
        }
        assert_eq!((node.fake.times(BATCH), node.fake.times(GET)), (1, 4), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn batch_that_one_secret_spoils_is_tried_again_the_next_time() {
    let node = Node::batching();
    node.fake.refuse(BATCH, 404, "Forbidden.ResourceNotFound");
    for _ in 0..2 {
        node.values(TWO, NONE).await.unwrap();
    }
    assert_eq!((node.fake.times(BATCH), node.fake.times(GET)), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn batch_that_fails_by_its_host_fails_all_its_secrets_without_more_calls() {
    for no in [CLOCK, BUSY, (503, "ServiceUnavailable")] {
        let node = Node::batching();
        node.fake.refuse(BATCH, no.0, no.1);
        let errors = node.values(TWO, NONE).await.unwrap_err();
        assert_eq!((errors.iter().count(), node.fake.times(GET)), (2, 0), "{no:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn parameters_are_read_together_unasked() {
    let node = Node::new();
    let value = |name| json!({ "Name": name, "Value": name, "ParameterVersion": 1 });
    let body = json!({ "Parameters": [value("b"), value("a")] });
    node.fake.answer("GetSecretParameters", 200, body);
    assert_eq!(node.values(PARAMETERS, NONE).await.unwrap(), some(&["a", "b"]));
    assert_eq!(node.fake.times("GetSecretParameter"), 0);
}

/// Parameters `a` and `b` are read, and two minutes later `b` is refused and cannot be asked for alone.
#[tokio::test(start_paused = true)]
async fn parameter_that_a_batch_refuses_is_not_served_stale() {
    let node = Node::stale(HOUR, HOUR);
    let value = |name| json!({ "Name": name, "Value": name, "ParameterVersion": 1 });
    let body = json!({ "Parameters": [value("a"), value("b")] });
    node.fake.answer("GetSecretParameters", 200, body);
    node.values(PARAMETERS, 60 * SECOND).await.unwrap();
    advance(120 * SECOND).await;
    let body = json!({ "Parameters": [value("a")], "InvalidParameters": ["b"] });
    node.fake.answer("GetSecretParameters", 200, body);
    node.fake.refuse("GetSecretParameter b", CLOCK.0, CLOCK.1);
    let ends = node.ends(PARAMETERS, 60 * SECOND).await;
    assert!(ends[0].error.is_none());
    assert!(ends[1].error.is_some() && ends[1].value.is_none());
    assert_eq!(node.fake.times_of("GetSecretParameter", "b"), 1);
}

/// The same, but that the batch only lacks it.
#[tokio::test(start_paused = true)]
async fn parameter_that_a_batch_only_lacks_may_be_served_stale() {
    let node = Node::stale(HOUR, HOUR);
    let value = |name| json!({ "Name": name, "Value": name, "ParameterVersion": 1 });
    let body = json!({ "Parameters": [value("a"), value("b")] });
    node.fake.answer("GetSecretParameters", 200, body);
    node.values(PARAMETERS, 60 * SECOND).await.unwrap();
    advance(120 * SECOND).await;
    node.fake.answer("GetSecretParameters", 200, json!({ "Parameters": [value("a")] }));
    node.fake.refuse("GetSecretParameter b", CLOCK.0, CLOCK.1);
    assert_eq!(node.values(PARAMETERS, 60 * SECOND).await.unwrap(), some(&["a", "b"]));
}

#[tokio::test(start_paused = true)]
async fn refused_batch_of_one_login_or_host_says_nothing_of_others() {
    let (batching, endpoints) = (Batching::new(true), Endpoints::of_hangzhou());
    let kms = endpoints.of(Service::Kms, &endpoints.region);
    let instance = endpoints.kms_of_object("kst-1.cryptoservice.kms.aliyuncs.com").unwrap().0;
    let role = crate::names::RoleArn::parse("acs:ram::1:role/web").unwrap();
    let login = KeyedLogin::new(Login::EcsRole);
    let (base, name) = (login.clone(), "n".to_owned());
    let other = KeyedLogin::new(Login::Assume { base, role, name, lifetime: HOUR });
    batching.refused(&login, &kms);
    assert!(batching.may(Api::BatchGetSecretValue, &login, &instance));
    assert!(batching.may(Api::BatchGetSecretValue, &other, &kms));
}

#[tokio::test(start_paused = true)]
async fn calls_end_a_moment_before_their_mount() {
    advance(SECOND).await;
    let deadline = Instant::now() + SECOND;
    assert_eq!(deadline - ends(deadline), Duration::from_millis(50));
}
