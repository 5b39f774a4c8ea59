//! The program under a load of mounts while it is killed, and while others take its place: what the
//! driver does not save by trying again is not lost.

#![expect(clippy::print_stdout, reason = "the figures are for those who ask for them")]

mod line;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use emulator::{Emulator, Fault, FaultEffect};
use fastrand::Rng;
use futures::future::join_all;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

use crate::{
    driver::PodVolume,
    log::apart,
    process::inode,
    program::{Process, given, program},
    world::{AUDIENCE, OIDC_PROVIDER, assert_not_forbidden, cloud},
};
use line::{Line, connected};

/// How many, by default or as the environment says.
fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// A provider that runs, with its log left to the test's own.
struct Serving {
    process: Process,
    socket: PathBuf,
}

impl Serving {
    fn start(emulator: &Emulator, directory: &Path) -> Self {
        let volume = directory.join("providers");
        let mut command = program();
        command
            .arg(format!("--provider-volume={}", volume.display()))
            .args(["--healthz-port=0", "--healthz-address=127.0.0.1", "--region=cn-hangzhou"])
            .args(["--service-account-lookup=false", "--refresh-interval=0", "--log-level=error"])
            .arg(format!("--oidc-provider-arn={OIDC_PROVIDER}"))
            .arg(format!("--resolve=*.aliyuncs.com={}", emulator.https_addr()))
            .arg(format!("--ca-file={}", directory.join("ca.pem").display()))
            .stdout(Stdio::null());
        Self { process: Process::start(&mut command), socket: volume.join("alibabacloud.sock") }
    }

    fn kill(self) {
        drop(self.process);
    }

    /// Waits for the end of its drain, which has to be a good one.
    async fn retire(mut self) {
        self.process.terminate();
        assert_eq!(self.process.ended().await.code(), Some(0));
    }
}

/// Mounts without a pause until told to stop; each ends well, or a kill hit each of its three tries.
async fn load(line: Line, pods: Vec<PodVolume>, stop: Arc<AtomicBool>) {
    let lanes = pods.iter().map(|pod| async {
        while !stop.load(Relaxed) {
            match line.mount(pod).await {
                Ok(()) => {}
                Err(status) if status.code() == Code::Unavailable => {}
                Err(status) => {
                    assert_not_forbidden(&status);
                    panic!("{status:?}");
                }
            }
        }
    });
    join_all(lanes).await;
}

struct Scene {
    emulator: Emulator,
    directory: TempDir,
    stop: Arc<AtomicBool>,
}

impl Scene {
    async fn new() -> Self {
        let emulator = cloud(&[]).await;
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("ca.pem"), emulator.ca_pem()).unwrap();
        // Mounts that take a while are under way at any moment.
        emulator.add_fault(Fault {
            service: Some("kms".to_owned()),
            effect: FaultEffect::Latency { ms: 20 },
            ..Fault::default()
        });
        Self { emulator, directory, stop: Arc::default() }
    }

    fn pods(&self, number: usize) -> Vec<PodVolume> {
        let pod = |n| {
            let name = format!("web-{n}");
            let hour = Duration::from_secs(3600);
            let token = self.emulator.pod_token("shop", "web", &name, "uid", AUDIENCE, hour);
            PodVolume::new("shop", "web", &name)
                .objects("- objectName: web/plain\n- objectName: web/db\n")
                .parameter("roleArn", "acs:ram::1234567890123456:role/web")
                .token(AUDIENCE, &token, "2126-01-01T00:00:00Z")
        };
        (0..number).map(pod).collect()
    }

    fn start(&self) -> Serving {
        Serving::start(&self.emulator, self.directory.path())
    }
}

const LANES: usize = 8;

