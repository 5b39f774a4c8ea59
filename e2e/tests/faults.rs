//! What can go wrong at the cloud and is more than one call's fault: outages, clocks, silence, time
//! that runs out, and places that do. Each call under each fault is in `campaign`.

use std::{collections::BTreeMap, time::Duration};

use emulator::{Fault, FaultEffect};
use provider::readiness::UNREADY_AFTER;
use tokio::time::Instant;
use tonic::Code;

use crate::world::{Setup, World};

#[tokio::test]
async fn the_cloud_says_when_to_ask_again() {
    for (header, value) in [
        ("Retry-After", "1"),
        ("x-acs-retry-after", "1000"),
        ("x-ratelimit-user-api", "TimeLeft:1000"),
    ] {
        let world = World::start().await;
        world.web("- objectName: web/plain").await.unwrap();
        world.emulator.add_fault(Fault {
            service: Some("kms".to_owned()),
            times: Some(1),
            effect: FaultEffect::Error {
                status: 429,
                code: "Rejected.Throttling".to_owned(),
                message: None,
                headers: BTreeMap::from([(header.to_owned(), value.to_owned())]),
            },
            ..Fault::default()
        });
        let started = Instant::now();
        world.web("- objectName: web/plain").await.unwrap();
        assert!(started.elapsed() >= Duration::from_secs(1), "{header}: {:?}", started.elapsed());
        world.finish().await;
    }
}

/// The caller hears our answer before its own clock runs out.
#[tokio::test]
async fn the_driver_s_deadline_is_kept_with_room_to_spare() {
    let world = World::start().await;
    world.emulator.add_fault(Fault {
        service: Some("kms".to_owned()),
        effect: FaultEffect::Hang,
        ..Fault::default()
    });
    for seconds in [3, 5] {
        let mut pod = world.pod("web", "web-1").objects("- objectName: web/plain");
        pod.timeout = Duration::from_secs(seconds);
        let started = Instant::now();
        let status = world.mount(&pod).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal, "{status:?}");
        assert!(status.message().contains("no answer in time"), "{}", status.message());
        assert!(started.elapsed() < Duration::from_secs(seconds), "{:?}", started.elapsed());
    }
    world.finish().await;
}

#[tokio::test]
async fn an_outage_is_told_and_its_end_is_noticed() {
    let world = Setup::default().flag("mount-timeout", "3").start().await;
    let pod = world.pod("web", "web-1").objects("- objectName: web/plain");
    world.mount(&pod).await.unwrap();
    world.emulator.stop_listening().await;
    let status = world.mount(&pod).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    assert!(status.message().contains("connection"), "{}", status.message());
    world.emulator.resume().await.unwrap();
    world.mount(&pod).await.unwrap();
    let metrics = world.metrics().await;
    assert!(metrics.contains("cloud_calls_total{api=\"GetSecretValue\",code=\"unreachable\"}"));
    assert!(metrics.contains("mounts_total{identity=\"pod\",outcome=\"INTERNAL\"} 1"), "{metrics}");
    world.finish().await;
}

/// Readiness names what has not answered for minutes, a host of the operator's; liveness does not care.
#[tokio::test]
async fn an_outage_that_lasts_is_told_by_readiness_and_restarts_nothing() {
    // Without look-ups, which the outage would end before STS is asked.
    let setup = Setup::default().flag("mount-timeout", "2");
    let world = setup.flag("service-account-lookup", "false").start().await;
    let pods = ["web-1", "web-2"].map(|name| {
        let pod = world.pod("web", name).objects("- objectName: web/plain");
        pod.parameter("roleArn", "acs:ram::1234567890123456:role/web")
    });
    for what in ["STS", "KMS"] {
        world.emulator.stop_listening().await;
        for pod in &pods {
            world.mount(pod).await.unwrap_err();
        }
        assert_eq!(world.get("/readyz").await.0, 200, "it may pass");
        tokio::time::pause();
        tokio::time::advance(UNREADY_AFTER).await;
        tokio::time::resume();
        for pod in &pods {
            world.mount(pod).await.unwrap_err();
        }
        let (status, why) = world.get("/readyz").await;
        assert!(
            status == 503 && why.contains(&format!("{what} does not answer")),
            "{what}: {status} {why}"
        );
        assert_eq!(world.get("/healthz").await.0, 200);
        world.emulator.resume().await.unwrap();
        // Then they have sessions, and ask KMS first. Kubelet tries again too.
        for pod in &pods {
            let mut tries = 1;
            while let Err(status) = world.mount(pod).await {
                assert!(tries < 10, "{status:?}");
                tries += 1;
            }
        }
        assert_eq!(world.get("/readyz").await.0, 200);
    }
    world.finish().await;
}

/// A clock that is wrong by twenty minutes is told as such, not as missing rights.
#[tokio::test]
async fn a_wrong_clock_is_named() {
    let world = World::start().await;
    let pod = world.pod("web", "web-1").objects("- objectName: web/plain");
    world.mount(&pod).await.unwrap();
    world.emulator.set_clock_offset(20 * 60);
    let status = world.mount(&pod).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert!(status.message().contains("clock"), "{}", status.message());
    world.finish().await;
}

