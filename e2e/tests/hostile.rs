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
    // Each goes to the end of its own budget, and on a slow machine all of them past the mount's.
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
        // Whichever bound is met first, that of each path or that of all.
        ("paths", volume(&paths), Code::FailedPrecondition, "path"),
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

/// Mounts each volume again and again, and counts the answers.
fn flood(driver: &Driver, volumes: &[PodVolume]) -> (Vec<AbortOnDropHandle<()>>, Arc<AtomicUsize>) {
    let answered = Arc::new(AtomicUsize::new(0));
    let each = |volume: &PodVolume| {
        let (driver, volume, answered) = (driver.clone(), volume.clone(), answered.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                let _ = driver.mount(&volume).await;
                answered.fetch_add(1, Relaxed);
                // A provider that is gone is told at once, and what never waits cannot be stopped.
                tokio::task::yield_now().await;
            }
        }))
    };
    (volumes.iter().map(each).collect(), answered)
}

async fn first_of(answered: &AtomicUsize, kind: &str) {
    let first = async {
        while answered.load(Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), first).await.expect(kind);
}

fn peak_kib(running: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    peak.split_whitespace().nth(1).unwrap().parse().unwrap()
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
        let (flood, answered) = flood(&attacker, &vec![volume; 8]);
        first_of(&answered, kind).await;
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
    let peak = peak_kib(&running);
    println!("the most memory after all of them: {peak} KiB");
    assert!(peak < 64 << 10, "more than the chart's container may have: {peak} KiB");
    running.terminate();
    assert_eq!(running.ended().await.0, 0);
}

/// What a pod's author may ask for, as many volumes of it as the author likes, and the code of the answer.
fn greedy(emulator: &Emulator) -> Vec<(&'static str, Vec<PodVolume>, Code)> {
    let hour = Duration::from_secs(3600);
    let volume = |n: usize, objects: &str| {
        let (name, uid) = (format!("web-{n}"), format!("uid-{n}"));
        let token = emulator.pod_token("shop", "web", &name, &uid, AUDIENCE, hour);
        PodVolume::new("shop", "web", &name)
            .objects(objects)
            .parameter("roleArn", "acs:ram::1234567890123456:role/web")
            .token(AUDIENCE, &token, "2126-01-01T00:00:00Z")
    };
    let volumes = |count: usize, objects: &dyn Fn(usize) -> String| -> Vec<PodVolume> {
        (0..count).map(|n| volume(n, &objects(n))).collect()
    };
    let large = "x".repeat(30_000);
    for n in 0..500 {
        emulator.set_secret_text(&format!("web/large-{n}"), &large).unwrap();
    }
    let aliases: String =
        (0..130).map(|n| format!("- {{objectName: web/large-0, objectAlias: f{n}}}\n")).collect();
    let distinct: String = (0..500).map(|n| format!("- objectName: web/large-{n}\n")).collect();
    // Compiled, these take thirty times their text.
    let path = ["[@,@][]"; 8].join("|");
    let paths = |of: usize| -> String {
        let entry = |n| format!("  - {{path: '{path}', objectAlias: f{n}}}\n");
        let entries: String = (0..900).map(entry).collect();
        format!("- objectName: web/none-{of}\n  jmesPath:\n{entries}")
    };
    let list = serde_json::to_string(&(0..3_000).collect::<Vec<_>>()).unwrap();
    emulator.set_secret_text("web/list", &list).unwrap();
    let sorts = format!("[{}]|map(&sort_by(@,&@),@)", ["@"; 240].join(","));
    let searches: String = (0..9)
        .map(|n| format!("  - {{path: '{sorts}', objectAlias: f{n}}}\n"))
        .fold("- objectName: web/list\n  jmesPath:\n".to_owned(), |all, entry| all + &entry);
    let unknown = volume(0, "- objectName: web/plain").parameter("filler", &"x".repeat(3_900_000));
    vec![
        ("one secret under 130 names", volumes(30, &|_| aliases.clone()), Code::Ok),
        ("500 large secrets", volumes(4, &|_| distinct.clone()), Code::InvalidArgument),
        ("long lists of paths", volumes(10, &paths), Code::NotFound),
        ("costly searches", volumes(12, &|_| searches.clone()), Code::FailedPrecondition),
        ("large requests", vec![unknown; 30], Code::InvalidArgument),
    ]
}

/// The release has to fit into the chart's 64 MiB; a debug build takes more of everything.
fn most_mib() -> u64 {
    if std::env::var_os("PROVIDER_PROGRAM").is_some() { 60 } else { 90 }
}

/// Each by itself, and another pod's mounts beside it.
#[tokio::test(flavor = "multi_thread")]
async fn greedy_mounts_of_one_author_leave_memory_and_time_to_others() {
    let emulator = cloud(&[]).await;
    for (kind, volumes, code) in greedy(&emulator) {
        let directory = TempDir::new().unwrap();
        let mut running = Running::start(&emulator, directory.path(), &["--log-level=error"]).await;
        let driver = running.driver().await;
        let victim = pod(&emulator);
        driver.mount(&victim).await.unwrap();
        let attacker = running.driver().await;
        let told = attacker.mount(&volumes[0]).await;
        let of = told.as_ref().map_or_else(|status| status.code(), |_| Code::Ok);
        assert_eq!(of, code, "{kind}: {:?}", told.err());
        let (flood, answered) = flood(&attacker, &volumes);
        first_of(&answered, kind).await;
        let beside = longest(&driver, &victim).await;
        let peak = peak_kib(&running);
        println!(
            "beside {kind}: {:?} at most, {:?} in the middle; {} answered; {peak} KiB",
            beside.0,
            beside.1,
            answered.load(Relaxed)
        );
        drop(flood);
        assert!(beside.1 < Duration::from_secs(1), "{kind}: {beside:?}");
        // Those keep the emulator busy for seconds, and that is in this process.
        if kind != "500 large secrets" {
            assert!(beside.0 < Duration::from_secs(3), "{kind}: {beside:?}");
        }
        assert!(peak < most_mib() << 10, "{kind}: {peak} KiB");
        running.terminate();
        assert_eq!(running.ended().await.0, 0);
    }
}
