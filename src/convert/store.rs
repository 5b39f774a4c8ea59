//! Store: where ack-secret-manager and the External Secrets Operator have region and identity. It becomes
//! parameters and annotations of those that use it.

use super::ledger::Ledger;
use crate::{names::RoleArn, yaml::Node};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Ack,
    Eso,
}

/// How a store proves itself.
#[derive(Clone, Copy, Default)]
pub(super) struct Auth<'a> {
    pub(super) region: Option<&'a Node>,
    pub(super) role: Option<&'a Node>,
    pub(super) remote: Option<&'a Node>,
    /// A ServiceAccount's name, and its namespace if one is given.
    pub(super) account: Option<(&'a str, Option<&'a str>)>,
    /// Whether something that was written is read by it.
    pub(super) used: bool,
    /// Whether its ServiceAccount is in the output.
    pub(super) named: bool,
}

pub(super) struct Store<'a> {
    pub(super) family: Family,
    pub(super) cluster: bool,
    pub(super) namespace: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) kms: Auth<'a>,
    pub(super) oos: Auth<'a>,
    /// Whose store it is, if not Alibaba Cloud's.
    pub(super) foreign: Option<&'a str>,
    pub(super) document: usize,
}

/// How an external secret names its store.
#[derive(Clone, Copy)]
pub(super) struct Reference<'a> {
    pub(super) node: &'a Node,
    pub(super) cluster: bool,
    pub(super) namespace: Option<&'a str>,
    pub(super) name: &'a str,
}

const UNUSED: &str = "no external secret that was converted uses this";
const GIVE_BOTH: &str = "give both in one run, or remove it";

pub(super) fn texts<'a>(node: Option<&'a Node>, path: &[&str]) -> Option<&'a str> {
    let found = path.iter().try_fold(node?, |node, key| node.get(key))?;
    found.text().filter(|text| !text.is_empty())
}

impl<'a> Store<'a> {
    pub(super) fn read(family: Family, root: &'a Node, document: usize) -> Option<Self> {
        let cluster = root.get("kind")?.text()? == "ClusterSecretStore";
        let spec = root.get("spec");
        let (kms, oos, foreign) = match family {
            Family::Ack => {
                let of = |service: &str, auth: &str| {
                    let auth = spec.and_then(|spec| spec.get(service)?.get(auth));
                    auth.map_or(Auth::default(), Auth::of_ack)
                };
                (of("KMS", "KMSAuth"), of("OOS", "OOSAuth"), None)
            }
            Family::Eso => {
                let provider = spec.and_then(|spec| spec.get("provider"));
                let alibaba = provider.and_then(|provider| provider.get("alibaba"));
                let other = provider.and_then(Node::entries).and_then(<[_]>::first);
                let foreign = other.filter(|_| alibaba.is_none()).map(|entry| &*entry.key);
                let role = alibaba.and_then(|own| own.get("auth")?.get("rrsa")?.get("roleArn"));
                let region = alibaba.and_then(|own| own.get("regionID"));
                let auth = Auth { region, role: self::role(role), ..Auth::default() };
                (auth, auth, foreign)
            }
        };
        let name = texts(Some(root), &["metadata", "name"])?;
        let namespace = texts(Some(root), &["metadata", "namespace"]).filter(|_| !cluster);
        Some(Self { family, cluster, namespace, name, kms, oos, foreign, document })
    }

    /// What became of its fields.
    pub(super) fn mark(&self, root: &Node, ledger: &mut Ledger) {
        if let Some(whose) = self.foreign {
            let why = format!("its provider is {whose}: its secrets are not in Alibaba Cloud");
            return ledger.by_hand(root, why, "leave it, or move its secrets to KMS first");
        }
        let Some(spec) = root.get("spec") else { return };
        match self.family {
            Family::Ack => {
                let both = [("KMS", "KMSAuth", self.kms), ("OOS", "OOSAuth", self.oos)];
                for (service, auth, known) in both {
                    if let Some(auth) = spec.get(service).and_then(|service| service.get(auth)) {
                        known.mark(auth, ledger);
                    }
                }
            }
            Family::Eso => {
                if let Some(alibaba) = spec.get("provider").and_then(|own| own.get("alibaba")) {
                    if let Some(region) = alibaba.get("regionID") {
                        ledger.carried(region, "parameter region");
                    }
                    let auth = alibaba.get("auth");
                    if let Some(rrsa) = auth.and_then(|auth| auth.get("rrsa")) {
                        self.kms.mark(rrsa, ledger);
                    }
                    if let Some(secret) = auth.and_then(|auth| auth.get("secretRef")) {
                        access_key(secret, ledger);
                    }
                }
                for (key, todo) in [
                    ("retrySettings", "the provider asks again by itself, within a mount's time"),
                    ("refreshInterval", "a store is not validated here; mounts are"),
                    ("controller", "there is one provider on each node"),
                ] {
                    if let Some(node) = spec.get(key) {
                        ledger.not_needed(node, todo);
                    }
                }
            }
        }
        if let Some(conditions) = spec.get("conditions") {
            ledger.by_hand(
                conditions,
                "which namespaces may use it: here that is what a role's trust policy says",
                "name in the role's trust policy the ServiceAccounts of these namespaces alone",
            );
        }
        if !self.kms.used && !self.oos.used {
            ledger.refused(root, UNUSED, GIVE_BOTH);
        }
    }
}

