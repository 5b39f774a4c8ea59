//! Convert: manifests of other tools become this provider's. Each field of the input is in the output or in
//! the list of what is not, and what is written passes `check`.

mod account;
mod ack;
mod aws;
mod azure;
mod class;
mod csi;
pub(crate) mod duration;
mod eso;
mod external;
mod gcp;
pub mod ledger;
mod metadata;
mod official;
pub mod output;
mod parts;
mod store;
mod template;
mod values;
mod vault;
mod write;

use std::collections::{BTreeMap, BTreeSet};

pub use account::Role;
use account::{Accounts, Name};
use class::Meta;
use ledger::{Fate, Ledger};
use store::{Family, Reference, Store};
use write::Tree as Yaml;

use crate::{
    check::{self, Settings, rule::Severity},
    manifests::{Body, File, tree::Tree},
    names::RoleArn,
    role::{ROLE_ARN, ROLE_NAME},
    spc::Spec,
    yaml::Node,
};

/// What becomes of the Kubernetes Secrets that the source makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// secrets-store-sync-controller makes them.
    Sync,
    /// The driver makes them while a pod mounts the class.
    SecretObjects,
    /// None are made.
    None,
}

impl Secrets {
    pub const ALL: [Secrets; 3] = [Secrets::Sync, Secrets::SecretObjects, Secrets::None];

