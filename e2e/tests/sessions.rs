//! Sessions are kept, renewed ahead of their end, asked for once, and given up when refused.

use std::time::Duration;

use emulator::{Fault, FaultEffect};
use tonic::Code;

use crate::world::{Setup, World};

const PLAIN: &str = "- objectName: web/plain";

fn sts_down() -> Fault {
    Fault { service: Some("sts".to_owned()), ..Fault::default() }
}

#[tokio::test]
async fn one_session_serves_all_mounts_of_a_pod_and_one_connection_all_calls() {
    let world = World::start().await;
    let pod = world.pod("web", "web-1").objects("- objectName: web/plain\n- objectName: web/db\n");
    let burst = futures::future::join_all((0..30).map(|_| world.mount(&pod))).await;
    assert!(burst.iter().all(Result::is_ok));
    assert_eq!(world.calls("AssumeRoleWithOIDC").len(), 1, "asked for once, however many wait");
    let connections = world.emulator.connections();
    for _ in 0..5 {
        world.mount(&pod).await.unwrap();
    }
    assert_eq!(world.calls("AssumeRoleWithOIDC").len(), 1);
    assert_eq!(world.emulator.connections(), connections, "no new TLS handshake on a warm mount");
    // Another token of the same pod is another proof.
    let renewed = world.pod("web", "web-1").objects(PLAIN);
    world.mount(&renewed).await.unwrap();
    assert_eq!(world.calls("AssumeRoleWithOIDC").len(), 2);
    world.finish().await;
}

#[tokio::test]
async fn a_session_refused_as_expired_is_replaced_once() {
    // KMS documents that an expired session can show up as an unknown key.
    let unknown_key =
        ("\nmetadata:\n", "\nkms:\n  expired_session_is_unknown_key: true\n\nmetadata:\n");
    for setup in [Setup::default(), Setup::default().cloud(unknown_key.0, unknown_key.1)] {
        let world = setup.start().await;
        let pod =
            world.pod("web", "web-1").objects("- objectName: web/plain\n- objectName: web/db\n");
        world.mount(&pod).await.unwrap();
        assert_eq!(world.emulator.expire_sessions("web").unwrap(), 1);
        world.mount(&pod).await.unwrap();
        assert_eq!(world.calls("AssumeRoleWithOIDC").len(), 2);
        let refused =
            world.calls("GetSecretValue").iter().filter(|call| call.status != 200).count();
        assert!((1..=2).contains(&refused), "{refused}");
        world.finish().await;
    }
}

#[tokio::test]
async fn an_expired_base_session_of_a_chain_is_replaced() {
    let objects = "- {objectName: partner/secret, crossAccountRoleArn: 'acs:ram::6543210987654321:role/partner'}";
    let world = World::start().await;
    let pod = world.pod("web", "web-1").objects(objects);
    world.mount(&pod).await.unwrap();
    world.emulator.expire_sessions("web").unwrap();
    world.emulator.expire_sessions("acs:ram::6543210987654321:role/partner").unwrap();
    world.mount(&pod).await.unwrap();
    assert_eq!(world.calls("AssumeRoleWithOIDC").len(), 2);
    world.finish().await;
}

