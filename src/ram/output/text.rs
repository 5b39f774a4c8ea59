//! Text: for people, what is for whom.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answer, Policies};
use crate::ram::{
    document::{ISSUER, provider},
    grants::{Given, Permission},
};

pub(crate) fn render(answer: &Answer<'_>, given: &Given) -> String {
    let mut text = String::new();
    for policies in &answer.policies {
        one(policies, given, &mut text);
    }
    if answer.policies.is_empty() {
        text.push_str("No permissions are needed: no mount of a SecretProviderClass is given.\n\n");
    }
    text.push_str(&endings(answer));
    if !answer.policies.is_empty() {
        text.push_str("The documents: --output json, aliyun or terraform.\n");
    }
    text
}

fn one(Policies { grant, permissions, .. }: &Policies<'_>, given: &Given, text: &mut String) {
    let kind = if grant.role.is_some() { "RAM role " } else { "" };
    text.push_str(&format!("{kind}{}\n", grant.title()));
    let names: Vec<&str> = permissions.iter().map(|(name, _)| &**name).collect();
    text.push_str(&format!("  permission policy {}\n", names.join(", ")));
    let mut by_resource: BTreeMap<&str, (BTreeSet<&str>, BTreeSet<&str>)> = BTreeMap::new();
    for (Permission { action, resource }, why) in &grant.permissions {
        let (actions, reasons) = by_resource.entry(resource).or_default();
        actions.insert(action);
        reasons.extend(why.iter().map(String::as_str));
    }
    let mut by_actions: BTreeMap<BTreeSet<&str>, Vec<(&str, BTreeSet<&str>)>> = BTreeMap::new();
    for (resource, (actions, why)) in by_resource {
        by_actions.entry(actions).or_default().push((resource, why));
    }
    for (actions, resources) in by_actions {
        let actions: Vec<&str> = actions.into_iter().collect();
        text.push_str(&format!("    {} on\n", actions.join(", ")));
        for (resource, why) in resources {
            text.push_str(&format!("      {resource}\n        for {}\n", few(why)));
        }
    }
    if grant.trust_is_known() {
        text.push_str("  trust policy\n");
    }
    for (subject, users) in grant.subjects.iter().filter(|_| grant.trust_is_known()) {
        text.push_str(&format!(
            "    {subject}\n      for {}\n",
            few(users.iter().map(String::as_str))
        ));
    }
    if let Some(role) =
        grant.role.as_ref().filter(|_| grant.trust_is_known() && !grant.subjects.is_empty())
    {
        let issuer = given.issuer.as_deref().unwrap_or(ISSUER);
        text.push_str(&format!("    by {}\n    issuer {issuer}\n", provider(role, given)));
    }
    for principal in &grant.principals {
        text.push_str(&format!("    {principal}, which assumes it\n"));
    }
    text.push('\n');
}

/// The first of them, and how many more.
fn few<'a>(all: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 3;
    let all: Vec<&str> = all.into_iter().collect();
    let shown: Vec<&str> = all.iter().copied().take(SHOWN).collect();
    match all.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Placeholders, notes, and what is refused or not used.
pub(super) fn endings(answer: &Answer<'_>) -> String {
    let mut text = String::new();
    for (placeholder, fill) in &answer.placeholders {
        text.push_str(&format!("placeholder: {placeholder}: {fill}\n"));
    }
    for class in answer.unused {
        text.push_str(&format!(
            "not used: {class}: no workload or SecretSync given here uses it, so nothing is granted for it; \
             --service-account NAME says who does\n"
        ));
    }
    for note in &answer.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    for refused in answer.refused {
        for reason in &refused.reasons {
            text.push_str(&format!(
                "error: {}: {reason}; nothing is granted for it (check says where)\n",
                refused.subject
            ));
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}
