//! Account: ServiceAccounts of what was converted, and the RAM role that each needs: who may assume it, and
//! what it has to be allowed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::write::Tree;
use crate::{
    names,
    role::{ROLE_ARN, ROLE_NAME},
    spc::Spec,
};

/// Stands for the account of a role that is not known yet.
const ACCOUNT: &str = "ACCOUNT";

/// `None` where no namespace is given.
pub(super) type Name = (Option<String>, String);

#[derive(Default)]
pub(super) struct Accounts {
    needed: BTreeMap<Name, Needs>,
}

#[derive(Default)]
struct Needs {
    /// The role that the source names.
    role: Option<String>,
    /// The class, where its pods are not known.
    of_pods: Option<String>,
    permissions: BTreeSet<(&'static str, String)>,
    assumes: BTreeSet<String>,
}

/// A RAM role that is needed.
#[derive(Debug)]
pub struct Role {
    /// Its ARN, or its name in the cluster's account.
    pub name: String,
    /// Who may assume it: `NAMESPACE/NAME` of each ServiceAccount, or in words.
    pub accounts: Vec<String>,
    /// Trust and permissions, as RAM takes them.
    pub trust: Value,
    pub permissions: Value,
}

impl Accounts {
    /// `role`: as the source names it; another that it is to have already is returned.
    pub(super) fn need(
        &mut self,
        name: Name,
        role: Option<&str>,
        spec: &Spec,
        region: &str,
    ) -> Result<(), String> {
        let needs = self.needed.entry(name).or_default();
        needs.add(spec, region);
        match (&needs.role, role) {
            (Some(first), Some(role)) if first != role => return Err(first.clone()),
            (None, Some(role)) => needs.role = Some(role.to_owned()),
            _ => {}
        }
        Ok(())
    }

    /// Of pods that are not among the manifests given.
    pub(super) fn need_of_pods(
        &mut self,
        class: &str,
        role: Option<&str>,
        spec: &Spec,
        region: &str,
    ) {
        let name = (None, format!("(pods of {class})"));
        let needs = self.needed.entry(name).or_default();
        needs.role = role.map(str::to_owned);
        needs.of_pods = Some(class.to_owned());
        needs.add(spec, region);
    }

    pub(super) fn role_of(&self, name: &Name) -> Option<&str> {
        self.needed.get(name)?.role.as_deref()
    }

    pub(super) fn is_needed(&self, name: &Name) -> bool {
        self.needed.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.needed.iter().filter(|(_, needs)| needs.of_pods.is_none()).map(|(name, _)| name)
    }

    /// The annotation that a ServiceAccount gets if it has none for its role.
    pub(super) fn annotation(&self, name: &Name) -> (String, String) {
        match self.needed.get(name).and_then(|needs| needs.role.clone()) {
            Some(role) => (ROLE_ARN.to_owned(), role),
            None => (ROLE_NAME.to_owned(), role_name(name)),
        }
    }