#[tokio::test]
async fn a_valid_session_survives_a_failed_renewal() {
    let world = World::start().await;
    // Due for renewal at once: three quarters of four seconds have to pass, and STS is down then.
    world.emulator.set_session_lifetime(Some(Duration::from_secs(8)));
    let pod = world.pod("web", "web-1").objects(PLAIN);
    world.mount(&pod).await.unwrap();
    world.emulator.add_fault(sts_down());
    let renewals = || world.calls("AssumeRoleWithOIDC").len();
    while renewals() < 2 {
        world.mount(&pod).await.unwrap();
        tokio::task::yield_now().await;
    }
    // The renewal has failed, or is failing; the old session serves on.
    world.mount(&pod).await.unwrap();
    // When it is over and STS is still down, the mount says so.
    let status = loop {
        match world.mount(&pod).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    assert!(status.message().contains("ServiceUnavailableTemporary"), "{}", status.message());
    world.emulator.clear_faults();
    world.mount(&pod).await.unwrap();
    world.finish().await;
}

#[tokio::test]
async fn a_role_taken_back_takes_effect_at_once() {
    let world = World::start().await;
    world.web(PLAIN).await.unwrap();
    world.emulator.revoke_role("web").unwrap();
    assert_eq!(world.web(PLAIN).await.unwrap_err().code(), Code::PermissionDenied);
    world.emulator.restore_role("web").unwrap();
    world.web(PLAIN).await.unwrap();
    world.finish().await;
}

#[tokio::test]
async fn the_service_account_is_looked_up_once_for_a_while() {
    let world = World::start().await;
    let pods: Vec<_> =
        (0..40).map(|n| world.pod("web", &format!("web-{n}")).objects(PLAIN)).collect();
    let mounts = pods.iter().map(|pod| world.mount(pod));
    assert!(futures::future::join_all(mounts).await.iter().all(Result::is_ok));
    let lookups = world.emulator.requests();
    let lookups = lookups.iter().filter(|call| call.service == "kubernetes").count();
    assert_eq!(lookups, 1);
    world.finish().await;
}

/// The token goes in the form body, where no access log sees it.
#[tokio::test]
async fn sts_is_asked_by_post_and_the_region_s_own_host() {
    let world = Setup::default().flag("region", "cn-beijing").flag("public-endpoints", "true");
    let world = world.start().await;
    let pod = world.pod("web", "web-1").objects("- objectName: web/beijing");
    world.mount(&pod).await.unwrap();
    let hosts: Vec<_> = world.emulator.requests().into_iter().map(|call| call.host).collect();
    assert!(hosts.contains(&"sts.cn-beijing.aliyuncs.com".to_owned()), "{hosts:?}");
    assert!(hosts.contains(&"kms.cn-beijing.aliyuncs.com".to_owned()), "{hosts:?}");
    world.finish().await;
}

#[tokio::test]
async fn no_region_given_is_asked_of_the_instance() {
    let world = Setup::default().flag("region", "").start().await;
    world.web(PLAIN).await.unwrap();
    assert_eq!(world.calls("GetSecretValue")[0].host, "kms-vpc.cn-hangzhou.aliyuncs.com");
    world.finish().await;
}

#[tokio::test]
async fn a_fault_of_the_cloud_during_login_is_told_once_for_all_objects() {
    let world = World::start().await;
    world.emulator.add_fault(Fault {
        effect: FaultEffect::Error {
            status: 403,
            code: "AuthenticationFail.NoPermission".to_owned(),
            message: Some("No such OIDC Provider registered.".to_owned()),
            headers: Default::default(),
        },
        ..sts_down()
    });
    let status = world.web("- objectName: web/plain\n- objectName: web/db\n").await.unwrap_err();
    assert_eq!(status.message().matches("AssumeRoleWithOIDC").count(), 1, "{}", status.message());
    assert!(status.message().contains("--oidc-provider-arn"), "{}", status.message());
    world.finish().await;
}

/// Kubelet comes back minutes later, and should not have to begin again.
#[tokio::test]
async fn what_a_throttled_mount_did_not_get_is_there_at_its_next_try() {
    for (service, throttled) in
        [("sts", (400, "Throttling.User")), ("kms", (429, "Rejected.Throttling"))]
    {
        let world = Setup::default().flag("refresh-interval", "5m").start().await;
        let (status, code) = throttled;
        let effect = FaultEffect::Error {
            status,
            code: code.to_owned(),
            message: None,
            headers: std::collections::BTreeMap::new(),
        };
        let service = Some(service.to_owned());
        let fault = world.emulator.add_fault(Fault { service, effect, ..Fault::default() });
        let objects = "- {objectName: web/plain, objectAlias: plain}";
        let mut pod = world.pod("web", "web-1").objects(objects);
        pod.timeout = Duration::from_secs(2);
        let failed = world.mount(&pod).await.unwrap_err();
        assert!(failed.message().contains("throttled by"), "{failed:?}");
        world.emulator.clear_fault(fault);
        let end = tokio::time::Instant::now() + Duration::from_secs(30);
        let read = || world.calls("GetSecretValue").into_iter().filter(|call| call.status == 200);
        while read().count() == 0 {
            assert!(tokio::time::Instant::now() < end, "nobody read it: {failed:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        pod.timeout = Duration::from_secs(30);
        assert_eq!(world.mount(&pod).await.unwrap().text("plain"), "planted-value-of-web-plain");
        assert_eq!(read().count(), 1, "what was read meanwhile serves");
        world.finish().await;
    }
}
