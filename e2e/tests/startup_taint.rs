//! A startup taint goes once the provider serves; whatever else keeps pods off the node stays.

use std::time::Duration;

use emulator::{Fault, FaultEffect, Taint};

use crate::{
    log,
    world::{Setup, World},
};

const KEY: &str = "secrets-store.csi.k8s.io/agent-not-ready";
const NODE: &str = "cn-hangzhou.10.0.1.17";
/// One that a longer key begins with, and the same key with another effect.
const TAINTS: [(&str, &str); 4] = [
    ("secrets-store.csi.k8s.io/agent-not-ready-yet", "NoSchedule"),
    (KEY, "NoSchedule"),
    ("dedicated", "NoExecute"),
    (KEY, "NoExecute"),
];

fn setup() -> Setup {
    Setup::default().flag("remove-startup-taint", KEY).node(NODE, &TAINTS)
}

fn taints(of: &[(&str, &str)]) -> Vec<Taint> {
    of.iter().map(|(key, effect)| ((*key).to_owned(), (*effect).to_owned())).collect()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect(what);
}

/// What was asked of the node, and the answers.
fn asked(world: &World) -> Vec<(String, u16)> {
    let asked = world.emulator.requests().into_iter();
    let asked = asked.filter(|request| request.objects == [NODE]);
    asked.map(|request| (request.action, request.status)).collect()
}

async fn ended(world: &World, expected: &[(&str, &str)], calls: &[(&str, u16)]) {
    let calls: Vec<_> = calls.iter().map(|(call, status)| ((*call).to_owned(), *status)).collect();
    until("the last call", || asked(world).len() >= calls.len()).await;
    assert_eq!(world.emulator.taints(NODE), Some(taints(expected)));
    // It serves, and asks nothing more.
    world.web("- objectName: web/plain\n").await.unwrap();
    assert_eq!(asked(world), calls);
}

#[tokio::test]
async fn taint_goes_with_all_its_effects_and_others_stay() {
    let world = setup().start().await;
    ended(&world, &[TAINTS[0], TAINTS[2]], &[("GetNode", 200), ("PatchNode", 200)]).await;
    world.finish().await;
}

#[tokio::test]
async fn taint_stays_unless_its_removal_is_asked_for() {
    let world = Setup::default().node(NODE, &TAINTS).start().await;
    ended(&world, &TAINTS, &[]).await;
    world.finish().await;
}

#[tokio::test]
async fn node_without_the_taint_is_not_changed() {
    let world = setup().node(NODE, &[TAINTS[0]]).start().await;
    ended(&world, &[TAINTS[0]], &[("GetNode", 200)]).await;
    world.finish().await;
}

#[tokio::test]
async fn taint_that_another_sets_meanwhile_stays() {
    let late = Fault {
        service: Some("kubernetes".to_owned()),
        action: Some("PatchNode".to_owned()),
        times: Some(1),
        effect: FaultEffect::Latency { ms: 1000 },
        ..Fault::default()
    };
    let world = setup().fault(late).start().await;
    until("the first look", || !asked(&world).is_empty()).await;
    // In front: the places that the patch names are now others'.
    let cordoned = ("node.kubernetes.io/unschedulable", "NoSchedule");
    world.emulator.set_taints(NODE, taints(&[&[cordoned], &TAINTS[..]].concat()));
    let calls = [("GetNode", 200), ("PatchNode", 422), ("GetNode", 200), ("PatchNode", 200)];
    ended(&world, &[cordoned, TAINTS[0], TAINTS[2]], &calls).await;
    world.finish().await;
}

#[test]
fn missing_right_is_told_once_and_waited_for() {
    let forbidden = Fault {
        service: Some("kubernetes".to_owned()),
        action: Some("PatchNode".to_owned()),
        times: Some(2),
        effect: FaultEffect::Body {
            status: 403,
            body: r#"{"kind":"Status","code":403}"#.to_owned(),
        },
        ..Fault::default()
    };
    let work = async move || {
        let world = setup().fault(forbidden).start().await;
        let forbidden = [("GetNode", 200), ("PatchNode", 403)];
        let calls = [forbidden, forbidden, [("GetNode", 200), ("PatchNode", 200)]].concat();
        ended(&world, &[TAINTS[0], TAINTS[2]], &calls).await;
        world.finish().await;
        String::from_utf8(log::captured().lock().unwrap().clone()).unwrap()
    };
    let log = log::apart("info", work).join().unwrap();
    for told in [
        "patch on the node is forbidden: the provider's ClusterRole must allow get and patch on nodes",
        "mounts can be served: the startup taint is removed",
    ] {
        assert_eq!(log.matches(told).count(), 1, "{told}: {log}");
    }
}
