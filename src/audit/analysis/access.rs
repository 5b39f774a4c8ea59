//! Accesses: which pod was handed which value, as whom, and what was refused. Records that are alike are kept
//! together, so that memory grows with pods and secrets, not with lines.

use std::collections::HashMap;

use super::{
    Span,
    names::{Names, Number},
};
use crate::records::{Event, Record};

/// What tells one access from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) resource: Number,
    pub(crate) pod: Number,
    pub(crate) identity: Number,
    pub(crate) class: Number,
    pub(crate) via: Number,
    pub(crate) version: Number,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Read, and the mount succeeded.
    pub(crate) handed: Span,
    /// The mounts of the first and the last of these.
    pub(crate) mounts: (u64, u64),
    /// Of these, how many were stale.
    pub(crate) stale: u64,
    /// Read, and the mount failed.
    pub(crate) kept: Span,
    /// Optional, and there is no such secret.
    pub(crate) missing: Span,
}

/// What tells one refusal from another. `resource` is empty where the mount was refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Refusal {
    pub(crate) resource: Number,
    pub(crate) pod: Number,
    pub(crate) identity: Number,
    pub(crate) class: Number,
    pub(crate) outcome: Number,
    pub(crate) code: Number,
    /// Empty where no host was asked.
    pub(crate) endpoint: Number,
}

/// The same whichever pod it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) namespace: Number,
    pub(crate) service_account: Number,
    pub(crate) class: Number,
    pub(crate) identity: Number,
    pub(crate) resource: Number,
    pub(crate) outcome: Number,
    pub(crate) code: Number,
    pub(crate) endpoint: Number,
}

#[derive(Debug, Default)]
pub(crate) struct Accesses {
    pub(crate) names: Names,
    pub(crate) reads: HashMap<Key, Tally>,
    pub(crate) refusals: HashMap<Refusal, Span>,
    /// The last reason that the pod's owner was given, and when.
    reasons: HashMap<Kind, (i64, String)>,
}

impl Accesses {
    pub(crate) fn add(&mut self, record: &Record<'_>) {
        let names = &mut self.names;
        let pod = names.pod(record);
        let identity = names.identity(record);
        let class = names.text(&record.class);
        let resource = match record.event {
            Event::Read => names.text(record.subject()),
            _ => names.text(""),
        };
        if record.is_granted() {
            let (via, version) = (names.text(&record.via), names.text(&record.version));
            let key = Key { resource, pod, identity, class, via, version };
            self.reads.entry(key).or_default().add(record);
            return;
        }
        let refusal = Refusal {
            resource,
            pod,
            identity,
            class,
            outcome: names.text(&record.outcome),
            code: names.text(&record.code),
            endpoint: names.text(&record.endpoint),
        };
        self.refusals.entry(refusal).or_default().add(record.at);
        let kind = self.kind(&refusal);
        let last = self.reasons.entry(kind).or_insert_with(|| (i64::MIN, String::new()));
        if record.at >= last.0 {
            last.0 = record.at;
            record.reason.as_ref().clone_into(&mut last.1);
        }
    }

    pub(crate) fn kind(&self, refusal: &Refusal) -> Kind {
        let pod = self.names.pod_of(refusal.pod);
        Kind {
            namespace: pod.namespace,
            service_account: pod.service_account,
            class: refusal.class,
            identity: refusal.identity,
            resource: refusal.resource,
            outcome: refusal.outcome,
            code: refusal.code,
            endpoint: refusal.endpoint,
        }
    }

    pub(crate) fn reason(&self, kind: &Kind) -> &str {
        self.reasons.get(kind).map_or("", |(_, reason)| reason)
    }
}

impl Tally {
    fn add(&mut self, record: &Record<'_>) {
        if record.outcome != "OK" {
            return self.missing.add(record.at);
        }
        if !record.mounted {
            return self.kept.add(record.at);
        }
        let mount = record.mount();
        if self.handed.times == 0 {
            self.mounts = (mount, mount);
        }
        if record.at < self.handed.first {
            self.mounts.0 = mount;
        }
        if record.at >= self.handed.last {
            self.mounts.1 = mount;
        }
        self.handed.add(record.at);
        self.stale += u64::from(record.is_stale());
    }
}
