//! Mount audit: the records of one mount, made of its trace.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;

use super::{
    code_name,
    trace::{Read, Trace, ValueFacts},
};
use crate::{
    audit::{Asked, Event, Record},
    error::{Error, ErrorKind, Errors},
    fetch::Origin,
    identity::Identity,
    login::Login,
    names::{RoleArn, account},
    request::{Pod, caller::Via},
    spc::objects::Object,
};

/// As whom the cloud is asked. A text is empty where there is nothing to say.
#[derive(Debug, Default)]
struct ActingAs {
    role: String,
    session: String,
    access_key_id: String,
}

/// A line for each object of a mount that succeeded.
pub(super) fn mounted(trace: &Trace) -> Vec<Record> {
    reads(trace, true)
}

/// A read that failed says why the mount did; else the mount has to say it.
pub(super) fn failed(trace: &Trace, errors: &Errors) -> Vec<Record> {
    let (outcome, reason) = (code_name(errors.kind().code()), errors.message());
    let mut refusal = Record { outcome, reason, ..Record::default() };
    if let Some(error) = errors.iter().find(|error| error.host.is_some()) {
        answered(&mut refusal, error);
    }
    refused(trace, refusal)
}

/// Of a mount whose caller went away, or that a fault of ours ended.
pub(super) fn abandoned(trace: &Trace) -> Vec<Record> {
    let reason = "the caller went away before the answer, or a fault of the provider's ended it";
    let outcome = code_name(ErrorKind::Internal.code());
    refused(trace, Record { outcome, reason: reason.to_owned(), ..Record::default() })
}

fn refused(trace: &Trace, refusal: Record) -> Vec<Record> {
    let mut records = reads(trace, false);
    let good = |record: &Record| matches!(record.outcome, "OK" | "MISSING");
    if records.iter().all(good) {
        let own = trace.identity.as_deref().map(|identity| acting_as(identity, None));
        let asked = asked(trace, own.unwrap_or_default());
        let time = Timestamp::now();
        records.push(Record { event: Event::Refusal, time, asked, ..refusal });
    }
    records
}

fn reads(trace: &Trace, mounted: bool) -> Vec<Record> {
    let (Some(identity), Some(objects)) = (&trace.identity, &trace.objects) else {
        return Vec::new();
    };
    let mut by_role: HashMap<Option<&RoleArn>, Arc<Asked>> = HashMap::new();
    let ends = objects.iter().zip(&trace.reads);
    let records = ends.map(|(object, end)| {
        let role = object.read.cross_account_role.as_ref();
        let asked = by_role.entry(role).or_insert_with(|| asked(trace, acting_as(identity, role)));
        Record { mounted, ..read(object, end, asked.clone()) }
    });
    records.collect()
}

/// As whom an object is read, which may name a role of another account.
fn acting_as(identity: &Identity, role: Option<&RoleArn>) -> ActingAs {
    let of = |role: &RoleArn, session: &str| ActingAs {
        role: role.to_string(),
        session: session.to_owned(),
        ..ActingAs::default()
    };
    match (role, &*identity.login) {
        (Some(role), _) => of(role, &identity.session_name),
        (None, Login::Oidc { role, name, .. } | Login::Assume { role, name, .. }) => of(role, name),
        (None, Login::Keys(keys)) => {
            let access_key_id = keys.shown_id().unwrap_or_default().to_owned();
            ActingAs { access_key_id, ..ActingAs::default() }
        }
        // Its sessions are named by the cloud.
        (None, Login::EcsRole) => ActingAs::default(),
    }
}

/// Who asked, as whom.
fn asked(trace: &Trace, acting_as: ActingAs) -> Arc<Asked> {
    let ActingAs { role, session, access_key_id } = acting_as;
    let asked = Asked {
        mount: trace.id.clone(),
        secret_provider_class: trace.caller.class.clone().unwrap_or_default(),
        via: trace.caller.via.map_or("", Via::name),
        identity: trace.identity.as_ref().map_or("", |identity| identity.mode.name()),
        identity_requested: trace.requested.name(),
        identity_chosen_by: trace.chosen_by(),
        role,
        session,
        access_key_id,
        ..Asked::default()
    };
    let asked = match trace.caller.pod.clone() {
        None => asked,
        Some(Pod { namespace, name, uid, service_account }) => {
            Asked { namespace, pod: name, uid, service_account, ..asked }
        }
    };
    Arc::new(asked.clean())
}

fn read(object: &Object, end: &Read, asked: Arc<Asked>) -> Record {
    let facts = object.read.source.facts();
    let outcome = match end {
        Read { value: Some(_), .. } => "OK",
        Read { missing: true, .. } if object.optional => "MISSING",
        Read { error, .. } => {
            let kind = error.as_ref().map(|error| error.kind());
            code_name(kind.unwrap_or(ErrorKind::Internal).code())
        }
    };
    let endpoint = object.read.endpoint.host();
    let mut record = Record {
        event: Event::Read,
        time: end.time,
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
        answered(&mut record, error);
        record.reason = error.to_string();
    }
    if let Origin::Grace(age) | Origin::Stale(age) = end.origin {
        record.reason = format!("last read {} s ago; {}", age.as_secs(), record.reason);
    }
    if let Some(ValueFacts { version, request_id }) = &end.value {
        endpoint.clone_into(&mut record.endpoint);
        record.version.clone_from(version);
        record.request_id.clone_from(request_id);
    }
    record
}

/// What the cloud said, and which of its hosts.
fn answered(record: &mut Record, error: &Error) {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    record.code = text(error.code.as_deref());
    record.request_id = text(error.request.as_deref());
    if let Some(host) = &error.host {
        host.as_ref().clone_into(&mut record.endpoint);
    }
}

#[cfg(test)]
mod tests;
