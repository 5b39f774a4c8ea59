//! Mount trace: what is known of one mount. The steps write it; log, metrics, Events and the audit record
//! are made of it.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    audit,
    error::Error,
    fetch::{Origin, ReadOutcome},
    identity::Identity,
    login::Login,
    names::RoleArn,
    pb,
    policy::ChosenBy,
    request::{Mount, caller::Caller},
    spc::{RequestedIdentity, mode::Mode, objects::Object},
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
    pub(super) identity: Option<Decided>,
    pub(super) objects: Option<Arc<[Object]>>,
    /// How the read of each object ended, in their order.
    pub(super) reads: Vec<Read>,
    /// Where the values came from, once all are there.
    pub(super) from: Option<Origin>,
    /// Optional objects that do not exist.
    pub(super) left_out: usize,
}

/// The identity that was decided on, and as whom the cloud is asked.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) mode: Mode,
    pub(super) chosen_by: ChosenBy,
    /// As errors say it.
    pub(super) who: String,
    pub(super) own: ActingAs,
    /// Of sessions in other accounts.
    pub(super) session_name: String,
}

/// As whom an object is read. A text is empty where there is nothing to say.
#[derive(Clone, Debug, Default)]
pub(super) struct ActingAs {
    pub(super) role: String,
    pub(super) session: String,
    pub(super) access_key_id: String,
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

/// What is told of a value.
#[derive(Debug)]
pub(super) struct ValueFacts {
    pub(super) version: String,
    pub(super) request_id: String,
}

impl Trace {
    /// `recorded`: there is an audit record, which wants to know of each value.
    pub(super) fn of(request: &pb::MountRequest, recorded: bool) -> Self {
        Self {
            recorded,
            id: audit::mount_id(),
            started: Instant::now(),
            target_path: request.target_path.clone(),
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

    pub(super) fn identity(&mut self, identity: &Identity) {
        self.identity = Some(Decided {
            mode: identity.mode,
            chosen_by: identity.chosen_by,
            who: identity.login.who(),
            own: ActingAs::of(&identity.login),
            session_name: identity.session_name.clone(),
        });
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

impl Decided {
    /// As whom an object is read that names this role.
    pub(super) fn acting_as(&self, role: Option<&RoleArn>) -> ActingAs {
        match role {
            None => self.own.clone(),
            Some(role) => ActingAs {
                role: role.to_string(),
                session: self.session_name.clone(),
                access_key_id: String::new(),
            },
        }
    }
}

impl ActingAs {
    fn of(login: &Login) -> Self {
        match login {
            Login::Keys(keys) => {
                let access_key_id = keys.shown_id().unwrap_or_default().to_owned();
                Self { access_key_id, ..Self::default() }
            }
            Login::Oidc { role, name, .. } | Login::Assume { role, name, .. } => {
                Self { role: role.to_string(), session: name.clone(), ..Self::default() }
            }
            // Its sessions are named by the cloud.
            Login::EcsRole => Self::default(),
        }
    }
}
