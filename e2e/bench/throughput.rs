//! How many mounts a second, and what each costs, from one at a time to far more than a node has.

use std::{sync::Arc, time::Duration};

use provider::pb::MountRequest;

use crate::{Fault, load::Load, node::Node};

pub(crate) const LEVELS: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
/// The level that the targets are for.
pub(crate) const BUSY: usize = 64;

/// The loads, one for each level.
pub(crate) struct Throughput(Vec<(usize, Load)>);

impl Throughput {
    pub(crate) async fn measure(
        node: &Node,
        requests: &Arc<[MountRequest]>,
        period: Duration,
    ) -> Result<Self, Fault> {
        let mut loads = Vec::new();
        for in_flight in LEVELS {
            // What the levels differ in, connections and buffers among it, is there before.
            Load::run(node, requests, in_flight, period / 10).await?;
            let period = if in_flight == BUSY { period * 3 } else { period };
            loads.push((in_flight, Load::run(node, requests, in_flight, period).await?));
        }
        Ok(Self(loads))
    }

    pub(crate) fn at(&self, in_flight: usize) -> Result<&Load, Fault> {
        let found = self.0.iter().find(|(level, _)| *level == in_flight);
        Ok(&found.ok_or("that level was not measured")?.1)
    }

    pub(crate) fn levels(&self) -> impl Iterator<Item = (usize, &Load)> {
        self.0.iter().map(|(level, load)| (*level, load))
    }
}
