//! Other providers' forms of `objects`, and the same in ours.

use crate::{
    manifests::class::Class,
    yaml::{Node, Value},
};

/// Whose form it is, and what to write here.
pub(super) fn ours(class: &Class) -> Option<String> {
    let secrets = class.parameter("secrets").and_then(|pair| pair.value.text());
    let text = class.objects().or(secrets)?;
    let document = Node::parse(&text.text).ok()?;
    let (items, azure) = items(&document)?;
    let mut whose = azure.then_some("the Azure provider");
    let mut lines = String::new();
    for item in items {
        let (of, converted) = object(&item)?;
        whose = whose.or(of);
        lines.push_str(&converted);
    }
    let whose = whose?;
    Some(format!("this is the form of {whose}; here objects would be\n{}", lines.trim_end()))
}

/// The objects of a list, or of Azure's `array` of texts.
fn items(document: &Node) -> Option<(Vec<Node>, bool)> {
    let list = |node: &Node| node.items().map(<[Node]>::to_vec);
    match &document.value {
        Value::Sequence(items) => Some((items.clone(), false)),
        Value::Mapping(_) => {
            let texts = list(document.get("array")?)?;
            let parsed = texts.iter().map(|text| Node::parse(text.text()?).ok());
            Some((parsed.collect::<Option<_>>()?, true))
        }
        Value::Scalar(_) => None,
    }
}

/// One object in our form, and whose form it was in.
fn object(item: &Node) -> Option<(Option<&'static str>, String)> {
    let field = |name: &str| {
        let mut entries = item.entries()?.iter();
        let found = entries.find(|entry| entry.key.eq_ignore_ascii_case(name))?;
        found.value.text().filter(|text| !text.is_empty())
    };
    if let Some(resource) = field("resourceName") {
        // projects/PROJECT/secrets/NAME/versions/VERSION
        let (_, rest) = resource.split_once("/secrets/")?;
        let name = rest.split('/').next()?;
        let file = field("path").or(field("fileName"));
        let extract = field("extractJSONKey").or(field("extractYAMLKey"));
        return Some((Some("the Google Cloud provider"), ours_of(name, None, file, extract)));
    }
    if let Some(path) = field("secretPath") {
        let name = ["secret/data/", "secret/", "kv/data/", "kv/"]
            .iter()
            .find_map(|prefix| path.strip_prefix(prefix))
            .unwrap_or(path);
        let text =
            ours_of(name.trim_start_matches('/'), None, field("objectName"), field("secretKey"));
        return Some((Some("the Vault provider"), text));
    }
    let name = field("objectName")?;
    let file = field("objectAlias");
    let (whose, kind) = match field("objectType").map(str::to_ascii_lowercase).as_deref() {
        Some("secretsmanager") => (Some("the AWS provider"), None),
        Some("ssmparameter") => (Some("the AWS provider"), Some("oos")),
        Some("secret") => (Some("the Azure provider"), None),
        Some("oos") => (None, Some("oos")),
        // Keys and certificates are not to be had here.
        Some("key" | "cert") => return None,
        _ => (None, None),
    };
    // What else is in it is for its author to carry over: jmesPath is the same.
    let name = name.rsplit_once(":secret:").map_or(name, |(_, name)| name);
    Some((whose, ours_of(name, kind, file, None)))
}

fn ours_of(name: &str, kind: Option<&str>, file: Option<&str>, extract: Option<&str>) -> String {
    let mut lines = format!("- objectName: {}\n", scalar(name));
    if let Some(kind) = kind {
        lines.push_str(&format!("  objectType: {kind}\n"));
    }
    match (file, extract) {
        (file, Some(path)) => {
            let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let path = if plain { path.to_owned() } else { format!("'\"{path}\"'") };
            let file = scalar(file.unwrap_or("FILE"));
            lines.push_str(&format!("  jmesPath:\n  - path: {path}\n    objectAlias: {file}\n"));
        }
        (Some(file), None) => lines.push_str(&format!("  objectAlias: {}\n", scalar(file))),
        (None, None) => {}
    }
    lines
}

/// A text as YAML has it, in quotes where it needs them.
fn scalar(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_/.-".contains(&b);
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    match starts && text.bytes().all(plain) {
        true => text.to_owned(),
        false => serde_json::to_string(text).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
