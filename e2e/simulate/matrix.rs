//! Clusters of all sizes beside neighbours that use the same account's quotas: what a pod waits that
//! starts as ever, after a single throttled call, and beside a tenant that is always throttled.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::future::join_all;
use provider::sync::lock;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::{
    Fault,
    account::{Account, Latency, Quotas},
    alone,
    figures::{Sample, Traffic},
    node::{Cluster, THROTTLED},
    options::Options,
    page,
    pod::{LONGEST_RETRY, Visitor},
    scenario::{Node, Spread, populate, warm_up},
    tally::Tally,
};

pub(crate) const SIZES: [usize; 5] = [1, 3, 10, 100, 1000];
/// What neighbours leave of the quotas, and how they are called.
pub(crate) const NEIGHBOURS: [(f64, &str); 3] = [(1.0, "none"), (0.5, "50 %"), (0.05, "95 %")];

/// Refused calls are over at once, others take their time.
const LATENCY: Latency = Latency {
    answer: (Duration::from_millis(90), Duration::from_millis(150)),
    error: (Duration::from_millis(1), Duration::from_millis(3)),
};
/// New secrets of a pod that is watched.
const OBJECTS: usize = 10;
/// Nodes on which one is started each time.
const WATCHED: usize = 10;
const EVERY: Duration = Duration::from_secs(60);
const TIMES: u32 = 5;
/// Then its start counts as one that took as long.
const GIVEN_UP: Duration = Duration::from_secs(120);
const BETWEEN: Duration = Duration::from_secs(60);

/// What one cluster had.
pub(crate) struct Cell {
    pub(crate) nodes: usize,
    pub(crate) neighbours: &'static str,
    /// Reads that the running pods' interval asks for, over what neighbours leave of the quota.
    pub(crate) wanted: f64,
    /// What pods waited, in seconds.
    pub(crate) as_ever: Sample,
    pub(crate) at_once: Sample,
    pub(crate) soon: Sample,
    pub(crate) beside: Sample,
    pub(crate) ages: Sample,
    pub(crate) mounts: u64,
    pub(crate) failed: u64,
    pub(crate) throttled: f64,
}

/// All of them, on as many threads as there are processors.
pub(crate) fn run(options: &Options) -> Result<Vec<Cell>, Fault> {
    let mut cells: Vec<(usize, (f64, &'static str))> = SIZES
        .iter()
        .filter(|nodes| **nodes <= options.nodes)
        .flat_map(|nodes| NEIGHBOURS.map(|neighbours| (*nodes, neighbours)))
        .collect();
    // The largest first, so that no thread is left with one of them at the end.
    cells.sort_by_key(|(nodes, _)| std::cmp::Reverse(*nodes));
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> Result<(), Fault> {
        while let Some((nodes, (left, name))) = cells.get(next.fetch_add(1, Relaxed)) {
            let options = Options { nodes: *nodes, ..options.clone() };
            let cell = alone(cell(&options, *left, name))?;
            page::progress(&format!("{nodes} nodes, neighbours {name}: done"));
            lock(&done).push(cell);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a run ended badly")?)
    })?;
    let mut cells = std::mem::take(&mut *lock(&done));
    let place = |name| NEIGHBOURS.iter().position(|(_, neighbours)| *neighbours == name);
    cells.sort_by_key(|cell: &Cell| (cell.nodes, place(cell.neighbours)));
    Ok(cells)
}

async fn cell(options: &Options, left: f64, neighbours: &'static str) -> Result<Cell, Fault> {
    let account = Account::open(LATENCY);
    let pods = options.nodes * options.pods;
    let tally = Arc::new(Tally::new(account.clone(), pods));
    let begun = Instant::now();
    let warm_up = warm_up(options);
    let nodes = populate(options, &account, &tally, Spread::Over(warm_up)).await?;
    sleep_until(begun + warm_up).await;
    let quotas = Quotas { kms: options.kms_quota * left, sts: options.sts_quota * left };
    account.enforce(quotas);
    tally.count();
    let from = usize::try_from(account.now().as_secs())?;
    let watched = nodes.get(..WATCHED.min(nodes.len())).unwrap_or_default();
    let cluster = watched.first().ok_or("no node")?.cluster.clone();
    let visitors = Visitors { cluster, watched, met: AtomicUsize::new(0) };

    let as_ever = visitors.now_and_then(&tally).await;
    sleep(BETWEEN).await;
    let (mut at_once, mut soon) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        watched.iter().for_each(|node| node.line.throttle_next());
        visitors.all(1).await;
        at_once.extend(visitors.all(OBJECTS).await);
        sleep(Duration::from_secs(5)).await;
        soon.extend(visitors.all(OBJECTS).await);
        sleep(BETWEEN).await;
    }
    let tenants: Vec<_> = watched.iter().map(|node| visitors.throttled(node)).collect();
    sleep(BETWEEN / 2).await;
    let beside = visitors.now_and_then(&tally).await;
    tenants.iter().for_each(tokio::task::JoinHandle::abort);

    let seconds = account.seconds();
    let kms = Traffic::of(seconds.get(from..).unwrap_or_default(), |second| second.kms);
    let seen = tally.taken();
    let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let interval = count(options.refresh_interval.try_into()?) + 36.0;
    let wanted = count(pods * options.objects) / interval / quotas.kms;
    Ok(Cell {
        nodes: options.nodes,
        neighbours,
        wanted,
        as_ever: Sample::of(as_ever),
        at_once: Sample::of(at_once),
        soon: Sample::of(soon),
        beside: Sample::of(beside),
        ages: Sample::of(seen.ages),
        mounts: seen.mounts,
        failed: seen.failed - seen.failed_first,
        throttled: kms.throttled,
    })
}

/// Pods with secrets that nobody else reads, started on the nodes that are watched.
struct Visitors<'a> {
    cluster: Arc<Cluster>,
    watched: &'a [Node],
    met: AtomicUsize,
}

impl Visitors<'_> {
    fn on(&self, node: &Node, name: &str, objects: usize) -> Visitor {
        let name = format!("{name}-{}", self.met.fetch_add(1, Relaxed));
        Visitor::new(self.cluster.clone(), node.engine.clone(), name, objects)
    }

    /// One on each node, and what each waited.
    async fn all(&self, objects: usize) -> Vec<f64> {
        let visits = self.watched.iter().map(|node| async move {
            let visitor = self.on(node, "visitor", objects);
            let waited = timeout(GIVEN_UP, visitor.start()).await;
            waited.unwrap_or(Ok(GIVEN_UP)).unwrap_or(GIVEN_UP).as_secs_f64()
        });
        join_all(visits).await
    }

    async fn now_and_then(&self, tally: &Tally) -> Vec<f64> {
        let rounds = (0..TIMES).map(|number| async move {
            sleep(EVERY * number).await;
            tally.look();
            self.all(OBJECTS).await
        });
        join_all(rounds).await.concat()
    }

    /// A pod whose secrets' reads are always throttled, on and on as kubelet has it.
    fn throttled(&self, node: &Node) -> tokio::task::JoinHandle<()> {
        let visitor = self.on(node, THROTTLED, OBJECTS);
        tokio::spawn(async move {
            loop {
                let _ = visitor.start().await;
                sleep(LONGEST_RETRY).await;
            }
        })
    }
}
