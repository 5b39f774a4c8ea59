//! Kubernetes Events about refreshes that keep failing (`--events`).

use std::{collections::BTreeMap, time::Duration};

use emulator::{Fault, FaultEffect};

use crate::{
    driver::PodVolume,
    world::{Setup, World},
};

const AFTER: Duration = Duration::from_secs(300);

fn error(service: &str, action: Option<&str>, code: &str) -> Fault {
    let (message, headers) = (None, BTreeMap::new());
    Fault {
        service: Some(service.to_owned()),
        action: action.map(str::to_owned),
        effect: FaultEffect::Error { status: 403, code: code.to_owned(), message, headers },
        ..Fault::default()
    }
}

/// A pod with files, whose refresh is then refused for longer than the operator wants to wait.
async fn failing(world: &World) -> PodVolume {
    let pod = world.pod("web", "web-1").objects("- objectName: web/plain\n");
    world.mount(&pod).await.unwrap();
    world.emulator.add_fault(error("kms", None, "Forbidden.NoPermission"));
    world.mount(&pod).await.unwrap_err();
    tokio::time::pause();
    tokio::time::advance(AFTER).await;
    tokio::time::resume();
    assert!(world.emulator.events().is_empty());
    for _ in 0..4 {
        world.mount(&pod).await.unwrap_err();
    }
    pod
}

async fn counted(world: &World, result: &str) {
    let line = format!("refresh_events_total{{result=\"{result}\"}} 1\n");
    let seen = async {
        while !world.metrics().await.contains(&line) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), seen).await.unwrap();
}

#[tokio::test]
async fn pod_whose_refresh_keeps_failing_has_one_event_that_says_why() {
    let world = Setup::default().flag("events", "5m").env("NODE_NAME", "node-1").start().await;
    failing(&world).await;
    counted(&world, "written").await;
    let events = world.emulator.events();
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(event["regarding"]["name"], "web-1");
    assert_eq!(event["regarding"]["uid"], "uid-of-web-1");
    assert_eq!(event["reportingInstance"], "node-1");
    assert_eq!(event["series"]["count"], 3);
    let note = event["note"].as_str().unwrap();
    let start = "SecretProviderClass shop/secrets: not refreshed since 20";
    assert!(note.starts_with(start) && note.len() < 900, "{note}");
    assert!(note.contains("Forbidden.NoPermission") && note.contains("request "), "{note}");
    world.finish().await;
}

/// Neither the right to write it nor its absence changes what pods get.
#[tokio::test]
async fn event_that_is_refused_is_counted_and_mounts_go_on() {
    let world = Setup::default().flag("events", "5m").start().await;
    world.emulator.add_fault(error("kubernetes", Some("CreateEvent"), "Forbidden"));
    let pod = failing(&world).await;
    counted(&world, "failed").await;
    world.emulator.clear_faults();
    world.mount(&pod).await.unwrap();
    assert!(world.emulator.events().is_empty());
    world.finish().await;
}

#[tokio::test]
async fn without_the_flag_no_event_is_written() {
    let world = World::start().await;
    failing(&world).await;
    assert!(!world.metrics().await.contains("refresh_events_total{"));
    let asked = world.emulator.requests().into_iter().filter(|r| r.service == "kubernetes");
    assert!(asked.map(|r| r.action).all(|action| action == "GetServiceAccount"));
    world.finish().await;
}
