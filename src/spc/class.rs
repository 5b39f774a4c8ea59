//! Class: one SecretProviderClass out of a manifest, as strict as the API server is with it. What its
//! parameters mean is not judged here.

use std::fmt;

use super::{fields::may_be_boolean, hints, parameters::Parameters};
use crate::{
    secret::Secret,
    text::quoted,
    yaml::{Entry, Node, Position, Scalar},
};

const KIND: &str = "SecretProviderClass";
const API_VERSIONS: [&str; 2] =
    ["secrets-store.csi.x-k8s.io/v1", "secrets-store.csi.x-k8s.io/v1alpha1"];
const PROVIDER: &str = "alibabacloud";
const TOP: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
const SPEC: [&str; 3] = ["provider", "parameters", "secretObjects"];

/// A SecretProviderClass as its author wrote it.
#[derive(Debug)]
pub struct Class {
    pub name: String,
    pub parameters: Parameters,
    /// Whether it has `secretObjects`, of which nothing but the driver makes Secrets.
    pub has_secret_objects: bool,
}

/// Why a manifest holds no class to mount, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Unusable {
    at: Option<Position>,
    what: String,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "{at}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl Class {
    /// The only document of a manifest; with a name, the class of that name among others.
    pub fn read(manifest: &str, name: Option<&str>) -> Result<Self, Unusable> {
        let mut found: Option<Document> = None;
        for document in documents(manifest)? {
            if name.is_some_and(|name| !document.is_class_named(name)) {
                continue;
            }
            if let Some(first) = &found {
                let hint = match name {
                    Some(_) => "remove one",
                    None => "keep one, or choose with --name",
                };
                let what =
                    format!("a second document, after that of {}; {hint}", first.at(&first.root));
                return Err(document.wrong(&document.root, what));
            }
            found = Some(document);
        }
        match (found, name) {
            (Some(document), _) => document.class(),
            (None, Some(name)) => {
                let what = format!("there is no {KIND} with the name {}", quoted(name));
                Err(Unusable { at: None, what })
            }
            (None, None) => Err(Unusable { at: None, what: "is empty".to_owned() }),
        }
    }
}

/// One document, and how many lines are before it.
struct Document {
    root: Node,
    before: u32,
}

