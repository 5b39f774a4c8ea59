//! JSON: for programs. `schema` changes when a reader would have to.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::Answer;

#[derive(Serialize)]
struct Root<'a> {
    schema: u32,
    roles: Vec<Role<'a>>,
    placeholders: &'a BTreeMap<String, String>,
    notes: &'a [String],
    unused: &'a [String],
    refused: Vec<Refused<'a>>,
}

#[derive(Serialize)]
struct Role<'a> {
    /// Empty where the identity is no role.
    arn: String,
    name: String,
    identities: Vec<&'static str>,
    permission_policies: Vec<Named>,
    trust_policy: Option<Value>,
    used_by: BTreeMap<&'a str, &'a BTreeSet<String>>,
}

#[derive(Serialize)]
struct Named {
    name: String,
    document: Value,
}

#[derive(Serialize)]
struct Refused<'a> {
    subject: &'a str,
    reasons: &'a [String],
}

const SCHEMA: u32 = 1;

pub(crate) fn render(answer: &Answer<'_>) -> String {
    let roles = answer.policies.iter().map(|of| Role {
        arn: of.grant.role.as_ref().map_or_else(String::new, |role| role.arn()),
        name: of.grant.role.as_ref().map_or_else(String::new, |role| role.name().to_owned()),
        identities: of.grant.modes.iter().map(|mode| mode.name()).collect(),
        permission_policies: of
            .permissions
            .iter()
            .map(|(name, document)| Named { name: name.clone(), document: document.value() })
            .collect(),
        trust_policy: of.trust.as_ref().map(|document| document.value()),
        used_by: of.grant.subjects.iter().map(|(subject, users)| (&**subject, users)).collect(),
    });
    let refused =
        answer.refused.iter().map(|of| Refused { subject: &of.subject, reasons: &of.reasons });
    let root = Root {
        schema: SCHEMA,
        roles: roles.collect(),
        placeholders: &answer.placeholders,
        notes: &answer.notes,
        unused: answer.unused,
        refused: refused.collect(),
    };
    let mut text = serde_json::to_string_pretty(&root).unwrap_or_default();
    text.push('\n');
    text
}
