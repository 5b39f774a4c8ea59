//! What one pod's absurd requests do to another pod's mounts.

#![expect(clippy::print_stdout, clippy::use_debug, reason = "the figures are worth a look")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use emulator::Emulator;
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tonic::Code;

use crate::{
    driver::{Driver, PodVolume},
    process::{Running, pod},
    world::{AUDIENCE, cloud},
};

const MOUNTS: usize = 60;

/// What is wrong with it, the request, and how it is told.
type Absurd = (&'static str, PodVolume, Code, &'static str);

/// By size, by count, by depth, and a thousand expressions over thirty kilobytes.
fn absurd(emulator: &Emulator) -> Vec<Absurd> {
    let hour = Duration::from_secs(3600);
    let token = emulator.pod_token("shop", "web", "web-absurd", "uid", AUDIENCE, hour);
    let volume = |objects: &str| {
        PodVolume::new("shop", "web", "web-absurd")
            .objects(objects)
            .parameter("roleArn", "acs:ram::1234567890123456:role/web")
            .token(AUDIENCE, &token, "2126-01-01T00:00:00Z")
    };
    let mut paths = "- objectName: web/large\n  jmesPath:\n".to_owned();
    // Each goes to the end of its own budget, and all of them together past the mount's.
    let doubled = ["[@,@][]"; 6].join("|");
    for n in 0..1_200 {
        paths.push_str(&format!("  - {{path: '{doubled}', objectAlias: f{n}}}\n"));
    }
    let json = serde_json::to_string(&vec!["x"; 7_000]).unwrap();
    emulator.set_secret_text("web/large", &json).unwrap();
    let size = "- objectName: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n".repeat(20_000);
    let too_large = "parameter objects: too large, too deeply nested";
    let code = Code::InvalidArgument;
    vec![
        ("size", volume(&size), code, too_large),
        ("count", volume(&"- {}\n".repeat(200_000)), code, too_large),
        (
            "depth",
            volume(&"[".repeat(1 << 20)),
            code,
            "parameter objects: too large, too deeply nested",
        ),
        ("paths", volume(&paths), Code::FailedPrecondition, "paths take more than"),
    ]
}

/// The longest of some mounts, one after the other, and the middle one.
async fn longest(driver: &Driver, volume: &PodVolume) -> (Duration, Duration) {
    let mut took = Vec::new();
    for _ in 0..MOUNTS {
        let started = Instant::now();
        driver.mount(volume).await.unwrap();
        took.push(started.elapsed());
    }
    took.sort();
    (took[MOUNTS - 1], took[MOUNTS / 2])
}

/// Eight at a time, without a pause, over a connection of their own. In a release build each piece of
/// that work takes a tenth of what it does here.
#[tokio::test(flavor = "multi_thread")]
async fn absurd_requests_of_one_pod_do_not_hold_up_another() {
    let emulator = cloud(&[]).await;
    let directory = TempDir::new().unwrap();
    let more = ["--log-level=error"];
    let mut running = Running::start(&emulator, directory.path(), &more).await;
    let driver = running.driver().await;
    let victim = pod(&emulator);
    driver.mount(&victim).await.unwrap();
    let alone = longest(&driver, &victim).await;
    println!("alone: {:?} at most, {:?} in the middle", alone.0, alone.1);
    for (kind, volume, code, why) in absurd(&emulator) {
        let attacker = running.driver().await;
        let told = attacker.mount(&volume).await.unwrap_err();
        assert_eq!(told.code(), code, "{kind}: {told:?}");
        assert!(told.message().contains(why), "{kind}: {told:?}");
        let answered = Arc::new(AtomicUsize::new(0));
        let flood: Vec<_> = (0..8)
            .map(|_| {
                let (attacker, volume) = (attacker.clone(), volume.clone());
                let answered = answered.clone();
                AbortOnDropHandle::new(tokio::spawn(async move {
                    loop {
                        let _ = attacker.mount(&volume).await;
                        answered.fetch_add(1, Relaxed);
                    }
                }))
            })
            .collect();
        let first = async {
            while answered.load(Relaxed) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), first).await.expect(kind);
        let beside = longest(&driver, &victim).await;
        println!(
            "beside {kind}: {:?} at most, {:?} in the middle; {} absurd ones answered",
            beside.0,
            beside.1,
            answered.load(Relaxed)
        );
        drop(flood);
        assert!(beside.0 < Duration::from_secs(1), "{kind}: {beside:?}, alone {alone:?}");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    println!("the most memory after all of them: {}", peak.trim_start_matches("VmHWM:").trim());
    let kib: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib < 64 << 10, "more than the chart's container may have: {peak}");
    running.terminate();
    assert_eq!(running.ended().await.0, 0);
}
