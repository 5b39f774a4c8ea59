//! `--refresh-interval`: what is answered from memory, for how long, and to whom.

use tonic::Code;

use crate::world::{Setup, World};

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
