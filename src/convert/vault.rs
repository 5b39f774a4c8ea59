//! The Vault provider's SecretProviderClasses, and OpenBao's, which have the same form.

use super::{
    azure::text,
    class::{Entry, Parameter},
    ledger::Ledger,
    parts::{Parts, each_item, field},
    template,
    write::Tree,
};
use crate::yaml::{self, Node};

pub(super) fn read<'a>(given: &'a [yaml::Entry], parts: &mut Parts<'a>, ledger: &mut Ledger) {
    for entry in given {
        let node = &entry.value;
        match &*entry.key {
            "objects" => {
                each_item(node, ledger, |item, ledger| object(item, parts, ledger));
            }
            "roleName" | "role" => {
                let why = "is a role of Vault; the identity is a RAM role here";
                ledger.by_hand(node, why, "give the role of the list what this role may read");
            }
            "vaultAddress"
            | "vaultNamespace"
            | "vaultSkipTLSVerify"
            | "vaultCACertPath"
            | "vaultCACertDirectory"
            | "vaultTLSServerName"
            | "vaultTLSClientCertPath"
            | "vaultTLSClientKeyPath"
            | "vaultAuthMountPath"
            | "vaultKubernetesMountPath"
            | "audience" => ledger.not_needed(node, "Alibaba Cloud's hosts need none of it"),
            _ => {}
        }
    }
    directories(parts);
}

/// Slashes in a file's name make directories there.
pub(super) fn directories(parts: &mut Parts<'_>) {
    let slash = |entry: &Entry<'_>| entry.file.as_ref().is_some_and(|file| file.contains('/'));
    if parts.entries.iter().any(slash) {
        let value = "False".to_owned();
        parts.parameters.push(Parameter { name: "pathTranslation", value, node: None });
    }
}

fn object<'a>(item: &'a Node, parts: &mut Parts<'a>, ledger: &mut Ledger) {
    const MOUNTS: [&str; 4] = ["secret/data/", "secret/", "kv/data/", "kv/"];
    let Some(path) = item.get("secretPath") else {
        return ledger.by_hand(item, "has no secretPath", "write objectName");
    };
    let given = path.text().unwrap_or_default().trim_start_matches('/');
    let name = MOUNTS.iter().find_map(|mount| given.strip_prefix(mount)).unwrap_or(given);
    ledger.changed(path, "objectName", name);
    let file = field(item, "objectName", "objectAlias", ledger).map(|(_, tree)| text(&tree));
    let mut shape = Vec::new();
    shape.extend(field(item, "filePermission", "filePermission", ledger));
    shape.extend(field(item, "encoding", "objectEncoding", ledger));
    let mut part = None;
    for entry in item.entries().unwrap_or_default() {
        let node = &entry.value;
        match (&*entry.key, node.text()) {
            ("secretKey", Some(key)) => {
                let exact = template::property(key).unwrap_or_else(|| quoted_key(key));
                match exact == key {
                    true => ledger.carried(node, "jmesPath path"),
                    false => ledger.changed(node, "jmesPath path", exact.clone()),
                }
                part = Some(exact);
            }
            ("method", Some(method)) if method.eq_ignore_ascii_case("get") => {
                ledger.not_needed(node, "secrets are read");
            }
            ("method" | "secretArgs", _) => {
                let todo = "keep in KMS what it makes, or leave the object with Vault";
                return ledger.by_hand(item, "has Vault make a secret; KMS stores them", todo);
            }
            _ => {}
        }
    }
    if part.is_none() {
        ledger.note(
            "an object without secretKey is Vault's whole answer as JSON; here the file is the secret's value",
            "see whether the program reads it",
        );
    }
    let object = vec![("objectName", Tree::Text(name.to_owned()))];
    parts.entries.push(Entry { node: item, object, path: part, file, shape, keys: vec![] });
}

/// One key, whatever it holds.
pub(super) fn quoted_key(key: &str) -> String {
    serde_json::to_string(key).unwrap_or_default()
}
