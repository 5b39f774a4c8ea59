//! `--refresh-interval`: what is answered from memory, for how long, and to whom.

use std::{collections::BTreeMap, time::Duration};

use emulator::{Fault, FaultEffect};
use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::{
    log,
    world::{Setup, World},
};

const OBJECTS: &str = "- objectName: web/plain\n- {objectName: plain, objectType: oos}\n- {objectName: web/not-there, optional: true}\n";

async fn world() -> World {
    Setup::default().flag("refresh-interval", "5m").start().await
}

#[tokio::test]
async fn a_repeated_mount_asks_the_cloud_nothing() {
    let world = world().await;
    let pod = world.pod("web", "web-1").objects(OBJECTS);
    let first = world.mount(&pod).await.unwrap();
    world.emulator.clear_requests();
    // Not even a session is needed.
    world.emulator.stop_listening().await;
    for _ in 0..20 {
        assert_eq!(world.mount(&pod).await.unwrap(), first);
    }
    assert!(world.emulator.requests().iter().all(|call| call.service == "kubernetes"));
    let metrics = world.metrics().await;
    assert!(metrics.contains("values_answered_total{source=\"memory\"} 20"), "{metrics}");
    assert!(metrics.contains("values_answered_total{source=\"cloud\"} 1"), "{metrics}");
    world.finish().await;
}

#[tokio::test]
async fn nothing_is_answered_to_another_identity() {
    let world = world().await;
    let own = "- objectName: web/plain";
    world.mount(&world.pod("web", "web-1").objects(own)).await.unwrap();
    // Another pod of the same ServiceAccount proves itself and reads for itself.
    world.mount(&world.pod("web", "web-2").objects(own)).await.unwrap();
    assert_eq!(world.calls("GetSecretValue").len(), 2);
    // The same pod with a new token proves itself again.
    world.mount(&world.pod("web", "web-1").objects(own)).await.unwrap();
    assert_eq!(world.calls("GetSecretValue").len(), 3);
    let thief = world.mount(&world.pod("jobs", "jobs-1").objects(own)).await.unwrap_err();
    assert_eq!(thief.code(), Code::PermissionDenied);
    world.finish().await;
}

