//! Load: so many mounts in flight, for a while, each lane sending its next when it has its answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use provider::pb::MountRequest;
use tokio::task::JoinSet;

use crate::{Fault, node::Node, pods::PATIENCE, usage::Usage};

/// What came of a load.
pub(crate) struct Load {
    /// Sorted.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) took: Duration,
    /// CPU time of the provider and of this program meanwhile.
    pub(crate) provider: Duration,
    pub(crate) generator: Duration,
}

impl Load {
    pub(crate) async fn run(
        node: &Node,
        requests: &Arc<[MountRequest]>,
        in_flight: usize,
        period: Duration,
    ) -> Result<Self, Fault> {
        Self::paced(node, requests, in_flight, period, None).await
    }

    /// So many in flight at most, and each lane sending at the pace of `rate` for all of them.
    pub(crate) async fn paced(
        node: &Node,
        requests: &Arc<[MountRequest]>,
        in_flight: usize,
        period: Duration,
        rate: Option<u32>,
    ) -> Result<Self, Fault> {
        let pause = rate.map(|rate| Duration::from_secs(1).mul_f64(count(in_flight)) / rate);
        let (before, own_before) = (node.usage()?.cpu, Usage::own_cpu()?);
        let started = Instant::now();
        let mut lanes = JoinSet::new();
        for (lane, driver) in (0..in_flight).zip(node.drivers.iter().cycle()) {
            let (driver, requests) = (driver.clone(), requests.clone());
            let part = count(lane) / count(in_flight);
            lanes.spawn(async move {
                let mut latencies = Vec::new();
                let mut due = started + pause.unwrap_or_default().mul_f64(part);
                for request in requests.iter().cycle().skip(lane).step_by(in_flight) {
                    if started.elapsed() >= period {
                        break;
                    }
                    let mut sent = Instant::now();
                    if let Some(pause) = pause {
                        if sent < due {
                            tokio::time::sleep_until(due.into()).await;
                            sent = Instant::now();
                        } else {
                            // An answer that came late makes the next one late, which counts.
                            sent = due;
                        }
                        due += pause;
                    }
                    driver.send(request.clone(), PATIENCE).await?;
                    latencies.push(sent.elapsed());
                }
                Ok::<_, Fault>(latencies)
            });
        }
        let mut latencies = Vec::new();
        while let Some(lane) = lanes.join_next().await {
            latencies.extend(lane??);
        }
        let took = started.elapsed();
        latencies.sort_unstable();
        Ok(Self {
            latencies,
            took,
            provider: node.usage()?.cpu.saturating_sub(before),
            generator: Usage::own_cpu()?.saturating_sub(own_before),
        })
    }

    pub(crate) fn per_second(&self) -> f64 {
        count(self.latencies.len()) / self.took.as_secs_f64()
    }

    pub(crate) fn cpu_per_mount(&self) -> Duration {
        self.provider.div_f64(count(self.latencies.len()).max(1.0))
    }

    /// Cores that the provider and this program kept busy.
    pub(crate) fn cores(&self) -> (f64, f64) {
        let of = |cpu: Duration| cpu.as_secs_f64() / self.took.as_secs_f64();
        (of(self.provider), of(self.generator))
    }

    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        percentile(&self.latencies, percent)
    }
}

/// Of sorted durations.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() * percent / 100).min(last)).copied().unwrap_or_default()
}

pub(crate) fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    percentile(&durations, 50)
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub(crate) fn count(number: usize) -> f64 {
    number as f64
}
