//! `audit who`: all that were handed a secret, and all that asked for it and were refused.

use std::collections::{BTreeMap, BTreeSet};

use super::{Span, access::Accesses};
use crate::{
    names::Glob,
    records::{Event, Record},
};

/// A secret as it is asked for: its name, its ARN, or a pattern of either.
#[derive(Debug)]
pub(crate) struct Wanted {
    text: String,
    pattern: Glob,
}

impl Wanted {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), pattern: Glob::new(text) }
    }

    /// The record names a secret as the class does, and by its ARN, in which `*` stands for what is not known.
    pub(crate) fn is(&self, record: &Record<'_>) -> bool {
        let resource = &*record.resource;
        let name = resource.split_once('/').map_or("", |(_, name)| name);
        let unknown = || resource.contains('*') && Glob::new(resource).matches(&self.text);
        record.event == Event::Read
            && (self.pattern.matches(&record.object)
                || self.pattern.matches(resource)
                || self.pattern.matches(name)
                || unknown())
    }
}

/// One pod and one secret, by one identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reader<'a> {
    pub(crate) secret: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) service_account: &'a str,
    pub(crate) identity: &'a str,
    pub(crate) role: &'a str,
    pub(crate) access_key_id: &'a str,
    pub(crate) class: &'a str,
    pub(crate) pod: &'a str,
    pub(crate) uid: &'a str,
    pub(crate) node: &'a str,
}

#[derive(Debug, Default)]
pub(crate) struct Had<'a> {
    pub(crate) handed: Span,
    pub(crate) stale: u64,
    /// Versions handed out, by the time of the first.
    pub(crate) versions: Vec<&'a str>,
    pub(crate) via: BTreeSet<&'a str>,
    /// Read by mounts that failed: nothing was handed out.
    pub(crate) kept: u64,
    pub(crate) missing: u64,
    pub(crate) refused: Span,
    /// The outcomes of refusals, with the cloud's codes.
    pub(crate) refusals: BTreeSet<(&'a str, &'a str)>,
}

pub(crate) fn who(accesses: &Accesses) -> BTreeMap<Reader<'_>, Had<'_>> {
    let names = &accesses.names;
    let reader = |resource, pod, identity, class| {
        let (pod, identity) = (names.pod_of(pod), names.identity_of(identity));
        Reader {
            secret: names.of(resource),
            namespace: names.of(pod.namespace),
            service_account: names.of(pod.service_account),
            identity: names.of(identity.mode),
            role: names.of(identity.role),
            access_key_id: names.of(identity.key),
            class: names.of(class),
            pod: names.of(pod.name),
            uid: names.of(pod.uid),
            node: names.of(pod.node),
        }
    };
    let mut readers: BTreeMap<Reader<'_>, Had<'_>> = BTreeMap::new();
    let mut versions: BTreeMap<Reader<'_>, BTreeSet<(i64, &str)>> = BTreeMap::new();
    for (key, tally) in &accesses.reads {
        let reader = reader(key.resource, key.pod, key.identity, key.class);
        if let Some(first) = tally.handed.first() {
            versions.entry(reader.clone()).or_default().insert((first, names.of(key.version)));
        }
        let had = readers.entry(reader).or_default();
        had.handed.merge(tally.handed);
        had.stale += tally.stale;
        had.kept += tally.kept.times;
        had.missing += tally.missing.times;
        had.via.insert(names.of(key.via));
    }
    for (reader, versions) in versions {
        let had = readers.entry(reader).or_default();
        for (_, version) in versions {
            // One that the driver and the sync controller got is one.
            if !had.versions.contains(&version) {
                had.versions.push(version);
            }
        }
    }
    for (refusal, span) in &accesses.refusals {
        let reader = reader(refusal.resource, refusal.pod, refusal.identity, refusal.class);
        let had = readers.entry(reader).or_default();
        had.refused.merge(*span);
        had.refusals.insert((names.of(refusal.outcome), names.of(refusal.code)));
    }
    readers
}

#[cfg(test)]
mod tests;