    /// `known`: the role that a ServiceAccount already has.
    pub(super) fn roles(&self, known: &BTreeMap<Name, String>) -> Vec<Role> {
        let mut roles: BTreeMap<String, (Vec<&Name>, Needs)> = BTreeMap::new();
        for (name, needs) in &self.needed {
            let role = known.get(name).or(needs.role.as_ref()).cloned();
            let (names, all) = roles.entry(role.unwrap_or_else(|| role_name(name))).or_default();
            names.push(name);
            all.of_pods = all.of_pods.take().or_else(|| needs.of_pods.clone());
            all.permissions.extend(needs.permissions.iter().cloned());
            all.assumes.extend(needs.assumes.iter().cloned());
        }
        let role = |(name, (accounts, needs)): (String, (Vec<&Name>, Needs))| {
            let trust = trust(&name, &accounts);
            let permissions = needs.policy(names::account(&name).unwrap_or("*"));
            let shown = |(namespace, name): &&Name| match namespace {
                _ if name.starts_with('(') => {
                    format!("the ServiceAccount of the {}", name.trim_matches(['(', ')']))
                }
                Some(namespace) => format!("{namespace}/{name}"),
                None => name.clone(),
            };
            Role { accounts: accounts.iter().map(shown).collect(), name, trust, permissions }
        };
        roles.into_iter().map(role).collect()
    }
}

impl Needs {
    fn add(&mut self, spec: &Spec, region: &str) {
        for object in spec.objects.iter() {
            if let Some(role) = &object.read.cross_account_role {
                self.assumes.insert(role.as_str().to_owned());
                continue;
            }
            let facts = object.read.source.facts();
            let resources = facts.resources(facts.name(), region, ACCOUNT);
            let actions = facts.actions();
            // Each action has its resource, in the same order.
            for (index, action) in actions.iter().enumerate() {
                let resource = resources.get(index).or(resources.first());
                let resource = resource.map(|resource| (*action, in_region(resource, region)));
                self.permissions.extend(resource);
            }
        }
    }

    fn policy(&self, account: &str) -> Value {
        let mut actions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (action, resource) in &self.permissions {
            let resource = resource.replacen(ACCOUNT, account, 1);
            actions.entry(action).or_default().insert(resource);
        }
        let allow = |action: &str, resources: Vec<String>| json!({ "Effect": "Allow", "Action": action, "Resource": resources });
        let mut statements: Vec<Value> = actions
            .into_iter()
            .map(|(action, resources)| allow(action, resources.into_iter().collect()))
            .collect();
        if !self.assumes.is_empty() {
            statements.push(allow("sts:AssumeRole", self.assumes.iter().cloned().collect()));
        }
        json!({ "Version": "1", "Statement": statements })
    }
}

/// Of what is not named by its ARN: the class's region, which may be the provider's.
fn in_region(resource: &str, region: &str) -> String {
    let mut parts: Vec<&str> = resource.splitn(5, ':').collect();
    if let [_, _, place, ACCOUNT, _] = parts.as_mut_slice() {
        *place = region;
    }
    parts.join(":")
}

fn trust(role: &str, accounts: &[&Name]) -> Value {
    let account = names::account(role).unwrap_or(ACCOUNT);
    let subject = |(namespace, name): &&Name| {
        let namespace = namespace.as_deref().unwrap_or("NAMESPACE");
        let name = if name.starts_with('(') { "NAME" } else { name };
        format!("system:serviceaccount:{namespace}:{name}")
    };
    let subjects: Vec<String> = accounts.iter().map(subject).collect();
    json!({
        "Version": "1",
        "Statement": [{
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {
                "Federated": [format!("acs:ram::{account}:oidc-provider/ack-rrsa-CLUSTER")]
            },
            "Condition": {
                "StringEquals": { "oidc:aud": "sts.aliyuncs.com", "oidc:sub": subjects }
            },
        }],
    })
}

/// A role of the cluster's account, for one ServiceAccount.
fn role_name((namespace, name): &Name) -> String {
    let joined = match namespace {
        Some(namespace) => format!("{namespace}-{name}"),
        None => name.clone(),
    };
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '-' };
    let plain: String = joined.chars().map(plain).take(64).collect();
    plain.trim_matches('-').to_owned()
}

/// A ServiceAccount that the input does not have.
pub(super) fn manifest(name: &Name, annotation: (String, String)) -> Tree {
    let mut metadata = vec![("name".to_owned(), Tree::Text(name.1.clone()))];
    metadata.extend(
        name.0.iter().map(|namespace| ("namespace".to_owned(), Tree::Text(namespace.clone()))),
    );
    metadata.push(("annotations".to_owned(), Tree::texts(&[annotation])));
    Tree::map([
        ("apiVersion", Tree::Text("v1".to_owned())),
        ("kind", Tree::Text("ServiceAccount".to_owned())),
        ("metadata", Tree::Map(metadata)),
    ])
}
