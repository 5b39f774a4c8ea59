//! The debug endpoints: off unless asked for, without a value, and a log level that takes effect.

use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    process::{Running, pod},
    world::{Setup, cloud},
};

const OBJECTS: &str = "- objectName: web/plain";

#[tokio::test]
async fn state_has_limits_and_sizes_and_no_name_of_a_secret() {
    let world = Setup::default().flag("debug-endpoints", "loopback").flag("refresh-interval", "5m");
    let world = world.start().await;
    world.web(OBJECTS).await.unwrap();
    let (status, text) = world.get("/debug/state").await;
    assert_eq!(status, 200, "{text}");
    let state: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&state["sessions"], &state["cached_values"]), (&1.into(), &1.into()), "{text}");
    let kms = &state["limiters"]["KMS"];
    assert_eq!((&kms["limit"], &kms["in_flight"]), (&64.into(), &0.into()), "{text}");
    let host = &kms["hosts"]["kms-vpc.cn-hangzhou.aliyuncs.com"];
    assert_eq!((&host["down"], &host["throttling"]), (&Value::Null, &false.into()), "{text}");
    assert!(!text.contains("web/plain") && !text.contains("planted"), "{text}");
    // What the port serves beside them is still there.
    assert_eq!(world.get("/readyz").await.0, 200);
    world.finish().await;
}

#[tokio::test]
async fn debug_endpoints_are_not_served_unless_the_operator_says_so() {
    let world = Setup::default().start().await;
    for path in ["/debug/state", "/debug/log-level"] {
        assert_eq!(world.get(path).await.0, 404, "{path}");
    }
    world.finish().await;
}

#[tokio::test]
async fn log_level_changes_while_the_program_runs_and_goes_back() {
    let emulator = cloud(&[]).await;
    let directory = TempDir::new().unwrap();
    let mut running = Running::start_with(
        &emulator,
        directory.path(),
        &["--debug-endpoints=loopback", "--log-level=info"],
        |command| {
            command.env_remove("ALIBABACLOUD_PROVIDER_LOG_LEVEL");
        },
    )
    .await;
    let admin = running.admin().await;
    let driver = running.driver().await;
    assert_eq!(put(&admin, "").await, (200, "info\n".to_owned()));
    assert_eq!(
        put(&admin, "warning").await,
        (
            400,
            "the level \"warning\" is not one of error, warn, info, debug, trace, off, nor \
             TARGET=LEVEL such as provider=debug; did you mean warn?\n"
                .to_owned()
        )
    );
    assert_eq!(put(&admin, &"x".repeat(4097)).await.0, 413);
    // A mount at info, one at error, and one at info again.
    let volume = pod(&emulator);
    driver.mount(&volume).await.unwrap();
    assert_eq!(put(&admin, "error").await, (200, "error\n".to_owned()));
    driver.mount(&volume).await.unwrap();
    assert_eq!(put(&admin, "provider=debug,hyper=off").await.0, 200);
    assert_eq!(put(&admin, "").await, (200, "info\n".to_owned()));
    driver.mount(&volume).await.unwrap();
    running.terminate();
    let (status, log) = running.ended().await;
    assert_eq!(status, 0, "{log}");
    assert_eq!(log.matches("provider::mount: mounted").count(), 2, "{log}");
}

/// An empty level is the one of the start.
async fn put(admin: &str, level: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(admin).await.unwrap();
    let request = format!(
        "PUT /debug/log-level HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{level}",
        level.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await.unwrap().unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}
