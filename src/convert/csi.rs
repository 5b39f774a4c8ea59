//! SecretProviderClasses of the official provider and of other clouds' providers.

use super::{
    World, aws, azure,
    class::{Draft, Parameter},
    external::NOTHING_LEFT,
    gcp,
    ledger::Ledger,
    metadata, official,
    parts::Parts,
    store::texts,
    vault,
    write::Tree,
};
use crate::{
    spc::{RequestedIdentity, mode::Mode},
    yaml::{Node, Value},
};

pub(super) const KNOWN: &[&str] = &[
    "spec",
    "provider",
    "parameters",
    "secretObjects",
    "objects",
    "objectName",
    "objectType",
    "objectAlias",
    "objectVersion",
    "objectVersionLabel",
    "jmesPath",
    "path",
    "filePermission",
    "kmsEndpoint",
    "crossAccountRoleArn",
    "region",
    "pathTranslation",
    "usePodServiceAccountToken",
    "secretPath",
    "secretKey",
    "resourceName",
    "fileName",
    "keyvaultName",
    "roleName",
    "vaultAddress",
    "secretName",
    "data",
    "key",
    "type",
    "labels",
    "annotations",
    "optional",
    "objectEncoding",
];

/// Texts that hold YAML become part of the tree, so that each field in them is one of the object.
pub(super) fn expand(root: &mut Node) {
    let parameters = child(root, "spec").and_then(|spec| child(spec, "parameters"));
    let Some(parameters) = parameters else { return };
    for key in ["objects", "secrets"] {
        let Some(node) = child(parameters, key) else { continue };
        let Some(mut inner) = parsed(node) else { continue };
        if let Some(Node { value: Value::Sequence(items), .. }) = child(&mut inner, "array") {
            for item in items {
                if let Some(object) = parsed(item) {
                    *item = object;
                }
            }
        }
        *node = inner;
    }
}

fn child<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    let Value::Mapping(entries) = &mut node.value else { return None };
    entries.iter_mut().find(|entry| &*entry.key == key).map(|entry| &mut entry.value)
}

/// The list or mapping that a text holds, moved to where the text is.
fn parsed(node: &Node) -> Option<Node> {
    let text = node.text()?;
    let mut inner = Node::parse(text).ok()?;
    if inner.scalar().is_some() {
        return None;
    }
    let block = text.contains('\n');
    moved(&mut inner, node, block);
    Some(inner)
}

/// A block's lines are the file's lines; of other texts only the start is known.
fn moved(node: &mut Node, outer: &Node, block: bool) {
    node.at = match block {
        true => {
            let line = node.at.line.saturating_add(outer.at.line).saturating_sub(1);
            let column = node.at.column.saturating_add(outer.at.column).saturating_sub(1);
            crate::yaml::Position { line, column }
        }
        false => outer.at,
    };
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::Sequence(items) => items.iter_mut().for_each(|item| moved(item, outer, block)),
        Value::Mapping(entries) => {
            entries.iter_mut().for_each(|entry| moved(&mut entry.value, outer, block));
        }
    }
}

