//! Two builds of the provider beside each other, in turns within one run: what a change costs or saves,
//! whatever the machine is.

use std::{path::Path, sync::Arc, time::Duration};

use provider::pb::MountRequest;

use crate::{
    Fault, Programs,
    figures::{FETCHED, FROM_MEMORY, NODE_PODS, Setting, fill},
    latency::OBJECTS,
    load::{Load, millis},
    node::Node,
    page::Page,
    pods,
    throughput::BUSY,
};

const ROUNDS: usize = 7;
const PERIOD: Duration = Duration::from_secs(2);

/// How mounts come, and how the provider runs.
const LOADS: [(&str, &[&str], usize, usize); 4] = [
    ("from memory, one at a time", FROM_MEMORY, OBJECTS, 1),
    ("from memory, 64 in flight", FROM_MEMORY, OBJECTS, BUSY),
    ("fetched, one at a time", FETCHED, 1, 1),
    ("fetched, 64 in flight", FETCHED, 1, BUSY),
];

pub(crate) async fn run(programs: &Programs, page: &Page, other: &Path) -> Result<(), Fault> {
    let Setting { cloud, .. } = &Setting::set(programs).await?;
    page.line("| load | | this | other | this / other |\n|---|---|---|---|---|")?;
    for (name, flags, objects, lanes) in LOADS {
        let requests: Arc<[MountRequest]> = pods::requests(cloud, NODE_PODS, objects).await?.into();
        let (mut ours, mut theirs) = (Seen::default(), Seen::default());
        for _ in 0..ROUNDS {
            for (program, seen) in [(&*programs.provider, &mut ours), (other, &mut theirs)] {
                let node = Node::start(program, cloud, flags).await?;
                fill(&node, &requests).await?;
                Load::run(&node, &requests, lanes, PERIOD / 10).await?;
                seen.add(&node, &Load::run(&node, &requests, lanes, PERIOD).await?)?;
            }
        }
        for (what, ours, theirs) in [
            ("ms of CPU a mount", ours.cpu, theirs.cpu),
            ("ms, median", ours.latency, theirs.latency),
            ("mounts a second", ours.rate, theirs.rate),
            ("MiB resident", ours.resident, theirs.resident),
        ] {
            let (ours, theirs) = (middle(ours), middle(theirs));
            let ratio = ours / theirs;
            page.line(&format!("| {name} | {what} | {ours:.3} | {theirs:.3} | {ratio:.2} |"))?;
        }
    }
    Ok(())
}

/// One number of each round.
#[derive(Default)]
struct Seen {
    cpu: Vec<f64>,
    latency: Vec<f64>,
    rate: Vec<f64>,
    resident: Vec<f64>,
}

impl Seen {
    fn add(&mut self, node: &Node, load: &Load) -> Result<(), Fault> {
        self.cpu.push(millis(load.cpu_per_mount()));
        self.latency.push(millis(load.percentile(50)));
        self.rate.push(load.per_second());
        let kib = u32::try_from(node.usage()?.resident_kib)?;
        self.resident.push(f64::from(kib) / 1024.0);
        Ok(())
    }
}

fn middle(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or(f64::NAN)
}
