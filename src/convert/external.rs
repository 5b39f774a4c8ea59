//! External secret: what ack-secret-manager and the External Secrets Operator make a Secret of becomes a
//! SecretProviderClass, a Secret made of its files, and a ServiceAccount.

use std::collections::BTreeSet;

use super::{
    Secrets, World,
    account::Name,
    class::{Accepted, Draft, Entry, Meta, Pairs, Parameter},
    duration,
    ledger::{Fate, Ledger},
    store::{Auth, Family, Reference},
    template::{self, Template},
    write::Tree,
};
use crate::{manifests::secret_sync::is_source_path, text::quoted, yaml::Node};

pub(super) struct Parts<'a> {
    pub(super) root: &'a Node,
    pub(super) family: Family,
    pub(super) meta: Meta,
    pub(super) refresh: Option<&'a Node>,
    pub(super) requests: Vec<ValueRequest<'a>>,
    /// What has several requests below it, and is in the output if one of them is.
    pub(super) groups: Vec<&'a Node>,
    pub(super) secret: SecretParts<'a>,
}

#[derive(Clone)]
pub(super) struct ValueRequest<'a> {
    pub(super) entry: Entry<'a>,
    /// The field that names the Secret's key.
    pub(super) key: Option<&'a Node>,
    pub(super) store: Option<Reference<'a>>,
    pub(super) oos: bool,
}

/// The Secret that the source makes.
#[derive(Default)]
pub(super) struct SecretParts<'a> {
    pub(super) name: Option<String>,
    pub(super) secret_type: Option<String>,
    pub(super) labels: Pairs,
    pub(super) annotations: Pairs,
    /// Fields that are of no use without a Secret.
    pub(super) nodes: Vec<&'a Node>,
    /// Of its template: which key stands for which value.
    pub(super) template: Option<Pairs>,
    /// Whether it has the values under their own names too, but for those that the template has.
    pub(super) merge: bool,
    pub(super) overridden: Vec<String>,
}

/// `target`, which both have.
pub(super) fn target<'a>(target: &'a Node, secret: &mut SecretParts<'a>, ledger: &mut Ledger) {
    if let Some(name) = target.get("name") {
        ledger.carried(name, "the Secret's name");
        secret.name = name.text().filter(|name| !name.is_empty()).map(str::to_owned);
        secret.nodes.push(name);
    }
    let Some(template) = target.get("template") else { return };
    for entry in template.entries().unwrap_or_default() {
        let node = &entry.value;
        match &*entry.key {
            "type" => {
                ledger.carried(node, "the Secret's type");
                secret.secret_type = node.text().map(str::to_owned);
                secret.nodes.push(node);
            }
            "metadata" => {
                for (key, to) in [("labels", true), ("annotations", false)] {
                    let Some(pairs) = node.get(key) else { continue };
                    let read = plain_pairs(pairs, "of the Secret", ledger);
                    if to {
                        secret.labels = read
                    } else {
                        secret.annotations = read
                    }
                    secret.nodes.push(pairs);
                }
                if let Some(finalizers) = node.get("finalizers") {
                    ledger.by_hand(
                        finalizers,
                        "Secrets get no finalizers here",
                        "add them to the Secret, or do without",
                    );
                }
            }
            "engineVersion" => ledger.not_needed(node, "no template is run here"),
            "mergePolicy" => {
                secret.merge = node.text() == Some("Merge");
                ledger.not_needed(node, "which keys the Secret has is decided by now");
            }
            "data" => {
                let all = node.entries().unwrap_or_default().iter();
                secret.overridden.extend(all.map(|entry| entry.key.to_string()));
                let keys = template_data(node, ledger);
                secret.template.get_or_insert_default().extend(keys);
                secret.nodes.push(node);
            }
            "templateFrom" => {
                secret.template.get_or_insert_default();
                ledger.by_hand(
                    node,
                    "a template is run on values to make the Secret; here each value is delivered as stored",
                    "have the program put the values together, or keep the whole text in KMS",
                );
            }
            _ => {}
        }
    }
}

fn template_data(data: &Node, ledger: &mut Ledger) -> Pairs {
    let mut keys = Vec::new();
    for entry in data.entries().unwrap_or_default() {
        let node = &entry.value;
        let text = node.text().unwrap_or_default();
        match template::read(text) {
            Template::Key(key) => {
                ledger.changed(node, "the Secret's data", format!("the value of {key}, as it is"));
                keys.push((entry.key.to_string(), key.to_owned()));
            }
            Template::Fixed => ledger.by_hand(
                node,
                "a text without a value, which is no secret",
                "put it in a ConfigMap",
            ),
            Template::Other(what) => ledger.by_hand(
                node,
                format!("a Go template that uses {what}; here each value is delivered as stored"),
                "have the program put the values together, or keep the whole text in KMS",
            ),
        }
    }
    keys
}

