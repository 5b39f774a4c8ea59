//! Many mounts of all kinds, from pods whose tokens change, and what the provider holds meanwhile.

use std::time::{Duration, Instant};

use fastrand::Rng;
use provider::pb::MountRequest;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    Fault, Programs,
    cloud::Cloud,
    content,
    driver::{Driver, PodVolume},
    latency::accounts,
    node::Node,
    page::Page,
    pods::{self, PATIENCE},
    usage::Usage,
};

const PODS: usize = 300;
const STEP: usize = 20_000;
const IN_FLIGHT: usize = 16;
/// Mounts until another pod's token is new.
const TOKEN_EVERY: usize = 50;
/// For so many: what is held for seconds comes and goes many times in the whole.
const ROUND: Duration = Duration::from_millis(30);
/// Short, so that sessions and values of the first steps are over long before the last.
const SESSION_SECONDS: u64 = 10;
const INTERVAL: &str = "--refresh-interval=2s";

/// How much more than after the first step there may be at the end.
const MORE_DESCRIPTORS: usize = 8;
const MORE_KIB: u64 = 4096;
/// Those that tell when connections have come to rest come and go with these.
const MORE_TASKS: u64 = 16;

/// What a pod's mounts are; the mix is in the ranges of `kind`.
#[derive(Clone, Copy)]
enum Kind {
    Kept,
    Fetched,
    Refused,
    OptionalMissing,
}

impl Kind {
    /// Of ten pods, seven are answered from memory.
    fn of(pod: usize) -> Self {
        match pod % 10 {
            0 => Kind::Fetched,
            1 => Kind::Refused,
            2 => Kind::OptionalMissing,
            _ => Kind::Kept,
        }
    }

    fn volume(self, pod: usize) -> PodVolume {
        match self {
            Kind::Kept => pods::pod(pod, 3),
            Kind::Fetched => pods::pod(pod, 1).parameter("refreshInterval", "0"),
            Kind::Refused => pods::refused(pod),
            Kind::OptionalMissing => pods::optional_missing(pod),
        }
    }
}

pub(crate) async fn run(programs: &Programs, page: &Page, mounts: usize) -> Result<(), Fault> {
    let directory = TempDir::with_prefix("alibabacloud-soak-")?;
    let content = content::cloud(accounts(PODS), None);
    let (_emulator, cloud) =
        Cloud::start(&programs.emulator, directory.path(), &content, &[]).await?;
    cloud.steer("session-lifetime", &json!({ "seconds": SESSION_SECONDS })).await?;
    let node = Node::start(&programs.provider, &cloud, &[INTERVAL]).await?;
    let mut requests = Vec::new();
    for pod in 0..PODS {
        requests.push(fresh(&cloud, pod).await?);
    }
    let started = Instant::now();
    page.line("  mounts  refused     s  descriptors  tasks  threads  resident KiB  peak KiB")?;
    let metrics = node.metrics()?;
    let mut last = Held::by(&node, &metrics).await?;
    show(page, 0, 0, started, &last)?;
    let (mut done, mut refused, mut first) = (0, 0, None);
    while done < mounts {
        let step = STEP.min(mounts - done);
        refused += mount(&cloud, &node, &mut requests, step).await?;
        done += step;
        last = Held::by(&node, &metrics).await?;
        show(page, done, refused, started, &last)?;
        first.get_or_insert(last);
    }
    judge(page, first.as_ref().unwrap_or(&last), &last)
}

/// What the provider holds.
#[derive(Clone, Copy)]
struct Held {
    usage: Usage,
    tasks: u64,
}

impl Held {
    async fn by(node: &Node, metrics: &str) -> Result<Self, Fault> {
        Ok(Self { usage: node.usage()?, tasks: node.tasks(metrics).await? })
    }
}

/// Returns how many were refused.
async fn mount(
    cloud: &Cloud,
    node: &Node,
    requests: &mut [MountRequest],
    mounts: usize,
) -> Result<usize, Fault> {
    let (mut refused, mut random) = (0, Rng::with_seed(1));
    // A round is short, and between two of them one pod gets another token.
    let mut rounds = tokio::time::interval(ROUND);
    for _ in 0..mounts / TOKEN_EVERY {
        rounds.tick().await;
        let mut lanes = JoinSet::new();
        for (lane, driver) in (0..IN_FLIGHT).zip(node.drivers.iter().cycle()) {
            let number = TOKEN_EVERY / IN_FLIGHT + usize::from(lane < TOKEN_EVERY % IN_FLIGHT);
            let picked = (0..number).filter_map(|_| {
                let pod = random.usize(..requests.len());
                Some((Kind::of(pod), requests.get(pod)?.clone()))
            });
            lanes.spawn(each(driver.clone(), picked.collect()));
        }
        while let Some(lane) = lanes.join_next().await {
            refused += lane??;
        }
        let pod = random.usize(..requests.len());
        if let Some(request) = requests.get_mut(pod) {
            *request = fresh(cloud, pod).await?;
        }
    }
    Ok(refused)
}

async fn each(driver: Driver, requests: Vec<(Kind, MountRequest)>) -> Result<usize, Fault> {
    let mut refused = 0;
    for (kind, request) in requests {
        match (kind, driver.send(request, PATIENCE).await) {
            (Kind::Refused, Err(status)) if status.code() == tonic::Code::PermissionDenied => {
                refused += 1;
            }
            (Kind::Refused, Err(status)) => return Err(status.into()),
            (Kind::Refused, Ok(_)) => return Err("a pod got what its role may not read".into()),
            (_, outcome) => drop(outcome?),
        }
    }
    Ok(refused)
}

async fn fresh(cloud: &Cloud, pod: usize) -> Result<MountRequest, Fault> {
    Ok(pods::admit(cloud, Kind::of(pod).volume(pod)).await?.request())
}

fn show(
    page: &Page,
    done: usize,
    refused: usize,
    started: Instant,
    held: &Held,
) -> Result<(), Fault> {
    let Held { usage: Usage { threads, resident_kib, peak_kib, descriptors, .. }, tasks } = held;
    let descriptors = descriptors.map_or("-".to_owned(), |number| number.to_string());
    let seconds = started.elapsed().as_secs();
    let counts = format!("{done:8} {refused:8} {seconds:5} {descriptors:>12} {tasks:6}");
    page.line(&format!("{counts} {threads:8} {resident_kib:13} {peak_kib:9}"))
}

fn judge(page: &Page, first: &Held, last: &Held) -> Result<(), Fault> {
    let (before, now) = (&first.usage, &last.usage);
    let descriptors = before.descriptors.zip(now.descriptors);
    if descriptors.is_none() {
        page.line("descriptors: only root may see those of the provider")?;
    }
    if descriptors.is_some_and(|(before, now)| now > before + MORE_DESCRIPTORS) {
        return Err(format!("descriptors grew by more than {MORE_DESCRIPTORS}").into());
    }
    if last.tasks > first.tasks + MORE_TASKS {
        return Err(format!("tasks grew by more than {MORE_TASKS}").into());
    }
    if now.threads > before.threads {
        return Err("threads grew".into());
    }
    if now.resident_kib > before.resident_kib + MORE_KIB {
        return Err(format!("resident memory grew by more than {MORE_KIB} KiB").into());
    }
    page.line(&format!(
        "ok: since the first {STEP} mounts no more than {MORE_DESCRIPTORS} descriptors, \
         {MORE_TASKS} tasks, no thread and {MORE_KIB} KiB were added"
    ))
}
