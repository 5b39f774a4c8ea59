//! The socket: old drivers, many calls at once, health, deadlines.

use std::time::Duration;

use tonic::{Code, Request, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{grpc_go::RawDriver, world::World};

/// Drivers up to 1.5.6 name the socket's path as `:authority`, later ones `localhost`; each mounts
/// three times on one connection.
#[tokio::test]
async fn drivers_that_send_a_path_as_authority_are_served() {
    let world = World::start().await;
    let pod = world.pod("web", "web-1").objects("- objectName: web/plain");
    let path = world.socket().display().to_string();
    let percent = path.replace('/', "%2F");
    for authority in
        [&*path, "/var/run/secrets-store-csi-providers/alibabacloud.sock", &percent, "localhost"]
    {
        for huffman in [false, true] {
            let mut driver = RawDriver::connect(&world.socket(), authority, huffman).await;
            for _ in 0..3 {
                let response = driver.mount(&pod.request()).await;
                assert_eq!(response.files.len(), 1, "{authority}");
                assert_eq!(response.files[0].contents, b"planted-value-of-web-plain");
            }
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn two_hundred_mounts_share_one_connection() {
    let world = World::start().await;
    let pods: Vec<_> = (0..200)
        .map(|n| world.pod("web", &format!("web-{n}")).objects("- objectName: web/plain"))
        .collect();
    let outcomes = futures::future::join_all(pods.iter().map(|pod| world.mount(pod))).await;
    assert!(outcomes.iter().all(Result::is_ok), "{:?}", outcomes.iter().find(|o| o.is_err()));
    world.finish().await;
}

#[tokio::test]
async fn health_and_version_answer_over_the_socket_and_by_http() {
    let world = World::start().await;
    let version = world.driver.version().await.unwrap();
    assert_eq!(version.version, "v1alpha1");
    assert_eq!(version.runtime_name, "csi-secrets-store-provider-alibabacloud");
    let socket = world.socket();
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { tokio::net::UnixStream::connect(socket).await.map(hyper_util::rt::TokioIo::new) }
    });
    let channel =
        Endpoint::from_static("http://localhost").connect_with_connector(connector).await.unwrap();
    let mut health = HealthClient::new(channel);
    let request = Request::new(HealthCheckRequest { service: String::new() });
    assert_eq!(health.check(request).await.unwrap().into_inner().status, 1);
    assert_eq!(world.get("/healthz").await.0, 200);
    assert_eq!(world.get("/readyz").await.0, 200);
    assert_eq!(world.get("/elsewhere").await.0, 404);
    world.web("- objectName: web/plain").await.unwrap();
    let metrics = world.metrics().await;
    for part in [
        "csi_provider_alibabacloud_mounts_total{identity=\"pod\",outcome=\"OK\"} 1",
        "csi_provider_alibabacloud_cloud_calls_total{api=\"GetSecretValue\",code=\"OK\"} 1",
        "csi_provider_alibabacloud_mount_duration_seconds_count 1",
        "csi_provider_alibabacloud_cloud_call_duration_seconds_bucket",
        "csi_provider_alibabacloud_build_info",
    ] {
        assert!(metrics.contains(part), "no {part} in {metrics}");
    }
    world.finish().await;
}

/// The file vanished (another pod's clean-up, a re-created directory): the driver's next dial finds
/// it again.
#[tokio::test]
async fn a_vanished_socket_comes_back() {
    let world = World::start().await;
    std::fs::remove_file(world.socket()).unwrap();
    let back = async {
        while !world.socket().exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), back).await.unwrap();
    let again = crate::driver::Driver::connect(&world.socket()).await.unwrap();
    again.mount(&world.pod("web", "web-1").objects("- objectName: web/plain")).await.unwrap();
    world.finish().await;
}

/// More than the transport takes: refused in words of our own, counted and recorded.
#[tokio::test]
async fn a_request_that_is_too_large_to_be_read_is_refused_as_any_other() {
    let world = World::start().await;
    let large = "- objectName: a\n".repeat(320_000);
    let status = world.mount(&world.pod("web", "web-1").objects(&large)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("the mount's request: is larger than 4 MiB; shorten"));
    let metrics = world.metrics().await;
    assert!(metrics.contains("outcome=\"INVALID_ARGUMENT\"} 1"), "{metrics}");
    world.web("- objectName: web/plain").await.unwrap();
    let audit = world.finish().await;
    assert!(
        audit.contains("\"event\":\"refusal\"") && audit.contains("larger than 4 MiB"),
        "{audit}"
    );
}
