//! YAML tree: every scalar keeps its text as written, and every error says where and why but never
//! what, since a document that does not parse may be a secret.
//!
//! The events come from granit-parser. Numbers, dates and the like are not resolved here, because a
//! value that went through a number is not the one its author wrote.

mod compose;
mod reason;
mod strict;

use std::fmt;

pub use compose::Budget;
use granit_parser::Marker;
use strict::Strict;

/// One value of a document and where it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub at: Position,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    /// In the order of the document; no key is there twice.
    Mapping(Vec<Entry>),
}

#[derive(Clone, PartialEq, Eq)]
pub struct Scalar {
    /// Without quotes, escapes and line folding; nothing else is changed.
    pub text: Box<str>,
    /// Neither quoted nor a block nor tagged as a text, so that it may mean null or a boolean.
    pub plain: bool,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: Box<str>,
    /// Of the key.
    pub at: Position,
    pub value: Node,
}

/// In the text given, both counted from 1; columns are characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

fn position(marker: &Marker) -> Position {
    let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Position { line: number(marker.line()), column: number(marker.col() + 1) }
}

impl Position {
    /// Where a text goes on after what is before.
    pub fn after(before: &str) -> Self {
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self {
            line: number(before.matches('\n').count() + 1),
            column: number(line.chars().count() + 1),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a text is not a document, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub reason: &'static str,
    pub at: Position,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.at)
    }
}

impl Node {
    /// The one document of a text. A text without any is null.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        Self::parse_within(text, Budget::DOCUMENT)
    }

    pub fn parse_within(text: &str, budget: Budget) -> Result<Self, Malformed> {
        compose::document(text, None, budget)
    }

    /// For a text in brackets that may be broken JSON.
    pub fn parse_strict_flow(text: &str) -> Result<Self, Malformed> {
        compose::document(text, Some(Strict::default()), Budget::DOCUMENT)
    }

    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    pub fn items(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            Value::Scalar(_) | Value::Mapping(_) => None,
        }
    }

    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Mapping(entries) => Some(entries),
            Value::Scalar(_) | Value::Sequence(_) => None,
        }
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        let mut entries = self.entries()?.iter();
        entries.find(|entry| &*entry.key == key).map(|entry| &entry.value)
    }

    /// The text of any scalar but null.
    pub fn text(&self) -> Option<&str> {
        self.scalar().filter(|scalar| !scalar.is_null()).map(|scalar| &*scalar.text)
    }

    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_null)
    }

    pub fn as_bool(&self) -> Option<bool> {
        self.scalar()?.as_bool()
    }
}

impl Scalar {
    pub fn is_null(&self) -> bool {
        self.plain && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }

    /// `yes` and `on` are texts, as in YAML 1.2.
    pub fn as_bool(&self) -> Option<bool> {
        match &*self.text {
            "true" | "True" | "TRUE" if self.plain => Some(true),
            "false" | "False" | "FALSE" if self.plain => Some(false),
            _ => None,
        }
    }
}

/// Without the text: it may be a secret.
impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scalar").field("plain", &self.plain).finish_non_exhaustive()
    }
}

/// Without the key, for the same reason.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("value", &self.value).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
