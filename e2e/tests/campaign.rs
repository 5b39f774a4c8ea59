//! Every call to the cloud under every fault, in every state that a pod can be in: each mount ends
//! within its time, with a code that the driver can be given or by asking again, and leaves nothing
//! behind. What came of each is `docs/fault-campaign.md`.

mod calls;
mod cell;
mod faults;

use std::collections::BTreeMap;

use tokio::sync::Semaphore;

use crate::{
    log::apart,
    table::Table,
    world::{OIDC_PROVIDER, Setup},
};
use calls::{CALLS, Call, State};
use cell::{Bench, Row};
use faults::faults;

/// How many worlds share the faults of a column: those that stay take long, and longer where a
/// login goes on for a while.
fn shares(call: &Call, row: Row) -> usize {
    match (row, call.service) {
        (Row::Passes, _) | (_, "metadata") => 1,
        (Row::Stays, "sts") => 3,
        (Row::Stays, _) => 2,
    }
}

/// Worlds at once: if all ran, their mounts would wait for each other on few cores, and be late by that.
static WORLDS: Semaphore = Semaphore::const_new(36);
/// For what makes many mounts at once: all worlds together would take each other's time.
static CROWD: Semaphore = Semaphore::const_new(3);

/// The world of a column, or of a share of it: what becomes of each fault.
async fn column(call: &'static Call, state: State, row: Row, share: usize) -> Vec<(usize, String)> {
    let _running = WORLDS.acquire().await;
    let faults = faults();
    let mut own: Vec<usize> = (share..faults.len()).step_by(shares(call, row)).collect();
    // Worlds that all do the same at the same time would be slow together.
    let lasting = own.iter().filter(|number| !faults[**number].lingers()).count();
    own[..lasting].rotate_left((state as usize * 7 + share * 3 + call.name.len()) % lasting);
    let mut setup = call.setup(faults.len());
    if row == Row::Stays {
        setup = setup.flag("mount-timeout", cell::MOUNT_SECONDS).flag("stale-while-throttled", "0");
    }
    let crowd = CROWD.acquire().await;
    let world = setup.start().await;
    let mut outcomes = Vec::new();
    {
        let bench = Bench::set_up(&world, call, state, row, faults.len(), &own).await;
        drop(crowd);
        for number in own {
            outcomes.push((number, bench.outcome(number, &faults[number]).await));
        }
        bench.nothing_is_left().await;
    }
    world.finish().await;
    outcomes
}

#[test]
fn every_call_under_every_fault_ends_in_time_and_leaves_nothing_behind() {
    let mut worlds = Vec::new();
    // The longest first.
    for row in [Row::Stays, Row::Passes] {
        for (number, call) in CALLS.iter().enumerate() {
            for state in State::ALL {
                for share in 0..shares(call, row) {
                    let work = move || column(call, state, row, share);
                    worlds.push(((row, number, state), apart("info,provider=trace", work)));
                }
            }
        }
    }
    let mut outcomes = BTreeMap::new();
    for ((row, call, state), world) in worlds {
        for (number, outcome) in world.join().expect("its thread has said why") {
            outcomes.insert((row, call, state, number), outcome);
        }
    }
    let heads: Vec<&str> =
        ["fault"].into_iter().chain(CALLS.iter().map(|call| call.name)).collect();
    let mut table = Table::new(include_str!("campaign/passes.md").trim_end(), &heads);
    for row in [Row::Passes, Row::Stays] {
        if row == Row::Stays {
            table.another(include_str!("campaign/stays.md").trim_end(), &heads);
        }
        for (number, fault) in faults().iter().enumerate() {
            let mut cells = vec![fault.name.to_owned()];
            for call in 0..CALLS.len() {
                let of = |state: State| &*outcomes[&(row, call, state, number)];
                cells.push(merged(State::ALL.map(|state| (state.name(), of(state)))));
            }
            table.row(&cells.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
    table.words(include_str!("campaign/runs.md"));
    table.holds("fault-campaign.md");
}

/// One outcome for all states, or each with the states that it is the outcome of.
fn merged(outcomes: [(&str, &str); 3]) -> String {
    let mut by_outcome: Vec<(&str, Vec<&str>)> = Vec::new();
    for (state, outcome) in outcomes {
        match by_outcome.iter_mut().find(|(other, _)| *other == outcome) {
            Some((_, states)) => states.push(state),
            None => by_outcome.push((outcome, vec![state])),
        }
    }
    if let [(outcome, _)] = by_outcome.as_slice() {
        return (*outcome).to_owned();
    }
    let told = by_outcome.iter().map(|(outcome, states)| {
        let states = states.join(", ");
        format!("{states}: {outcome}")
    });
    told.collect::<Vec<_>>().join("\n")
}

impl Call {
    /// A role for each cell, and nobody else's sessions.
    fn setup(&'static self, cells: usize) -> Setup {
        let mut roles = String::from("roles:\n");
        for cell in 0..=cells {
            roles.push_str(&role(cell));
        }
        let mut setup = Setup::default()
            .cloud("roles:\n", roles.leak())
            // An RSA key takes long to make.
            .cloud("token_algorithm: RS256", "token_algorithm: ES256")
            .proxied_to(self.service)
            .flag("service-account-lookup", "false");
        for (name, value) in self.flags {
            setup = setup.flag(name, value);
        }
        setup
    }
}

pub fn role(cell: usize) -> String {
    const ACCOUNT: &str = "1234567890123456";
    format!(
        "  - arn: acs:ram::{ACCOUNT}:role/cell-{cell}
    trust:
      Version: \"1\"
      Statement:
        - Effect: Allow
          Action: sts:AssumeRole
          Principal: {{ Federated: [\"{OIDC_PROVIDER}\"] }}
          Condition: {{ StringLike: {{ oidc:sub: \"system:serviceaccount:shop:*\" }} }}
    policies:
      - allow:
          - kms:GetSecretValue on acs:kms:*:{ACCOUNT}:secret/*
          - oos:GetSecretParameter* on acs:oos:*:{ACCOUNT}:secretparameter/*
          - sts:AssumeRole on acs:ram::6543210987654321:role/partner
"
    )
}