impl Auth<'_> {
    fn mark(&self, auth: &Node, ledger: &mut Ledger) {
        for entry in auth.entries().unwrap_or_default() {
            let node = &entry.value;
            match &*entry.key {
                "accessKey" | "accessKeySecret" => access_key(node, ledger),
                "ramRoleARN" | "roleArn" if role(Some(node)).is_none() => {
                    let why = format!("is no role's ARN, which is {}", RoleArn::FORM);
                    ledger.by_hand(node, why, "correct it and convert again");
                }
                "ramRoleARN" | "roleArn" => {
                    ledger.carried(node, "annotation of the ServiceAccount, or the list of roles");
                }
                "remoteRamRoleARN" => ledger.carried(node, "crossAccountRoleArn of its objects"),
                "oidcProviderARN" | "oidcProviderArn" => ledger.by_hand(
                    node,
                    "the OIDC provider is the operator's setting here",
                    "set oidcProviderArn, or rrsa.accountId and rrsa.clusterId, in the chart's values",
                ),
                "oidcTokenFilePath" => {
                    ledger.not_needed(node, "the token is the pod's own, sent by kubelet");
                }
                "ramRoleSessionName" | "remoteRamRoleSessionName" | "sessionName" => {
                    ledger.not_needed(node, "the session is named after pod and ServiceAccount");
                }
                "roleSessionExpiration" => ledger
                    .not_needed(node, "sessions are renewed; how long one is, the operator sets"),
                "serviceAccountRef" => {
                    match node.get("name") {
                        Some(name) if self.named => ledger.carried(name, "serviceAccountName"),
                        Some(name) => ledger.not_needed(name, "it is the pods' own, or another's"),
                        None => {}
                    }
                    if let Some(namespace) = node.get("namespace") {
                        ledger.by_hand(
                            namespace,
                            "a ServiceAccount serves its own namespace alone",
                            "see that one of this name, with the role, is in each namespace of an external \
                             secret that uses it",
                        );
                    }
                    for audience in node.get("audiences").and_then(Node::items).unwrap_or_default() {
                        match audience.text() == Some("sts.aliyuncs.com") {
                            true => ledger.not_needed(audience, "tokens have this audience here"),
                            false => ledger.by_hand(
                                audience,
                                "tokens have the audience sts.aliyuncs.com here",
                                "add that to the OIDC provider's client ids in RAM",
                            ),
                        }
                    }
                }
                _ => {}
            }
        }
        if !self.used {
            ledger.refused(auth, UNUSED, GIVE_BOTH);
        }
    }
}

fn access_key(node: &Node, ledger: &mut Ledger) {
    ledger.by_hand(
        node,
        "an access key of a Secret: here each ServiceAccount has a RAM role",
        "make the role of the list and remove the Secret; or see identity node-publish-secret",
    );
}

/// A role that can be written.
fn role(node: Option<&Node>) -> Option<&Node> {
    node.filter(|node| node.text().is_some_and(|text| RoleArn::parse(text).is_some()))
}

fn given(node: Option<&Node>) -> Option<&Node> {
    node.filter(|node| node.text().is_some_and(|text| !text.is_empty()))
}

impl<'a> Auth<'a> {
    fn of_ack(auth: &'a Node) -> Self {
        let reference = auth.get("serviceAccountRef");
        let namespace = texts(reference, &["namespace"]);
        Self {
            region: None,
            role: role(auth.get("ramRoleARN")),
            remote: given(auth.get("remoteRamRoleARN")),
            account: texts(reference, &["name"]).map(|name| (name, namespace)),
            ..Self::default()
        }
    }

    /// Whether one mount can read for both: a mount has one identity and one region.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let text = |node: Option<&'a Node>| node.and_then(Node::text);
        text(self.region) == text(other.region)
            && text(self.role) == text(other.role)
            && self.account.map(|(name, _)| name) == other.account.map(|(name, _)| name)
    }
}
