use tokio::time::advance;

use super::{
    super::tests::{
        BUSY, CLOCK, DENIED, GET, GONE, HOUR, MINUTE, MOMENT, NONE, Node, OIDC, SECOND, TWO, WAY,
        access_key, pod, text,
    },
    *,
};
use crate::error::ErrorKind;

const ONE: &str = "- objectName: a";

/// A node that has read `a` and, after so long, meets this.
async fn later(node: Node, interval: Duration, age: Duration, no: (u16, &str)) -> Node {
    node.hold("a", "1");
    node.values(ONE, interval).await.unwrap();
    // A value is as old as the question, and the answer was on its way since.
    advance(age - WAY).await;
    node.fail("a", no);
    node
}

#[tokio::test(start_paused = true)]
async fn value_is_served_in_an_outage_with_its_age() {
    let node = later(Node::stale(HOUR, NONE), MINUTE, 10 * MINUTE, CLOCK).await;
    let ends = node.ends(ONE, MINUTE).await;
    assert_eq!(ends[0].origin, Origin::Grace(10 * MINUTE + WAY));
    assert_eq!(text(ends[0].value.as_ref().unwrap()), "1");
    assert!(ends[0].error.is_some(), "the reason");
}

#[tokio::test(start_paused = true)]
async fn value_is_served_in_an_outage_only_below_the_grace() {
    for (age, served) in [(HOUR - MOMENT, true), (HOUR, false)] {
        let node = later(Node::stale(HOUR, NONE), MINUTE, age - WAY, CLOCK).await;
        assert_eq!(node.values(ONE, MINUTE).await.is_ok(), served, "{age:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn value_is_not_served_in_an_outage_without_a_grace() {
    let node = later(Node::stale(NONE, HOUR), MINUTE, 2 * MINUTE, CLOCK).await;
    assert_eq!(node.values(ONE, MINUTE).await.unwrap_err().kind(), ErrorKind::Unusable);
}

#[tokio::test(start_paused = true)]
async fn cloud_is_waited_for_ten_seconds_where_a_value_is_at_hand() {
    let node = later(Node::stale(HOUR, NONE), MINUTE, 2 * MINUTE, CLOCK).await;
    node.fake.hang(&format!("{GET} a"));
    let begun = Instant::now();
    assert!(node.values(ONE, MINUTE).await.is_ok());
    let took = begun.elapsed();
    assert!(took <= 10 * SECOND && took > 9 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn value_is_not_served_after_a_refusal() {
    for no in [DENIED, GONE] {
        let node = later(Node::stale(HOUR, HOUR), MINUTE, 2 * MINUTE, no).await;
        node.values(ONE, MINUTE).await.unwrap_err();
    }
}

#[tokio::test(start_paused = true)]
async fn value_that_was_refused_once_is_not_served_in_a_later_outage() {
    let node = later(Node::stale(HOUR, HOUR), MINUTE, 2 * MINUTE, DENIED).await;
    node.values(ONE, MINUTE).await.unwrap_err();
    node.fail("a", CLOCK);
    assert_eq!(node.values(ONE, MINUTE).await.unwrap_err().kind(), ErrorKind::Unusable);
}

#[tokio::test(start_paused = true)]
async fn refusal_of_one_object_stands_for_the_mount() {
    let node = Node::stale(HOUR, HOUR);
    node.values(TWO, MINUTE).await.unwrap();
    advance(2 * MINUTE).await;
    node.fail("a", CLOCK);
    node.fail("b", DENIED);
    let ends = node.ends(TWO, MINUTE).await;
    assert!(ends.iter().all(|end| end.value.is_none() && end.error.is_some()));
}

#[tokio::test(start_paused = true)]
async fn stale_value_that_does_not_make_the_mount_whole_is_not_served() {
    let node = later(Node::stale(HOUR, HOUR), MINUTE, 2 * MINUTE, CLOCK).await;
    node.fail("b", CLOCK);
    let ends = node.ends(TWO, MINUTE).await;
    assert!(ends.iter().all(|end| end.value.is_none()));
}

#[tokio::test(start_paused = true)]
async fn object_that_was_read_stays_as_it_was_read_beside_a_stale_one() {
    let node = later(Node::stale(HOUR, NONE), MINUTE, 2 * MINUTE, CLOCK).await;
    node.hold("b", "2");
    let ends = node.ends(TWO, MINUTE).await;
    assert!(matches!(ends[0].origin, Origin::Grace(_)));
    assert_eq!((ends[1].origin, ends[1].error.is_none()), (Origin::Cloud, true));
}

#[tokio::test(start_paused = true)]
async fn what_did_not_exist_is_left_out_in_an_outage_if_the_object_is_optional() {
    let node = Node::stale(HOUR, NONE);
    let optional = "- {objectName: a, optional: true}";
    node.fail("a", GONE);
    node.values(optional, MINUTE).await.unwrap();
    advance(2 * MINUTE).await;
    node.fail("a", CLOCK);
    let ends = node.ends(optional, MINUTE).await;
    assert!(ends[0].missing && matches!(ends[0].origin, Origin::Grace(_)));
    node.values(ONE, MINUTE).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn value_is_served_while_the_cloud_throttles_with_its_age() {
    let node = later(Node::stale(NONE, HOUR), MINUTE, 10 * MINUTE, BUSY).await;
    let ends = node.ends(ONE, MINUTE).await;
    let Origin::Stale(age) = ends[0].origin else { panic!("{:?}", ends[0]) };
    assert!((10 * MINUTE..10 * MINUTE + 2 * SECOND).contains(&age), "{age:?}");
    assert_eq!(text(ends[0].value.as_ref().unwrap()), "1");
}

#[tokio::test(start_paused = true)]
async fn value_is_not_served_while_the_cloud_throttles_once_it_is_too_old() {
    let node = later(Node::stale(NONE, HOUR), MINUTE, HOUR, BUSY).await;
    node.values(ONE, MINUTE).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn longer_grace_holds_while_the_cloud_throttles_too() {
    let node = later(Node::stale(2 * HOUR, NONE), MINUTE, HOUR, BUSY).await;
    assert!(node.values(ONE, MINUTE).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn refresh_goes_on_behind_a_mount_that_was_served_stale() {
    let node = later(Node::stale(NONE, HOUR), MINUTE, 2 * MINUTE, BUSY).await;
    assert!(matches!(node.ends(ONE, MINUTE).await[0].origin, Origin::Stale(_)));
    node.hold("a", "2");
    sleep(MINUTE - SECOND).await;
    let asked = node.fake.times(GET);
    let ends = node.ends(ONE, MINUTE).await;
    assert_eq!((ends[0].origin, node.fake.times(GET)), (Origin::Memory, asked));
    assert_eq!(text(ends[0].value.as_ref().unwrap()), "2");
}

#[tokio::test(start_paused = true)]
async fn value_is_served_at_once_where_the_host_is_known_to_throttle_and_refreshed_behind() {
    let node = Node::stale(NONE, HOUR);
    node.hold("a", "1");
    node.values(ONE, MINUTE).await.unwrap();
    advance(2 * MINUTE).await;
    node.hold("a", "2");
    node.fail("b", BUSY);
    let other = node.ends_within(2 * SECOND, &access_key(), "- objectName: b", MINUTE).await;
    assert!(other.unwrap()[0].throttled);
    let begun = Instant::now();
    assert!(matches!(node.ends(ONE, MINUTE).await[0].origin, Origin::Stale(_)));
    assert_eq!((begun.elapsed(), node.fake.times_of(GET, "a")), (Duration::ZERO, 1));
    sleep(MINUTE - SECOND).await;
    assert_eq!(node.ends(ONE, MINUTE).await[0].origin, Origin::Memory);
    assert_eq!(node.fake.times_of(GET, "a"), 2);
}

#[tokio::test(start_paused = true)]
async fn value_is_served_at_once_where_sts_is_known_to_throttle_the_login() {
    let node = Node::stale(NONE, 2 * HOUR);
    node.ends_as(&pod("a"), ONE, MINUTE).await.unwrap();
    // Its session is over.
    advance(HOUR).await;
    node.fake.refuse(OIDC, BUSY.0, BUSY.1);
    node.ends_within(2 * SECOND, &pod("a"), ONE, MINUTE).await.unwrap();
    let begun = Instant::now();
    let ends = node.ends_as(&pod("a"), ONE, MINUTE).await.unwrap();
    assert!(matches!(ends[0].origin, Origin::Stale(_)));
    assert_eq!((begun.elapsed(), node.fake.times(GET)), (Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn mount_without_an_interval_is_not_served_stale_while_the_cloud_throttles() {
    let node = later(Node::stale(NONE, HOUR), NONE, 2 * MINUTE, BUSY).await;
    node.values(ONE, NONE).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn value_is_served_to_its_login_while_sts_does_not_answer() {
    let node = Node::stale(2 * HOUR, NONE);
    node.ends_as(&pod("a"), ONE, MINUTE).await.unwrap();
    // Its session is over.
    advance(HOUR).await;
    node.fake.refuse(OIDC, CLOCK.0, CLOCK.1);
    let ends = node.ends_as(&pod("a"), ONE, MINUTE).await.unwrap();
    assert!(matches!(ends[0].origin, Origin::Grace(_)));
}

#[tokio::test(start_paused = true)]
async fn value_is_not_served_to_another_token_that_nobody_has_proved() {
    let node = Node::stale(2 * HOUR, NONE);
    node.ends_as(&pod("a"), ONE, MINUTE).await.unwrap();
    node.fake.refuse(OIDC, CLOCK.0, CLOCK.1);
    node.ends_as(&pod("b"), ONE, MINUTE).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn value_is_served_to_the_pods_next_token_once_sts_took_that() {
    let node = Node::stale(2 * HOUR, NONE);
    node.ends_as(&pod("a"), ONE, MINUTE).await.unwrap();
    advance(2 * MINUTE).await;
    node.fail("a", CLOCK);
    let ends = node.ends_as(&pod("b"), ONE, MINUTE).await.unwrap();
    assert!(matches!(ends[0].origin, Origin::Grace(_)));
}
