//! External Secrets Operator with `provider.alibaba`: ExternalSecret of external-secrets.io.

use super::{
    World,
    class::{Entry, Meta},
    external::{self, Parts, SecretParts, ValueRequest},
    ledger::Ledger,
    metadata,
    store::{Family, Reference, texts},
    template,
    write::Tree,
};
use crate::{text::quoted, yaml::Node};

pub(super) const KNOWN: &[&str] = &[
    "spec",
    "secretStoreRef",
    "refreshInterval",
    "refreshPolicy",
    "target",
    "name",
    "kind",
    "creationPolicy",
    "deletionPolicy",
    "template",
    "data",
    "dataFrom",
    "secretKey",
    "remoteRef",
    "key",
    "property",
    "version",
    "decodingStrategy",
    "conversionStrategy",
    "metadataPolicy",
    "sourceRef",
    "provider",
    "alibaba",
    "regionID",
    "auth",
    "secretRef",
    "rrsa",
    "oidcProviderArn",
    "oidcTokenFilePath",
    "roleArn",
    "sessionName",
    "externalSecretSpec",
    "externalSecretName",
    "namespaceSelector",
    "namespaceSelectors",
    "namespaces",
    "conditions",
    "templateFrom",
    "engineVersion",
    "mergePolicy",
    "immutable",
];

pub(super) fn external_secret<'a>(root: &'a Node, world: &mut World<'a>, ledger: &mut Ledger) {
    let Some(meta) = metadata::read(root, ledger) else { return };
    let Some(spec) = root.get("spec") else {
        return ledger.refused(root, "has no spec", "write one");
    };
    let parts = parts(root, spec, meta, ledger);
    external::finish(parts, &[], world, ledger);
}

pub(super) fn parts<'a>(
    root: &'a Node,
    spec: &'a Node,
    meta: Meta,
    ledger: &mut Ledger,
) -> Parts<'a> {
    let default = spec.get("secretStoreRef").and_then(reference);
    // Its labels and annotations are the Secret's as well, unless a template has its own.
    let mut secret = SecretParts {
        labels: meta.labels.clone(),
        annotations: meta.annotations.clone(),
        ..SecretParts::default()
    };
    if let Some(template) = spec.get("target").and_then(|target| target.get("template"))
        && !template.is_null()
    {
        (secret.labels, secret.annotations) = (vec![], vec![]);
    }
    let mut requests = Vec::new();
    let mut refresh = None;
    for entry in spec.entries().unwrap_or_default() {
        let node = &entry.value;
        match &*entry.key {
            "refreshInterval" => refresh = Some(node),
            "refreshPolicy" if node.text() == Some("Periodic") => {
                ledger.not_needed(node, "is what happens");
            }
            "refreshPolicy" => ledger.by_hand(
                node,
                "values are read again and again here",
                "name one version with objectVersion if it must not change",
            ),
            "target" => of_target(node, &mut secret, ledger),
            "data" => {
                for item in node.items().unwrap_or_default() {
                    data(item, default, &mut requests, ledger);
                }
            }
            "dataFrom" => {
                for item in node.items().unwrap_or_default() {
                    data_from(item, ledger);
                }
            }
            _ => {}
        }
    }
    Parts { root, family: Family::Eso, meta, refresh, requests, groups: vec![], secret }
}

fn reference(node: &Node) -> Option<Reference<'_>> {
    Some(Reference {
        node,
        cluster: texts(Some(node), &["kind"]) == Some("ClusterSecretStore"),
        namespace: None,
        name: texts(Some(node), &["name"])?,
    })
}

fn of_target<'a>(target: &'a Node, secret: &mut SecretParts<'a>, ledger: &mut Ledger) {
    external::target(target, secret, ledger);
    for entry in target.entries().unwrap_or_default() {
        let node = &entry.value;
        match (&*entry.key, node.text()) {
            ("creationPolicy", Some("Owner") | None) => {
                ledger.not_needed(node, "the Secret goes with what makes it");
            }
            ("creationPolicy", _) => ledger.by_hand(
                node,
                "the Secret is made and owned here, and never another's",
                "give the Secret a name of its own",
            ),
            ("deletionPolicy", Some("Retain") | None) => {
                ledger.not_needed(node, "the Secret stays when a value is gone from the cloud");
            }
            ("deletionPolicy", _) => ledger.by_hand(
                node,
                "the Secret stays here when a value is gone from the cloud",
                "delete it by hand then",
            ),
            ("immutable", _) if node.as_bool() == Some(false) => {
                ledger.not_needed(node, "is what happens")
            }
            ("immutable", _) => ledger.by_hand(node, "the Secret is updated here", "do without"),
            _ => {}
        }
    }
}

