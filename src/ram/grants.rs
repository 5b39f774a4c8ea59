//! Grants: which role needs which permissions, for whom, and whom it has to trust.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    api::Api,
    endpoint::{Trust, regional},
    names::account,
    preview::{
        Assumed, Mount, NAMESPACE, Preview,
        calls::{calls, reads},
        role::{ACCOUNT, Role},
    },
    spc::{mode::Mode, read::Read},
};

/// What stands for a key's id that nobody gave.
pub(crate) const KEY: &str = "KEY_ID";

/// What the operator says beside it.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) assumed: Assumed,
    /// ARNs of keys that values are encrypted with, where these are the customer's own.
    pub(crate) keys: Vec<String>,
    /// The OIDC provider's ARN.
    pub(crate) provider: Option<String>,
    pub(crate) cluster: Option<String>,
    pub(crate) issuer: Option<String>,
}

/// One permission: what, and on what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Permission {
    pub(crate) action: String,
    pub(crate) resource: String,
}

/// All that one role, or one owner of an access key, needs.
pub(crate) struct Grant {
    /// `None` for identities that are no role.
    pub(crate) role: Option<Role>,
    pub(crate) modes: BTreeSet<Mode>,
    /// Each with what needs it.
    pub(crate) permissions: BTreeMap<Permission, BTreeSet<String>>,
    /// Pods that it has to trust, as their tokens name them, each with what uses it.
    pub(crate) subjects: BTreeMap<String, BTreeSet<String>>,
    /// Whom else, by ARN: roles that assume it from another account.
    pub(crate) principals: BTreeSet<String>,
}

impl Grant {
    /// Its ARN, or what its identity is.
    pub(crate) fn title(&self) -> String {
        match (&self.role, self.modes.first()) {
            (Some(role), _) => role.arn(),
            (None, Some(mode)) => mode.facts().owner.to_owned(),
            (None, None) => String::new(),
        }
    }

    /// What the names of its policies begin with.
    pub(crate) fn name(&self) -> String {
        let name = match (&self.role, self.modes.first()) {
            (Some(role), _) => role.name(),
            (None, Some(mode)) => mode.name(),
            (None, None) => "",
        };
        // RAM allows letters, digits and hyphens.
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
    }

    /// Whether its trust policy is for pods and roles alone, so that all of it is known here.
    pub(crate) fn trust_is_known(&self) -> bool {
        self.role.is_some()
            && self.modes.iter().all(|mode| *mode == Mode::Pod)
            && !(self.subjects.is_empty() && self.principals.is_empty())
    }
}

/// By the title of who needs them.
pub(crate) fn grants(preview: &Preview, given: &Given) -> BTreeMap<String, Grant> {
    let mut grants = BTreeMap::new();
    for mount in &preview.mounts {
        let own = grant(&mut grants, mount.role.clone(), mount.decision.mode);
        if mount.decision.mode == Mode::Pod {
            own.subjects.entry(mount.subject()).or_default().insert(mount.title());
        }
        for need in needs(mount, given) {
            let grant = match &need.role {
                None => grant(&mut grants, mount.role.clone(), mount.decision.mode),
                // Pods do not log in to it.
                Some(role) => grant(&mut grants, Some(role.clone()), Mode::Pod),
            };
            if need.role.is_some() {
                grant.principals.insert(principal(mount, given));
            }
            grant.permissions.entry(need.permission).or_default().insert(need.why);
        }
    }
    grants
}

fn grant(grants: &mut BTreeMap<String, Grant>, role: Option<Role>, mode: Mode) -> &mut Grant {
    let title = role.as_ref().map_or_else(|| mode.facts().owner.to_owned(), Role::arn);
    let grant = grants.entry(title).or_insert_with(|| Grant {
        role,
        modes: BTreeSet::new(),
        permissions: BTreeMap::new(),
        subjects: BTreeMap::new(),
        principals: BTreeSet::new(),
    });
    grant.modes.insert(mode);
    grant
}

