//! Mount audit: what the audit record says of one mount, also of one whose caller goes away.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use tokio::time::Instant;

use super::code_name;
use crate::{
    audit::{self, Asked, Audit, Event, Record},
    error::{Error, ErrorKind, Errors},
    fetch::{Origin, ReadOutcome},
    identity::Identity,
    login::Login,
    names::{RoleArn, account},
    request::{
        Mount, Pod,
        caller::{Caller, Via},
    },
    spc::{RequestedIdentity, objects::Object},
};

#[derive(Debug)]
pub(super) struct MountAudit<'a> {
    audit: &'a Audit,
    asked: Asked,
    reads: Vec<Record>,
    closed: bool,
}

impl<'a> MountAudit<'a> {
    pub(super) fn open(audit: &'a Audit) -> Self {
        let mount = if audit.is_on() { audit::id().unwrap_or_default() } else { String::new() };
        let asked = Asked { mount, ..Asked::default() };
        Self { audit, asked, reads: Vec::new(), closed: !audit.is_on() }
    }

    pub(super) fn caller(&mut self, caller: &Caller) {
        self.asked.via = caller.via.map_or("", Via::name);
        self.asked.secret_provider_class = caller.class.clone().unwrap_or_default();
        if let Some(Pod { namespace, name, uid, service_account }) = caller.pod.clone() {
            let asked = std::mem::take(&mut self.asked);
            self.asked = Asked { namespace, pod: name, uid, service_account, ..asked };
        }
    }

    pub(super) fn requested(&mut self, requested: RequestedIdentity) {
        self.asked.identity_requested = requested.name();
    }

    pub(super) fn identity(&mut self, identity: &Identity) {
        self.asked.identity_chosen_by = identity.chosen_by.name();
        self.asked.identity = identity.mode.name();
        logged_in(&mut self.asked, &identity.login);
    }

    pub(super) fn reads(&mut self, mount: &Mount, identity: &Identity, ends: &[ReadOutcome]) {
        if self.closed {
            return;
        }
        let own = Arc::new(self.asked.clone().clean());
        let mut assumed: HashMap<&RoleArn, Arc<Asked>> = HashMap::new();
        let ends = mount.spec.objects.iter().zip(ends);
        let records = ends.map(|(object, end)| {
            let asked = object.read.cross_account_role.as_ref().map(|role| {
                let assumed = assumed.entry(role).or_insert_with(|| {
                    let mut asked = self.asked.clone();
                    logged_in(&mut asked, &identity.assume_role(role));
                    Arc::new(asked.clean())
                });
                assumed.clone()
            });
            read(object, end, asked.unwrap_or_else(|| own.clone()))
        });
        self.reads = records.collect();
    }

    /// An error means that nothing must be handed out.
    pub(super) async fn admit(mut self, deadline: Instant) -> Result<(), Error> {
        let records = self.close(true);
        if records.is_empty() { Ok(()) } else { self.audit.admit(records, deadline).await }
    }

    /// Waits for its turn to be written, so that many mounts that fail lose no record.
    pub(super) async fn refuse(mut self, errors: &Errors, deadline: Instant) {
        let (outcome, reason) = (code_name(errors.kind().code()), errors.message());
        let mut refusal = Record { outcome, reason, ..Record::default() };
        if let Some(error) = errors.iter().find(|error| error.host.is_some()) {
            told(&mut refusal, error);
        }
        let records = self.refusal(refusal);
        if !records.is_empty() {
            self.audit.refuse(records, deadline).await;
        }
    }

    /// A read that failed says why the mount did; else the mount has to say it.
    fn refusal(&mut self, refusal: Record) -> Vec<Record> {
        if self.closed {
            return Vec::new();
        }
        let mut records = self.close(false);
        let good = |record: &Record| matches!(record.outcome, "OK" | "MISSING");
        if records.iter().all(good) {
            let asked = Arc::new(std::mem::take(&mut self.asked).clean());
            let time = Timestamp::now();
            records.push(Record { event: Event::Refusal, time, asked, ..refusal });
        }
        records
    }

    fn close(&mut self, mounted: bool) -> Vec<Record> {
        self.closed = true;
        let mut records = std::mem::take(&mut self.reads);
        for record in &mut records {
            record.mounted = mounted;
        }
        records
    }
}

fn read(object: &Object, end: &ReadOutcome, asked: Arc<Asked>) -> Record {
    let facts = object.read.source.facts();
    let outcome = match end {
        ReadOutcome { value: Some(_), .. } => "OK",
        ReadOutcome { missing: true, .. } if object.optional => "MISSING",
        ReadOutcome { error, .. } => {
            let kind = error.as_ref().map(|error| error.kind);
            code_name(kind.unwrap_or(ErrorKind::Internal).code())
        }
    };
    let endpoint = object.read.endpoint.host();
    let mut record = Record {
        event: Event::Read,
        time: Timestamp::now(),
        object: facts.name().to_owned(),
        object_type: facts.object_type(),
        resource: object.read.resource(account(&asked.role).unwrap_or("*")),
        version: facts.version().unwrap_or_default(),
        endpoint: endpoint.to_owned(),
        source: end.origin.name(),
        outcome,
        asked,
        ..Record::default()
    };
    if let Some(error) = &end.error {
        // It may be STS that did not give the session.
        told(&mut record, error);
        record.reason = error.to_string();
    }
    if let Origin::Grace(age) | Origin::Stale(age) = end.origin {
        record.reason = format!("last read {} s ago; {}", age.as_secs(), record.reason);
    }
    if let Some(value) = &end.value {
        endpoint.clone_into(&mut record.endpoint);
        record.version.clone_from(&value.version);
        record.request_id.clone_from(&value.request_id);
    }
    record
}

/// A caller that is gone waits for nothing.
impl Drop for MountAudit<'_> {
    fn drop(&mut self) {
        let reason =
            "the caller went away before the answer, or a fault of the provider's ended it";
        let records = self.refusal(Record {
            outcome: code_name(ErrorKind::Internal.code()),
            reason: reason.to_owned(),
            ..Record::default()
        });
        if !records.is_empty() {
            self.audit.note(records);
        }
    }
}

/// What the cloud said, and which of its hosts.
fn told(record: &mut Record, error: &Error) {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    record.code = text(error.code.as_deref());
    record.request_id = text(error.request.as_deref());
    if let Some(host) = &error.host {
        host.as_ref().clone_into(&mut record.endpoint);
    }
}

fn logged_in(asked: &mut Asked, login: &Login) {
    match login {
        Login::Keys(keys) => {
            asked.access_key_id = keys.shown_id().unwrap_or_default().to_owned();
        }
        Login::Oidc { role, name, .. } | Login::Assume { role, name, .. } => {
            asked.role = role.to_string();
            asked.session.clone_from(name);
            asked.access_key_id.clear();
        }
        // Its sessions are named by the cloud.
        Login::EcsRole => {}
    }
}
