//! Class: a SecretProviderClass while it is made. What a mount would refuse is not written, and is in the
//! mount's words.

use std::collections::{BTreeMap, BTreeSet};

use super::{ledger::Ledger, write::Tree};
use crate::{
    endpoint::Endpoints,
    error::{Errors, Reason},
    secret::Secret,
    spc::{
        Spec, file::FileMode, object_cache::ObjectCache, objects::MAX_OBJECTS,
        parameters::Parameters,
    },
    yaml::Node,
};

pub(super) const API_VERSION: &str = "secrets-store.csi.x-k8s.io/v1";
pub(super) const KIND: &str = "SecretProviderClass";

/// Names and values, in their order.
pub(super) type Pairs = Vec<(String, String)>;

/// What every object has.
#[derive(Clone, Default)]
pub(super) struct Meta {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) labels: Pairs,
    pub(super) annotations: Pairs,
}

impl Meta {
    pub(super) fn tree(&self) -> Tree {
        let mut entries = vec![("name".to_owned(), Tree::Text(self.name.clone()))];
        if let Some(namespace) = &self.namespace {
            entries.push(("namespace".to_owned(), Tree::Text(namespace.clone())));
        }
        for (key, pairs) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            if !pairs.is_empty() {
                entries.push((key.to_owned(), Tree::texts(pairs)));
            }
        }
        Tree::Map(entries)
    }

    /// `namespace/name`
    pub(super) fn full_name(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// A parameter, and the field that it comes from.
pub(super) struct Parameter<'a> {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) node: Option<&'a Node>,
}

/// What becomes one file, and keys of a Secret.
#[derive(Clone)]
pub(super) struct Entry<'a> {
    /// Whose fields stand and fall together.
    pub(super) node: &'a Node,
    /// Fields of the object.
    pub(super) object: Vec<(&'static str, Tree)>,
    /// The part of the secret that is meant, as JMESPath.
    pub(super) path: Option<String>,
    /// `None`: as the object's own fields say.
    pub(super) file: Option<String>,
    /// Fields of the object, or of the entry of its `jmesPath` if a part is meant.
    pub(super) shape: Vec<(&'static str, Tree)>,
    pub(super) keys: Vec<String>,
}

pub(super) struct Draft<'a> {
    pub(super) meta: Meta,
    pub(super) parameters: Vec<Parameter<'a>>,
    pub(super) entries: Vec<Entry<'a>>,
}

/// One that a mount takes.
pub(super) struct Accepted<'a> {
    pub(super) tree: Tree,
    pub(super) spec: Spec,
    /// Of the entries that are in it.
    pub(super) nodes: Vec<&'a Node>,
    /// Keys of a Secret, each with its file.
    pub(super) keys: Pairs,
}

impl Accepted<'_> {
    pub(super) fn add_secret_objects(&mut self, objects: Tree) {
        if let Tree::Map(top) = &mut self.tree
            && let Some((_, Tree::Map(spec))) = top.last_mut()
        {
            spec.push(("secretObjects".to_owned(), objects));
        }
    }

    pub(super) fn files(&self) -> BTreeSet<&str> {
        let objects = self.spec.objects.iter();
        let files = objects.flat_map(|object| {
            let parts = object.extracts.iter().map(|part| part.file.as_str());
            parts.chain([object.file.as_str()])
        });
        files.collect()
    }
}