    pub fn name(self) -> &'static str {
        match self {
            Secrets::Sync => "sync",
            Secrets::SecretObjects => "secret-objects",
            Secrets::None => "none",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Options {
    pub secrets: Secrets,
    /// Of classes whose source does not say one.
    pub region: Option<String>,
    /// That reads what a SecretSync makes a Secret of, where the source does not say.
    pub service_account: Option<String>,
}

/// A file of the input: as trees, and what is known of pods and ServiceAccounts in it.
#[derive(Debug)]
pub struct Input {
    pub tree: Tree,
    pub file: File,
}

impl Input {
    pub fn read(name: String, text: String) -> Self {
        Self {
            tree: Tree::read(name.clone(), text.clone(), is_wanted),
            file: File::read(name, text),
        }
    }

    /// One that is no text, or too large a one.
    pub fn unread(name: String, reason: &'static str) -> Self {
        Self { tree: Tree::unread(name.clone(), reason), file: File::unread(name, reason) }
    }
}

/// A manifest that was written.
#[derive(Debug)]
pub struct Manifest {
    pub kind: &'static str,
    pub namespace: Option<String>,
    pub name: String,
    pub text: String,
    /// Which object of the input it is of, if it is of one.
    object: Option<usize>,
}

/// What became of one object.
#[derive(Debug)]
pub struct Converted {
    pub file: String,
    pub line: u32,
    /// `ExternalSecret shop/checkout`
    pub title: String,
    pub ledger: Ledger,
}

/// File, line, why, and what to do.
pub type Left = (String, u32, String, String);

#[derive(Debug)]
pub struct Conversion {
    pub manifests: Vec<Manifest>,
    pub objects: Vec<Converted>,
    pub roles: Vec<Role>,
    /// What is of no object: documents that cannot be read.
    pub left: Vec<Left>,
    /// Kinds that were passed over unread, and how many of each.
    pub passed_over: BTreeMap<String, usize>,
}

impl Conversion {
    /// How many things are left for hand.
    pub fn by_hand(&self) -> usize {
        let of = |object: &Converted| object.ledger.by_hand_count() + object.ledger.notes.len();
        self.objects.iter().map(of).sum::<usize>() + self.left.len()
    }
}

const ACK_GROUP: &str = "alibabacloud.com/";
const ESO_GROUP: &str = "external-secrets.io/";
const CSI_GROUP: &str = "secrets-store.csi.x-k8s.io/";

fn is_wanted(kind: Option<&str>) -> bool {
    const KINDS: [&str; 8] = [
        "ExternalSecret",
        "ClusterExternalSecret",
        "SecretStore",
        "ClusterSecretStore",
        "PushSecret",
        "ClusterPushSecret",
        "SecretProviderClass",
        "ServiceAccount",
    ];
    // What has no kind may be values of a chart.
    kind.is_none_or(|kind| KINDS.iter().any(|known| known.eq_ignore_ascii_case(kind)))
}

struct Document<'i> {
    file: &'i str,
    line: u32,
    root: Node,
}

/// What conversions share.
struct World<'a> {
    /// Roles of the ServiceAccounts of the input.
    roles: BTreeMap<Name, String>,
    options: &'a Options,
    settings: &'a Settings,
    stores: Vec<Store<'a>>,
    out: Vec<Manifest>,
    /// Which object is converted now.
    object: Option<usize>,
    taken: BTreeMap<(&'static str, Name), usize>,
    accounts: Accounts,
    /// Of each class the ServiceAccounts of the pods that mount it.
    users: BTreeMap<Name, BTreeSet<Name>>,
}

pub fn convert(inputs: &[Input], options: &Options, settings: &Settings) -> Conversion {
    let mut documents = Vec::new();
    for Input { tree, .. } in inputs {
        for object in &tree.objects {
            let mut root = object.node.clone();
            if root.get("kind").and_then(Node::text) == Some("SecretProviderClass") {
                csi::expand(&mut root);
            }
            documents.push(Document { file: &tree.name, line: object.line, root });
        }
    }
    let ledger = |document: &Document<'_>| Ledger::of(&document.root, document.line);
    let mut ledgers: Vec<Ledger> = documents.iter().map(ledger).collect();
    let stores = documents.iter().enumerate().filter_map(|(index, document)| {
        let family = family(&document.root)?;
        is_store(&document.root).then(|| Store::read(family, &document.root, index))?
    });
    let mut world = World {
        roles: documents.iter().filter_map(|document| role(&document.root)).collect(),
        options,
        settings,
        stores: stores.collect(),
        out: vec![],
        object: None,
        taken: BTreeMap::new(),
        accounts: Accounts::default(),
        users: users(inputs),
    };
    for (index, (document, ledger)) in documents.iter().zip(&mut ledgers).enumerate() {
        world.object = Some(index);
        one(&document.root, &mut world, ledger);
    }
    world.object = None;
    for (index, (document, ledger)) in documents.iter().zip(&mut ledgers).enumerate() {
        let root = &document.root;
        if is_store(root) && family(root).is_some() && metadata::read(root, ledger).is_some() {
            let store = world.stores.iter().find(|store| store.document == index);
            if let Some(store) = store {
                for key in ["labels", "annotations"] {
                    if let Some(node) = root.get("metadata").and_then(|all| all.get(key)) {
                        ledger.not_needed(node, "the store is no object here");
                    }
                }
                for key in ["name", "namespace"] {
                    if let Some(node) = root.get("metadata").and_then(|all| all.get(key)) {
                        ledger.not_needed(node, "the store is no object here");
                    }
                }
                store.mark(root, ledger);
            }
        }
    }
    let mut left: Vec<Left> = inputs.iter().flat_map(|input| unreadable(&input.tree)).collect();
    let known = service_accounts(&documents, &mut ledgers, &mut world, &mut left);
    for (document, ledger) in documents.iter().zip(&mut ledgers) {
        ledger.close(known_fields(&document.root));
    }
    let roles = world.accounts.roles(&known);
    for manifest in &mut world.out {
        let object =
            manifest.object.and_then(|index| Some((documents.get(index)?, ledgers.get(index)?)));
        if let Some((document, ledger)) = object {
            let left = ledger.by_hand_count() + ledger.notes.len();
            if left > 0 {
                let title = title(&document.root);
                let comment =
                    format!("# Not complete: of {title}, {left} left for hand; see the list.\n");
                manifest.text.insert_str(0, &comment);
            }
        }
    }
    let objects = documents.iter().zip(ledgers).map(|(document, ledger)| Converted {
        file: document.file.to_owned(),
        line: document.line,
        title: title(&document.root),
        ledger,
    });
    let objects = objects.collect();
    let mut passed_over = BTreeMap::new();
    for Input { tree, .. } in inputs {
        for (kind, count) in &tree.passed_over {
            *passed_over.entry(kind.clone()).or_default() += count;
        }
    }
    Conversion { manifests: world.out, objects, roles, left, passed_over }
}

fn unreadable(tree: &Tree) -> impl Iterator<Item = Left> {
    tree.unreadable.iter().map(|unreadable| {
        let twice = unreadable.reason.contains("twice") && unreadable.at.column == 1;
        let todo = match twice {
            true => "is a line --- missing between two objects? Correct it and convert again",
            false if unreadable.reason.contains("template") => {
                "render it first: helm template CHART | convert -"
            }
            false => "correct it and convert again",
        };
        let why = format!("the document cannot be read: {}", unreadable.reason);
        (tree.name.clone(), unreadable.at.line, why, todo.to_owned())
    })
}

fn kind(root: &Node) -> &str {
    root.get("kind").and_then(Node::text).unwrap_or_default()
}

/// Which role a ServiceAccount's annotation names by its ARN.
fn role(root: &Node) -> Option<(Name, String)> {
    let text = |key| store::texts(Some(root), &["metadata", key]).map(str::to_owned);
    let role = store::texts(Some(root), &["metadata", "annotations", ROLE_ARN])?;
    let role = RoleArn::parse(role).filter(|_| kind(root) == "ServiceAccount")?;
    Some(((text("namespace"), text("name")?), role.as_str().to_owned()))
}

fn api_version(root: &Node) -> &str {
    root.get("apiVersion").and_then(Node::text).unwrap_or_default()
}

fn family(root: &Node) -> Option<Family> {
    match api_version(root) {
        version if version.starts_with(ACK_GROUP) => Some(Family::Ack),
        version if version.starts_with(ESO_GROUP) => Some(Family::Eso),
        _ => None,
    }
}

fn is_store(root: &Node) -> bool {
    matches!(kind(root), "SecretStore" | "ClusterSecretStore")
}

fn known_fields(root: &Node) -> &'static [&'static str] {
    match (kind(root), family(root)) {
        ("", _) => values::KNOWN,
        ("SecretProviderClass", _) => csi::KNOWN,
        (_, Some(Family::Ack)) => ack::KNOWN,
        (_, Some(Family::Eso)) => eso::KNOWN,
        _ => &["apiVersion", "kind", "metadata", "spec", "name", "namespace"],
    }
}

