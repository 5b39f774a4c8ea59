//! The fields of one mapping in `objects`, read by name in any letter case, as the official provider
//! does, with the label that their mistakes carry.

use super::{FileMode, Layout, Mistakes, PathTranslation, RelPath};
use crate::{
    error::Error,
    request::{
        accident,
        hints::{self, Kind},
    },
    text::quoted,
    yaml::{Node, Scalar, Value},
};

/// A mistake that is in the list already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported;

pub(super) struct Fields<'a> {
    pub(super) label: String,
    /// Each known field that is there, once.
    values: Vec<(&'static str, &'a Node)>,
    /// Known fields whose names were written so that they are not found, which is a mistake itself.
    meant: Vec<&'static str>,
}

/// The value of a key in any letter case.
pub(super) fn find<'a>(mapping: &'a Node, name: &str) -> Option<&'a Node> {
    let mut entries = mapping.entries()?.iter();
    entries.find(|entry| entry.key.eq_ignore_ascii_case(name)).map(|entry| &entry.value)
}

impl<'a> Fields<'a> {
    pub(super) fn of(
        label: String,
        node: &'a Node,
        known: &'static [&'static str],
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let Some(entries) = node.entries() else {
            mistakes.push(|| not_a_mapping(label, node));
            return None;
        };
        let mut fields = Self { label, values: Vec::new(), meant: Vec::new() };
        for entry in entries {
            let Some(name) = known.iter().find(|name| name.eq_ignore_ascii_case(&entry.key)) else {
                let (what, meant) = hints::unknown(Kind::Field, &entry.key, known);
                fields.meant.extend(meant);
                fields.wrong(&quoted(&entry.key), mistakes, || what);
                continue;
            };
            if fields.get(name).is_some() {
                fields.wrong(name, mistakes, || {
                    "is there twice, in different letter case; keep one".to_owned()
                });
                continue;
            }
            fields.values.push((name, &entry.value));
        }
        Some(fields)
    }

    pub(super) fn wrong(
        &self,
        field: &str,
        mistakes: &mut Mistakes,
        what: impl FnOnce() -> String,
    ) {
        mistakes.push(|| Error::invalid(format!("{}, field {field}", self.label), what()));
    }

    pub(super) fn keep<T>(
        &self,
        field: &str,
        parsed: Result<T, String>,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        parsed.map_err(|what| self.wrong(field, mistakes, || what)).ok()
    }

    pub(super) fn get(&self, field: &str) -> Option<&'a Node> {
        self.values.iter().find(|(name, _)| *name == field).map(|(_, value)| *value)
    }

    /// A text as its author wrote it, quoted or not. Null and "" are as good as absent, as in the
    /// official provider.
    pub(super) fn text(
        &self,
        field: &str,
        mistakes: &mut Mistakes,
    ) -> Result<Option<&'a str>, Reported> {
        let Some(value) = self.get(field).filter(|value| !value.is_null()) else { return Ok(None) };
        let what = match value.scalar() {
            None => "is not a text",
            Some(text) if may_be_boolean(text) => {
                "may mean true or false without quotes; put it in quotes"
            }
            Some(Scalar { text, .. }) => return Ok(Some(&**text).filter(|text| !text.is_empty())),
        };
        self.wrong(field, mistakes, || what.to_owned());
        Err(Reported)
    }

    pub(super) fn required(&self, field: &'static str, mistakes: &mut Mistakes) -> Option<&'a str> {
        let text = self.text(field, mistakes).ok()?;
        if text.is_none() && !self.meant.contains(&field) {
            let null = self.get(field).and_then(Node::scalar).filter(|null| null.is_null());
            let named = null.filter(|null| null.text.len() > 1);
            self.wrong(field, mistakes, || match named {
                Some(null) => format!("is missing: {} needs quotes to be a text", null.text),
                None => "is missing".to_owned(),
            });
        }
        text
    }

    pub(super) fn flag(&self, field: &str, mistakes: &mut Mistakes) -> Option<bool> {
        let Some(value) = self.get(field).filter(|value| !value.is_null()) else {
            return Some(false);
        };
        let text = value.text().unwrap_or_default();
        let flag = ["false", "true"].iter().position(|word| word.eq_ignore_ascii_case(text));
        if flag.is_none() {
            self.wrong(field, mistakes, || "must be true or false".to_owned());
        }
        flag.map(|flag| flag == 1)
    }

    pub(super) fn mode(&self, default: FileMode, mistakes: &mut Mistakes) -> Option<FileMode> {
        const FIELD: &str = "filePermission";
        let Some(value) = self.get(FIELD).filter(|value| !value.is_null()) else {
            return Some(default);
        };
        let scalar = value.scalar();
        let mode = scalar.and_then(|scalar| FileMode::parse_octal(&scalar.text));
        match scalar {
            // 400 may be meant as 0400, or as the decimal number that it is to other readers.
            Some(Scalar { text, plain: true }) if mode.is_some() && !text.starts_with('0') => {
                self.wrong(FIELD, mistakes, || {
                    format!("is {text} without quotes, a decimal number in YAML; write \"0{text}\"")
                });
                None
            }
            _ if mode.is_some() => mode,
            _ => {
                self.wrong(FIELD, mistakes, || {
                    "must be an octal mode in quotes, such as \"0400\"".to_owned()
                });
                None
            }
        }
    }

    /// The place of a file, which is taken from then on.
    pub(super) fn file(
        &self,
        field: &str,
        name: &str,
        translation: PathTranslation,
        layout: &mut Layout,
        mistakes: &mut Mistakes,
    ) -> Option<RelPath> {
        let path = match accident::placeholder(name) {
            Some(placeholder) => Err(placeholder.to_owned()),
            None => translation.apply(name).map_err(|what| format!("as a file path {what}")),
        };
        let path = self.keep(field, path, mistakes)?;
        match layout.place(&path, &self.label) {
            Ok(()) => Some(path),
            Err(what) => {
                mistakes.push(|| {
                    Error::invalid(format!("{}, field {field}", self.label), what)
                        .fix("give it another objectAlias")
                });
                None
            }
        }
    }
}

/// As YAML 1.1 reads them, and with it the official provider: `yes` is true there.
fn may_be_boolean(scalar: &Scalar) -> bool {
    const WORDS: [&str; 6] = ["true", "false", "yes", "no", "on", "off"];
    scalar.plain && WORDS.iter().any(|word| word.eq_ignore_ascii_case(&scalar.text))
}

fn not_a_mapping(label: String, node: &Node) -> Error {
    let what = "is not a mapping of fields";
    match &node.value {
        _ if node.is_null() => Error::invalid(label, "is null: remove the lone \"-\""),
        Value::Scalar(block) if block.text.contains("objectName") => {
            Error::invalid(label, format!("{what} but a block of text")).fix(
                "remove the | behind \"-\", which the Azure provider's array has, and begin with \
                 - objectName: NAME",
            )
        }
        Value::Scalar(name) => {
            Error::invalid(label, format!("{what} but the text {}", quoted(&name.text)))
                .fix("write - objectName: and the name")
        }
        Value::Sequence(_) | Value::Mapping(_) => {
            Error::invalid(label, format!("{what} but a list")).fix("remove one \"- \"")
        }
    }
}
