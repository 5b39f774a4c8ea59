//! JSON reader: serde_json finds the parts, and each number stays the text that it is. What is wrong
//! is said with its place and never with the text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::value::{Fields, Value};
use crate::yaml::{Malformed, Position};

/// serde_json's own limit for trees.
const MAX_DEPTH: usize = 128;

pub(super) const TWICE: &str = "the same key twice";

pub(super) fn parse(text: &str) -> Result<Value, Malformed> {
    let whole = serde_json::from_str::<&RawValue>(text);
    let whole = whole.map_err(|error| wrong(text, text, &error))?;
    value(text, whole.get(), 0)
}

/// Of `part`, which is a slice of the text and, but for its strings, known to be valid.
fn value(text: &str, part: &str, depth: usize) -> Result<Value, Malformed> {
    let error = |error: serde_json::Error| wrong(text, part, &error);
    let here = |reason| Malformed { reason, at: position(text, offset(text, part)) };
    if depth > MAX_DEPTH {
        return Err(here(DEEP));
    }
    let inner = |part: &RawValue| value(text, part.get(), depth + 1);
    Ok(match part.as_bytes().first() {
        Some(b'{') => {
            let Pairs(pairs) = serde_json::from_str(part).map_err(error)?;
            let mut fields = Fields::with_capacity(pairs.len());
            for (key, raw) in pairs {
                if fields.insert(key.into(), inner(raw)?.into()).is_some() {
                    let at = position(text, offset(text, raw.get()));
                    return Err(Malformed { reason: TWICE, at });
                }
            }
            Value::Map(fields)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(part).map_err(error)?;
            let items = items.into_iter().map(|item| inner(item).map(Into::into));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        Some(b'"') => Value::Text(serde_json::from_str::<String>(part).map_err(error)?.into()),
        Some(b't') => Value::bool(true),
        Some(b'f') => Value::bool(false),
        Some(b'n') => Value::Null,
        _ => Value::Number(part.into()),
    })
}

/// All of an object, also a key that is there twice.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

fn wrong(text: &str, part: &str, error: &serde_json::Error) -> Malformed {
    let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let start = position(text, offset(text, part));
    let (line, column) = (number(error.line()), number(error.column()));
    let at = match line {
        0 | 1 => {
            Position { column: start.column.saturating_add(column).saturating_sub(1), ..start }
        }
        _ => Position { line: start.line.saturating_add(line).saturating_sub(1), column },
    };
    Malformed { reason: words(&error.to_string()), at }
}

/// Where a slice of the text starts in it.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr().addr().saturating_sub(text.as_ptr().addr())
}

fn position(text: &str, offset: usize) -> Position {
    Position::after(text.get(..offset).unwrap_or_default())
}

const DEEP: &str = "too deeply nested";
const ESCAPE: &str = "a single \\ in a string, or an incomplete escape (a \\ is written \\\\)";

const KEY: &str = "a key without double quotes";
const COMMA: &str = "a comma before a closing bracket";
const NUMBER: &str = "a number that JSON does not have";
const VALUE: &str = "a value is missing or has no double quotes";

/// Whether YAML may have what JSON does not, so that this alone is no reason to refuse a text.
pub(super) fn may_be_yaml(wrong: &Malformed) -> bool {
    matches!(wrong.reason, KEY | COMMA | NUMBER | VALUE)
}

/// serde_json's sentences, which have no text of the document, in our words.
fn words(error: &str) -> &'static str {
    const WORDS: [(&str, &str); 14] = [
        (
            "control character",
            "a line break, tab or other control character as it is in a string (write \\n or \\t)",
        ),
        ("expected `,` or `}`", "a comma or a closing } is missing"),
        ("expected `,` or `]`", "a comma or a closing ] is missing"),
        ("expected `:`", "a colon is missing after a key"),
        ("key must be a string", KEY),
        ("trailing comma", COMMA),
        ("trailing characters", "there is text after its end"),
        ("EOF while parsing a string", "a double quote is not closed"),
        ("EOF while parsing", "it ends too early: a bracket is not closed"),
        ("escape", ESCAPE),
        ("surrogate", ESCAPE),
        ("invalid number", NUMBER),
        ("recursion limit", DEEP),
        ("expected", VALUE),
    ];
    let found = WORDS.iter().find(|(part, _)| error.contains(part));
    found.map_or("it breaks JSON's rules", |(_, words)| *words)
}

/// Into one string, in the order of the document and without blanks; no more than `limit` bytes.
pub(super) fn write(value: &Value, limit: usize) -> Option<String> {
    let mut text = String::new();
    push(value, &mut text, limit).then_some(text)
}

fn push(value: &Value, text: &mut String, limit: usize) -> bool {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(value, _) => text.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => text.push_str(number),
        Value::Text(string) => quote(string, text),
        Value::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                if !push(item, text, limit) {
                    return false;
                }
            }
            text.push(']');
        }
        Value::Map(fields) => {
            text.push('{');
            for (index, (key, value)) in fields.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                quote(key, text);
                text.push(':');
                if !push(value, text, limit) {
                    return false;
                }
            }
            text.push('}');
        }
    }
    text.len() <= limit
}

fn quote(string: &str, text: &mut String) {
    // A string is always valid JSON once it is quoted.
    text.push_str(&serde_json::Value::from(string).to_string());
}
