//! The Google Cloud provider's SecretProviderClasses.

use super::{
    class::{Entry, Parameter},
    ledger::Ledger,
    parts::{Parts, each_item},
    template,
    vault::{directories, quoted_key},
    write::Tree,
};
use crate::yaml::{self, Node};

pub(super) fn read<'a>(given: &'a [yaml::Entry], parts: &mut Parts<'a>, ledger: &mut Ledger) {
    for entry in given {
        let node = &entry.value;
        match &*entry.key {
            "secrets" => {
                each_item(node, ledger, |item, ledger| object(item, parts, ledger));
            }
            "auth" => {
                let identity = match node.text() {
                    Some("pod-adc") => "pod",
                    Some("provider-adc") => "provider",
                    Some("nodePublishSecret") => "node-publish-secret",
                    _ => {
                        ledger.by_hand(
                            node,
                            "is no kind of auth that is known here",
                            "see identity",
                        );
                        continue;
                    }
                };
                ledger.changed(node, "parameter identity", identity);
                let value = identity.to_owned();
                parts.parameters.push(Parameter { name: "identity", value, node: Some(node) });
                if identity != "pod" {
                    ledger.note(
                        format!("identity {identity} is not the pod's own"),
                        "have the operator allow it (--allowed-identities), or remove it: then it is the pod's",
                    );
                }
            }
            _ => {}
        }
    }
    directories(parts);
}

fn object<'a>(item: &'a Node, parts: &mut Parts<'a>, ledger: &mut Ledger) {
    let resource = item.get("resourceName");
    let text = resource.and_then(Node::text).unwrap_or_default();
    let Some((_, rest)) = text.split_once("/secrets/") else {
        let why = "is no secret of the form projects/PROJECT/secrets/NAME/versions/VERSION";
        return ledger.by_hand(item, why, "write objectName, and objectType: oos for a parameter");
    };
    let mut pieces = rest.split('/');
    let name = pieces.next().unwrap_or_default();
    let version = pieces.nth(1);
    if let Some(resource) = resource {
        ledger.changed(resource, "objectName", name);
    }
    if version.is_some_and(|version| version != "latest") {
        ledger.note(
            "an object names a version of Google Cloud, which KMS does not have: the newest is mounted",
            "write objectVersion once the secret is in KMS, if it must not change",
        );
    }
    let (mut file, mut part, mut shape) = (None, None, Vec::new());
    for entry in item.entries().unwrap_or_default() {
        let node = &entry.value;
        match (&*entry.key, node.text()) {
            ("fileName", _) if item.get("path").is_some() => {
                ledger.not_needed(node, "path is what counts");
            }
            ("path" | "fileName", Some(path)) => {
                ledger.carried(node, "objectAlias");
                file = Some(path.to_owned());
            }
            ("extractJSONKey" | "extractYAMLKey", Some(key)) if part.is_none() => {
                let exact = template::property(key).unwrap_or_else(|| quoted_key(key));
                match exact == key {
                    true => ledger.carried(node, "jmesPath path"),
                    false => ledger.changed(node, "jmesPath path", exact.clone()),
                }
                part = Some(exact);
            }
            ("mode", Some(mode)) => match octal(mode) {
                Some(octal) => {
                    match octal == mode {
                        true => ledger.carried(node, "filePermission"),
                        false => ledger.changed(node, "filePermission", octal.clone()),
                    }
                    shape.push(("filePermission", Tree::Text(octal)));
                }
                None => ledger.by_hand(
                    node,
                    "is no file mode",
                    "write filePermission, such as \"0400\"",
                ),
            },
            _ => {}
        }
    }
    let object = vec![("objectName", Tree::Text(name.to_owned()))];
    parts.entries.push(Entry { node: item, object, path: part, file, shape, keys: vec![] });
}

/// A number as YAML has it, as an octal mode.
fn octal(text: &str) -> Option<String> {
    let bits = match text.strip_prefix("0o").or_else(|| text.strip_prefix('0')) {
        Some(digits) if !digits.is_empty() => u32::from_str_radix(digits, 8).ok()?,
        _ => text.parse().ok()?,
    };
    (1..=0o777).contains(&bits).then(|| format!("{bits:04o}"))
}