async fn killed(kills: usize, seed: u64) {
    let scene = Scene::new().await;
    let mut random = Rng::with_seed(seed);
    let mut serving = scene.start();
    let line = Line::new(serving.socket.clone());
    line.ready().await;
    let load = load(line.clone(), scene.pods(LANES), scene.stop.clone());
    let killing = async {
        let mut back = Vec::with_capacity(kills);
        for _ in 0..kills {
            sleep(Duration::from_millis(random.u64(0..1000))).await;
            line.kills.lock().unwrap().push(Instant::now());
            serving.kill();
            let started = Instant::now();
            serving = scene.start();
            let answered = async {
                while connected(&serving.socket).await.is_none() {
                    sleep(Duration::from_millis(1)).await;
                }
            };
            timeout(Duration::from_secs(20), answered).await.expect("a stale socket?");
            back.push(started.elapsed());
        }
        scene.stop.store(true, Relaxed);
        (back, serving)
    };
    let ((), (mut back, serving)) = tokio::join!(load, killing);
    back.sort();
    let at = |part: usize| back[(back.len() - 1) * part / 100].as_millis();
    let (counts, given_up) = (&line.counts, line.counts.given_up());
    let (mounts, broken, unsent) = (counts.mounts(), counts.broken(), counts.unsent());
    println!(
        "{kills} kills (seed {seed}): {mounts} mounts, {broken} tries broken and {unsent} \
         not sent, {given_up} broken three times; back in ms: median {}, 90 % {}, 99 % {}, most {}",
        at(50),
        at(90),
        at(99),
        at(100),
    );
    assert!(mounts > LANES as u64);
    // Who asks for a number of kills measures, with nothing beside it.
    if given().is_some() && std::env::var_os("ROLLOUTS_KILLS").is_some() {
        assert!(at(100) < 50, "{} ms", at(100));
    }
    assert!(back[back.len() / 2] < Duration::from_secs(5), "{:?}", back[back.len() / 2]);
    scene.emulator.clear_faults();
    load_once(&line, &scene).await;
    serving.retire().await;
    assert!(!line.socket.exists());
}

async fn load_once(line: &Line, scene: &Scene) {
    for pod in scene.pods(LANES) {
        line.mount(&pod).await.unwrap();
    }
}

async fn replaced(rollouts: usize, seed: u64) {
    let scene = Scene::new().await;
    let mut random = Rng::with_seed(seed);
    let mut old = scene.start();
    let line = Line::new(old.socket.clone());
    line.ready().await;
    let load = load(line.clone(), scene.pods(LANES), scene.stop.clone());
    let replacing = async {
        for _ in 0..rollouts {
            sleep(Duration::from_millis(random.u64(0..200))).await;
            let before = inode(&old.socket);
            let new = scene.start();
            let taken_over = async {
                while inode(&new.socket) == before {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(Duration::from_secs(20), taken_over).await.expect("it takes nothing over");
            std::mem::replace(&mut old, new).retire().await;
        }
        scene.stop.store(true, Relaxed);
        old
    };
    let ((), last) = tokio::join!(load, replacing);
    let (mounts, unsent) = (line.counts.mounts(), line.counts.unsent());
    println!(
        "{rollouts} rollouts (seed {seed}): {mounts} mounts, {unsent} calls not sent at first"
    );
    assert_eq!(line.counts.broken(), 0, "a drain lets every call end");
    assert!(mounts > LANES as u64);
    last.retire().await;
    assert!(!line.socket.exists());
}

/// `ROLLOUTS_KILLS` and `ROLLOUTS_SEED` repeat more of it, or the same.
#[test]
fn no_kill_costs_a_mount_that_the_driver_tries_again() {
    let (kills, seed) = (number("ROLLOUTS_KILLS", 15), number("ROLLOUTS_SEED", 1) as u64);
    apart("warn", move || killed(kills, seed)).join().expect("its thread has said why");
}

#[test]
fn no_rollout_costs_a_mount() {
    let (rollouts, seed) = (number("ROLLOUTS", 10), number("ROLLOUTS_SEED", 1) as u64);
    apart("warn", move || replaced(rollouts, seed)).join().expect("its thread has said why");
}
