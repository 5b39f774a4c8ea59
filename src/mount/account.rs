//! What the audit record says of one mount. A mount whose caller goes away is told of too.

use jiff::Timestamp;
use tokio::time::Instant;

use super::code_name;
use crate::{
    audit::{self, Audit, Event, Record},
    credentials::Login,
    error::{Error, Errors},
    fetch::{Origin, ReadEnd},
    identity::Identity,
    request::{
        Mount, Pod, Wish,
        caller::{Caller, Via},
        objects::{Object, Source},
    },
};

#[derive(Debug)]
pub(super) struct Account<'a> {
    audit: &'a Audit,
    /// What holds for all of its records.
    base: Record,
    reads: Vec<Record>,
    closed: bool,
}

impl<'a> Account<'a> {
    pub(super) fn open(audit: &'a Audit) -> Self {
        let mount = if audit.is_on() { audit::id().unwrap_or_default() } else { String::new() };
        let base = Record { mount, ..Record::default() };
        Self { audit, base, reads: Vec::new(), closed: !audit.is_on() }
    }

    pub(super) fn caller(&mut self, caller: &Caller) {
        self.base.via = caller.via.map_or("", Via::name);
        self.base.secret_provider_class = caller.class.clone().unwrap_or_default();
        if let Some(Pod { namespace, name, uid, service_account }) = caller.pod.clone() {
            self.base = Record { namespace, pod: name, uid, service_account, ..self.base.clone() };
        }
    }

    pub(super) fn requested(&mut self, wish: Wish) {
        self.base.identity_requested = match wish {
            Wish::Unsaid => "",
            Wish::Mode(mode) => mode.name(),
            Wish::AnyButPod => "not-pod",
        };
    }

    pub(super) fn identity(&mut self, identity: &Identity) {
        self.base.identity_chosen_by = identity.chosen_by.name();
        self.base.identity = identity.mode.name().to_owned();
        logged_in(&mut self.base, &identity.login);
    }

    pub(super) fn reads(&mut self, mount: &Mount, identity: &Identity, ends: &[ReadEnd]) {
        if !self.closed {
            let ends = mount.objects.iter().zip(ends);
            self.reads = ends.map(|(object, end)| self.read(object, identity, end)).collect();
        }
    }

    /// An error means that nothing must be handed out.
    pub(super) async fn admit(mut self, deadline: Instant) -> Result<(), Error> {
        let records = self.close(true);
        if records.is_empty() { Ok(()) } else { self.audit.admit(records, deadline).await }
    }

    pub(super) fn refuse(mut self, errors: &Errors) {
        let (outcome, reason) = (code_name(errors.class().code()), errors.message());
        let mut refusal = Record { outcome, reason, ..self.base.clone() };
        if let Some(error) = errors.iter().find(|error| error.host.is_some()) {
            told(&mut refusal, error);
        }
        self.refusal(refusal);
    }

    /// A read that failed says why the mount did; else the mount has to say it.
    fn refusal(&mut self, refusal: Record) {
        if self.closed {
            return;
        }
        let mut records = self.close(false);
        let good = |record: &Record| matches!(record.outcome, "OK" | "MISSING");
        if records.iter().all(good) {
            records.push(Record { event: Event::Refusal, time: Timestamp::now(), ..refusal });
        }
        self.audit.note(records);
    }

    fn close(&mut self, mounted: bool) -> Vec<Record> {
        self.closed = true;
        let mut records = std::mem::take(&mut self.reads);
        for record in &mut records {
            record.mounted = mounted;
        }
        records
    }

    fn read(&self, object: &Object, identity: &Identity, end: &ReadEnd) -> Record {
        let (name, object_type, asked) = match &object.read.source {
            Source::Kms(secret) => {
                (&secret.name, "kms", secret.version_id.clone().or_else(|| secret.stage.clone()))
            }
            Source::Oos(parameter) => {
                (&parameter.name, "oos", parameter.version.map(|version| version.to_string()))
            }
        };
        let outcome = match end {
            ReadEnd { value: Some(_), .. } => "OK",
            ReadEnd { missing: true, .. } if object.optional => "MISSING",
            ReadEnd { error, .. } => {
                let class = error.as_ref().map(|error| error.class);
                code_name(class.unwrap_or(crate::error::Class::Internal).code())
            }
        };
        let endpoint = object.read.endpoint.host();
        let mut record = Record {
            event: Event::Read,
            time: Timestamp::now(),
            object: name.clone(),
            object_type,
            version: asked.unwrap_or_default(),
            endpoint: endpoint.to_owned(),
            source: end.origin.name(),
            outcome,
            ..self.base.clone()
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
        if let Some(role) = &object.read.cross_account_role {
            logged_in(&mut record, &identity.led_on_to(role));
        }
        record
    }
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        let reason =
            "the caller went away before the answer, or a fault of the provider's ended it";
        self.refusal(Record {
            outcome: code_name(crate::error::Class::Internal.code()),
            reason: reason.to_owned(),
            ..self.base.clone()
        });
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

fn logged_in(record: &mut Record, login: &Login) {
    match login {
        Login::Keys(keys) => {
            record.access_key_id = keys.shown_id().unwrap_or_default().to_owned();
        }
        Login::Oidc { role, name, .. } | Login::Assume { role, name, .. } => {
            record.role = role.to_string();
            record.session.clone_from(name);
            record.access_key_id.clear();
        }
        // Its sessions are named by the cloud.
        Login::EcsRole => {}
    }
}
