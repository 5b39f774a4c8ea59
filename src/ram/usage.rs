//! Usage: which reads an audit record tells of, beside those that manifests ask for.

use std::collections::{BTreeMap, BTreeSet};

use super::grants::{Given, Permission, account_of};
use crate::{
    names::Glob,
    preview::{Mount, NAMESPACE, Preview, calls::reads, role::Role},
    records::{Broken, Record},
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

impl Usage {
    pub(crate) fn add(&mut self, line: &Result<Record<'_>, Broken>) {
        self.lines += 1;
        let Ok(record) = line else {
            self.foreign += 1;
            return;
        };
        // Times have always as many digits, so that they sort as texts.
        let time = &*record.time;
        if self.first.is_empty() || time < &*self.first {
            time.clone_into(&mut self.first);
        }
        if time > &*self.last {
            time.clone_into(&mut self.last);
        }
        self.count(record);
    }

    /// Takes note of a read, as far as it used a permission.
    pub(crate) fn count(&mut self, record: &Record<'_>) {
        if !record.is_granted() {
            return;
        }
        let time = &*record.time;
        let own = |text: &str| text.to_owned();
        let (role, namespace) = (own(&record.role), own(&record.namespace));
        let (service_account, resource) = (own(&record.service_account), own(&record.resource));
        let read = Read { role, namespace, service_account, resource };
        let times = self.reads.entry(read).or_default();
        times.count += 1;
        if times.first.is_empty() || time < &*times.first {
            time.clone_into(&mut times.first);
        }
        if time > &*times.last {
            time.clone_into(&mut times.last);
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
    /// Permissions that its reads used, of the roles that count; reads without a role always do.
    pub(crate) fn permissions(&self, counts: impl Fn(&str) -> bool) -> BTreeSet<Permission> {
        let of = self.reads.keys().filter(|read| read.role.is_empty() || counts(&read.role));
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
