//! ack-secret-manager, 0.5 and 0.6: ExternalSecret and ClusterExternalSecret of alibabacloud.com/v1alpha1.

use super::{
    World,
    class::Entry,
    external::{self, Parts, SecretParts, ValueRequest},
    ledger::Ledger,
    metadata,
    store::{Family, Reference, texts},
    write::Tree,
};
use crate::yaml::Node;

pub(super) const KNOWN: &[&str] = &[
    "spec",
    "provider",
    "type",
    "data",
    "dataProcess",
    "extract",
    "replaceRule",
    "key",
    "name",
    "versionId",
    "versionStage",
    "jmesPath",
    "path",
    "objectAlias",
    "kmsEndpoint",
    "secretStoreRef",
    "rotationInterval",
    "target",
    "template",
    "externalSecretSpec",
    "externalSecretName",
    "externalSecretMetadata",
    "conditions",
    "namespaceSelectors",
    "KMS",
    "KMSAuth",
    "OOS",
    "OOSAuth",
    "serviceAccountRef",
    "ramRoleARN",
    "remoteRamRoleARN",
    "oidcProviderARN",
    "accessKey",
    "accessKeySecret",
    "namespace",
    "kind",
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
    meta: super::class::Meta,
    ledger: &mut Ledger,
) -> Parts<'a> {
    let oos = texts(Some(spec), &["provider"]).is_some_and(|it| it.eq_ignore_ascii_case("oos"));
    let mut secret = SecretParts::default();
    let (mut requests, mut groups) = (Vec::new(), Vec::new());
    let mut refresh = None;
    for entry in spec.entries().unwrap_or_default() {
        let node = &entry.value;
        match &*entry.key {
            "provider" => match node.text() {
                Some("oos") => ledger.carried(node, "objectType"),
                Some("kms") | None => ledger.not_needed(node, "kms is what an object is of"),
                Some(_) => ledger.by_hand(node, "is neither kms nor oos", "write one of them"),
            },
            "type" => {
                ledger.carried(node, "the Secret's type");
                secret.secret_type = node.text().map(str::to_owned);
                secret.nodes.push(node);
            }
            "rotationInterval" => refresh = Some(node),
            "target" => external::target(node, &mut secret, ledger),
            "data" => {
                for item in node.items().unwrap_or_default() {
                    data(item, oos, &mut requests, &mut groups, ledger);
                }
            }
            "dataProcess" => {
                for item in node.items().unwrap_or_default() {
                    process(item, oos, &mut requests, &mut groups, ledger);
                }
            }
            _ => {}
        }
    }
    Parts { root, family: Family::Ack, meta, refresh, requests, groups, secret }
}

/// One secret: whole, or parts of it.
fn data<'a>(
    item: &'a Node,
    oos: bool,
    requests: &mut Vec<ValueRequest<'a>>,
    groups: &mut Vec<&'a Node>,
    ledger: &mut Ledger,
) {
    let mut object: Vec<(&'static str, Tree)> = Vec::new();
    let mut store = None;
    let mut add = |node: &Node, name: &'static str, ledger: &mut Ledger| {
        if let Some(text) = node.text().filter(|text| !text.is_empty()) {
            ledger.carried(node, name);
            object.push((name, Tree::Text(text.to_owned())));
        } else {
            ledger.not_needed(node, "is empty");
        }
    };
    if let Some(key) = item.get("key") {
        add(key, "objectName", ledger);
    }
    for entry in item.entries().unwrap_or_default() {
        let node = &entry.value;
        match &*entry.key {
            "versionId" => add(node, "objectVersion", ledger),
            "versionStage" if texts(Some(item), &["versionId"]).is_some() => ledger.by_hand(
                node,
                "versionId names the version already, and KMS refuses both once the label moves on",
                "keep the one that is meant",
            ),
            "versionStage" if oos => {
                ledger.by_hand(node, "OOS parameters have no labels", "remove it")
            }
            "versionStage" => add(node, "objectVersionLabel", ledger),
            "kmsEndpoint" if oos => ledger.by_hand(node, "is of no use for OOS", "remove it"),
            "kmsEndpoint" => add(node, "kmsEndpoint", ledger),
            "secretStoreRef" => {
                let name = texts(Some(node), &["name"]);
                store = name.map(|name| Reference {
                    node,
                    cluster: texts(Some(node), &["kind"]) == Some("ClusterSecretStore"),
                    namespace: texts(Some(node), &["namespace"]),
                    name,
                });
            }
            _ => {}
        }
    }
    if oos {
        object.push(("objectType", Tree::Text("oos".to_owned())));
    }
    let name = item.get("name");
    let request = |node: &'a Node, path: Option<String>, key: Option<&'a Node>| ValueRequest {
        key,
        entry: Entry {
            node,
            object: object.clone(),
            path,
            file: None,
            shape: vec![],
            keys: key.and_then(Node::text).map(str::to_owned).into_iter().collect(),
        },
        store,
        oos,
    };
    let parts =
        item.get("jmesPath").filter(|parts| parts.items().is_some_and(|all| !all.is_empty()));
    match parts {
        Some(parts) if oos => {
            ledger.by_hand(
                parts,
                "ack-secret-manager does not take parts of OOS parameters",
                "see what its Secret has now; here jmesPath works for oos too",
            );
            ledger.by_hand(item, "what it makes there is not certain", "see its jmesPath");
        }
        Some(parts) => {
            groups.push(item);
            if let Some(name) = name {
                ledger.not_needed(name, "the keys are those of jmesPath");
            }
            for part in parts.items().unwrap_or_default() {
                let (path, alias) = (part.get("path"), part.get("objectAlias"));
                let (Some(path), Some(alias)) = (path, alias) else {
                    ledger.by_hand(part, "has no path or no objectAlias", "write both");
                    continue;
                };
                ledger.carried(path, "jmesPath path");
                ledger.carried(alias, "the Secret's key");
                requests.push(request(part, path.text().map(str::to_owned), Some(alias)));
            }
        }
        None => {
            if let Some(name) = name {
                ledger.carried(name, "the Secret's key");
            }
            if let Some(parts) = item.get("jmesPath") {
                ledger.not_needed(parts, "is empty");
            }
            let filled = |key: &str| item.get(key).filter(|key| texts(Some(key), &[]).is_some());
            let key = filled("name").or_else(|| filled("key"));
            requests.push(request(item, None, key));
        }
    }
}

