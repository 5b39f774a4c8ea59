//! Everything that can go wrong at the cloud: each ends in time, with a code the driver can be
//! given, or succeeds by asking again; and nothing of it leaks.

use std::{collections::BTreeMap, time::Duration};

use emulator::{Fault, FaultEffect};
use tokio::time::Instant;
use tonic::Code;

use crate::world::{Setup, World};

const OBJECTS: &str = "- objectName: web/plain\n- {objectName: plain, objectType: oos}\n- {objectName: /app/password, objectType: oos}\n";

fn effects() -> Vec<(&'static str, FaultEffect, bool)> {
    let error = |status: u16, code: &str| FaultEffect::Error {
        status,
        code: code.to_owned(),
        message: None,
        headers: BTreeMap::new(),
    };
    let echo = |status: u16, code: &str| FaultEffect::Echo { status, code: code.to_owned() };
    // Whether asking again is right.
    vec![
        ("throttled", FaultEffect::throttling(), true),
        ("throttled by user", error(400, "Throttling.User"), true),
        ("500", error(500, "InternalFailure"), true),
        ("503", error(503, "ServiceUnavailableTemporary"), true),
        ("reset", FaultEffect::Reset, true),
        ("reset within the answer", FaultEffect::ResetAfter { bytes: 20 }, true),
        ("truncated", FaultEffect::Truncate, true),
        ("HTML 502", FaultEffect::Html { status: 502 }, true),
        ("empty 503", FaultEffect::Empty { status: 503 }, true),
        ("nonce used", error(400, "SignatureNonceUsed"), true),
        ("session expired", error(403, "InvalidSecurityToken.Expired"), true),
        ("hang", FaultEffect::Hang, false),
        ("garbage", FaultEffect::Garbage, false),
        ("empty 200", FaultEffect::Empty { status: 200 }, false),
        ("wrong schema", FaultEffect::WrongSchema, false),
        ("huge", FaultEffect::Huge { mib: 3 }, false),
        ("HTML 403", FaultEffect::Html { status: 403 }, false),
        ("protobuf 400", FaultEffect::Protobuf { status: 400 }, false),
        ("400", error(400, "InvalidParameter"), false),
        ("401", error(401, "AuthenticationFail.OIDCToken.Invalid"), false),
        ("403", error(403, "Forbidden.NoPermission"), false),
        ("404", error(404, "Forbidden.ResourceNotFound"), false),
        ("clock", error(400, "IllegalTimestamp"), false),
        ("echo in a 403", echo(403, "Forbidden.NoPermission"), false),
        ("echo in a 500", echo(500, "InternalError"), false),
        ("redirect", error(302, ""), false),
        ("odd code", error(418, "<script>planted</script>"), false),
    ]
}

/// Every fault for ever, on each service: the mount ends before its time with a final code.
#[tokio::test]
async fn a_fault_that_stays_ends_in_time_with_a_final_code() {
    let worlds = ["sts", "kms", "oos"].map(|service| async move {
        let world = Setup::default().flag("mount-timeout", "3").start().await;
        for (name, effect, _) in effects() {
            world.emulator.expire_sessions("web").unwrap_or_default();
            let fault = Fault { service: Some(service.to_owned()), effect, ..Fault::default() };
            world.emulator.add_fault(fault);
            let started = Instant::now();
            // A pod of its own, so that no session is there yet.
            let pod =
                world.pod("web", &format!("{service}-{}", name.replace(' ', "-").to_lowercase()));
            let outcome = world.mount(&pod.objects(OBJECTS)).await;
            let took = started.elapsed();
            assert!(took < Duration::from_secs(15), "{service} {name}: {took:?}");
            let status = outcome.expect_err(name);
            assert!(status.message().contains(" at "), "{service} {name}: {status:?}");
            world.emulator.clear_faults();
        }
        world.web(OBJECTS).await.unwrap();
        world.finish().await;
    });
    futures::future::join_all(worlds).await;
}

/// Twice and then no more: asking again brings the mount through.
#[tokio::test]
async fn a_fault_that_passes_does_not_fail_the_mount() {
    let world = World::start().await;
    for (name, effect, passes) in effects() {
        if !passes {
            continue;
        }
        for service in ["sts", "kms", "oos"] {
            if service == "sts" && name == "session expired" {
                continue;
            }
            let once = matches!(name, "nonce used" | "session expired");
            world.emulator.add_fault(Fault {
                service: Some(service.to_owned()),
                times: Some(if once { 1 } else { 2 }),
                effect: effect.clone(),
                ..Fault::default()
            });
            let pod =
                world.pod("web", &format!("{service}-{}", name.replace(' ', "-").to_lowercase()));
            let outcome = world.mount(&pod.objects(OBJECTS)).await;
            assert!(outcome.is_ok(), "{service} {name}: {outcome:?}");
            world.emulator.clear_faults();
        }
    }
    world.finish().await;
}

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
    let world = setup.flag("mount-timeout", "2").start().await;
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
    assert!(status.message().contains("no free place"), "{}", status.message());
    world.emulator.clear_faults();
    assert_eq!(world.calls("GetSecretValue").len(), 2);
    world.web(&objects).await.unwrap();
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
    assert_eq!(world.emulator.connections(), connections + 1);
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
