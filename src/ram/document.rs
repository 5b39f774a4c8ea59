//! Documents: policies as RAM takes them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::grants::{Given, Grant, Permission};
use crate::{
    limits::RAM_POLICY,
    preview::role::{ACCOUNT, Role},
    request::STS_AUDIENCE,
};

/// What stands for a cluster's id and its issuer that nobody gave.
pub(crate) const CLUSTER: &str = "CLUSTER_ID";
pub(crate) const ISSUER: &str = "OIDC_ISSUER";

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Document {
    version: &'static str,
    pub(crate) statement: Vec<Statement>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Statement {
    effect: &'static str,
    pub(crate) action: OneOrMany,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resource: Option<OneOrMany>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Principal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
}

#[derive(Clone, Debug, Serialize)]
enum Principal {
    Federated([String; 1]),
    #[serde(rename = "RAM")]
    Ram(Vec<String>),
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Condition {
    string_equals: Claims,
}

#[derive(Clone, Debug, Serialize)]
struct Claims {
    #[serde(rename = "oidc:iss")]
    issuer: String,
    #[serde(rename = "oidc:aud")]
    audience: &'static str,
    #[serde(rename = "oidc:sub")]
    subject: OneOrMany,
}

/// As people write it: one text without a list.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn of(mut texts: Vec<String>) -> Self {
        match (texts.len(), texts.pop()) {
            (1, Some(only)) => OneOrMany::One(only),
            (_, last) => {
                texts.extend(last);
                OneOrMany::Many(texts)
            }
        }
    }
}

impl Document {
    fn of(statement: Vec<Statement>) -> Self {
        Self { version: "1", statement }
    }

    /// On one line.
    pub(crate) fn compact(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// For people.
    pub(crate) fn pretty(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    pub(crate) fn value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The permission policies of a grant: one, or as many as RAM's limit on their length makes.
pub(crate) fn permission_policies(grant: &Grant) -> Vec<Document> {
    let mut by_resource: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for Permission { action, resource } in grant.permissions.keys() {
        by_resource.entry(resource).or_default().insert(action);
    }
    let mut by_actions: BTreeMap<BTreeSet<&str>, Vec<&str>> = BTreeMap::new();
    for (resource, actions) in by_resource {
        by_actions.entry(actions).or_default().push(resource);
    }
    let mut documents: Vec<Document> = Vec::new();
    let mut open: Vec<Statement> = Vec::new();
    for (actions, resources) in by_actions {
        let mut kept: Vec<&str> = Vec::new();
        for resource in resources {
            kept.push(resource);
            let with = [&*open, &[statement(&actions, &kept)]].concat();
            if kept.len() + open.len() > 1 && Document::of(with).compact().len() > RAM_POLICY {
                kept.pop();
                if !kept.is_empty() {
                    open.push(statement(&actions, &kept));
                }
                documents.push(Document::of(std::mem::take(&mut open)));
                kept = vec![resource];
            }
        }
        open.push(statement(&actions, &kept));
    }
    if !open.is_empty() {
        documents.push(Document::of(open));
    }
    documents
}

fn statement(actions: &BTreeSet<&str>, resources: &[&str]) -> Statement {
    let own = |texts: &[&str]| OneOrMany::of(texts.iter().map(|text| (*text).to_owned()).collect());
    let actions: Vec<&str> = actions.iter().copied().collect();
    Statement {
        effect: "Allow",
        action: own(&actions),
        resource: Some(own(resources)),
        principal: None,
        condition: None,
    }
}

/// `None` where who may assume it is not for manifests to say.
pub(crate) fn trust_policy(grant: &Grant, given: &Given) -> Option<Document> {
    let role = grant.role.as_ref().filter(|_| grant.trust_is_known())?;
    let mut statements = Vec::new();
    let trusting = |principal, condition| Statement {
        effect: "Allow",
        action: OneOrMany::One("sts:AssumeRole".to_owned()),
        resource: None,
        principal: Some(principal),
        condition,
    };
    if !grant.subjects.is_empty() {
        let claims = Claims {
            issuer: given.issuer.clone().unwrap_or_else(|| ISSUER.to_owned()),
            audience: STS_AUDIENCE,
            subject: OneOrMany::of(grant.subjects.keys().cloned().collect()),
        };
        let principal = Principal::Federated([provider(role, given)]);
        statements.push(trusting(principal, Some(Condition { string_equals: claims })));
    }
    if !grant.principals.is_empty() {
        let principals = grant.principals.iter().cloned().collect();
        statements.push(trusting(Principal::Ram(principals), None));
    }
    Some(Document::of(statements))
}

/// The one that ACK registers for a cluster, in the account of the role.
pub(crate) fn provider(role: &Role, given: &Given) -> String {
    if let Some(provider) = &given.provider {
        return provider.clone();
    }
    let account = given.assumed.account.as_deref().or(role.account()).unwrap_or(ACCOUNT);
    let cluster = given.cluster.as_deref().unwrap_or(CLUSTER);
    format!("acs:ram::{account}:oidc-provider/ack-rrsa-{cluster}")
}
