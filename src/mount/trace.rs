//! Mount trace: what is known of one mount. The steps write it; log, metrics, Events and the audit record
//! are made of it.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    audit,
    error::Error,
    fetch::{Origin, ReadOutcome},
    identity::Identity,
    request::{Mount, caller::Caller},
    spc::{RequestedIdentity, objects::Object},
};

#[derive(Debug)]
pub(super) struct Trace {
    pub(super) recorded: bool,
    /// Tells it from all other mounts, in log and audit record.
    pub(super) id: String,
    pub(super) started: Instant,
    pub(super) target_path: String,
    pub(super) caller: Caller,
    pub(super) requested: RequestedIdentity,
    pub(super) identity: Option<Arc<Identity>>,
    pub(super) objects: Option<Arc<[Object]>>,
    /// How the read of each object ended, in their order.
    pub(super) reads: Vec<Read>,
    /// Where the values came from, once all are there.
    pub(super) from: Option<Origin>,
    /// Optional objects that do not exist.
    pub(super) left_out: usize,
}

/// How the read of one object ended.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) time: Timestamp,
    pub(super) origin: Origin,
    pub(super) value: Option<ValueFacts>,
    /// It does not exist.
    pub(super) missing: bool,
    /// Also why there is only a stale value.
    pub(super) error: Option<Error>,
}

/// What is recorded of a value.
#[derive(Debug)]
pub(super) struct ValueFacts {
    pub(super) version: String,
    pub(super) request_id: String,
}

impl Trace {
    /// `recorded`: there is an audit record, which wants to know of each value.
    pub(super) fn of(target_path: &str, recorded: bool) -> Self {
        Self {
            recorded,
            id: audit::mount_id(),
            started: Instant::now(),
            target_path: target_path.to_owned(),
            caller: Caller::default(),
            requested: RequestedIdentity::Default,
            identity: None,
            objects: None,
            reads: Vec::new(),
            from: None,
            left_out: 0,
        }
    }

    pub(super) fn parsed(&mut self, mount: &Mount) {
        self.requested = mount.spec.identity;
        self.objects = Some(mount.spec.objects.clone());
    }

    pub(super) fn identity(&mut self, identity: Arc<Identity>) {
        self.identity = Some(identity);
    }

    pub(super) fn read(&mut self, outcomes: &[ReadOutcome]) {
        let recorded = self.recorded;
        // Nobody else wants to know of values that are fresh.
        if !recorded && outcomes.iter().all(|outcome| outcome.error.is_none()) {
            return;
        }
        let time = Timestamp::now();
        let read = |outcome: &ReadOutcome| Read {
            time,
            origin: outcome.origin,
            value: outcome.value.as_ref().filter(|_| recorded).map(|value| ValueFacts {
                version: value.version.clone(),
                request_id: value.request_id.clone(),
            }),
            missing: outcome.missing,
            error: outcome.error.clone(),
        };
        self.reads = outcomes.iter().map(read).collect();
    }

    /// The age of each value that is served stale.
    pub(super) fn stale(&self) -> impl Iterator<Item = Duration> {
        let served = self.from.is_some();
        self.reads.iter().filter(move |_| served).filter_map(|read| match read.origin {
            Origin::Grace(age) | Origin::Stale(age) => Some(age),
            Origin::Cloud | Origin::Memory => None,
        })
    }

    /// "undecided" until it is.
    pub(super) fn mode(&self) -> &'static str {
        self.identity.as_ref().map_or("undecided", |identity| identity.mode.name())
    }

    pub(super) fn chosen_by(&self) -> &'static str {
        self.identity.as_ref().map_or("", |identity| identity.chosen_by.name())
    }

    /// Namespace, name, uid and ServiceAccount, as far as they could be read.
    pub(super) fn pod(&self) -> [&str; 4] {
        self.caller
            .pod
            .as_ref()
            .map_or([""; 4], |pod| [&pod.namespace, &pod.name, &pod.uid, &pod.service_account])
    }
}