fn data<'a>(
    item: &'a Node,
    default: Option<Reference<'a>>,
    requests: &mut Vec<ValueRequest<'a>>,
    ledger: &mut Ledger,
) {
    let mut store = default;
    if let Some(source) = item.get("sourceRef") {
        match source.get("storeRef").and_then(reference) {
            Some(own) => store = Some(own),
            None => return ledger.by_hand(item, "is of a generator", "there is nothing like it"),
        }
    }
    let key = item.get("secretKey");
    if let Some(key) = key {
        ledger.carried(key, "the Secret's key");
    }
    let Some(remote) = item.get("remoteRef") else {
        return ledger.by_hand(item, "has no remoteRef", "write one");
    };
    let (mut object, mut shape) = (Vec::new(), Vec::new());
    let mut path = None;
    for entry in remote.entries().unwrap_or_default() {
        let node = &entry.value;
        let Some(text) = node.text().filter(|text| !text.is_empty()) else {
            ledger.not_needed(node, "is empty");
            continue;
        };
        let text = || Tree::Text(text.to_owned());
        match (&*entry.key, node.text().unwrap_or_default()) {
            ("key", _) => {
                ledger.carried(node, "objectName");
                object.insert(0, ("objectName", text()));
            }
            ("version", _) => {
                ledger.carried(node, "objectVersion");
                object.push(("objectVersion", text()));
            }
            ("property", property) => match template::property(property) {
                Some(exact) => {
                    match exact == property {
                        true => ledger.carried(node, "jmesPath path"),
                        false => ledger.changed(node, "jmesPath path", exact.clone()),
                    }
                    path = Some(exact);
                }
                None => {
                    ledger.by_hand(
                        item,
                        "its property may be one key or a path, and the two differ",
                        format!(
                            "write jmesPath with the path that is meant: of keys {}, of one key {}",
                            quoted(property),
                            quoted(&format!("\"{property}\""))
                        ),
                    );
                    return;
                }
            },
            ("decodingStrategy", "None")
            | ("conversionStrategy", "Default" | "Unicode")
            | ("metadataPolicy", "None")
            | ("nullBytePolicy", "Ignore") => ledger.not_needed(node, "is what happens"),
            ("decodingStrategy", "Base64" | "Base64URL") => {
                ledger.changed(node, "objectEncoding", "base64");
                shape.push(("objectEncoding", Tree::Text("base64".to_owned())));
            }
            ("decodingStrategy", _) => {
                let todo = "write objectEncoding, or none, as the value is";
                return ledger.by_hand(
                    item,
                    "whether its value is decoded depends on the value",
                    todo,
                );
            }
            ("metadataPolicy", _) => {
                return ledger.by_hand(
                    item,
                    "reads tags and not the value",
                    "there is nothing like it",
                );
            }
            _ => {}
        }
    }
    let entry = Entry {
        node: item,
        object,
        path,
        file: None,
        shape,
        keys: key.and_then(Node::text).map(str::to_owned).into_iter().collect(),
    };
    requests.push(ValueRequest { entry, key, store, oos: false });
}

fn data_from(item: &Node, ledger: &mut Ledger) {
    if item.get("extract").is_some() {
        ledger.by_hand(
            item,
            "makes a key of each key of the secret, and their names are in the cloud alone",
            "write them: an entry of data with secretKey, and remoteRef with key and property, of each",
        );
    } else if item.get("find").is_some() {
        let why = "which secrets it finds is in the cloud alone";
        ledger.by_hand(item, why, "write an entry of data for each");
    } else {
        ledger.by_hand(item, "is of a generator", "there is nothing like it");
    }
}
