//! Rules: a file for each group of them.

mod classes;
mod drivers;
mod objects;
mod service_accounts;
mod syncs;
mod texts;
mod unreadable;
mod workloads;

use super::{finding::Finding, set::Set};

pub(super) fn all(set: &Set<'_>, findings: &mut Vec<Finding>) {
    unreadable::check(set, findings);
    objects::check(set, findings);
    texts::check(set, findings);
    classes::check(set, findings);
    syncs::check(set, findings);
    drivers::check(set, findings);
    service_accounts::check(set, findings);
    workloads::check(set, findings);
}