impl<'a> Draft<'a> {
    /// Without what a mount would refuse; `None` where nothing is left.
    pub(super) fn accept(
        mut self,
        ledger: &mut Ledger,
        endpoints: &Endpoints,
    ) -> Option<Accepted<'a>> {
        let cache = ObjectCache::default();
        let parse = |parameters: &[Parameter<'_>], objects: &str| {
            let mut given = Parameters::default();
            for Parameter { name, value, .. } in parameters {
                given.insert(name, Secret::new(value.clone()));
            }
            given.insert("objects", Secret::new(objects.to_owned()));
            Spec::parse(&given, endpoints, FileMode::default(), &cache)
        };
        let refuse = |ledger: &mut Ledger, node: &Node, errors: &Errors| {
            let why = errors.iter().next().map(ToString::to_string).unwrap_or_default();
            // It was looked at by itself: its number says nothing.
            let why = why
                .strip_prefix("object 1")
                .map_or_else(|| why.clone(), |rest| format!("the object{rest}"));
            ledger.refused(node, &why, "correct it and convert again, or write it by hand");
        };
        let given = std::mem::take(&mut self.parameters);
        for parameter in given {
            let node = parameter.node;
            match parse(std::slice::from_ref(&parameter), "- objectName: a") {
                Ok(_) => self.parameters.push(parameter),
                Err(errors) => node.into_iter().for_each(|node| refuse(ledger, node, &errors)),
            }
        }
        self.entries.retain(|entry| {
            let (text, _) = objects(std::slice::from_ref(entry));
            let parsed = parse(&self.parameters, &text);
            parsed.map_err(|errors| refuse(ledger, entry.node, &errors)).is_ok()
        });
        let mut whole = parse(&self.parameters, &objects(&self.entries).0);
        if whole.is_err() && !self.entries.is_empty() {
            let all = std::mem::take(&mut self.entries);
            let mut full: Option<Errors> = None;
            for entry in all {
                let node = entry.node;
                // Each more would be refused alike, after all were looked at once more.
                if let Some(errors) = &full {
                    refuse(ledger, node, errors);
                    continue;
                }
                self.entries.push(entry);
                if let Err(errors) = parse(&self.parameters, &objects(&self.entries).0) {
                    self.entries.pop();
                    refuse(ledger, node, &errors);
                    let too_many = errors.iter().any(|error| error.reason == Reason::TooMany);
                    full = Some(errors).filter(|_| too_many && self.entries.len() >= MAX_OBJECTS);
                }
            }
            whole = parse(&self.parameters, &objects(&self.entries).0);
        }
        let spec = whole.ok().filter(|_| !self.entries.is_empty())?;
        let (text, files) = objects(&self.entries);
        let keys = self
            .entries
            .iter()
            .zip(&files)
            .flat_map(|(entry, file)| entry.keys.iter().map(|key| (key.clone(), file.clone())));
        let keys = keys.collect();
        let nodes = self.entries.iter().map(|entry| entry.node).collect();
        Some(Accepted { tree: self.tree(text), spec, nodes, keys })
    }

    fn tree(self, objects: String) -> Tree {
        let mut parameters: Vec<(String, Tree)> = self
            .parameters
            .into_iter()
            .map(|parameter| (parameter.name.to_owned(), Tree::Text(parameter.value)))
            .collect();
        parameters.push(("objects".to_owned(), Tree::Block(objects)));
        let spec = vec![
            ("provider".to_owned(), Tree::Text("alibabacloud".to_owned())),
            ("parameters".to_owned(), Tree::Map(parameters)),
        ];
        Tree::map([
            ("apiVersion", Tree::Text(API_VERSION.to_owned())),
            ("kind", Tree::Text(KIND.to_owned())),
            ("metadata", self.meta.tree()),
            ("spec", Tree::Map(spec)),
        ])
    }
}

/// The text of `objects`, and the file of each entry. Parts of one secret share an object, which has a file
/// of its own beside theirs.
fn objects(entries: &[Entry<'_>]) -> (String, Vec<String>) {
    let translated = |name: &str| name.replace('/', "_");
    let mut taken: BTreeSet<String> =
        entries.iter().filter_map(|entry| entry.file.as_deref().map(translated)).collect();
    // The fields of each object with its parts, and where an object is by its fields.
    let mut made: Vec<(&Entry<'_>, Vec<&Entry<'_>>)> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for entry in entries {
        let same = Tree::Map(fields(&entry.object).collect()).render();
        let plain = entry.path.is_none();
        match known.get(&same).and_then(|index| made.get_mut(*index)) {
            Some((first, _)) if plain && first.path.is_some() => *first = entry,
            Some((_, parts)) if !plain => parts.push(entry),
            _ => {
                known.entry(same).or_insert(made.len());
                made.push((entry, if plain { vec![] } else { vec![entry] }));
            }
        }
    }
    let mut trees = Vec::new();
    for (first, parts) in made {
        let mut object: Vec<(String, Tree)> = fields(&first.object).collect();
        if first.path.is_none() {
            object.extend(
                first.file.iter().map(|file| ("objectAlias".to_owned(), Tree::Text(file.clone()))),
            );
            object.extend(fields(&first.shape));
        } else {
            let name = first.object.iter().find_map(|(key, tree)| match tree {
                Tree::Text(text) | Tree::Raw(text) if *key == "objectName" => Some(&**text),
                _ => None,
            });
            let own = translated(name.unwrap_or_default());
            let free = !taken.contains(&own);
            let mut file = own.clone();
            let mut number = 1;
            while taken.contains(&file) {
                file = match number {
                    1 => format!("{own}-whole"),
                    more => format!("{own}-whole-{more}"),
                };
                number += 1;
            }
            taken.insert(file.clone());
            if !free {
                object.push(("objectAlias".to_owned(), Tree::Text(file)));
            }
        }
        let parts: Vec<Tree> = parts
            .into_iter()
            .map(|part| {
                let path = part.path.clone().unwrap_or_default();
                let file = part.file.clone().unwrap_or_default();
                let mut entry = vec![
                    ("path".to_owned(), Tree::Text(path)),
                    ("objectAlias".to_owned(), Tree::Text(file)),
                ];
                entry.extend(fields(&part.shape));
                Tree::Map(entry)
            })
            .collect();
        if !parts.is_empty() {
            object.push(("jmesPath".to_owned(), Tree::List(parts)));
        }
        trees.push(Tree::Map(object));
    }
    let files = entries.iter().map(|entry| translated(entry.file.as_deref().unwrap_or_default()));
    (Tree::List(trees).render(), files.collect())
}

fn fields(all: &[(&'static str, Tree)]) -> impl Iterator<Item = (String, Tree)> {
    all.iter().map(|(key, tree)| ((*key).to_owned(), tree.clone()))
}
