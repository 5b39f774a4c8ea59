//! How long one mount takes, beside the bare requests that it cannot do without.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use futures::future::try_join_all;

use crate::{
    Fault,
    cloud::Cloud,
    content::{account, secret, user_keys},
    load::median,
    naive::Naive,
    node::Node,
    pods::{self, PODS_PER_ACCOUNT},
    raw::Raw,
};

/// New pods of one moment, and how much each mounts.
pub(crate) const COLD_PODS: usize = 30;
pub(crate) const OBJECTS: usize = 3;

pub(crate) const SIZES: [usize; 7] = [1, 2, 5, 10, 20, 50, 100];

/// Latencies of a mount and of a raw request, taken in turns.
#[derive(Default)]
pub(crate) struct Turns {
    pub(crate) raw: Vec<Duration>,
    pub(crate) ours: Vec<Duration>,
    /// The provider's CPU time for all of its own.
    pub(crate) cpu: Duration,
}

/// A warm mount of one object, which is fetched each time.
pub(crate) async fn turns(cloud: &Cloud, node: &Node, times: usize) -> Result<Turns, Fault> {
    let raw = Raw::new(cloud, user_keys())?;
    let volume = pods::admit(cloud, pods::pod(0, 1)).await?;
    let name = secret(&account(0), 0);
    raw.get_secret_value(&name).await?;
    node.driver()?.mount(&volume).await?;
    let mut turns = Turns::default();
    let before = node.usage()?.cpu;
    for _ in 0..times {
        let started = Instant::now();
        raw.get_secret_value(&name).await?;
        turns.raw.push(started.elapsed());
        let started = Instant::now();
        node.driver()?.mount(&volume).await?;
        turns.ours.push(started.elapsed());
    }
    turns.cpu = node.usage()?.cpu.saturating_sub(before);
    turns.raw.sort_unstable();
    turns.ours.sort_unstable();
    Ok(turns)
}

/// Medians for one number of objects.
pub(crate) struct Size {
    pub(crate) objects: usize,
    /// All of its requests at once.
    pub(crate) raw: Duration,
    pub(crate) ours: Duration,
    pub(crate) naive: Duration,
}

/// A warm session, values that are fetched each time.
pub(crate) async fn sizes(cloud: &Cloud, node: &Node, times: usize) -> Result<Vec<Size>, Fault> {
    let raw = Raw::new(cloud, user_keys())?;
    let mut naive = Naive::new(cloud)?;
    let mut sizes = Vec::new();
    for objects in SIZES {
        let volume = pods::admit(cloud, pods::pod(0, objects)).await?;
        let names: Vec<String> = (0..objects).map(|which| secret(&account(0), which)).collect();
        node.driver()?.mount(&volume).await?;
        let (mut bare, mut ours, mut slow) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..times {
            let started = Instant::now();
            try_join_all(names.iter().map(|name| raw.get_secret_value(name))).await?;
            bare.push(started.elapsed());
            let started = Instant::now();
            node.driver()?.mount(&volume).await?;
            ours.push(started.elapsed());
            // It takes seconds, and the same each time.
            if turn < 2 {
                let started = Instant::now();
                naive.mount(&volume, objects).await?;
                slow.push(started.elapsed());
            }
        }
        sizes.push(Size { objects, raw: median(bare), ours: median(ours), naive: median(slow) });
    }
    Ok(sizes)
}

/// Until the last of many new pods has its files, from a provider that has just started.
pub(crate) async fn cold(program: &Path, cloud: &Cloud, times: usize) -> Result<Duration, Fault> {
    let requests = pods::requests(cloud, COLD_PODS, OBJECTS).await?;
    let mut took = Vec::new();
    for _ in 0..times {
        let node = Node::start(program, cloud, &["--refresh-interval=0"]).await?;
        let started = Instant::now();
        let mounts = requests.iter().cloned();
        let driver = node.driver()?;
        try_join_all(mounts.map(|request| driver.send(request, pods::PATIENCE))).await?;
        took.push(started.elapsed());
    }
    Ok(median(took))
}

/// The same of the naive mode. A mount is shorter than the pause before the next.
pub(crate) async fn cold_naive(cloud: &Cloud) -> Result<Duration, Fault> {
    let mut pods = Vec::new();
    for number in 0..COLD_PODS {
        pods.push(pods::admit(cloud, pods::pod(number, OBJECTS)).await?);
    }
    let mut naive = Naive::new(cloud)?;
    let mut pace = Naive::pace();
    let started = Instant::now();
    for pod in &pods {
        pace.tick().await;
        naive.mount(pod, OBJECTS).await?;
    }
    Ok(started.elapsed())
}

/// ServiceAccounts that so many pods run under.
pub(crate) fn accounts(pods: usize) -> usize {
    pods.div_ceil(PODS_PER_ACCOUNT)
}
