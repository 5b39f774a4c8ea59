//! Document: a secret's JSON or YAML, read once for all its extracts. A text whose meaning is not
//! certain is refused with the reason and the place, never with any of it.

mod ast;
mod found;
pub mod jmespath;
mod json;
mod number;
mod path;
mod search;
mod value;

use crate::yaml::{self, Malformed, Node, Position};
use value::{Shared, Value};

pub(crate) struct Document(Shared);

/// Why a value is no document, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) message: String,
    pub(crate) hint: &'static str,
}

impl Unread {
    /// Not one that only has a mistake in it.
    fn other(what: impl Into<String>) -> Self {
        Self { message: what.into(), hint: "jmesPath needs a JSON or YAML secret" }
    }

    fn broken(what: String) -> Self {
        Self { message: what, hint: "correct the secret's value" }
    }
}

impl Document {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Unread> {
        let text = text(bytes)?;
        if text.trim_start().starts_with("-----BEGIN ") {
            let what = "is PEM, not a JSON or YAML document".to_owned();
            return Err(Unread { message: what, hint: "remove jmesPath" });
        }
        let root = match text.trim_start().chars().next() {
            Some('{' | '[') => json_or_flow(text)?,
            _ => Value::of_yaml(block(text).map_err(neither)?),
        };
        match root {
            Value::List(_) | Value::Map(_) => Ok(Self(root.into())),
            // A password is YAML too, but nothing can be found in it.
            _ => Err(Unread::other("is not a JSON or YAML document: it is a single text")),
        }
    }

    fn root(&self) -> &Shared {
        &self.0
    }
}

fn text(bytes: &[u8]) -> Result<&str, Unread> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Unread::other("is UTF-16, where JSON and YAML are read as UTF-8"));
    }
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let byte = error.valid_up_to().saturating_add(1);
        Unread::other(format!("is not text: byte {byte} is not UTF-8"))
    })
}

/// A text that starts as JSON is JSON. What only YAML can write, such as keys without quotes, is read
/// as YAML if it has one meaning: what was broken JSON would become another value.
fn json_or_flow(text: &str) -> Result<Value, Unread> {
    let wrong = match json::parse(text) {
        Ok(value) => return Ok(value),
        Err(wrong) => wrong,
    };
    let what = format!("is not valid JSON: {wrong}");
    if wrong.reason == json::TWICE {
        return Err(Unread::broken(what));
    }
    match Node::parse_strict_flow(text) {
        Ok(node) => Ok(Value::of_yaml(node)),
        Err(uncertain) if json::may_be_yaml(&wrong) => {
            Err(Unread::broken(format!("{what}; {uncertain}")))
        }
        Err(_) => Err(Unread::broken(what)),
    }
}

/// Where the first key is in double quotes, as in JSON, no value without any may end as JSON does: the
/// first bracket of the document is lost.
fn block(text: &str) -> Result<Node, Malformed> {
    let node = Node::parse(text)?;
    let mut words = text.split_ascii_whitespace().skip_while(|word| is_mark(word));
    let quoted = words.next().is_some_and(|word| word.starts_with('"'));
    match rest_of_json(&node).filter(|_| quoted) {
        Some(at) => {
            let reason = "a value without quotes ends with , } or ]: it needs quotes or, if this is JSON, \
                          its first bracket is missing";
            Err(Malformed { reason, at })
        }
        None => Ok(node),
    }
}

/// What may stand before a key: of a list, or a tag.
fn is_mark(word: &str) -> bool {
    word == "-" || word.starts_with('!')
}

fn rest_of_json(node: &Node) -> Option<Position> {
    match &node.value {
        yaml::Value::Scalar(scalar) => {
            (scalar.plain && scalar.text.ends_with([',', '}', ']'])).then_some(node.at)
        }
        yaml::Value::Sequence(items) => items.iter().find_map(rest_of_json),
        yaml::Value::Mapping(entries) => {
            entries.iter().find_map(|entry| rest_of_json(&entry.value))
        }
    }
}

fn neither(wrong: Malformed) -> Unread {
    Unread::broken(format!("is not a JSON or YAML document: {wrong}"))
}

#[cfg(test)]
mod tests;
