//! A pod as kubelet sees to it: mounted first with retries, then again every minute or so, and in
//! time replaced by another.

use std::{sync::Arc, time::Duration};

use provider::{
    error::Errors,
    fetch::{Fetcher, require_all},
    identity::Identity,
    request::Mount,
    value::Fetched,
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    Fault,
    node::Cluster,
    tally::{Content, Tally},
};

/// Kubelet waits this long after a first mount failed, then twice as long, up to the second.
const FIRST_RETRY: Duration = Duration::from_millis(500);
pub(crate) const LONGEST_RETRY: Duration = Duration::from_secs(122);
/// `--mount-timeout`.
const MOUNT_LIMIT: Duration = Duration::from_secs(90);
/// Of a hundred thousand pods nine are replaced each second.
const LIFE: Duration = Duration::from_secs(12_000);

pub(crate) struct Pod {
    pub(crate) number: usize,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) engine: Arc<Fetcher>,
    pub(crate) mount: Arc<Mount>,
    pub(crate) identity: Identity,
    pub(crate) interval: Duration,
    pub(crate) tally: Arc<Tally>,
}

impl Pod {
    pub(crate) async fn live(mut self, start: Instant) {
        sleep_until(start).await;
        let mut successors = 0;
        loop {
            let period = Duration::from_secs_f64(64.0 + 17.0 * fastrand::f64());
            self.start().await;
            let ends = Instant::now() + LIFE.mul_f64(-(1.0 - fastrand::f64()).max(1e-9).ln());
            // Kubelet's rounds go on from a point that the pod's start did not choose.
            let mut next = Instant::now() + period.mul_f64(fastrand::f64());
            while next < ends {
                sleep_until(next).await;
                let period = Duration::from_secs_f64(64.0 + 17.0 * fastrand::f64());
                next = (next + period).max(Instant::now());
                let content = self.fetch().await;
                next = next.max(Instant::now());
                self.tally.republished(self.number, content);
            }
            sleep_until(ends).await;
            successors += 1;
            // Also in a box: it happens once in hours.
            if Box::pin(self.succeed(successors)).await.is_none() {
                return;
            }
        }
    }

    async fn start(&self) {
        let begun = Instant::now();
        self.tally.began(self.number);
        let mut pause = FIRST_RETRY;
        loop {
            let content = self.fetch().await;
            if self.tally.started(self.number, content, begun.elapsed()) {
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_RETRY);
        }
    }

    async fn fetch(&self) -> Result<Content, String> {
        let Self { engine, identity, mount, interval, .. } = self;
        fetch(engine, identity, mount, *interval).await
    }

    /// A new pod of the same ServiceAccount has a name and a token of its own.
    async fn succeed(&mut self, successors: usize) -> Option<()> {
        let mut own = self.cluster.mount("app-0", 1).ok()?;
        own.pod = self.mount.pod.clone();
        own.spec.role = self.mount.spec.role.clone();
        let name = format!("app-{}-{successors}", self.number);
        self.identity = self.cluster.identity(&mut own, &name).await.ok()?;
        Some(())
    }
}

async fn fetch(
    engine: &Fetcher,
    identity: &Identity,
    mount: &Mount,
    interval: Duration,
) -> Result<Content, String> {
    let deadline = Instant::now() + MOUNT_LIMIT;
    // In a box of its own, so that the many pods that wait take little room.
    let fetched = Box::pin(engine.fetch(identity, mount, interval, deadline)).await;
    let ends = fetched.map_err(|error| error.message.to_string())?;
    let failed = |errors: &Errors| {
        errors.iter().next().map_or_else(String::new, |error| error.message.to_string())
    };
    let values = require_all(&mount.spec.objects, &ends).map_err(|errors| failed(&errors))?;
    content(&values).ok_or_else(|| "a value is missing".to_owned())
}

/// A pod that is only started, of a ServiceAccount and with secrets that no other has.
pub(crate) struct Visitor {
    cluster: Arc<Cluster>,
    engine: Arc<Fetcher>,
    name: String,
    objects: usize,
}

impl Visitor {
    pub(crate) fn new(
        cluster: Arc<Cluster>,
        engine: Arc<Fetcher>,
        name: String,
        objects: usize,
    ) -> Self {
        Self { cluster, engine, name, objects }
    }

    /// How long it took, with kubelet's retries.
    pub(crate) async fn start(&self) -> Result<Duration, Fault> {
        let begun = Instant::now();
        let mount = self.cluster.mount(&self.name, self.objects)?;
        let mut own = self.cluster.mount(&self.name, 1)?;
        let identity = self.cluster.identity(&mut own, &self.name).await?;
        let mut pause = FIRST_RETRY;
        while fetch(&self.engine, &identity, &mount, Duration::from_secs(300)).await.is_err() {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_RETRY);
        }
        Ok(begun.elapsed())
    }
}

/// A pod is as old as the oldest that it holds.
fn content(values: &[Fetched]) -> Option<Content> {
    let mut content = Content { version: u64::MAX, told: u64::MAX, newest: 0 };
    for value in values {
        let value = value.as_ref()?;
        let told = std::str::from_utf8(value.bytes.expose()).ok()?.parse().ok()?;
        content.version = content.version.min(value.version.parse().ok()?);
        content.told = content.told.min(told);
        content.newest = content.newest.max(told);
    }
    Some(content)
}
