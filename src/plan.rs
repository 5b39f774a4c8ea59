//! Plan: which calls read the objects of a mount. Pure, so that what would be called can be shown without
//! a call.

use std::collections::{HashMap, HashSet};

use crate::{
    api::Api,
    endpoint::Endpoint,
    names::{Region, RoleArn},
    spc::{
        read::Read,
        source::{Batch, Facts},
    },
};

/// One call, and which of the reads it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub api: Api,
    pub reads: Vec<usize>,
}

/// Of one login and host, and of one region where the operation names it.
type Group<'a> = (Api, &'a Endpoint, Option<&'a Region>, Option<&'a RoleArn>);

/// Reads that can go out together do, unless `may` has something against it. Each name is in a call
/// once: answers differ by names alone.
pub fn calls<'a>(reads: &[&'a Read], may: impl Fn(usize, &Batch<'a>) -> bool) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut open: HashMap<Group<'a>, (usize, HashSet<&str>)> = HashMap::new();
    for (at, read) in reads.iter().enumerate() {
        let facts: &'a dyn Facts = read.source.facts();
        let alone = Call { api: facts.api(), reads: vec![at] };
        let Some(batch) = facts.batch().filter(|batch| may(at, batch)) else {
            calls.push(alone);
            continue;
        };
        let role = read.cross_account_role.as_ref();
        let group = (batch.api, &read.endpoint, batch.region, role);
        match open.get_mut(&group) {
            Some((_, names)) if names.contains(facts.name()) => calls.push(alone),
            Some((call, names)) if names.len() < batch.most => {
                names.insert(facts.name());
                if let Some(call) = calls.get_mut(*call) {
                    call.api = batch.api;
                    call.reads.push(at);
                }
            }
            // Of one read until there is a second.
            _ => {
                open.insert(group, (calls.len(), HashSet::from([facts.name()])));
                calls.push(alone);
            }
        }
    }
    calls
}

#[cfg(test)]
mod tests;
