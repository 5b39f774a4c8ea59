//! The AWS provider's SecretProviderClasses.

use super::{
    azure::{text, version},
    class::{Entry, Parameter},
    ledger::Ledger,
    official,
    parts::{Parts, each_item, field},
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
            "pathTranslation" => {
                ledger.carried(node, "pathTranslation");
                let value = node.text().unwrap_or_default().to_owned();
                parts.parameters.push(Parameter {
                    name: "pathTranslation",
                    value,
                    node: Some(node),
                });
            }
            "region" => ledger.by_hand(
                node,
                "is a region of AWS",
                "convert with --region, or leave region out: then it is the provider's",
            ),
            "failoverRegion" => ledger.by_hand(
                node,
                "an object is read from one region here",
                "see --outage-grace, which keeps pods starting while the cloud does not answer",
            ),
            "usePodIdentity" => ledger.not_needed(node, "the identity is the pod's"),
            "preferredAddressType" => {
                ledger.not_needed(node, "both families of addresses are tried")
            }
            _ => {}
        }
    }
}

fn object<'a>(item: &'a Node, parts: &mut Parts<'a>, ledger: &mut Ledger) {
    let name = item.get("objectName");
    let given = name.and_then(Node::text).unwrap_or_default();
    let (mut service, mut plain) = (None, given);
    if let Some(rest) = given.strip_prefix("arn:") {
        let mut parts = rest.splitn(5, ':').skip(1);
        service = parts.next();
        let resource = parts.nth(2).unwrap_or_default();
        plain = match resource.split_once(':') {
            Some(("secret", name)) => without_suffix(name),
            _ => resource.strip_prefix("parameter").unwrap_or(resource),
        };
    }
    let kind = item.get("objectType");
    let kind_text = kind.and_then(Node::text).map(str::to_ascii_lowercase);
    let oos = matches!(kind_text.as_deref(), Some("ssmparameter")) || service == Some("ssm");
    if let Some(kind) = kind {
        let ours = if oos { "oos" } else { "kms, which an object is of" };
        ledger.changed(kind, "objectType", ours);
    }
    if let Some(name) = name {
        match plain == given {
            true => ledger.carried(name, "objectName"),
            false => ledger.changed(name, "objectName", plain),
        }
    }
    let mut object = vec![("objectName", Tree::Text(plain.to_owned()))];
    if oos {
        object.push(("objectType", Tree::Text("oos".to_owned())));
    }
    let alias = field(item, "objectAlias", "objectAlias", ledger).map(|(_, tree)| text(&tree));
    let file = alias.or_else(|| (plain != given).then(|| given.to_owned()));
    let mut shape = Vec::new();
    shape.extend(field(item, "filePermission", "filePermission", ledger));
    shape.extend(field(item, "objectEncoding", "objectEncoding", ledger));
    for entry in item.entries().unwrap_or_default() {
        let node = &entry.value;
        match (&*entry.key, node.text()) {
            ("objectVersion", Some(_)) => version(node, ledger),
            ("objectVersionLabel", Some("AWSCURRENT")) => {
                ledger.not_needed(node, "the newest version is mounted");
            }
            ("objectVersionLabel", Some("AWSPREVIOUS")) if !oos => {
                ledger.changed(node, "objectVersionLabel", "ACSPrevious");
                object.push(("objectVersionLabel", Tree::Text("ACSPrevious".to_owned())));
            }
            ("objectVersionLabel", Some(_)) => version(node, ledger),
            ("failoverObject", _) => ledger.by_hand(
                node,
                "an object is read from one region here",
                "see --outage-grace, which keeps pods starting while the cloud does not answer",
            ),
            ("jmesPath", None) if node.items().is_some() => {
                let paths = official::paths(node, ledger);
                if !paths.is_empty() {
                    shape.push(("jmesPath", Tree::List(paths)));
                }
            }
            _ => {}
        }
    }
    parts.entries.push(Entry { node: item, object, path: None, file, shape, keys: vec![] });
}

/// An ARN has a hyphen and six characters behind the name.
fn without_suffix(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((before, suffix))
            if suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_alphanumeric()) =>
        {
            before
        }
        _ => name,
    }
}