fn title(root: &Node) -> String {
    let text = |key| store::texts(Some(root), &["metadata", key]);
    let name = text("name").unwrap_or_default();
    let title = match (kind(root), text("namespace")) {
        ("", _) if values::is_values(root) => "values of the chart".to_owned(),
        ("", _) => "an object without kind".to_owned(),
        (kind, Some(namespace)) => format!("{kind} {namespace}/{name}"),
        (kind, None) => format!("{kind} {name}"),
    };
    crate::text::shown(&title).trim_end().to_owned()
}

fn one<'a>(root: &'a Node, world: &mut World<'a>, ledger: &mut Ledger) {
    match (kind(root), family(root)) {
        ("ExternalSecret", Some(Family::Ack)) => ack::external_secret(root, world, ledger),
        ("ExternalSecret", Some(Family::Eso)) => eso::external_secret(root, world, ledger),
        ("ClusterExternalSecret", Some(family)) => {
            ack::cluster_external_secret(root, family, world, ledger);
        }
        ("SecretStore" | "ClusterSecretStore", Some(_)) => {}
        ("SecretProviderClass", _) if api_version(root).starts_with(CSI_GROUP) => {
            csi::convert(root, world, ledger);
        }
        ("ServiceAccount", _) => {}
        ("", _) if root.get("kind").is_none() && values::is_values(root) => {
            let tree = values::convert(root, ledger);
            world.add_values(&tree, root, ledger);
        }
        ("", _) if values::is_of_ack(root) => ledger.refused(
            root,
            "are values of ack-secret-manager's chart: the controller's own, and not of what it reads",
            "give command.region as --region; whose identity its secrets are read with, see the list of roles",
        ),
        ("", _) => ledger.refused(root, "has no kind", "write apiVersion and kind"),
        ("PushSecret" | "ClusterPushSecret", _) => {
            ledger.refused(
                root,
                "secrets are read here and never written",
                "keep what writes them",
            );
        }
        (kind, _) => {
            let groups = match kind {
                "SecretProviderClass" => "secrets-store.csi.x-k8s.io/v1",
                _ => "alibabacloud.com/v1alpha1 and external-secrets.io/v1",
            };
            let todo = format!("there are {groups}; correct it and convert again");
            ledger.refused(root, "has an apiVersion or kind that is not known here", &todo);
        }
    }
}