#[tokio::test]
async fn a_secret_provider_class_chooses_within_the_operator_s_bound() {
    let world = world().await;
    let pod = |interval: &str| {
        world
            .pod("web", "web-1")
            .objects("- objectName: web/plain")
            .parameter("refreshInterval", interval)
    };
    let always = pod("0");
    for _ in 0..3 {
        world.mount(&always).await.unwrap();
    }
    assert_eq!(world.calls("GetSecretValue").len(), 3);
    let status = world.mount(&pod("sometimes")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    world.finish().await;

    let world = Setup::default().flag("min-refresh-interval", "1m").start().await;
    let always = world
        .pod("web", "web-1")
        .objects("- objectName: web/plain")
        .parameter("refreshInterval", "0");
    for _ in 0..3 {
        world.mount(&always).await.unwrap();
    }
    assert_eq!(world.calls("GetSecretValue").len(), 1);
    world.finish().await;
}

/// The operator's off switch, whatever a pod's author asks for.
#[tokio::test]
async fn nothing_is_kept_where_nothing_may_be() {
    let world = Setup::default().flag("value-cache-mib", "0").start().await;
    let pod = world
        .pod("web", "web-1")
        .objects("- objectName: web/plain")
        .parameter("refreshInterval", "1h");
    for _ in 0..3 {
        world.mount(&pod).await.unwrap();
    }
    assert_eq!(world.calls("GetSecretValue").len(), 3);
    world.finish().await;
}

/// The cloud's no is not outlived: once it was heard, nothing is answered from memory.
#[tokio::test]
async fn a_refusal_drops_what_was_kept() {
    let world = world().await;
    let pod = world.pod("web", "web-1").objects("- objectName: web/plain");
    world.mount(&pod).await.unwrap();
    world.emulator.revoke_role("web").unwrap();
    world.mount(&pod).await.unwrap();
    let fresh = pod.clone().parameter("refreshInterval", "0");
    assert_eq!(world.mount(&fresh).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(world.mount(&pod).await.unwrap_err().code(), Code::PermissionDenied);
    world.finish().await;
}

/// Also by a mount that keeps nothing itself.
#[tokio::test]
async fn what_is_gone_is_not_answered_from_memory() {
    let world = world().await;
    for object in ["web/plain", "/app/password"] {
        let kind = if object.starts_with('/') { "oos" } else { "kms" };
        let list = format!("- {{objectName: {object}, objectType: {kind}}}");
        let pod = world.pod("web", "web-1").objects(&list);
        world.mount(&pod).await.unwrap();
        match kind {
            "oos" => world.emulator.delete_parameter(object).unwrap(),
            _ => world.emulator.delete_secret(object).unwrap(),
        }
        world.mount(&pod).await.unwrap();
        let fresh = pod.clone().parameter("refreshInterval", "0");
        assert_eq!(world.mount(&fresh).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(world.mount(&pod).await.unwrap_err().code(), Code::NotFound);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_refused_login_drops_what_was_kept() {
    let world = world().await;
    world.emulator.set_session_lifetime(Some(std::time::Duration::from_secs(3)));
    let pod = world.pod("web", "web-1").objects("- objectName: web/plain");
    world.mount(&pod).await.unwrap();
    world.emulator.revoke_trust("web").unwrap();
    // Asks the cloud until there is no session left to ask with.
    let fresh = pod.clone().parameter("refreshInterval", "0");
    let refused = loop {
        match world.mount(&fresh).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(status) => break status,
        }
    };
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
    assert_eq!(world.mount(&pod).await.unwrap_err().code(), Code::Unauthenticated);
    world.finish().await;
}

/// Nothing of this is so unless the operator asks for it: `an_outage_is_told_and_its_end_is_noticed`.
#[tokio::test]
async fn in_an_outage_last_values_stand_in_and_a_refusal_still_wins() {
    let setup = Setup::default().flag("outage-grace", "1h").flag("mount-timeout", "4");
    let world = setup.start().await;
    let pod = world
        .pod("web", "web-1")
        .objects("- {objectName: web/plain, objectAlias: plain}\n- objectName: web/db\n");
    let fresh = world.mount(&pod).await.unwrap();
    world.emulator.set_secret_text("web/plain", "planted-rotated-meanwhile").unwrap();

    world.emulator.stop_listening().await;
    assert_eq!(world.mount(&pod).await.unwrap(), fresh);
    // One object more than was read before: nothing is handed out.
    let more = pod.clone().objects("- objectName: web/plain\n- objectName: shared/greeting\n");
    assert_eq!(world.mount(&more).await.unwrap_err().code(), Code::Internal);
    // Another pod's values are no stand-in.
    let other = world.pod("web", "web-2").objects("- objectName: web/plain\n");
    assert_eq!(world.mount(&other).await.unwrap_err().code(), Code::Internal);
    let metrics = world.metrics().await;
    assert!(metrics.contains("values_answered_total{source=\"grace\"} 1"), "{metrics}");

    world.emulator.resume().await.unwrap();
    let rotated = world.mount(&pod).await.unwrap();
    assert_eq!(rotated.text("plain"), "planted-rotated-meanwhile");

    for (status, code) in [
        (403, "Forbidden.NoPermission"),
        (404, "Forbidden.ResourceNotFound"),
        (404, "Forbidden.KeyNotFound"),
        (401, "NoSuchKey"),
        (400, "InvalidParameter"),
        (409, "Rejected.Disabled"),
    ] {
        world.mount(&pod).await.unwrap();
        let refusal = Fault {
            service: Some("kms".to_owned()),
            object: Some("web/db".to_owned()),
            effect: FaultEffect::Error {
                status,
                code: code.to_owned(),
                message: None,
                headers: BTreeMap::new(),
            },
            ..Fault::default()
        };
        world.emulator.add_fault(refusal);
        // Half of it does not answer, the other half refuses.
        world.emulator.add_fault(Fault {
            service: Some("kms".to_owned()),
            object: Some("web/plain".to_owned()),
            ..Fault::default()
        });
        let status = world.mount(&pod).await.unwrap_err();
        assert_ne!(status.code(), Code::Internal, "{code}: {status:?}");
        world.emulator.clear_faults();
        world.emulator.stop_listening().await;
        let status = world.mount(&pod).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal, "{code}: what was refused is gone: {status:?}");
        world.emulator.resume().await.unwrap();
    }

    let audit = world.finish().await;
    let grace: Vec<serde_json::Value> = audit
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| line["source"] == "grace")
        .collect();
    assert_eq!(grace.len(), 2, "{audit}");
    for line in &grace {
        assert_eq!((&line["outcome"], &line["mounted"]), (&"OK".into(), &true.into()));
        let reason = line["reason"].as_str().unwrap();
        assert!(reason.starts_with("last read ") && reason.contains("connection"), "{reason}");
    }
}

fn kms_answers(status: u16, code: &str) -> Fault {
    let effect = FaultEffect::Error {
        status,
        code: code.to_owned(),
        message: None,
        headers: BTreeMap::new(),
    };
    Fault { service: Some("kms".to_owned()), effect, ..Fault::default() }
}

#[tokio::test]
async fn throttled_cloud_serves_running_pods_stale_until_it_refuses() {
    let world = Setup::default().start().await;
    let pod = world
        .pod("web", "web-1")
        .parameter("refreshInterval", "1s")
        .objects("- {objectName: web/plain, objectAlias: plain}\n- objectName: web/db\n");
    let fresh = world.mount(&pod).await.unwrap();
    world.emulator.set_secret_text("web/plain", "planted-rotated-meanwhile").unwrap();
    world.emulator.add_fault(kms_answers(429, "Rejected.Throttling"));
    for _ in 0..3 {
        sleep(Duration::from_millis(1100)).await;
        assert_eq!(world.mount(&pod).await.unwrap(), fresh);
    }
    // Nobody else's values are served, and nobody waits for ever who has none.
    let other = world.pod("api", "api-1").parameter("refreshInterval", "1s");
    let other = world.mount(&other.objects("- objectName: shared/greeting\n")).await.unwrap_err();
    assert!(other.code() == Code::Internal && other.message().contains("throttled"), "{other:?}");
    world.emulator.clear_faults();
    world.emulator.add_fault(kms_answers(403, "Forbidden.NoPermission"));
    // The refresh behind a stale answer is refused, and the next mount with it.
    let end = Instant::now() + Duration::from_secs(60);
    let refused = loop {
        match world.mount(&pod).await {
            Ok(stale) => assert_eq!(stale, fresh),
            Err(status) => break status,
        }
        assert!(Instant::now() < end, "a refusal always wins");
        sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
    world.emulator.clear_faults();
    let end = Instant::now() + Duration::from_secs(60);
    while world.mount(&pod).await.unwrap().text("plain") != "planted-rotated-meanwhile" {
        assert!(Instant::now() < end, "it is refreshed");
    }
    let metrics = world.metrics().await;
    assert!(metrics.contains("values_answered_total{source=\"stale\"} "), "{metrics}");
    let counted = |name: &str| {
        let lines = metrics.lines().filter_map(|line| line.split_once("alibabacloud_"));
        let count =
            lines.filter_map(|(_, line)| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        count.sum::<u64>()
    };
    let stale = counted("values_answered_total{source=\"stale\"}");
    assert_eq!(counted("stale_age_seconds_count"), stale, "{metrics}");
    assert!(counted("cloud_calls_throttled_total{api=\"GetSecretValue\"}") > 0, "{metrics}");
    let audit = world.finish().await;
    let stale = audit.lines().filter(|line| line.contains(r#""source":"stale""#));
    assert!(stale.clone().count() >= 6, "{audit}");
    assert!(stale.clone().all(|line| line.contains("last read ")), "{audit}");
}

#[tokio::test]
async fn throttled_cloud_fails_mounts_where_the_operator_wants_no_stale_values() {
    let setup = Setup::default().flag("stale-while-throttled", "0").flag("mount-timeout", "3");
    let world = setup.start().await;
    let pod = world.pod("web", "web-1").parameter("refreshInterval", "1s");
    let pod = pod.objects("- {objectName: web/plain, objectAlias: plain}\n");
    world.mount(&pod).await.unwrap();
    world.emulator.add_fault(kms_answers(429, "Rejected.Throttling"));
    sleep(Duration::from_millis(1100)).await;
    let status = world.mount(&pod).await.unwrap_err();
    assert!(status.message().contains("throttled by KMS"), "{status:?}");
    world.finish().await;
}

/// What passes, of KMS and of STS, is outlived; what STS refuses is not, and drops what was kept.
#[tokio::test]
async fn last_values_stand_in_for_what_passes_alone() {
    async fn graceful() -> World {
        let setup = Setup::default().cloud("token_algorithm: RS256", "token_algorithm: ES256");
        setup
            .flag("outage-grace", "1h")
            .flag("stale-while-throttled", "0")
            .flag("mount-timeout", "3")
            .flag("audit", "off")
            .start()
            .await
    }
    let error = |status: u16, code: &str| FaultEffect::Error {
        status,
        code: code.to_owned(),
        message: None,
        headers: BTreeMap::new(),
    };
    let passing = [
        FaultEffect::Reset,
        FaultEffect::Hang,
        FaultEffect::Garbage,
        error(500, "InternalFailure"),
        error(503, "ServiceUnavailableTemporary"),
        FaultEffect::Html { status: 502 },
        FaultEffect::Empty { status: 404 },
        FaultEffect::Html { status: 403 },
        FaultEffect::Html { status: 407 },
        FaultEffect::Huge { mib: 2 },
        error(400, "IllegalTimestamp"),
        error(400, "RequestTimeTooSkewed"),
        FaultEffect::throttling(),
    ];
    let outlived = passing.into_iter().map(async |effect| {
        let world = graceful().await;
        let pod = world.pod("web", "web-1").objects("- objectName: web/plain\n");
        let fresh = world.mount(&pod).await.unwrap();
        for service in ["kms", "sts"] {
            world.emulator.expire_sessions("web").unwrap();
            let service = Some(service.to_owned());
            world.emulator.add_fault(Fault { service, effect: effect.clone(), ..Fault::default() });
            assert_eq!(world.mount(&pod).await.unwrap(), fresh, "{effect:?}");
            world.emulator.clear_faults();
        }
        let metrics = world.metrics().await;
        let source = if effect == FaultEffect::throttling() { "stale" } else { "grace" };
        let twice = format!("values_answered_total{{source=\"{source}\"}} 2");
        assert!(metrics.contains(&twice), "{metrics}");
        world.finish().await;
    });
    futures::future::join_all(outlived).await;

    // A pod's token is renewed every hour: the last value is the pod's, once STS has taken the new one.
    let world = graceful().await;
    let pod = || world.pod("web", "web-1").objects("- objectName: web/plain\n");
    let fresh = world.mount(&pod()).await.unwrap();
    let kms = Fault { service: Some("kms".to_owned()), ..Fault::default() };
    world.emulator.add_fault(kms);
    assert_eq!(world.mount(&pod()).await.unwrap(), fresh);
    world.emulator.revoke_trust("web").unwrap();
    assert_eq!(world.mount(&pod()).await.unwrap_err().code(), Code::Unauthenticated);
    world.finish().await;

    // So it is for what it reads in another account.
    let world = graceful().await;
    let partner = "acs:ram::6543210987654321:role/partner";
    let cross = format!("- {{objectName: partner/secret, crossAccountRoleArn: '{partner}'}}\n");
    let both = format!("- objectName: web/plain\n{cross}");
    let pod = |objects: &str| world.pod("web", "web-1").objects(objects);
    let fresh = world.mount(&pod(&both)).await.unwrap();
    world.emulator.add_fault(Fault { service: Some("kms".to_owned()), ..Fault::default() });
    assert_eq!(world.mount(&pod(&both)).await.unwrap(), fresh);
    assert_eq!(world.mount(&pod(&cross)).await.unwrap().files.len(), 1);
    // Neither another pod nor one whose role is not trusted any more has it.
    let other = world.pod("web", "web-2").objects(&cross);
    assert_eq!(world.mount(&other).await.unwrap_err().code(), Code::Internal);
    world.emulator.revoke_trust("web").unwrap();
    assert_eq!(world.mount(&pod(&cross)).await.unwrap_err().code(), Code::Unauthenticated);
    world.finish().await;

    // While STS does not answer, a new token is no proof.
    let world = graceful().await;
    let pod = || world.pod("web", "web-1").objects(&cross);
    world.mount(&pod()).await.unwrap();
    world.emulator.add_fault(Fault { service: Some("sts".to_owned()), ..Fault::default() });
    assert_eq!(world.mount(&pod()).await.unwrap_err().code(), Code::Internal);
    world.finish().await;

    let world = graceful().await;
    let pod = world.pod("web", "web-1").objects("- objectName: web/plain\n");
    world.mount(&pod).await.unwrap();
    world.emulator.expire_sessions("web").unwrap();
    world.emulator.revoke_trust("web").unwrap();
    assert_eq!(world.mount(&pod).await.unwrap_err().code(), Code::Unauthenticated);
    world.emulator.stop_listening().await;
    assert_eq!(world.mount(&pod).await.unwrap_err().code(), Code::Internal);
    world.finish().await;
}

#[test]
fn clamped_interval_is_logged_once_for_a_mount_that_fails_again_and_again() {
    let work = async || {
        let world =
            Setup::default().flag("max-refresh-interval", "1m").flag("refresh-interval", "0");
        let world = world.start().await;
        let failing = world.pod("web", "web-1").objects("- objectName: api/token");
        let failing = failing.parameter("refreshInterval", "1h");
        for _ in 0..3 {
            world.mount(&failing).await.unwrap_err();
        }
        let other = failing.parameter("refreshInterval", "2h");
        world.mount(&other).await.unwrap_err();
        let log = log::captured();
        world.finish().await;
        String::from_utf8(log.lock().unwrap().clone()).unwrap()
    };
    let log = log::apart_in_json("provider=info", work).join().unwrap();
    let lines: Vec<_> =
        log.lines().filter(|line| line.contains("refreshInterval is clamped")).collect();
    let [first, second] = &*lines else { panic!("{log}") };
    assert!(first.contains("\"refresh_interval_s\":3600,\"used_s\":60"), "{first}");
    assert!(second.contains("\"refresh_interval_s\":7200,\"used_s\":60"), "{second}");
}
