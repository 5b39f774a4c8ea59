//! What happens to the cluster, and the run of it.

use std::{sync::Arc, time::Duration};

use provider::fetch::Fetcher;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    Fault,
    account::{Account, Latency, Quotas, Second, State},
    figures::Sample,
    line::Line,
    node::Cluster,
    options::Options,
    page,
    pod::Pod,
    tally::{Seen, Tally},
};

const MINUTE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    Nothing,
    /// All nodes come up within a minute, with nothing in memory.
    Restart,
    /// Half a minute refused, then silence.
    Outage,
    Rotation,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    happening: Happening,
    /// What happens, happens then.
    pub(crate) at: Duration,
    pub(crate) length: Duration,
}

const RESTART: Scenario = Scenario {
    name: "restart",
    title: "All nodes restart",
    happening: Happening::Restart,
    at: Duration::ZERO,
    length: MINUTE.saturating_mul(26),
};

const STEADY: Scenario = Scenario {
    name: "steady",
    title: "Steady state",
    happening: Happening::Nothing,
    at: Duration::ZERO,
    length: MINUTE.saturating_mul(10),
};

const OUTAGE: Scenario = Scenario {
    name: "outage",
    title: "Ten minutes without STS and KMS",
    happening: Happening::Outage,
    at: MINUTE,
    length: MINUTE.saturating_mul(29),
};

const ROTATION: Scenario = Scenario {
    name: "rotation",
    title: "All secrets rotate at once",
    happening: Happening::Rotation,
    at: MINUTE,
    length: MINUTE.saturating_mul(19),
};

/// What happens to each of two clusters, one after another.
pub(crate) const CLUSTERS: [&[Scenario]; 2] = [&[RESTART, ROTATION], &[STEADY, OUTAGE]];

const DOWN: Duration = Duration::from_secs(600);
/// Shorter than the silence: a refused call is over at once and made again, each of its minutes like
/// the first, and they take longer to simulate than all the rest.
const REFUSED: Duration = Duration::from_secs(30);

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) scenario: Scenario,
    pub(crate) seconds: Vec<Second>,
    pub(crate) seen: Seen,
    /// What pods held, looked at now and then, in seconds.
    pub(crate) ages: Sample,
    pub(crate) pods: usize,
    /// Pods that had not caught up when the run ended.
    pub(crate) left: usize,
}

impl Scenario {
    /// Whether there is something to catch up with.
    pub(crate) fn recovers(self) -> bool {
        self.happening != Happening::Nothing
    }

    /// When pods begin to catch up.
    pub(crate) fn mended(self) -> Duration {
        self.at + if self.happening == Happening::Outage { DOWN } else { Duration::ZERO }
    }

    async fn play(self, account: &Account, tally: &Tally, pods: usize) -> Result<Outcome, Fault> {
        let from = usize::try_from(account.now().as_secs())?;
        let story = self.happen(account, tally);
        let watch = self.watch(tally, pods);
        tokio::join!(story, watch);
        let mut seconds = account.seconds();
        seconds.resize(from + usize::try_from(self.length.as_secs())?, Second::default());
        let seconds = seconds.split_off(from);
        let (left, mut seen) = (tally.left(), tally.taken());
        let ages = Sample::of(std::mem::take(&mut seen.ages));
        Ok(Outcome { scenario: self, seconds, seen, ages, pods, left })
    }

    async fn happen(self, account: &Account, tally: &Tally) {
        sleep(self.at).await;
        match self.happening {
            Happening::Nothing | Happening::Restart => {}
            Happening::Outage => {
                account.set(State::Refusing);
                sleep(REFUSED).await;
                account.set(State::Silent);
                sleep(DOWN.saturating_sub(REFUSED)).await;
                account.set(State::Up);
                tally.mark();
            }
            Happening::Rotation => {
                account.rotate();
                tally.mark();
            }
        }
    }