impl<'a> World<'a> {
    /// `namespace`: of who names it.
    fn store(
        &mut self,
        family: Family,
        reference: &Reference<'_>,
        namespace: Option<&str>,
    ) -> Option<&mut Store<'a>> {
        let wanted = reference.namespace.or(namespace);
        self.stores.iter_mut().find(|store| {
            let beside = match (store.namespace, wanted) {
                (Some(one), Some(other)) => one == other,
                _ => true,
            };
            store.family == family
                && store.cluster == reference.cluster
                && store.name == reference.name
                && beside
        })
    }

    /// All of a group, or none, and why.
    fn add(&mut self, group: Vec<(&'static str, Meta, Yaml)>) -> Result<(), String> {
        let mut made = Vec::new();
        for (kind, meta, tree) in group {
            let (namespace, name) = (meta.namespace.clone(), meta.name.clone());
            let text = tree.render();
            let key = (kind, (namespace.clone(), name.clone()));
            match self.taken.get(&key).and_then(|index| self.out.get(*index)) {
                Some(same) if same.text == text => continue,
                Some(_) => {
                    return Err(format!("another {kind} {} was made before", meta.full_name()));
                }
                None => {
                    let object = self.object;
                    made.push(Manifest { kind, namespace, name, text, object });
                }
            }
        }
        let text: Vec<&str> = made.iter().map(|manifest| &*manifest.text).collect();
        let file = File::read(String::new(), text.join("---\n"));
        let report = check::check(&[file], self.settings);
        let error = report.findings.iter().find(|finding| finding.severity() == Severity::Error);
        if let Some(error) = error {
            return Err(format!("what it becomes is refused: {}", error.sentence()));
        }
        for manifest in made {
            self.put(manifest);
        }
        Ok(())
    }

    fn put(&mut self, manifest: Manifest) {
        let key = (manifest.kind, (manifest.namespace.clone(), manifest.name.clone()));
        self.taken.insert(key, self.out.len());
        self.out.push(manifest);
    }

    fn add_values(&mut self, tree: &Yaml, root: &Node, ledger: &mut Ledger) {
        let key = ("values", (None, "values".to_owned()));
        if self.taken.contains_key(&key) {
            return ledger.refused(
                root,
                "another file of values was converted before",
                "convert one in a run",
            );
        }
        let (name, text) = ("values".to_owned(), tree.render());
        let object = self.object;
        self.put(Manifest { kind: "values", namespace: None, name, text, object });
    }

    /// Those of the pods that mount the class.
    fn need_of_class(
        &mut self,
        meta: &Meta,
        role: Option<&str>,
        spec: &Spec,
        region: &str,
    ) -> Result<(), String> {
        let key = (meta.namespace.clone(), meta.name.clone());
        let Some(users) = self.users.get(&key).filter(|users| !users.is_empty()) else {
            self.accounts.need_of_pods(&meta.full_name(), role, spec, region);
            return Ok(());
        };
        let mut needed = Ok(());
        for user in users {
            needed = needed.and(self.accounts.need(user.clone(), role, spec, region));
        }
        needed
    }
}