/// Texts by their names; a value that is a template is left for hand.
pub(super) fn plain_pairs(node: &Node, to: &str, ledger: &mut Ledger) -> Pairs {
    let mut pairs = Vec::new();
    for entry in node.entries().unwrap_or_default() {
        match entry.value.text() {
            Some(text) if !text.contains("{{") => {
                ledger.carried(&entry.value, to);
                pairs.push((entry.key.to_string(), text.to_owned()));
            }
            _ => ledger.by_hand(&entry.value, "is no plain text", "write it by hand"),
        }
    }
    pairs
}

pub(super) const NOTHING_LEFT: &str = "nothing of this object could be converted";

/// Writes it once for each namespace.
pub(super) fn finish<'a>(
    parts: Parts<'a>,
    namespaces: &[String],
    world: &mut World<'a>,
    ledger: &mut Ledger,
) {
    let Parts { root, family, mut meta, refresh, mut requests, groups, secret } = parts;
    let first = meta.namespace.clone().or_else(|| namespaces.first().cloned());
    let auth = stores(root, family, first.as_deref(), &mut requests, world, ledger);
    let Some(auth) = auth else { return };
    requests.iter_mut().for_each(|request| keys(request, &secret));
    names(&mut requests, world.options.secrets, ledger);
    let mut parameters = Vec::new();
    let region = auth.region.and_then(Node::text).map(str::to_owned);
    if let Some(region) = region.clone().or_else(|| world.options.region.clone()) {
        parameters.push(("region", region, None));
    }
    if let Some(node) = refresh
        && let Some(interval) = refresh_interval(node, ledger)
    {
        parameters.push(("refreshInterval", interval, Some(node)));
    }
    let region = region.or_else(|| world.options.region.clone()).unwrap_or_else(|| "*".to_owned());
    let targets: Vec<Option<String>> = match namespaces {
        [] => vec![meta.namespace.clone()],
        many => many.iter().cloned().map(Some).collect(),
    };
    for namespace in targets {
        meta.namespace = namespace;
        let parameters = parameters.iter().map(|(name, value, node)| Parameter {
            name,
            value: value.clone(),
            node: *node,
        });
        let draft = Draft {
            meta: meta.clone(),
            parameters: parameters.collect(),
            entries: requests.iter().map(|request| request.entry.clone()).collect(),
        };
        let Some(mut accepted) = draft.accept(ledger, &world.settings.endpoints) else {
            ledger.refused(root, NOTHING_LEFT, "see its other fields in this list");
            return;
        };
        let name = secret.name.clone().unwrap_or_else(|| meta.name.clone());
        let account = account(&auth, &meta, &requests, world);
        let mut group = Vec::new();
        let mut made = !accepted.keys.is_empty();
        match world.options.secrets {
            Secrets::Sync if made => {
                let sync_meta = Meta { name, namespace: meta.namespace.clone(), ..Meta::default() };
                let tree = sync(&sync_meta, &meta.name, &account.1, &secret, &accepted.keys);
                group.push(("SecretSync", sync_meta, tree));
            }
            Secrets::SecretObjects if made => {
                let objects = secret_objects(name, &secret, &accepted.keys);
                accepted.add_secret_objects(objects);
            }
            _ => made = false,
        }
        for node in &secret.nodes {
            if world.options.secrets == Secrets::None {
                let why = "no Secret is made, as was asked for".to_owned();
                ledger.taken_back(node, &Fate::NotNeeded(why));
            } else if !made {
                ledger.refused(
                    node,
                    "no Secret is made",
                    "see --secrets, or have the pods mount the files",
                );
            }
        }
        group.insert(0, ("SecretProviderClass", meta.clone(), accepted.tree.clone()));
        if let Err(why) = world.add(group) {
            ledger.refused(root, &why, "correct it and convert again");
            return;
        }
        for request in &requests {
            key_field(request, &accepted, made, ledger);
        }
        for item in &groups {
            let parts = item.get("jmesPath").and_then(Node::items).unwrap_or_default();
            let is_left = |part: &Node| accepted.nodes.iter().any(|node| std::ptr::eq(*node, part));
            if !parts.iter().any(is_left) {
                ledger.refused(
                    item,
                    "none of its parts is left",
                    "see its other fields in this list",
                );
            }
        }
        let borrowed = auth.account.and_then(|(name, namespace)| {
            let key = (namespace?.to_owned(), name.to_owned());
            world.roles.get(&(Some(key.0), key.1)).cloned()
        });
        let role = auth.role.and_then(Node::text).or(borrowed.as_deref());
        let own = auth.account.map(|(name, _)| name);
        let named = made && world.options.secrets == Secrets::Sync;
        let named_by_store = named && own == Some(&*account.1);
        let needed = match named {
            true => world.accounts.need(account, role, &accepted.spec, &region),
            false => world.need_of_class(&meta, role, &accepted.spec, &region),
        };
        if let Err(other) = needed {
            let role = role.unwrap_or_default();
            ledger.note(
                format!("its ServiceAccount is to have role {other}, and its store has {role}"),
                "give one role the rights of both, or use two ServiceAccounts",
            );
        }
        for request in &requests {
            let written = accepted.nodes.iter().any(|node| std::ptr::eq(*node, request.entry.node));
            if let (true, Some(reference)) = (written, request.store)
                && let Some(store) = world.store(family, &reference, meta.namespace.as_deref())
            {
                let auth = if request.oos { &mut store.oos } else { &mut store.kms };
                auth.used = true;
                auth.named |= named_by_store;
            }
        }
    }
}

