//! The Azure provider's SecretProviderClasses.

use super::{
    class::{Entry, Parameter},
    ledger::Ledger,
    parts::{Parts, each_item, field},
    write::Tree,
};
use crate::yaml;

const VAULT: &str = "secrets are found by name and region here";

pub(super) fn read<'a>(given: &'a [yaml::Entry], parts: &mut Parts<'a>, ledger: &mut Ledger) {
    for entry in given {
        let node = &entry.value;
        let is_true = node.text().is_some_and(|text| text.eq_ignore_ascii_case("true"));
        match &*entry.key {
            "objects" => {
                each_item(node, ledger, |item, ledger| object(item, parts, ledger));
            }
            "keyvaultName" | "cloudName" | "cloudEnvFileName" | "subscriptionId"
            | "resourceGroup" => {
                ledger.not_needed(node, VAULT);
            }
            "tenantId" | "tenantID" | "clientID" | "userAssignedIdentityID" => {
                let why = "the identity is a RAM role here";
                ledger.by_hand(node, why, "give the role of the list what this identity may read");
            }
            "useVMManagedIdentity" if is_true => {
                ledger.changed(node, "parameter identity", "ecs-role");
                parts.parameters.push(Parameter {
                    name: "identity",
                    value: "ecs-role".to_owned(),
                    node: Some(node),
                });
                ledger.note(
                    "identity ecs-role is the node's and every pod's",
                    "have the operator allow it (--allowed-identities), or better remove it: then it is the pod's",
                );
            }
            "usePodIdentity" | "useVMManagedIdentity" => ledger.not_needed(node, "is what happens"),
            _ => {}
        }
    }
}

fn object<'a>(item: &'a yaml::Node, parts: &mut Parts<'a>, ledger: &mut Ledger) {
    let kind = item.get("objectType");
    let is = |name: &str| {
        kind.and_then(yaml::Node::text).is_some_and(|kind| kind.eq_ignore_ascii_case(name))
    };
    if is("key") || is("cert") {
        let todo = "keep the certificate and its key as a secret in KMS, and mount that";
        return ledger.by_hand(item, "KMS does not hand out keys and certificates", todo);
    }
    if let Some(kind) = kind {
        ledger.changed(kind, "objectType", "kms, which an object is of");
    }
    let mut object = Vec::new();
    object.extend(field(item, "objectName", "objectName", ledger));
    let mut shape = Vec::new();
    shape.extend(field(item, "filePermission", "filePermission", ledger));
    shape.extend(field(item, "objectEncoding", "objectEncoding", ledger));
    let alias = field(item, "objectAlias", "objectAlias", ledger);
    for entry in item.entries().unwrap_or_default() {
        let node = &entry.value;
        let empty = node.text().is_none_or(str::is_empty);
        match &*entry.key {
            "objectVersion" if empty => ledger.not_needed(node, "is empty"),
            "objectVersion" => version(node, ledger),
            "objectVersionHistory" if matches!(node.text(), None | Some("" | "0" | "1")) => {
                ledger.not_needed(node, "is one version");
            }
            "objectVersionHistory" => ledger.by_hand(
                node,
                "older versions are not mounted beside the newest here",
                "name each in an object of its own, with objectVersion or objectVersionLabel",
            ),
            "objectFormat" => {
                ledger.by_hand(node, "nothing is converted here", "store it as it is needed")
            }
            _ => {}
        }
    }
    parts.entries.push(Entry {
        node: item,
        object,
        path: None,
        file: alias.map(|(_, tree)| text(&tree)),
        shape,
        keys: vec![],
    });
}

/// A version of another cloud.
pub(super) fn version(node: &yaml::Node, ledger: &mut Ledger) {
    ledger.by_hand(
        node,
        "is a version of the other cloud, which KMS does not have: the newest is mounted",
        "write objectVersion once the secret is in KMS, if it must not change",
    );
}

pub(super) fn text(tree: &Tree) -> String {
    match tree {
        Tree::Text(text) | Tree::Raw(text) => text.clone(),
        _ => String::new(),
    }
}