/// Those that hold something. A line that begins with `---` ends a document wherever it stands, in a block
/// of text too (YAML 1.2, section 9.1.2).
fn documents(manifest: &str) -> Result<Vec<Document>, Unusable> {
    let marks = |line: &str| {
        line.strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
    };
    let mut texts = vec![(0, String::new())];
    for (number, line) in (0..).zip(manifest.trim_start_matches('\u{feff}').lines()) {
        if marks(line) {
            texts.push((number, String::new()));
        }
        if let Some((_, text)) = texts.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    let mut documents = Vec::new();
    for (before, text) in texts {
        let root = Node::parse(&text).map_err(|malformed| Unusable {
            at: Some(later(malformed.at, before)),
            what: malformed.reason.to_owned(),
        })?;
        if !root.is_null() {
            documents.push(Document { root, before });
        }
    }
    Ok(documents)
}

fn later(at: Position, lines: u32) -> Position {
    Position { line: at.line.saturating_add(lines), ..at }
}

impl Document {
    fn at(&self, node: &Node) -> Position {
        later(node.at, self.before)
    }

    fn wrong(&self, node: &Node, what: impl Into<String>) -> Unusable {
        Unusable { at: Some(self.at(node)), what: what.into() }
    }

    fn is_class_named(&self, name: &str) -> bool {
        let is = |node: Option<&Node>, text: &str| node.and_then(Node::text) == Some(text);
        let named = self.root.get("metadata").and_then(|metadata| metadata.get("name"));
        is(self.root.get("kind"), KIND) && is(named, name)
    }

    fn class(&self) -> Result<Class, Unusable> {
        let root = &self.root;
        if root.entries().is_none() {
            return Err(self.wrong(root, format!("is not a {KIND}")));
        }
        let kind = self.text(root, "", "kind")?;
        if kind != KIND {
            let what = format!("is a {}, and no {KIND}", quoted(kind));
            return Err(self.wrong(root, what));
        }
        let version = self.text(root, "", "apiVersion")?;
        if !API_VERSIONS.contains(&version) {
            let what = format!("apiVersion is {}; it must be {}", quoted(version), API_VERSIONS[0]);
            return Err(self.wrong(root, what));
        }
        self.only(root, "", &TOP)?;
        let name = self.text(self.mapping(root, "", "metadata")?, "metadata.", "name")?;
        let spec = self.mapping(root, "", "spec")?;
        self.only(spec, "spec.", &SPEC)?;
        let provider = self.text(spec, "spec.", "provider")?;
        if provider != PROVIDER {
            let what = format!("spec.provider is {}; only {PROVIDER} is served", quoted(provider));
            return Err(self.wrong(spec, what));
        }
        let given = self.mapping(spec, "spec.", "parameters")?;
        let mut parameters = Parameters::default();
        for Entry { key, value, .. } in given.entries().unwrap_or_default() {
            let field = format!("spec.parameters.{key}");
            parameters.insert(key, Secret::new(self.as_text(value, &field)?.to_owned()));
        }
        let secret_objects = spec.get("secretObjects").and_then(Node::items);
        Ok(Class {
            name: name.to_owned(),
            parameters,
            has_secret_objects: secret_objects.is_some_and(|items| !items.is_empty()),
        })
    }

    fn only(&self, mapping: &Node, path: &str, known: &[&str]) -> Result<(), Unusable> {
        let mut entries = mapping.entries().unwrap_or_default().iter();
        entries.find(|entry| !known.contains(&&*entry.key)).map_or(Ok(()), |entry| {
            let near = hints::near(&entry.key, known);
            let near =
                near.map_or_else(String::new, |near| format!("; did you mean {path}{near}?"));
            let what = format!(
                "{} is not a field of a {KIND}{near}",
                quoted(&format!("{path}{}", entry.key))
            );
            Err(Unusable { at: Some(later(entry.at, self.before)), what })
        })
    }

    fn required<'a>(&self, node: &'a Node, path: &str, key: &str) -> Result<&'a Node, Unusable> {
        let value = node.get(key).filter(|value| !value.is_null());
        value.ok_or_else(|| self.wrong(node, format!("{path}{key} is missing")))
    }

    fn mapping<'a>(&self, node: &'a Node, path: &str, key: &str) -> Result<&'a Node, Unusable> {
        let value = self.required(node, path, key)?;
        match value.entries() {
            Some(_) => Ok(value),
            None => Err(self.wrong(value, format!("{path}{key} is not a mapping"))),
        }
    }

    fn text<'a>(&self, node: &'a Node, path: &str, key: &str) -> Result<&'a str, Unusable> {
        let text = self.as_text(self.required(node, path, key)?, &format!("{path}{key}"))?;
        match text.trim() {
            "" => Err(self.wrong(node, format!("{path}{key} is empty"))),
            _ => Ok(text),
        }
    }

    /// Where the API server takes texts alone, so that a class that it refuses is refused here.
    fn as_text<'a>(&self, value: &'a Node, field: &str) -> Result<&'a str, Unusable> {
        let field = quoted(field);
        match value.scalar() {
            None => Err(self.wrong(value, format!("{field} is not a text"))),
            Some(scalar) if is_no_text(scalar) => {
                Err(self.wrong(value, format!("{field} is not a text without quotes; quote it")))
            }
            Some(scalar) => Ok(&scalar.text),
        }
    }
}

/// A null, a boolean or a number, as the tools of Kubernetes read YAML.
fn is_no_text(scalar: &Scalar) -> bool {
    let number = |text: &str| {
        let digits = text.trim_start_matches(['+', '-']).replace('_', "");
        let of_base = ["0x", "0o", "0b"].iter().any(|base| digits.starts_with(base));
        let starts = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        starts && (of_base || digits.parse::<f64>().is_ok() || digits.eq_ignore_ascii_case(".inf"))
    };
    scalar.is_null() || may_be_boolean(scalar) || scalar.plain && number(&scalar.text)
}

#[cfg(test)]
mod tests;
