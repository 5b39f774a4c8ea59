//! What to do about a read that the cloud refused: it depends on who asked for what.

use crate::{
    cloud::Cause,
    credentials::Login,
    identity::Identity,
    names::account,
    request::objects::Object,
    source::{SecretRef, Source},
    text::quoted,
};

/// Empty where the failure says all there is to say. `alone`: no other object of the mount was
/// denied, so that this one can be named without hiding the others.
pub(super) fn fix(cause: Cause, object: &Object, identity: &Identity, alone: bool) -> String {
    let who = who(object, identity);
    let source = &object.read.source;
    match cause {
        Cause::Denied => denied(object, identity, &who, alone),
        Cause::NotFound => "check its name, region and version".to_owned(),
        Cause::NoVersion => {
            let asked =
                version(source).map_or_else(String::new, |v| format!(": {v} was asked for"));
            let forgiven = match object.optional {
                true => "; optional is for one that does not exist at all",
                false => "",
            };
            format!("check its name, region and version{asked}{forgiven}")
        }
        Cause::Invalid => match version(source) {
            Some(version) => format!("check its name and version: {version} was asked for"),
            None => "check its name".to_owned(),
        },
        Cause::SessionRefused | Cause::Unauthenticated => match &*identity.login {
            Login::Keys(_) if object.read.cross_account_role.is_none() => {
                format!("check the keys of {who}")
            }
            _ => format!("the session that {who} was given is not taken; the mount is tried again"),
        },
        _ => String::new(),
    }
}

/// The version that was asked for, if it is not the one that every secret has.
pub(super) fn version(source: &Source) -> Option<String> {
    const CURRENT: &str = "ACSCurrent";
    match source {
        Source::Oos(parameter) => parameter.version.map(|number| format!("version {number}")),
        Source::Kms(SecretRef { version_id, stage, .. }) => {
            let id = version_id.as_ref().map(|id| format!("version id {}", quoted(id)));
            let stage = stage.as_deref().filter(|stage| *stage != CURRENT);
            let stage = stage.map(|stage| format!("label {}", quoted(stage)));
            id.into_iter().chain(stage).reduce(|id, stage| format!("{id} with {stage}"))
        }
    }
}

fn who(object: &Object, identity: &Identity) -> String {
    match &object.read.cross_account_role {
        Some(role) => format!("role {role}"),
        None => identity.login.who(),
    }
}

fn denied(object: &Object, identity: &Identity, who: &str, alone: bool) -> String {
    let own = match &object.read.cross_account_role {
        Some(role) => account(role.as_str()),
        None => identity.login.role().and_then(|role| account(role.as_str())),
    };
    if let Source::Kms(SecretRef { name, .. }) = &object.read.source
        && let (Some(theirs), Some(own)) = (account(name), own)
        && theirs != own
    {
        return format!(
            "the secret is account {theirs}'s, and {who} is of account {own}: set \
             crossAccountRoleArn to a role of account {theirs} that may read it"
        );
    }
    let allow = match object.read.source {
        Source::Kms(_) => "kms:GetSecretValue",
        Source::Oos(_) => "oos:GetSecretParameter and kms:GetSecretValue",
    };
    let statement = statement(object, own.unwrap_or("*"), alone);
    let own = match object.read.cross_account_role {
        None => identity.own_instead(),
        Some(_) => String::new(),
    };
    let instead = if own.is_empty() { own } else { format!(", or {own}") };
    format!("allow {who} {allow} on it: {statement}{instead}")
}

/// What to add to a policy of RAM.
fn statement(object: &Object, account: &str, alone: bool) -> String {
    /// The message has to hold more than this.
    const LONGEST: usize = 100;
    let shown = |name: &'static str, real: &str| match alone && real.len() <= LONGEST {
        true => real.to_owned(),
        false => name.to_owned(),
    };
    let (action, resource) = match &object.read.source {
        Source::Kms(SecretRef { name, .. }) if name.starts_with("acs:") => {
            ("\"kms:GetSecretValue\"", format!("\"{}\"", shown("ARN", name)))
        }
        Source::Kms(SecretRef { name, .. }) => {
            let resource = object.read.resource_called(&shown("NAME", name), account);
            ("\"kms:GetSecretValue\"", format!("\"{resource}\""))
        }
        Source::Oos(parameter) => {
            let name = shown("NAME", parameter.name.trim_start_matches('/'));
            let region = parameter.region.as_str();
            let resource = object.read.resource_called(&name, account);
            (
                "[\"oos:GetSecretParameter\",\"kms:GetSecretValue\"]",
                format!("[\"{resource}\",\"acs:kms:{region}:{account}:secret/{name}\"]"),
            )
        }
    };
    format!("{{\"Effect\":\"Allow\",\"Action\":{action},\"Resource\":{resource}}}")
}
