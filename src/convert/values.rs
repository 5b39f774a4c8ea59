//! Values of the official provider's chart become values of this project's.

use super::{ledger::Ledger, store::texts, write::Tree};
use crate::yaml::{Entry, Node};

/// Keys at the top by which a file of values is known.
const TOP: [&str; 5] =
    ["secrets-store-csi-driver", "linux", "rrsa", "envVarsFromSecret", "logVerbosity"];

/// The same in both charts.
const LINUX: [&str; 12] = [
    "nodeSelector",
    "tolerations",
    "affinity",
    "resources",
    "podLabels",
    "podAnnotations",
    "priorityClassName",
    "healthzPort",
    "healthzPath",
    "volumes",
    "volumeMounts",
    "providersDir",
];

pub(super) const KNOWN: &[&str] = &[
    "imagePullSecrets",
    "logVerbosity",
    "regionId",
    "linux",
    "image",
    "nodeSelector",
    "tolerations",
    "enabled",
    "resources",
    "podLabels",
    "podAnnotations",
    "priorityClassName",
    "updateStrategy",
    "healthzPort",
    "healthzPath",
    "healthzTimeout",
    "volumes",
    "volumeMounts",
    "providersDir",
    "affinity",
    "kubeletRootDir",
    "envVarsFromSecret",
    "rrsa",
    "enable",
    "accountId",
    "clusterId",
    "rbac",
    "install",
    "nameOverride",
    "fullnameOverride",
];

/// Keys that ack-secret-manager's chart has beside some of these.
const OF_ACK: [&str; 4] = ["command", "crds", "env", "cleanupImage"];

pub(super) fn is_values(root: &Node) -> bool {
    has_any(root, &TOP) && !has_any(root, &OF_ACK)
}

pub(super) fn is_of_ack(root: &Node) -> bool {
    has_any(root, &["command", "crds"])
        && has_any(root, &["rrsa", "envVarsFromSecret", "cleanupImage"])
}

fn has_any(root: &Node, keys: &[&str]) -> bool {
    root.entries().unwrap_or_default().iter().any(|entry| keys.contains(&&*entry.key))
}

type Fields = Vec<(String, Tree)>;

pub(super) fn convert(root: &Node, ledger: &mut Ledger) -> Tree {
    let mut fields = Fields::new();
    for entry in root.entries().unwrap_or_default() {
        let node = &entry.value;
        match &*entry.key {
            "imagePullSecrets" | "nameOverride" | "fullnameOverride" => {
                same(entry, &mut fields, ledger);
            }
            "logVerbosity" => {
                let debug = node.text().and_then(|text| text.parse().ok()).is_some_and(|n: u32| n > 3);
                let level = if debug { "debug" } else { "info" };
                ledger.changed(node, "logLevel", level);
                fields.push(("logLevel".to_owned(), Tree::Text(level.to_owned())));
            }
            "regionId" if node.text().is_some_and(|text| !text.starts_with("__")) => {
                same(entry, &mut fields, ledger);
            }
            "regionId" => ledger.by_hand(
                node,
                "is a placeholder, which an ACK add-on fills",
                "write the cluster's region, such as cn-hangzhou",
            ),
            "linux" => linux(node, &mut fields, ledger),
            "rrsa" => rrsa(node, &mut fields, ledger),
            "rbac" => same(entry, &mut fields, ledger),
            "envVarsFromSecret" => variables(node, &mut fields, ledger),
            "secrets-store-csi-driver" => ledger.by_hand(
                node,
                "the driver is no part of this chart",
                "keep the driver: before the upgrade see that it is not removed with the official chart's release, \
                 and give these values to a release of the driver's own chart",
            ),
            _ => {}
        }
    }
    ledger.note(
        "the official provider tries one identity after another; here a pod has its own unless allowed otherwise",
        "see identity.allowed and identity.default",
    );
    Tree::Map(fields)
}

fn same(entry: &Entry, fields: &mut Fields, ledger: &mut Ledger) {
    ledger.carried_whole(&entry.value, entry.key.to_string());
    fields.push((entry.key.to_string(), Tree::of(&entry.value)));
}

fn linux(linux: &Node, fields: &mut Fields, ledger: &mut Ledger) {
    let mut inner = Fields::new();
    for entry in linux.entries().unwrap_or_default() {
        let node = &entry.value;
        match &*entry.key {
            name if LINUX.contains(&name) => same(entry, &mut inner, ledger),
            "image" => ledger.by_hand(
                node,
                "is the official provider's image, which has other flags",
                "write linux.image: where you pushed this project's",
            ),
            "enabled" if node.as_bool() == Some(true) => ledger.not_needed(node, "is what happens"),
            "enabled" => {
                ledger.by_hand(node, "there is nothing but Linux here", "do not install it")
            }
            "healthzTimeout" => ledger.not_needed(node, "a check that hangs fails by itself"),
            "kubeletRootDir" => ledger.not_needed(node, "the provider does not read it"),
            "updateStrategy" => inner.push(("updateStrategy".to_owned(), strategy(node, ledger))),
            _ => {}
        }
    }
    if !inner.is_empty() {
        fields.push(("linux".to_owned(), Tree::Map(inner)));
    }
}

/// Merged with this chart's own maxSurge, maxUnavailable alone would be refused.
fn strategy(node: &Node, ledger: &mut Ledger) -> Tree {
    ledger.carried_whole(node, "linux.updateStrategy");
    let mut tree = Tree::of(node);
    let rolling = node.get("rollingUpdate");
    let unavailable =
        texts(rolling, &["maxUnavailable"]).is_some_and(|text| text != "0" && text != "0%");
    if unavailable
        && rolling.is_some_and(|rolling| rolling.get("maxSurge").is_none())
        && let Tree::Map(fields) = &mut tree
        && let Some((_, Tree::Map(rolling))) =
            fields.iter_mut().find(|(key, _)| key == "rollingUpdate")
    {
        rolling.push(("maxSurge".to_owned(), Tree::Raw("0".to_owned())));
    }
    tree
}

fn rrsa(rrsa: &Node, fields: &mut Fields, ledger: &mut Ledger) {
    let mut inner = Fields::new();
    for entry in rrsa.entries().unwrap_or_default() {
        let node = &entry.value;
        match (&*entry.key, node.text()) {
            ("enable", _) => same(entry, &mut inner, ledger),
            ("accountId" | "clusterId", Some(text)) => {
                ledger.carried(node, format!("rrsa.{}", entry.key));
                inner.push((entry.key.to_string(), Tree::Text(text.to_owned())));
            }
            ("accountId" | "clusterId", None) => ledger.not_needed(node, "is empty"),
            _ => {}
        }
    }
    if !inner.is_empty() {
        fields.push(("rrsa".to_owned(), Tree::Map(inner)));
    }
}

fn variables(variables: &Node, fields: &mut Fields, ledger: &mut Ledger) {
    let mut inner = Fields::new();
    for entry in variables.entries().unwrap_or_default() {
        let name = &*entry.key;
        let known = matches!(name, "ACCESS_KEY_ID" | "SECRET_ACCESS_KEY")
            || name.starts_with("ALICLOUD_")
            || name.starts_with("ALIBABA_CLOUD_");
        match known {
            true => same(entry, &mut inner, ledger),
            false => {
                ledger.by_hand(&entry.value, "is a variable that nothing reads here", "remove it")
            }
        }
    }
    if !inner.is_empty() {
        fields.push(("envVarsFromSecret".to_owned(), Tree::Map(inner)));
    }
}
