//! What happens to the cloud meanwhile.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use emulator::{Fault, FaultEffect};
use fastrand::Rng;
use tokio::time::{Instant, sleep};

use super::{PARAMETERS, PODS, ROLES, SECRETS, Storm, history::History};
use crate::world::World;

/// Faults at one time.
const MOST: usize = 3;

pub(super) async fn weather(storm: Arc<Storm>, mut random: Rng) {
    let emulator = &storm.world.emulator;
    let mut faults = Vec::new();
    loop {
        sleep(Duration::from_millis(random.u64(10..80))).await;
        match random.u8(..32) {
            0..7 => {
                faults.push(emulator.add_fault(fault(&mut random)));
                if faults.len() > MOST {
                    emulator.clear_fault(faults.remove(0));
                }
            }
            7..11 if !faults.is_empty() => emulator.clear_fault(faults.remove(0)),
            11..16 => {
                let all = [&SECRETS[..], &PARAMETERS[..]].concat();
                rotate(&storm.world, &storm.history, all[random.usize(..all.len())]);
            }
            16..18 => revoke(&storm, ROLES[random.usize(..ROLES.len())]),
            18..23 => restore(&storm, ROLES[random.usize(..ROLES.len())]),
            23 => {
                emulator.stop_listening().await;
                sleep(Duration::from_millis(random.u64(20..150))).await;
                listen(&storm.world).await;
            }
            24 => {
                emulator.expire_sessions(ROLES[random.usize(..ROLES.len())]).unwrap();
            }
            25 => emulator.set_latency(Duration::from_millis(random.u64(..40))),
            26 => emulator.revoke_trust(ROLES[random.usize(..ROLES.len())]).unwrap(),
            27..31 => emulator.restore_trust(ROLES[random.usize(..ROLES.len())]).unwrap(),
            _ => storm.renew(random.usize(..PODS)),
        }
        emulator.clear_requests();
    }
}

pub(super) async fn clear(storm: &Storm) {
    listen(&storm.world).await;
    storm.world.emulator.clear_faults();
    for role in ROLES {
        restore(storm, role);
        storm.world.emulator.restore_trust(role).unwrap();
    }
}

/// As soon as what listened there before has left.
async fn listen(world: &World) {
    let end = Instant::now() + Duration::from_secs(10);
    while let Err(error) = world.emulator.resume().await {
        assert!(Instant::now() < end, "{error}");
        sleep(Duration::from_millis(5)).await;
    }
}

pub(super) fn rotate(world: &World, history: &History, object: &str) {
    let value = format!("planted-{object}-{}", history.values(object));
    let before = Instant::now();
    let emulator = &world.emulator;
    if PARAMETERS.contains(&object) {
        emulator.rotate_parameter(object, value.clone()).unwrap();
    } else if emulator.rotate_secret(object, &value).is_err() {
        emulator.set_secret_text(object, &value).unwrap();
    }
    history.rotated(object, value, before);
}

fn revoke(storm: &Storm, role: &str) {
    storm.world.emulator.revoke_role(role).unwrap();
    storm.history.revoked(role);
}

fn restore(storm: &Storm, role: &str) {
    let before = Instant::now();
    storm.world.emulator.restore_role(role).unwrap();
    storm.history.granted(role, before);
}

fn fault(random: &mut Rng) -> Fault {
    let service = ["sts", "kms", "oos"][random.usize(..3)];
    let error = |status: u16, code: &str| FaultEffect::Error {
        status,
        code: code.to_owned(),
        message: None,
        headers: BTreeMap::new(),
    };
    let effect = match random.u8(..32) {
        0..4 => FaultEffect::Reset,
        4..8 => FaultEffect::ResetAfter { bytes: random.usize(..300) },
        8..10 => FaultEffect::Truncate,
        10..13 => FaultEffect::Garbage,
        13 => FaultEffect::WrongSchema,
        14..17 => error(500, "InternalFailure"),
        17..20 => error(503, "ServiceUnavailableTemporary"),
        20 => FaultEffect::Html { status: 502 },
        21 => FaultEffect::Empty { status: 200 },
        22 => FaultEffect::Huge { mib: 2 },
        23..25 => FaultEffect::Latency { ms: random.u64(50..400) },
        25 => FaultEffect::Hang,
        26 => FaultEffect::Echo { status: 403, code: "Forbidden.NoPermission".to_owned() },
        27..29 => error(403, "InvalidSecurityToken.Expired"),
        29 => error(404, "Forbidden.ResourceNotFound"),
        30 => error(400, "IllegalTimestamp"),
        // One that comes alone costs a moment. A host that throttles often is hardly asked any more, and
        // that takes minutes to pass.
        _ if random.u8(..3) == 0 => FaultEffect::throttling(),
        _ => error(400, "InvalidParameter"),
    };
    let most = match effect {
        FaultEffect::Error { status: 429, .. } => 1,
        // Each takes a place at its host for as long as a mount may last.
        FaultEffect::Hang => 2,
        _ => 8,
    };
    Fault {
        service: Some(service.to_owned()),
        times: Some(random.u32(1..=most)),
        every: Some(random.u32(1..5)),
        effect,
        ..Fault::default()
    }
}