/// Whether the key's name is a key of the Secret or the file's name, or the file has another.
fn key_field(request: &ValueRequest<'_>, accepted: &Accepted<'_>, made: bool, ledger: &mut Ledger) {
    let (Some(node), Some(file)) = (request.key, &request.entry.file) else { return };
    let written = accepted.nodes.iter().any(|written| std::ptr::eq(*written, request.entry.node));
    let text = node.text().unwrap_or_default();
    let is_key = made && accepted.keys.iter().any(|(key, _)| key == text);
    // Without a key of its own it has the secret's name, which is in the output as such.
    let is_name = request
        .entry
        .object
        .iter()
        .any(|(_, tree)| matches!(tree, Tree::Text(name) if name == text));
    if written && !is_key && !is_name && file != text {
        ledger.changed(node, "objectAlias", file.clone());
    }
}

/// The identity and region that all have in common; others are left for hand.
fn stores<'a>(
    root: &Node,
    family: Family,
    namespace: Option<&str>,
    requests: &mut Vec<ValueRequest<'a>>,
    world: &mut World<'a>,
    ledger: &mut Ledger,
) -> Option<Auth<'a>> {
    let mut common: Option<Auth<'a>> = None;
    let mut foreign = None;
    requests.retain_mut(|request| {
        let mut auth = Auth::default();
        if let Some(reference) = request.store {
            match world.store(family, &reference, namespace) {
                Some(store) => {
                    if let Some(whose) = store.foreign {
                        foreign = Some(whose.to_owned());
                        let why = format!("its store is of provider {whose}");
                        ledger.mark(
                            request.entry.node,
                            &Fate::ByHand(why, "move the secret to KMS first".to_owned()),
                        );
                        return false;
                    }
                    auth = if request.oos { store.oos } else { store.kms };
                    ledger.not_needed(reference.node, "what the store says is in the output");
                }
                None => ledger.by_hand(
                    reference.node,
                    format!("store {} is not among the input", quoted(reference.name)),
                    "give its manifest too: region and role are in it",
                ),
            }
        }
        if let Some(remote) = auth.remote.and_then(Node::text) {
            request.entry.object.push(("crossAccountRoleArn", Tree::Text(remote.to_owned())));
        }
        match &common {
            Some(first) if !first.is_like(&auth) => {
                ledger.refused(
                    request.entry.node,
                    "its store has another region or identity than the first, and a SecretProviderClass has one",
                    "move it to an external secret of its own and convert again",
                );
                false
            }
            _ => {
                common.get_or_insert(auth);
                true
            }
        }
    });
    if let Some(whose) = foreign.filter(|_| requests.is_empty()) {
        let why = format!("its store is of provider {whose}: its secrets are not in Alibaba Cloud");
        ledger.by_hand(root, why, "leave it, or move its secrets to KMS first");
        return None;
    }
    if requests.is_empty() {
        ledger.refused(root, NOTHING_LEFT, "see its other fields in this list");
    }
    common
}

/// Under which keys of the Secret it is.
fn keys(request: &mut ValueRequest<'_>, secret: &SecretParts<'_>) {
    if let Some(template) = &secret.template {
        let own = std::mem::take(&mut request.entry.keys);
        let named = template.iter().filter(|(_, value)| own.contains(value));
        let named: Vec<String> = named.map(|(key, _)| key.clone()).collect();
        request.entry.file = request.entry.file.take().or_else(|| own.first().cloned());
        request.entry.keys = match secret.merge {
            true => {
                let kept = own.into_iter().filter(|key| !secret.overridden.contains(key));
                kept.chain(named).collect()
            }
            false => named,
        };
    }
}

