//! Explanation: what each pod of manifests would get, and how: files, identity, role, calls, permissions, how
//! fresh, and what an outage would do.

pub(crate) mod json;
pub(crate) mod mermaid;
mod picture;
pub(crate) mod svg;
pub(crate) mod text;
mod times;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    freshness::Caching,
    policy::{ChosenBy, Share},
    preview::{Mount, Preview, calls::calls, role::Role},
    ram::grants::{Given, Permission, needs},
    spc::{
        mode::Mode,
        objects::{Encoding, Object},
    },
    text::shown,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    Mermaid,
    Svg,
}

impl Format {
    pub(crate) const ALL: [Self; 4] = [Self::Text, Self::Json, Self::Mermaid, Self::Svg];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Mermaid => "mermaid",
            Self::Svg => "svg",
        }
    }
}

/// Of one volume of a workload, or of one SecretSync.
#[derive(Serialize)]
pub(crate) struct Explanation {
    /// `Deployment shop/checkout`; empty where a ServiceAccount alone is assumed to use the class.
    pub(crate) user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) volume: Option<String>,
    pub(crate) namespace: String,
    pub(crate) service_account: String,
    pub(crate) secret_provider_class: String,
    pub(crate) identity: Identity,
    pub(crate) files: Vec<File>,
    pub(crate) calls: Vec<Call>,
    pub(crate) permissions: Vec<Needed>,
    /// Sentences: how fresh values are, and what an outage would do.
    pub(crate) freshness: Vec<String>,
    pub(crate) outage: Vec<String>,
}

#[derive(Serialize)]
pub(crate) struct Identity {
    pub(crate) mode: &'static str,
    pub(crate) chosen_by: &'static str,
    pub(crate) why: &'static str,
    /// The role's ARN; `None` for keys and the instance's role.
    pub(crate) role: Option<String>,
    /// By what the role is named, or why it is not known; or whose permissions are used.
    pub(crate) role_from: String,
    pub(crate) session: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) mode: String,
    pub(crate) from: String,
    /// Which host of the cloud has it.
    pub(crate) host: String,
    /// The role of another account that it is read with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    pub(crate) object_type: &'static str,
    /// The part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jmes_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    pub(crate) optional: bool,
}

#[derive(Serialize)]
pub(crate) struct Call {
    pub(crate) operation: &'static str,
    pub(crate) host: String,
    /// Which role a login is for, or which of another account a read uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) objects: Vec<String>,
}

#[derive(Serialize)]
pub(crate) struct Needed {
    pub(crate) role: String,
    pub(crate) action: String,
    pub(crate) resource: String,
}

pub(crate) fn explain(preview: &Preview, given: &Given, caching: &Caching) -> Vec<Explanation> {
    preview.mounts.iter().map(|mount| one(mount, given, caching)).collect()
}

fn one(mount: &Mount, given: &Given, caching: &Caching) -> Explanation {
    let mode = mount.decision.mode;
    let chosen_by = mount.decision.chosen_by;
    let own = mount.role.as_ref().map_or_else(|| mode.facts().owner.to_owned(), Role::arn);
    let mut permissions: BTreeMap<(String, Permission), ()> = BTreeMap::new();
    for need in needs(mount, given) {
        let role = need.role.as_ref().map_or_else(|| own.clone(), Role::arn);
        permissions.insert((role, need.permission), ());
    }
    let needed = |(role, Permission { action, resource })| Needed { role, action, resource };
    Explanation {
        user: mount.user.clone(),
        volume: mount.volume.clone(),
        namespace: mount.namespace.clone(),
        service_account: mount.service_account.clone(),
        secret_provider_class: mount.class.clone(),
        identity: Identity {
            mode: mode.name(),
            chosen_by: chosen_by.name(),
            why: match chosen_by {
                ChosenBy::SecretProviderClass => "set in the SecretProviderClass",
                ChosenBy::OperatorDefault => "the operator's default",
                ChosenBy::Auto => "the first that the operator set up",
            },
            role: mount.role.as_ref().map(Role::arn),
            role_from: match &mount.role {
                Some(role) if role.is_named() => format!("by {}", role.why),
                Some(role) => format!("not known: {}", role.why),
                None => mode.facts().owner.to_owned(),
            },
            session: mount.session.clone(),
        },
        files: mount.spec.objects.iter().flat_map(files).collect(),
        calls: calls(mount, &given.assumed).iter().map(|call| made(call, mount)).collect(),
        permissions: permissions.into_keys().map(needed).collect(),
        freshness: times::freshness(mount, caching),
        outage: times::outage(mount, is_shared(mount, given), caching),
    }
}

fn files(object: &Object) -> Vec<File> {
    let facts = object.read.source.facts();
    let encoding = |encoding| match encoding {
        Encoding::Utf8 => None,
        Encoding::Base64 => Some("base64"),
        Encoding::Hex => Some("hex"),
    };
    let host = object.read.endpoint.host();
    let role = object.read.cross_account_role.as_ref().map(ToString::to_string);
    let whole = File {
        path: object.file.to_string(),
        mode: object.mode.to_string(),
        from: facts.name().to_owned(),
        host: host.to_owned(),
        role: role.clone(),
        object_type: facts.object_type(),
        jmes_path: None,
        encoding: encoding(object.encoding),
        version: facts.version(),
        optional: object.optional,
    };
    let parts = object.extracts.iter().map(|extract| File {
        path: extract.file.to_string(),
        mode: extract.mode.to_string(),
        from: facts.name().to_owned(),
        host: host.to_owned(),
        role: role.clone(),
        object_type: facts.object_type(),
        jmes_path: Some(shown(extract.path.as_str()).into_owned()),
        encoding: encoding(extract.encoding),
        version: facts.version(),
        optional: object.optional,
    });
    let parts: Vec<File> = parts.collect();
    std::iter::once(whole).chain(parts).collect()
}

fn made(call: &crate::preview::calls::Call<'_>, mount: &Mount) -> Call {
    let own = || mount.role.as_ref().filter(|_| call.reads.is_empty()).map(Role::arn);
    Call {
        operation: call.api.map_or("instance metadata", |api| api.name()),
        host: call.host.clone(),
        role: call.role.map(ToString::to_string).or_else(own),
        objects: call.reads.iter().map(|read| read.source.facts().name().to_owned()).collect(),
    }
}

/// Whether several pods have its session and its cached values.
fn is_shared(mount: &Mount, given: &Given) -> bool {
    match mount.decision.mode {
        Mode::Pod => given.assumed.settings.policy.share == Share::ServiceAccount,
        mode => mode.is_shared(),
    }
}
