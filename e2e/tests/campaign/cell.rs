//! One mount under one fault, what came of it, and whether anything of it is left.

use std::{cell::Cell, time::Duration};

use emulator::{Fault, FaultEffect};
use futures::future::join_all;
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::{
    calls::{Call, State},
    faults::{CampaignFault, Kind},
};
use crate::{
    driver::{PodVolume, Volume},
    tasks,
    world::World,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Row {
    Passes,
    Stays,
}

/// How long a mount may take where the fault stays, beyond which it is held up. The machine that
/// tests this may be slow.
pub(super) const MOUNT_SECONDS: &str = "4";
const LATE: Duration = Duration::from_secs(20);
/// Where it passes, the mount has all its time.
const PASSES_LATE: Duration = Duration::from_secs(60);
/// For what outlives a mount: a login that others could be waiting for, a connection that is idle.
const OUTLIVES: Duration = Duration::from_secs(90);

pub(super) struct Bench<'a> {
    world: &'a World,
    call: &'static Call,
    state: State,
    row: Row,
    pods: Vec<PodVolume>,
    prepared: Instant,
    tasks: usize,
    hurried: Cell<bool>,
}

impl<'a> Bench<'a> {
    pub(super) async fn set_up(
        world: &'a World,
        call: &'static Call,
        state: State,
        row: Row,
        cells: usize,
        own: &[usize],
    ) -> Self {
        let pods: Vec<PodVolume> = (0..=cells).map(|cell| call.pod(world, cell)).collect();
        // Opens the connections.
        insist(world, &fresh(&pods[cells]), false).await;
        let before = own.iter().map(|cell| &pods[*cell]);
        let before: Vec<PodVolume> = match state {
            State::Cold => Vec::new(),
            State::Warm => before.map(fresh).collect(),
            State::Refreshing => before.map(|pod| every(pod, "5m")).collect(),
        };
        join_all(before.iter().map(|pod| insist(world, pod, false))).await;
        let (prepared, tasks) =
            (Instant::now(), tasks::settled(world, Duration::from_millis(100)).await);
        let hurried = Cell::new(false);
        Self { world, call, state, row, pods, prepared, tasks, hurried }
    }

    pub(super) async fn outcome(&self, number: usize, fault: &CampaignFault) -> String {
        let Self { world, call, row, .. } = self;
        if call.is_metadata() && fault.name == "reset after 200 bytes" {
            // Its answers are shorter, and its connection may be used again before it breaks.
            return "-".to_owned();
        }
        let what = format!("{} {:?} {row:?} {}", call.name, self.state, fault.name);
        self.bring_about(number).await;
        if fault.lingers() && !call.is_metadata() && !self.hurried.replace(true) {
            self.hurry().await;
        }
        let pod = match self.state {
            State::Cold | State::Warm => fresh(&self.pods[number]),
            State::Refreshing => every(&self.pods[number], "1s"),
        };
        world.emulator.clear_requests();
        let started = Instant::now();
        let mounted = match &fault.kind {
            Kind::Refused => self.mount_while_refused(&pod).await,
            Kind::Clock => {
                world.emulator.set_clock_offset(20 * 60);
                let mounted = world.mount(&pod).await;
                world.emulator.set_clock_offset(0);
                let why = mounted.as_ref().map_or_else(Status::message, |_| "ok");
                assert!(why.contains("set the node's clock right"), "{what}: {why}");
                mounted
            }
            Kind::Effect(effect) => {
                world.emulator.add_fault(Fault {
                    service: Some(call.service.to_owned()),
                    action: call.action.map(str::to_owned),
                    times: (*row == Row::Passes).then_some(1),
                    effect: effect.clone(),
                    ..Fault::default()
                });
                world.mount(&pod).await
            }
        };
        let took = started.elapsed();
        let late = if *row == Row::Passes { PASSES_LATE } else { LATE };
        assert!(took < late, "{what}: {took:?}");
        let told = self.told(fault, &mounted);
        self.hold(fault, &told, &what);
        world.emulator.clear_faults();
        world.proxy.as_ref().unwrap().admit().await;
        // A login may still be under way that began under the fault, and a host that throttled is
        // asked slowly; all else is as if nothing had been.
        let waits = call.service == "sts" || fault.lingers();
        insist(world, &fresh(&self.pods[number]), waits).await;
        tasks::end(world, self.tasks, OUTLIVES, &what).await;
        told
    }