/// Of each class the ServiceAccounts of the pods that mount it.
fn users(inputs: &[Input]) -> BTreeMap<Name, BTreeSet<Name>> {
    let mut users: BTreeMap<Name, BTreeSet<Name>> = BTreeMap::new();
    let text = |text: &crate::manifests::value::Text| text.text.to_string();
    for manifest in inputs.iter().flat_map(|input| &input.file.manifests) {
        let Body::Workload(workload) = &manifest.body else { continue };
        let namespace = manifest.namespace.as_ref().map(text);
        let account = workload.service_account.as_ref().map_or_else(|| "default".to_owned(), text);
        for class in workload.volumes.iter().filter_map(|volume| volume.class.as_ref()) {
            let class = (namespace.clone(), text(class));
            users.entry(class).or_default().insert((namespace.clone(), account.clone()));
        }
    }
    users
}

/// Writes those that are needed, with the annotation for their role, and says which role the input's have.
fn service_accounts(
    documents: &[Document<'_>],
    ledgers: &mut [Ledger],
    world: &mut World<'_>,
    left: &mut Vec<Left>,
) -> BTreeMap<Name, String> {
    let mut known = BTreeMap::new();
    let mut given = BTreeSet::new();
    for (document, ledger) in documents.iter().zip(ledgers) {
        let root = &document.root;
        if kind(root) != "ServiceAccount" {
            continue;
        }
        let text = |key| store::texts(Some(root), &["metadata", key]).map(str::to_owned);
        let name = (text("namespace"), text("name").unwrap_or_default());
        if !world.accounts.is_needed(&name) || !given.insert(name.clone()) {
            ledger.mark(root, &Fate::NotNeeded("nothing that was converted needs it".to_owned()));
            continue;
        }
        let Some(mut meta) = metadata::read(root, ledger) else { continue };
        let annotation = world.accounts.annotation(&name);
        let mut role = None;
        let annotations = root.get("metadata").and_then(|metadata| metadata.get("annotations"));
        for entry in annotations.and_then(Node::entries).unwrap_or_default() {
            if foreign_role(&entry.key) {
                meta.annotations.retain(|(key, _)| **key != *entry.key);
                ledger.by_hand(
                    &entry.value,
                    "names an identity of another cloud",
                    "give the role of the list what this identity may read",
                );
            } else if matches!(&*entry.key, ROLE_ARN | ROLE_NAME) {
                role = entry.value.text().map(str::to_owned);
            }
        }
        match role {
            Some(role) => {
                if let Some(other) = world.accounts.role_of(&name).filter(|other| **other != role) {
                    ledger.note(
                        format!("it has role {role}, and a store that was converted has {other}"),
                        "keep the one that may read the secrets",
                    );
                }
                known.insert(name.clone(), role);
            }
            None => meta.annotations.push(annotation),
        }
        let mut fields = vec![
            ("apiVersion".to_owned(), Yaml::Text("v1".to_owned())),
            ("kind".to_owned(), Yaml::Text("ServiceAccount".to_owned())),
            ("metadata".to_owned(), meta.tree()),
        ];
        for entry in root.entries().unwrap_or_default() {
            if !matches!(&*entry.key, "apiVersion" | "kind" | "metadata" | "status") {
                ledger.carried_whole(&entry.value, entry.key.to_string());
                fields.push((entry.key.to_string(), Yaml::of(&entry.value)));
            }
        }
        if let Err(why) = world.add(vec![("ServiceAccount", meta, Yaml::Map(fields))]) {
            ledger.refused(root, &why, "correct it and convert again");
        }
    }
    let made: Vec<Name> =
        world.accounts.names().filter(|name| !given.contains(name)).cloned().collect();
    for name in made {
        let tree = account::manifest(&name, world.accounts.annotation(&name));
        let meta = Meta { name: name.1, namespace: name.0, ..Meta::default() };
        let title = format!("ServiceAccount {}", meta.full_name());
        if let Err(why) = world.add(vec![("ServiceAccount", meta, tree)]) {
            left.push((title, 0, why, "write it by hand".to_owned()));
        }
    }
    known
}

fn foreign_role(annotation: &str) -> bool {
    matches!(
        annotation,
        "eks.amazonaws.com/role-arn"
            | "azure.workload.identity/client-id"
            | "azure.workload.identity/tenant-id"
            | "iam.gke.io/gcp-service-account"
    )
}
