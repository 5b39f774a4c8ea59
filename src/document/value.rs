//! Value: what a document holds and what a search makes of it. Every scalar carries the text that
//! its author wrote, so that no number passes through a binary one on its way to the file.

use std::rc::Rc;

use indexmap::IndexMap;

use super::number;
use crate::yaml::{self, Node};

pub(super) type Shared = Rc<Value>;
/// In the order of the document.
pub(super) type Fields = IndexMap<Box<str>, Shared>;

pub(super) enum Value {
    Null,
    /// With its text: YAML has `True` and `TRUE` too.
    Bool(bool, Box<str>),
    /// As JSON writes numbers.
    Number(Box<str>),
    Text(Box<str>),
    List(Vec<Shared>),
    Map(Fields),
}

impl Value {
    pub(super) fn bool(value: bool) -> Self {
        Self::Bool(value, if value { "true" } else { "false" }.into())
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(..) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) => "array",
            Self::Map(_) => "object",
        }
    }

    /// As JMESPath has it: zero is true.
    pub(super) fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value, _) => *value,
            Self::Number(_) => true,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(fields) => !fields.is_empty(),
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Of a YAML document. A plain scalar is a number only if JSON would write it in the same way;
    /// `0x10`, `+49`, `0400`, `.inf` and dates are texts.
    pub(super) fn of_yaml(node: Node) -> Self {
        match node.value {
            yaml::Value::Sequence(items) => {
                Self::List(items.into_iter().map(|item| Self::of_yaml(item).into()).collect())
            }
            yaml::Value::Mapping(entries) => {
                let field = |entry: yaml::Entry| (entry.key, Self::of_yaml(entry.value).into());
                Self::Map(entries.into_iter().map(field).collect())
            }
            yaml::Value::Scalar(scalar) if scalar.is_null() => Self::Null,
            yaml::Value::Scalar(scalar) => match scalar.as_bool() {
                Some(value) => Self::Bool(value, scalar.text),
                None if scalar.plain && number::is_number(&scalar.text) => {
                    Self::Number(scalar.text)
                }
                None => Self::Text(scalar.text),
            },
        }
    }
}