/// All keys of a secret, whose names are in the cloud alone; or those that `jmesPath` names.
fn process<'a>(
    item: &'a Node,
    oos: bool,
    requests: &mut Vec<ValueRequest<'a>>,
    groups: &mut Vec<&'a Node>,
    ledger: &mut Ledger,
) {
    let extract = item.get("extract");
    let has_paths =
        extract.and_then(|all| all.get("jmesPath")?.items()).is_some_and(|all| !all.is_empty());
    match extract {
        Some(extract) if has_paths && item.get("replaceRule").is_none() => {
            data(extract, oos, requests, groups, ledger);
        }
        _ => ledger.by_hand(
            item,
            "makes a key of each key of the secret, and their names are in the cloud alone",
            "write them: an entry of data with the secret's key, and jmesPath with path and objectAlias of each",
        ),
    }
}

pub(super) fn cluster_external_secret<'a>(
    root: &'a Node,
    family: Family,
    world: &mut World<'a>,
    ledger: &mut Ledger,
) {
    let Some(mut meta) = metadata::read(root, ledger) else { return };
    let Some(spec) = root.get("spec") else {
        return ledger.refused(root, "has no spec", "write one");
    };
    let Some(inner) = spec.get("externalSecretSpec") else {
        return ledger.refused(root, "has no externalSecretSpec", "write one");
    };
    let mut namespaces: Vec<String> = Vec::new();
    let mut listed = |node: &Node, ledger: &mut Ledger| {
        for item in node.items().unwrap_or_default() {
            ledger.carried(item, "metadata.namespace");
            if let Some(name) = item.text().filter(|name| !namespaces.iter().any(|own| own == name))
            {
                namespaces.push(name.to_owned());
            }
        }
    };
    for entry in spec.entries().unwrap_or_default() {
        let node = &entry.value;
        match &*entry.key {
            "externalSecretName" => {
                ledger.carried(node, "metadata.name");
                if let Some(name) = node.text().filter(|name| !name.is_empty()) {
                    name.clone_into(&mut meta.name);
                }
            }
            "externalSecretMetadata" => {
                for (key, labels) in [("labels", true), ("annotations", false)] {
                    let Some(pairs) = node.get(key) else { continue };
                    let read = external::plain_pairs(pairs, "metadata", ledger);
                    if labels { meta.labels = read } else { meta.annotations = read }
                }
            }
            "rotationInterval" | "refreshTime" | "refreshInterval" => {
                ledger.not_needed(node, "nothing here looks for namespaces again and again");
            }
            "namespaces" => listed(node, ledger),
            "conditions" => {
                for condition in node.items().unwrap_or_default() {
                    for entry in condition.entries().unwrap_or_default() {
                        match &*entry.key {
                            "namespaces" => listed(&entry.value, ledger),
                            "namespaceSelector" | "namespaceRegexes" => {
                                select(&entry.value, ledger);
                            }
                            _ => {}
                        }
                    }
                }
            }
            "namespaceSelector" | "namespaceSelectors" => {
                select(node, ledger);
            }
            _ => {}
        }
    }
    meta.namespace = None;
    let parts = match family {
        Family::Ack => parts(root, inner, meta, ledger),
        Family::Eso => super::eso::parts(root, inner, meta, ledger),
    };
    external::finish(parts, &namespaces, world, ledger);
}

fn select(node: &Node, ledger: &mut Ledger) {
    ledger.by_hand(
        node,
        "a SecretProviderClass is of one namespace, and which match is in the cluster alone",
        "repeat the output in each namespace that matches",
    );
}