/// Whom a role of another account has to trust, so that this mount can assume it.
fn principal(mount: &Mount, given: &Given) -> String {
    match &mount.role {
        Some(role) => role.arn(),
        // Which user or role that is, its account knows.
        None => {
            format!("acs:ram::{}:root", given.assumed.account.as_deref().unwrap_or(ACCOUNT))
        }
    }
}

/// A permission that a mount needs.
pub(crate) struct Need {
    pub(crate) permission: Permission,
    /// Of another account, where the object names one; `None` is the mount's own.
    pub(crate) role: Option<Role>,
    /// The object and the class.
    pub(crate) why: String,
}

pub(crate) fn needs(mount: &Mount, given: &Given) -> Vec<Need> {
    let class = match mount.namespace == NAMESPACE {
        true => mount.class.clone(),
        false => format!("{}/{}", mount.namespace, mount.class),
    };
    let mut needs = Vec::new();
    for read in reads(mount) {
        let facts = read.source.facts();
        let why = format!("{} of SecretProviderClass {class}", facts.name());
        let role = read.cross_account_role.as_ref().map(Role::of);
        let of = account_of(mount, read, given).unwrap_or("*");
        let resources = read.resources(facts.name(), of);
        let mut push = |action: &str, resource: String, role: Option<Role>| {
            let permission = Permission { action: action.to_owned(), resource };
            needs.push(Need { permission, role, why: why.clone() });
        };
        for (action, resource) in facts.actions().iter().zip(&resources) {
            push(action, resource.clone(), role.clone());
        }
        for key in keys(read, &resources, given) {
            push("kms:Decrypt", key, role.clone());
        }
        if let Some(other) = &read.cross_account_role {
            push("sts:AssumeRole", other.to_string(), None);
        }
    }
    for call in calls(mount, &given.assumed) {
        let together = call.api.is_some_and(Api::is_batch);
        for read in call.reads.iter().filter(|_| together) {
            let facts = read.source.facts();
            let Some(action) = facts.batch().and_then(|batch| batch.action) else { continue };
            let resource = read.resource(account_of(mount, read, given).unwrap_or("*"));
            needs.push(Need {
                permission: Permission { action: action.to_owned(), resource },
                role: read.cross_account_role.as_ref().map(Role::of),
                why: format!("{} of SecretProviderClass {class}", facts.name()),
            });
        }
    }
    needs
}

/// Whose secret it is: the account of who reads it, as the cloud takes it.
pub(crate) fn account_of<'a>(
    mount: &'a Mount,
    read: &'a Read,
    given: &'a Given,
) -> Option<&'a str> {
    match &read.cross_account_role {
        Some(role) => account(role.as_str()),
        None => mount.role.as_ref().and_then(Role::account).or(given.assumed.account.as_deref()),
    }
}

/// Keys that have to be allowed beside a secret: those given for its region and account, and a placeholder
/// for what is in a KMS instance, which always has a key of the customer's.
fn keys(read: &Read, resources: &[String], given: &Given) -> Vec<String> {
    let Some(resource) = resources.iter().find(|arn| arn.starts_with("acs:kms:")) else {
        return vec![];
    };
    let place = |arn: &str| {
        let mut parts = arn.splitn(5, ':').skip(2).map(str::to_owned);
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    };
    let (region, account) = place(resource);
    let same = |one: &str, other: &str| one == "*" || one == other;
    let fits = |key: &&String| {
        let (of_key, of_account) = place(key);
        same(&region, &of_key) && same(&account, &of_account)
    };
    let fitting: Vec<String> = given.keys.iter().filter(fits).cloned().collect();
    let instance = read.endpoint.trust() == Trust::KmsInstance;
    match fitting.is_empty() && instance && regional(read.endpoint.host()).is_none() {
        true => vec![format!("acs:kms:{region}:{account}:key/{KEY}")],
        false => fitting,
    }
}
