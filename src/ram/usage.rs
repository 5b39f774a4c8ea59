//! Usage: which reads an audit record tells of, beside those that manifests ask for.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::grants::{Given, Permission, account_of};
use crate::{
    names::Glob,
    preview::{Mount, NAMESPACE, Preview, calls::reads, role::Role},
};

/// Reads of a record, those that are alike together.
#[derive(Default)]
pub(crate) struct Usage {
    pub(crate) lines: u64,
    /// Lines that are none of an audit record.
    pub(crate) foreign: u64,
    pub(crate) first: String,
    pub(crate) last: String,
    reads: BTreeMap<Read, Times>,
}

/// Who read what. As the record has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Read {
    pub(crate) role: String,
    pub(crate) namespace: String,
    pub(crate) service_account: String,
    pub(crate) resource: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) count: u64,
    pub(crate) first: String,
    pub(crate) last: String,
}

/// Of a line, what counts here.
#[derive(Deserialize)]
struct Line {
    event: String,
    time: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    service_account: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    outcome: String,
}

impl Usage {
    pub(crate) fn add(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        self.lines += 1;
        let Ok(line) = serde_json::from_str::<Line>(line) else {
            self.foreign += 1;
            return;
        };
        // Times have always as many digits, so that they sort as texts.
        let earlier = |one: &String| one.is_empty() || line.time < *one;
        if earlier(&self.first) {
            self.first.clone_from(&line.time);
        }
        if line.time > self.last {
            self.last.clone_from(&line.time);
        }
        // That there is no such secret, only those hear who may read it.
        if line.event != "read" || !matches!(&*line.outcome, "OK" | "MISSING") {
            return;
        }
        let Line { role, namespace, service_account, resource, time, .. } = line;
        let read = Read { role, namespace, service_account, resource };
        let times = self.reads.entry(read).or_default();
        times.count += 1;
        if times.first.is_empty() || time < times.first {
            times.first.clone_from(&time);
        }
        if time > times.last {
            times.last = time;
        }
    }
}

/// What record and manifests have that the other does not.
pub(crate) struct Judged {
    /// Asked for, and not read: the role or identity, the resource, and what asks for it.
    pub(crate) unread: BTreeMap<(String, String), BTreeSet<String>>,
    /// Read, and not asked for.
    pub(crate) unexplained: Vec<(Read, Times)>,
    /// How many of what is asked for were read.
    pub(crate) read: usize,
}

/// A read that manifests ask for. A text is empty where it is not known.
struct Asked {
    title: String,
    role: String,
    namespace: String,
    service_account: String,
    resource: String,
    why: String,
}

pub(crate) fn judge(usage: &Usage, preview: &Preview, given: &Given) -> Judged {
    let mut asked: BTreeMap<String, Vec<Asked>> = BTreeMap::new();
    for one in preview.mounts.iter().flat_map(|mount| self::asked(mount, given)) {
        asked.entry(one.service_account.clone()).or_default().push(one);
    }
    let key = |one: &Asked| (one.title.clone(), one.resource.clone());
    let mut all: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for one in asked.values().flatten() {
        all.entry(key(one)).or_default().insert(one.why.clone());
    }
    let mut read = BTreeSet::new();
    let mut unexplained = Vec::new();
    for (found, times) in &usage.reads {
        let of = asked.get(&found.service_account).into_iter().flatten();
        let explaining: Vec<_> = of.filter(|one| one.explains(found)).map(key).collect();
        if explaining.is_empty() {
            unexplained.push((found.clone(), times.clone()));
        }
        read.extend(explaining);
    }
    all.retain(|key, _| !read.contains(key));
    Judged { unread: all, unexplained, read: read.len() }
}

fn asked<'a>(mount: &'a Mount, given: &'a Given) -> impl Iterator<Item = Asked> + 'a {
    reads(mount).into_iter().map(move |read| {
        let other = read.cross_account_role.as_ref().map(Role::of);
        let role = other.as_ref().or(mount.role.as_ref());
        let known = role.filter(|role| role.placeholders().next().is_none());
        let namespace = if mount.namespace == NAMESPACE { "" } else { &*mount.namespace };
        Asked {
            title: role.map_or_else(|| mount.decision.mode.name().to_owned(), Role::arn),
            role: known.map_or_else(String::new, Role::arn),
            namespace: namespace.to_owned(),
            service_account: mount.service_account.clone(),
            resource: read.resource(account_of(mount, read, given).unwrap_or("*")),
            why: format!("SecretProviderClass {} for {}", mount.class, mount.title()),
        }
    })
}

impl Asked {
    fn explains(&self, read: &Read) -> bool {
        let same = |mine: &str, theirs: &str| mine.is_empty() || mine == theirs;
        same(&self.namespace, &read.namespace)
            && (read.role.is_empty() || same(&self.role, &read.role))
            && (Glob::new(&self.resource).matches(&read.resource)
                || Glob::new(&read.resource).matches(&self.resource))
    }
}

impl Usage {
    /// Permissions that its reads used, of one role, or of all.
    pub(crate) fn permissions(&self, role: &str) -> BTreeSet<Permission> {
        let of = self.reads.keys().filter(|read| read.role == role || read.role.is_empty());
        let used = of.flat_map(|read| {
            let actions: &[&str] = match read.resource.starts_with("acs:oos:") {
                true => &["oos:GetSecretParameter", "oos:GetSecretParameters"],
                false => &["kms:GetSecretValue"],
            };
            let resource = &read.resource;
            let permission = |action: &&str| Permission {
                action: (*action).to_owned(),
                resource: resource.clone(),
            };
            let own = actions.iter().map(permission);
            // The KMS secret that has a parameter's value.
            let value = resource.strip_prefix("acs:oos:").map(|rest| Permission {
                action: "kms:GetSecretValue".to_owned(),
                resource: format!("acs:kms:{}", rest.replace(":secretparameter/", ":secret/")),
            });
            own.chain(value).collect::<Vec<_>>()
        });
        used.collect()
    }
}