    async fn watch(self, tally: &Tally, pods: usize) {
        let begun = Instant::now();
        while begun.elapsed() < self.length {
            sleep(LOOK_EVERY).await;
            tally.look();
            let at = begun.elapsed();
            if at.as_secs().is_multiple_of(300) {
                let left = if at < self.mended() { 0 } else { tally.left() };
                let minutes = at.as_secs() / 60;
                page::progress(&format!(
                    "{:8} minute {minutes:2}: {left} of {pods} pods have to catch up",
                    self.name
                ));
            }
        }
    }
}

/// A refresh interval and what kubelet takes to come by after it: values of all ages.
pub(crate) fn warm_up(options: &Options) -> Duration {
    Duration::from_secs(options.refresh_interval + 45)
}

/// Brings up a cluster, and what happens to it.
pub(crate) async fn run(scenarios: &[Scenario], options: &Options) -> Result<Vec<Outcome>, Fault> {
    let account = Account::open(Latency::EQUAL);
    let pods = options.nodes * options.pods;
    let tally = Arc::new(Tally::new(account.clone(), pods));
    let quotas = Quotas { kms: options.kms_quota, sts: options.sts_quota };
    let begun = Instant::now();
    let first = scenarios.first().map(|scenario| scenario.happening);
    let cold = first == Some(Happening::Restart);
    let warm_up = if cold { Duration::ZERO } else { warm_up(options) };
    if cold {
        account.enforce(quotas);
        tally.mark();
        tally.count();
    }
    let spread = if cold { Spread::Boot } else { Spread::Over(warm_up) };
    populate(options, &account, &tally, spread).await?;
    sleep_until(begun + warm_up).await;
    if !cold {
        account.enforce(quotas);
        tally.count();
    }
    let mut outcomes = Vec::new();
    for scenario in scenarios {
        outcomes.push(scenario.play(&account, &tally, pods).await?);
    }
    Ok(outcomes)
}

#[derive(Clone, Copy)]
pub(crate) enum Spread {
    /// Nodes within a minute, the pods of a node within ten seconds.
    Boot,
    /// Each pod for itself.
    Over(Duration),
}

impl Spread {
    fn node(self) -> Duration {
        match self {
            Spread::Boot => MINUTE.mul_f64(fastrand::f64()),
            Spread::Over(_) => Duration::ZERO,
        }
    }

    fn pod(self) -> Duration {
        let most = match self {
            Spread::Boot => Duration::from_secs(10),
            Spread::Over(time) => time,
        };
        most.mul_f64(fastrand::f64())
    }
}

/// A node that was brought up.
pub(crate) struct Node {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) engine: Arc<Fetcher>,
    pub(crate) line: Arc<Line>,
}

pub(crate) async fn populate(
    options: &Options,
    account: &Arc<Account>,
    tally: &Arc<Tally>,
    spread: Spread,
) -> Result<Vec<Node>, Fault> {
    let cluster = Arc::new(Cluster::new(options)?);
    let mut nodes = Vec::new();
    let begun = Instant::now();
    let mut workloads = Vec::new();
    for number in 0..options.service_accounts.max(1) {
        let name = format!("app-{number}");
        let own = cluster.mount(&name, 1)?;
        workloads.push((own, Arc::new(cluster.mount(&name, options.objects)?)));
    }
    let interval = Duration::from_secs(options.refresh_interval);
    for node in 0..options.nodes {
        let line = Line::to(account.clone());
        let engine = cluster.engine(line.clone())?;
        let up = begun + spread.node();
        let places = workloads.len();
        for place in 0..options.pods {
            let number = node * options.pods + place;
            let (own, mount) = workloads.get_mut(place % places).ok_or("no workload")?;
            let identity = cluster.identity(own, &format!("app-{number}")).await?;
            let pod = Pod {
                number,
                cluster: cluster.clone(),
                engine: engine.clone(),
                mount: mount.clone(),
                identity,
                interval,
                tally: tally.clone(),
            };
            tokio::spawn(pod.live(up + spread.pod()));
        }
        nodes.push(Node { cluster: cluster.clone(), engine, line });
    }
    Ok(nodes)
}