/// A caller that goes away takes only its own mount with it.
#[tokio::test]
async fn a_cancelled_leader_does_not_take_its_followers_down() {
    let world = World::start().await;
    world.emulator.add_fault(Fault {
        service: Some("sts".to_owned()),
        effect: FaultEffect::Latency { ms: 400 },
        ..Fault::default()
    });
    let pod = world.pod("web", "web-1").objects("- objectName: web/plain");
    let mut leader = pod.clone();
    leader.timeout = Duration::from_millis(150);
    let (gone, follower) = tokio::join!(world.driver.mount(&leader), world.mount(&pod));
    assert!(gone.is_err());
    follower.unwrap();
    assert_eq!(world.calls("AssumeRoleWithOIDC").len(), 1);
    world.finish().await;
}

/// Caps of the operator hold over all mounts together.
#[tokio::test]
async fn no_more_calls_at_once_than_the_operator_allows() {
    let setup = Setup::default().flag("max-concurrent-kms-secret-pulls", "2");
    let world = setup.flag("mount-timeout", "5").start().await;
    for n in 0..8 {
        world.emulator.set_secret_text(&format!("web/n{n}"), "planted-one-of-many").unwrap();
    }
    let objects: String = (0..8).map(|n| format!("- objectName: web/n{n}\n")).collect();
    world.emulator.add_fault(Fault {
        service: Some("kms".to_owned()),
        effect: FaultEffect::Hang,
        ..Fault::default()
    });
    let status = world.web(&objects).await.unwrap_err();
    let message = status.message();
    assert!(message.contains("no free place among the 2 calls to KMS"), "{message}");
    assert!(message.contains("--max-concurrent-kms-secret-pulls"), "{message}");
    world.emulator.clear_faults();
    assert_eq!(world.calls("GetSecretValue").len(), 2);
    world.web(&objects).await.unwrap();
    world.finish().await;
}

/// With the code, and not as a lack of places; also where a mount had no answer of its own.
#[tokio::test]
async fn throttling_is_named_with_its_code_and_what_to_set() {
    let world = Setup::default().flag("mount-timeout", "3").start().await;
    let pod = |name: &str| world.pod("web", name).objects("- objectName: web/plain");
    world.mount(&pod("web-1")).await.unwrap();
    world.emulator.add_fault(Fault {
        service: Some("kms".to_owned()),
        effect: FaultEffect::throttling(),
        ..Fault::default()
    });
    let status = world.mount(&pod("web-1")).await.unwrap_err();
    let message = status.message();
    assert!(message.contains("throttled by KMS (Rejected.Throttling, HTTP 429"), "{message}");
    assert!(message.contains("--refresh-interval"), "{message}");
    for n in 2..5 {
        let status = world.mount(&pod(&format!("web-{n}"))).await.unwrap_err();
        let message = status.message();
        assert!(message.contains("throttled by KMS"), "{message}");
        assert!(!message.contains("no free place"), "{message}");
    }
    world.finish().await;
}

/// A connection that nothing arrives on any more is given up before the calls on it are.
#[tokio::test]
async fn a_connection_that_went_silent_is_replaced() {
    let world = Setup::default().proxied().start().await;
    let pod = world.pod("web", "web-1").objects("- objectName: web/plain");
    world.mount(&pod).await.unwrap();
    let connections = world.emulator.connections();
    world.proxy.as_ref().unwrap().silence();
    let started = Instant::now();
    world.mount(&pod).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    // One in its place, and on a busy machine another that was made ahead.
    assert!(world.emulator.connections() > connections);
    world.finish().await;
}

/// Thirty pods start at once on a node that has not spoken to the cloud yet.
#[tokio::test]
async fn a_burst_to_cold_hosts_makes_one_connection_to_each() {
    let world = World::start().await;
    let objects = "- objectName: web/plain\n- objectName: web/db\n- objectName: shared/greeting\n";
    let pods: Vec<_> =
        (0..30).map(|n| world.pod("web", &format!("web-{n}")).objects(objects)).collect();
    let outcomes = futures::future::join_all(pods.iter().map(|pod| world.mount(pod))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(world.calls("GetSecretValue").len(), 90);
    assert_eq!(world.emulator.connections(), 2, "one to STS, one to KMS");
    world.finish().await;
}

/// Connections that rest are closed with what is in their buffers; the next ones stand ready.
#[tokio::test]
async fn a_mount_after_a_rest_finds_its_connections_made() {
    let world = World::start().await;
    let pod = world.pod("web", "web-1").objects("- objectName: web/plain");
    world.mount(&pod).await.unwrap();
    let before = world.emulator.connections();
    let ready = async {
        while world.emulator.connections() < before + 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ready).await.expect("none was made ahead");
    world.mount(&pod).await.unwrap();
    assert_eq!(world.emulator.connections(), before + 2);
    world.finish().await;
}
