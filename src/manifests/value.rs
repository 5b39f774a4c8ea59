//! Values of manifests: texts with their places, and what is there in place of a text.

use std::fmt;

use crate::yaml::{Entry, Node, Position, Scalar, Value};

/// A scalar as its author wrote it.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    pub text: Box<str>,
    /// Where it starts in its file; a block where its first line does.
    pub at: Position,
    /// What YAML makes of it, which Kubernetes looks at.
    pub kind: ScalarKind,
}

/// What a scalar without quotes can be besides a text. As YAML 1.1 has them, which Kubernetes reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    Text,
    Boolean,
    Number,
}

impl ScalarKind {
    fn of(scalar: &Scalar) -> Self {
        // Kubernetes' reader leaves y and n alone.
        const WORDS: [&str; 6] = ["true", "false", "yes", "no", "on", "off"];
        let text = &*scalar.text;
        let boolean = WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
        match scalar.plain {
            true if boolean => ScalarKind::Boolean,
            true if is_number(text) => ScalarKind::Number,
            _ => ScalarKind::Text,
        }
    }
}

fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |text: &str, allowed: fn(u8) -> bool| {
        !text.is_empty() && text.bytes().all(|b| allowed(b) || b == b'_') && !text.starts_with('_')
    };
    if let Some(hex) = unsigned.strip_prefix("0x") {
        return digits(hex, |b| b.is_ascii_hexdigit());
    }
    if let Some(octal) = unsigned.strip_prefix("0o").or_else(|| unsigned.strip_prefix("0b")) {
        return digits(octal, |b| b.is_ascii_digit());
    }
    let starts = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let float = starts && unsigned.bytes().any(|b| b.is_ascii_digit());
    digits(unsigned, |b| b.is_ascii_digit())
        || float && unsigned.replace('_', "").parse::<f64>().is_ok()
        || matches!(unsigned.to_ascii_lowercase().as_str(), ".inf" | ".nan")
}

/// Without the text: it may be anything that an author wrote.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text").field("at", &self.at).finish_non_exhaustive()
    }
}

/// A name and what it stands for.
#[derive(Debug)]
pub struct Pair {
    pub name: Text,
    pub value: Given,
}

/// What is given where a text belongs.
#[derive(Debug)]
pub enum Given {
    Text(Text),
    /// Null, or nothing at all.
    Nothing,
    /// A list or a mapping.
    Other(Position, &'static str),
}

impl Given {
    pub fn text(&self) -> Option<&Text> {
        match self {
            Given::Text(text) => Some(text),
            Given::Nothing | Given::Other(..) => None,
        }
    }
}

/// A node, and on which line of the file its document starts.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) node: &'a Node,
    pub(super) line: u32,
}

impl<'a> At<'a> {
    pub(super) fn position(self) -> Position {
        self.moved(self.node.at)
    }

    fn moved(self, at: Position) -> Position {
        Position { line: at.line.saturating_add(self.line).saturating_sub(1), ..at }
    }

    fn with(self, node: &'a Node) -> Self {
        Self { node, ..self }
    }

    pub(super) fn get(self, key: &str) -> Option<Self> {
        self.node.get(key).map(|node| self.with(node))
    }

    pub(super) fn path(self, keys: &[&str]) -> Option<Self> {
        keys.iter().try_fold(self, |at, key| at.get(key))
    }

    pub(super) fn items(self) -> impl Iterator<Item = Self> {
        self.node.items().unwrap_or_default().iter().map(move |node| self.with(node))
    }

    /// The items of a list, if it is there.
    pub(super) fn list(self, key: &str) -> impl Iterator<Item = Self> {
        self.get(key).into_iter().flat_map(Self::items)
    }

    pub(super) fn given(self) -> Given {
        match &self.node.value {
            Value::Scalar(scalar) if scalar.is_null() => Given::Nothing,
            Value::Scalar(scalar) => Given::Text(Text {
                text: scalar.text.clone(),
                at: self.position(),
                kind: ScalarKind::of(scalar),
            }),
            Value::Sequence(_) => Given::Other(self.position(), "a list"),
            Value::Mapping(_) => Given::Other(self.position(), "a mapping"),
        }
    }

    /// The text under a key; `None` also where it is null, a list or a mapping.
    pub(super) fn text(self, key: &str) -> Option<Text> {
        match self.get(key)?.given() {
            Given::Text(text) => Some(text),
            Given::Nothing | Given::Other(..) => None,
        }
    }

    pub(super) fn flag(self, key: &str) -> Option<bool> {
        self.get(key)?.node.as_bool()
    }

    pub(super) fn pairs(self) -> Vec<Pair> {
        let entries = self.node.entries().unwrap_or_default().iter();
        let pair = |entry: &'a Entry| Pair {
            name: self.key(entry),
            value: self.with(&entry.value).given(),
        };
        entries.map(pair).collect()
    }

    pub(super) fn keys(self) -> impl Iterator<Item = Text> {
        self.node.entries().unwrap_or_default().iter().map(move |entry| self.key(entry))
    }

    fn key(self, entry: &Entry) -> Text {
        Text { text: entry.key.clone(), at: self.moved(entry.at), kind: ScalarKind::Text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalar_without_quotes_is_what_yaml_makes_of_it() {
        let of = |text: &str, plain| ScalarKind::of(&Scalar { text: text.into(), plain });
        for number in
            ["0", "-1", "1.5", "1e3", "0x1F", "0o7", "1_000", ".5", ".inf", "-.NaN", "00123"]
        {
            assert_eq!(of(number, true), ScalarKind::Number, "{number}");
            assert_eq!(of(number, false), ScalarKind::Text, "{number}");
        }
        for boolean in ["true", "No", "ON"] {
            assert_eq!(of(boolean, true), ScalarKind::Boolean, "{boolean}");
        }
        for text in ["a", "1a", "1.2.3", "5m", "y", "0x", "-", ".", "e1", "1-2", "_1", ""] {
            assert_eq!(of(text, true), ScalarKind::Text, "{text}");
        }
    }
}
