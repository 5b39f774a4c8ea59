//! `audit report`: reads and refusals by secret, pod and identity.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Span,
    access::{Accesses, Kind},
    names::Number,
};

/// What is reported of each secret, pod or identity.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    pub(crate) handed: Span,
    pub(crate) stale: u64,
    /// Read by mounts that failed.
    pub(crate) kept: u64,
    /// Optional secrets that do not exist.
    pub(crate) missing: u64,
    pub(crate) refused: Span,
    /// Those that were handed out, or to which anything was.
    pub(crate) secrets: BTreeSet<Number>,
    pub(crate) pods: BTreeSet<Number>,
}

#[derive(Debug, Default)]
pub(crate) struct Refused {
    pub(crate) span: Span,
    pub(crate) pods: BTreeSet<Number>,
}

#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) accesses: &'a Accesses,
    pub(crate) by_secret: BTreeMap<&'a str, Sum>,
    pub(crate) by_pod: BTreeMap<[&'a str; 5], Sum>,
    pub(crate) by_identity: BTreeMap<[&'a str; 3], Sum>,
    /// The most frequent first.
    pub(crate) refusals: Vec<(Kind, Refused)>,
}

impl<'a> Report<'a> {
    pub(crate) fn of(accesses: &'a Accesses) -> Self {
        let names = &accesses.names;
        let mut report = Report {
            accesses,
            by_secret: BTreeMap::new(),
            by_pod: BTreeMap::new(),
            by_identity: BTreeMap::new(),
            refusals: Vec::new(),
        };
        for (key, tally) in &accesses.reads {
            for sum in report.sums(key.resource, key.pod, key.identity) {
                sum.handed.merge(tally.handed);
                sum.stale += tally.stale;
                sum.kept += tally.kept.times;
                sum.missing += tally.missing.times;
                if tally.handed.times > 0 {
                    sum.secrets.insert(key.resource);
                    sum.pods.insert(key.pod);
                }
            }
        }
        let mut kinds: BTreeMap<Kind, Refused> = BTreeMap::new();
        for (refusal, span) in &accesses.refusals {
            for sum in report.sums(refusal.resource, refusal.pod, refusal.identity) {
                sum.refused.merge(*span);
            }
            let of = kinds.entry(accesses.kind(refusal)).or_default();
            of.span.merge(*span);
            of.pods.insert(refusal.pod);
        }
        // No secret: the mount was refused as a whole.
        report.by_secret.remove("");
        report.refusals = kinds.into_iter().collect();
        let text = |kind: &Kind| {
            [
                kind.namespace,
                kind.service_account,
                kind.class,
                kind.resource,
                kind.outcome,
                kind.code,
            ]
            .map(|of| names.of(of))
        };
        report.refusals.sort_by(|(one, a), (other, b)| {
            b.span.times.cmp(&a.span.times).then_with(|| text(one).cmp(&text(other)))
        });
        report
    }

    /// All that a record of these counts for.
    fn sums(&mut self, resource: Number, pod: Number, identity: Number) -> [&mut Sum; 3] {
        let names = &self.accesses.names;
        let of = names.pod_of(pod);
        let pod = [of.namespace, of.name, of.uid, of.service_account, of.node];
        let of = names.identity_of(identity);
        let identity = [of.mode, of.role, of.key];
        [
            self.by_secret.entry(names.of(resource)).or_default(),
            self.by_pod.entry(pod.map(|text| names.of(text))).or_default(),
            self.by_identity.entry(identity.map(|text| names.of(text))).or_default(),
        ]
    }
}

#[cfg(test)]
mod tests;