pub(super) fn convert<'a>(root: &'a Node, world: &mut World<'a>, ledger: &mut Ledger) {
    let Some(meta) = metadata::read(root, ledger) else { return };
    let spec = root.get("spec");
    let provider = spec.and_then(|spec| spec.get("provider"));
    let name = provider.and_then(Node::text).unwrap_or_default();
    let parameters = spec.and_then(|spec| spec.get("parameters"));
    let empty = &[][..];
    let given = parameters.and_then(Node::entries).unwrap_or(empty);
    let mut parts = Parts::default();
    let foreign = match name {
        "alibabacloud" => {
            official::read(given, &mut parts, ledger);
            false
        }
        "azure" => {
            azure::read(given, &mut parts, ledger);
            true
        }
        "aws" => {
            aws::read(given, &mut parts, ledger);
            true
        }
        "vault" | "openbao" => {
            vault::read(given, &mut parts, ledger);
            true
        }
        "gcp" => {
            gcp::read(given, &mut parts, ledger);
            true
        }
        _ => {
            let why = "is of a provider that cannot be converted";
            let todo = "there are alibabacloud, azure, aws, vault and gcp";
            return ledger.refused(root, why, todo);
        }
    };
    if let Some(provider) = provider {
        match foreign {
            true => ledger.changed(provider, "spec.provider", "alibabacloud"),
            false => ledger.carried(provider, "spec.provider"),
        }
    }
    if foreign {
        ledger.note(
            format!("the values are in {name}"),
            "make secrets of the same names in KMS (oos: in OOS) and copy the values there first",
        );
        if let Some(region) = &world.options.region {
            parts.parameters.push(Parameter { name: "region", value: region.clone(), node: None });
        }
    }
    let region = parts.parameters.iter().find(|parameter| parameter.name == "region");
    let region = region.map_or_else(|| "*".to_owned(), |region| region.value.clone());
    let draft = Draft { meta: meta.clone(), parameters: parts.parameters, entries: parts.entries };
    let Some(mut accepted) = draft.accept(ledger, &world.settings.endpoints) else {
        return ledger.refused(root, NOTHING_LEFT, "see its other fields in this list");
    };
    if let Some(secrets) = spec.and_then(|spec| spec.get("secretObjects")) {
        let objects = secret_objects(secrets, &accepted, ledger);
        if !objects.is_empty() {
            accepted.add_secret_objects(Tree::List(objects));
        }
    }
    if let Err(why) = world.add(vec![("SecretProviderClass", meta.clone(), accepted.tree)]) {
        return ledger.refused(root, &why, "correct it and convert again");
    }
    let role = accepted.spec.role.as_ref().map(|role| role.as_str().to_owned());
    let needed = match accepted.spec.identity {
        RequestedIdentity::Mode(Mode::Pod) => {
            world.need_of_class(&meta, role.as_deref(), &accepted.spec, &region)
        }
        RequestedIdentity::Default if foreign => {
            world.need_of_class(&meta, role.as_deref(), &accepted.spec, &region)
        }
        // Whose role it was there is not known, and no ServiceAccount is given one unasked.
        RequestedIdentity::Default => {
            let class = meta.full_name();
            world.accounts.need_of_pods(&class, role.as_deref(), &accepted.spec, &region);
            Ok(())
        }
        _ => Ok(()),
    };
    if let Err(other) = needed {
        let role = role.unwrap_or_default();
        ledger.note(
            format!("a ServiceAccount of its pods is to have role {other}, and it names {role}"),
            "give one role the rights of both, or use two ServiceAccounts",
        );
    }
}

/// As they are, but for entries whose file there is not.
fn secret_objects(
    secrets: &Node,
    accepted: &super::class::Accepted<'_>,
    ledger: &mut Ledger,
) -> Vec<Tree> {
    let files = accepted.files();
    let mut objects = Vec::new();
    for secret in secrets.items().unwrap_or_default() {
        let mut data = Vec::new();
        for entry in secret.get("data").and_then(Node::items).unwrap_or_default() {
            match texts(Some(entry), &["objectName"]) {
                Some(file) if files.contains(file.trim()) => {
                    ledger.carried_whole(entry, "secretObjects");
                    data.push(Tree::of(entry));
                }
                Some(_) => ledger.by_hand(
                    entry,
                    "names no file of the volume",
                    "write the file's name, once its object is in order",
                ),
                None => ledger.by_hand(entry, "has no objectName", "write one"),
            }
        }
        let mut fields = Vec::new();
        for entry in secret.entries().unwrap_or_default() {
            match &*entry.key {
                "data" => fields.push(("data".to_owned(), Tree::List(std::mem::take(&mut data)))),
                "secretName" | "type" | "labels" | "annotations" => {
                    ledger.carried_whole(&entry.value, "secretObjects");
                    fields.push((entry.key.to_string(), Tree::of(&entry.value)));
                }
                _ => {}
            }
        }
        let has_data =
            fields.iter().any(|(_, tree)| matches!(tree, Tree::List(all) if !all.is_empty()));
        match has_data {
            true => objects.push(Tree::Map(fields)),
            false => ledger.refused(
                secret,
                "none of its data is left",
                "see its other fields in this list",
            ),
        }
    }
    objects
}
