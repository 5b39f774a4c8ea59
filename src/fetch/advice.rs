//! What to do about a read that the cloud refused: it depends on who asked for what.

use crate::{cloud::Cause, identity::Identity, login::Login, names::account, spc::objects::Object};

/// Empty where the failure says all there is to say. `alone`: no other object of the mount was
/// denied, so that this one can be named without hiding the others.
pub(super) fn hint(cause: Cause, object: &Object, identity: &Identity, alone: bool) -> String {
    let who = who(object, identity);
    let facts = object.read.source.facts();
    match cause {
        Cause::Denied => denied(object, identity, &who, alone),
        Cause::NotFound => "check its name, region and version".to_owned(),
        Cause::NoVersion => {
            let asked = facts
                .version_in_words()
                .map_or_else(String::new, |v| format!(": {v} was asked for"));
            let forgiven = match object.optional {
                true => "; optional is for one that does not exist at all",
                false => "",
            };
            format!("check its name, region and version{asked}{forgiven}")
        }
        Cause::Invalid => match facts.version_in_words() {
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
    let facts = object.read.source.facts();
    if let (Some(theirs), Some(own)) = (account(facts.name()), own)
        && theirs != own
    {
        return format!(
            "the secret is account {theirs}'s, and {who} is of account {own}: set \
             crossAccountRoleArn to a role of account {theirs} that may read it"
        );
    }
    let allow = facts.actions().join(" and ");
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
    let facts = object.read.source.facts();
    let name = match alone && facts.name().len() <= LONGEST {
        true => facts.name(),
        false => facts.placeholder(),
    };
    let actions = facts.actions().iter().map(|action| (*action).to_owned()).collect();
    let resources = object.read.resources(name, account);
    let (actions, resources) = (one_or_list(actions), one_or_list(resources));
    format!("{{\"Effect\":\"Allow\",\"Action\":{actions},\"Resource\":{resources}}}")
}

/// As JSON.
fn one_or_list(texts: Vec<String>) -> String {
    let quoted: Vec<String> = texts.into_iter().map(|text| format!("\"{text}\"")).collect();
    match &*quoted {
        [one] => one.clone(),
        more => format!("[{}]", more.join(",")),
    }
}

#[cfg(test)]
mod tests;