/// Gives each a file of its own, named as its key as far as that is possible.
fn names(requests: &mut Vec<ValueRequest<'_>>, secrets: Secrets, ledger: &mut Ledger) {
    let (mut files, mut keys) = (BTreeSet::new(), BTreeSet::new());
    requests.retain_mut(|request| {
        let entry = &mut request.entry;
        if entry.keys.iter().any(|key| keys.contains(key)) {
            ledger.refused(
                entry.node,
                "the Secret has this key twice, and the last value wins there",
                "remove all but one",
            );
            return false;
        }
        keys.extend(entry.keys.iter().cloned());
        let wanted = entry.file.take().or_else(|| entry.keys.first().cloned()).unwrap_or_default();
        let plain = match secrets {
            Secrets::Sync if !is_source_path(&wanted) || wanted.contains('/') => {
                source_path(&wanted)
            }
            _ => wanted,
        };
        let mut file = plain.clone();
        let mut number = 2;
        while !files.insert(file.replace('/', "_")) {
            file = format!("{plain}-{number}");
            number += 1;
        }
        entry.file = Some(file);
        true
    });
}

/// As the SecretSync's API accepts it.
fn source_path(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let plain: String = name.chars().map(plain).collect();
    match plain.trim_start_matches('-') {
        "" => "file".to_owned(),
        rest => rest.to_owned(),
    }
}

fn refresh_interval(node: &Node, ledger: &mut Ledger) -> Option<String> {
    const DAY: u64 = 86_400;
    let text = node.text().unwrap_or_default();
    let Some(seconds) = duration::seconds(text) else {
        ledger.by_hand(
            node,
            "is no duration of whole seconds",
            "write refreshInterval, such as 5m",
        );
        return None;
    };
    if seconds == 0 {
        ledger.by_hand(
            node,
            "0 is once and never again there, and at every mount here",
            "leave refreshInterval out, or choose one",
        );
        return None;
    }
    if seconds > DAY {
        ledger.by_hand(node, "is longer than a day, the most here", "write refreshInterval: 24h");
        return None;
    }
    let interval = duration::interval(seconds);
    match interval == text {
        true => ledger.carried(node, "parameter refreshInterval"),
        false => ledger.changed(node, "parameter refreshInterval", interval.clone()),
    }
    Some(interval)
}

/// Whose role reads the secrets.
fn account(auth: &Auth<'_>, meta: &Meta, requests: &[ValueRequest<'_>], world: &World<'_>) -> Name {
    let store = requests.iter().find_map(|request| request.store).map(|reference| reference.name);
    let given = world.options.service_account.as_deref();
    let name = given.or(auth.account.map(|(name, _)| name)).or(store).unwrap_or(&meta.name);
    (meta.namespace.clone(), name.to_owned())
}

fn sync(meta: &Meta, class: &str, account: &str, secret: &SecretParts<'_>, keys: &Pairs) -> Tree {
    let entry = |(key, file): &(String, String)| {
        Tree::map([
            ("sourcePath", Tree::Text(file.clone())),
            ("targetKey", Tree::Text(key.clone())),
        ])
    };
    let mut object = secret.common();
    object.push(("data".to_owned(), Tree::List(keys.iter().map(entry).collect())));
    Tree::map([
        ("apiVersion", Tree::Text("secret-sync.x-k8s.io/v1alpha1".to_owned())),
        ("kind", Tree::Text("SecretSync".to_owned())),
        ("metadata", meta.tree()),
        (
            "spec",
            Tree::map([
                ("serviceAccountName", Tree::Text(account.to_owned())),
                ("secretProviderClassName", Tree::Text(class.to_owned())),
                ("secretObject", Tree::Map(object)),
            ]),
        ),
    ])
}

fn secret_objects(name: String, secret: &SecretParts<'_>, keys: &Pairs) -> Tree {
    let entry = |(key, file): &(String, String)| {
        Tree::map([("objectName", Tree::Text(file.clone())), ("key", Tree::Text(key.clone()))])
    };
    let mut object = vec![("secretName".to_owned(), Tree::Text(name))];
    object.extend(secret.common());
    object.push(("data".to_owned(), Tree::List(keys.iter().map(entry).collect())));
    Tree::List(vec![Tree::Map(object)])
}

impl SecretParts<'_> {
    fn common(&self) -> Vec<(String, Tree)> {
        let secret_type = self.secret_type.clone().unwrap_or_else(|| "Opaque".to_owned());
        let mut object = vec![("type".to_owned(), Tree::Text(secret_type))];
        for (key, pairs) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            if !pairs.is_empty() {
                object.push((key.to_owned(), Tree::texts(pairs)));
            }
        }
        object
    }
}