    /// The state that the cell is about.
    async fn bring_about(&self, number: usize) {
        let Self { world, call, state, .. } = self;
        if *state == State::Refreshing {
            // Values have to be older than the second that the mount allows.
            tokio::time::sleep_until(self.prepared + Duration::from_millis(1100)).await;
        }
        if call.logs_in() && *state != State::Cold {
            call.end_session(world, number);
        }
        if call.is_metadata() && *state == State::Cold {
            // The machine's session is no pod's own: a mount that cannot renew it loses it.
            call.end_session(world, number);
            let service = Some(call.service.to_owned());
            world.emulator.add_fault(Fault { service, ..Fault::default() });
            world.mount(&fresh(&self.pods[number])).await.unwrap_err();
            world.emulator.clear_faults();
        }
    }

    /// Lets the host see many calls: a host that throttles is asked a little slower than before,
    /// and one that was hardly asked would be asked next in a quarter of a minute.
    async fn hurry(&self) {
        let _crowd = super::CROWD.acquire().await;
        let pods = (0..15).map(|n| {
            let mut pod = fresh(&self.pods[self.pods.len() - 1]);
            pod.pod = format!("hurry-{n}");
            let token = self.world.token(&pod, crate::world::AUDIENCE);
            pod.token(crate::world::AUDIENCE, &token, "2126-01-01T00:00:00Z")
        });
        let pods: Vec<PodVolume> = pods.collect();
        join_all(pods.iter().map(|pod| insist(self.world, pod, false))).await;
    }

    async fn mount_while_refused(&self, pod: &PodVolume) -> Result<Volume, Status> {
        let proxy = self.world.proxy.as_ref().unwrap();
        let before = self.refusals().await;
        proxy.refuse().await;
        if self.row == Row::Stays || self.call.is_metadata() {
            return self.world.mount(pod).await;
        }
        let reopened = async {
            while self.refusals().await == before {
                sleep(Duration::from_millis(5)).await;
            }
            proxy.admit().await;
            std::future::pending().await
        };
        tokio::select! {
            mounted = self.world.mount(pod) => mounted,
            never = reopened => never,
        }
    }

    /// Which calls could not reach their host, and how often.
    async fn refusals(&self) -> Vec<String> {
        let metrics = self.world.metrics().await;
        let unreachable = metrics.lines().filter(|line| line.contains("code=\"unreachable\""));
        unreachable.map(str::to_owned).collect()
    }

    fn told(&self, fault: &CampaignFault, mounted: &Result<Volume, Status>) -> String {
        let calls = |action: &str| self.world.calls(action).len();
        match mounted {
            Err(status) => format!("{:?}", status.code()),
            Ok(_) if self.call.singly.is_some_and(|action| calls(action) > 0) => {
                "ok, one by one".to_owned()
            }
            Ok(_) => {
                let slow = matches!(fault.kind, Kind::Effect(FaultEffect::Latency { .. }));
                if slow { "ok".to_owned() } else { "ok after retry".to_owned() }
            }
        }
    }

    /// What holds whatever the table says.
    fn hold(&self, fault: &CampaignFault, told: &str, what: &str) {
        let Self { world, call, row, .. } = self;
        // By another clock a call before it fails already.
        if matches!(fault.kind, Kind::Effect(_)) {
            let faulted = match call.action {
                Some(action) => !world.calls(action).is_empty(),
                None => world.emulator.requests().iter().any(|made| made.service == call.service),
            };
            assert!(faulted, "{what}: the call was not made");
        }
        let one_try = call.is_metadata()
            || call.name == "AssumeRoleWithOIDC" && fault.name == "session expired";
        if *row == Row::Passes && fault.passes && !one_try {
            let singly = call.singly.is_some() && told == "ok, one by one";
            assert!(singly || told == "ok after retry", "{what}: {told}");
        }
        if *row == Row::Stays && fault.passes {
            assert!(!told.starts_with("ok after"), "{what}: {told}");
        }
    }

    pub(super) async fn nothing_is_left(&self) {
        let metrics = self.world.metrics().await;
        assert!(metrics.contains("mounts_in_flight 0\n"), "{metrics}");
    }
}

/// Mounts, however slow the machine is; a failure that did not take the mount's time is one, unless it
/// `waits` for something.
async fn insist(world: &World, pod: &PodVolume, waits: bool) {
    let end = Instant::now() + OUTLIVES;
    loop {
        let started = Instant::now();
        let Err(status) = world.mount(pod).await else { return };
        let slow = started.elapsed() > Duration::from_secs(3);
        assert!((slow || waits) && Instant::now() < end, "{}: {status:?}", pod.pod);
    }
}

fn fresh(pod: &PodVolume) -> PodVolume {
    every(pod, "0")
}

fn every(pod: &PodVolume, interval: &str) -> PodVolume {
    pod.clone().parameter("refreshInterval", interval)
}
