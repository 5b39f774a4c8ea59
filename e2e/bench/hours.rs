//! Calls of a node in an hour, without waiting for one: provider, driver and kubelet are in this
//! process, on a clock that stands still until it is told to go on, and the cloud is on the real
//! one. Nothing is scaled: an hour is 3,600 s of the provider's clock.

use std::{cmp::Reverse, collections::BinaryHeap, fs, sync::Arc, time::Duration};

use emulator::{Config as Content, Emulator};
use fastrand::Rng;
use provider::{
    app::App,
    config::{Config, flags::Flags},
};
use tempfile::TempDir;
use tokio::{runtime, sync::oneshot, task::spawn_blocking, time};
use tokio_util::sync::CancellationToken;

use crate::{
    Fault,
    cloud::AUDIENCE,
    content::{self, NAMESPACE},
    driver::{Driver, PodVolume},
    latency::{OBJECTS, accounts},
    node, pods,
};

const HOUR: Duration = Duration::from_secs(3600);
/// Until what a start does to all pods at once is over.
const WARM_UP: Duration = Duration::from_secs(20 * 60);
/// kubelet gives a pod a new token when a fifth of the old one's hour is left.
const TOKEN_LIFE: f64 = 2880.0;
/// kubelet has a volume mounted again after a pause in this range of seconds.
const REPUBLISH: std::ops::Range<f64> = 64.0..81.0;

/// What the hour had.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hour {
    pub(crate) mounts: u64,
    /// To STS and KMS.
    pub(crate) calls: u64,
    /// Of these, to STS.
    pub(crate) logins: u64,
    /// To the Kubernetes API.
    pub(crate) lookups: u64,
}

pub(crate) async fn hour(pods: usize, flags: &[&str]) -> Result<Hour, Fault> {
    let content = Content::from_yaml(&content::cloud(accounts(pods), None))?;
    let emulator = Arc::new(Emulator::start(content).await?);
    let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    spawn_blocking(move || {
        let mut runtime = runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build()?;
        runtime.block_on(live(&emulator, pods, &flags))
    })
    .await?
}

/// Calls of one mount of the naive mode, which keeps nothing.
pub(crate) fn naive(hour: Hour) -> u64 {
    hour.mounts * (1 + OBJECTS as u64)
}

async fn live(emulator: &Emulator, pods: usize, flags: &[String]) -> Result<Hour, Fault> {
    // The clock would run ahead whenever all wait for a socket; it does not beside blocking work.
    let (let_go, held) = oneshot::channel::<()>();
    let brake = spawn_blocking(move || held.blocking_recv());
    let directory = TempDir::with_prefix("alibabacloud-bench-hour-")?;
    let app = App::bind(config(emulator, &directory, flags)?).await?;
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(app.serve(shutdown.clone()));
    let driver = Driver::connect(&directory.path().join("providers/alibabacloud.sock")).await?;
    let hour = republish(emulator, &driver, pods).await?;
    shutdown.cancel();
    drop(driver);
    drop(let_go);
    serving.await??;
    let _ = brake.await?;
    Ok(hour)
}

async fn republish(emulator: &Emulator, driver: &Driver, pods: usize) -> Result<Hour, Fault> {
    let mut random = Rng::with_seed(1);
    let seconds = |random: &mut Rng, range: std::ops::Range<f64>| {
        range.start + random.f64() * (range.end - range.start)
    };
    let mut due = BinaryHeap::new();
    let mut node = Vec::new();
    for number in 0..pods {
        let first = Duration::from_secs_f64(seconds(&mut random, 0.0..REPUBLISH.end));
        let token_ends = Duration::from_secs_f64(seconds(&mut random, 0.0..TOKEN_LIFE));
        due.push(Reverse((first, number)));
        node.push((with_token(emulator, pods::pod(number, OBJECTS)), token_ends));
    }
    let (mut now, mut mounts, mut counting) = (Duration::ZERO, 0, false);
    while let Some(Reverse((at, number))) = due.pop() {
        if !counting && at >= WARM_UP {
            counting = true;
            emulator.clear_requests();
        }
        if at >= WARM_UP + HOUR {
            break;
        }
        time::advance(at.saturating_sub(now)).await;
        now = at;
        let (volume, token_ends) = node.get_mut(number).ok_or("there is no such pod")?;
        if *token_ends <= now {
            *volume = with_token(emulator, pods::pod(number, OBJECTS));
            *token_ends = now + Duration::from_secs_f64(TOKEN_LIFE);
        }
        driver.mount(volume).await?;
        mounts += u64::from(counting);
        let pause = Duration::from_secs_f64(seconds(&mut random, REPUBLISH));
        due.push(Reverse((at + pause, number)));
    }
    let requests = emulator.requests();
    let (lookups, calls): (Vec<_>, Vec<_>) =
        requests.iter().partition(|request| request.service == "kubernetes");
    let logins = calls.iter().filter(|request| request.service == "sts").count() as u64;
    let (calls, lookups) = (calls.len() as u64, lookups.len() as u64);
    Ok(Hour { mounts, calls, logins, lookups })
}

fn with_token(emulator: &Emulator, volume: PodVolume) -> PodVolume {
    let PodVolume { service_account, pod, uid, .. } = &volume;
    // Each is unlike the last even within one second of the real clock.
    let life = HOUR * 2 + Duration::from_secs(fastrand::u64(..HOUR.as_secs()));
    let token = emulator.pod_token(NAMESPACE, service_account, pod, uid, AUDIENCE, life);
    volume.token(AUDIENCE, &token, "2126-01-01T00:00:00Z")
}

fn config(emulator: &Emulator, directory: &TempDir, flags: &[String]) -> Result<Config, Fault> {
    let ca_file = directory.path().join("ca.pem");
    fs::write(&ca_file, emulator.ca_pem())?;
    let providers = directory.path().join("providers");
    let mut arguments = vec!["provider".to_owned()];
    arguments.extend(node::arguments(&providers, &emulator.kubernetes_addr().to_string()));
    arguments.push(format!("--ca-file={}", ca_file.display()));
    arguments.push(format!("--resolve=*.aliyuncs.com={}", emulator.https_addr()));
    arguments.extend(flags.iter().cloned());
    let flags = Flags::parse(arguments.into_iter().map(Into::into))?;
    Ok(Config::parse(&flags, &[]).map_err(|mistakes| mistakes.join("; "))?)
}
