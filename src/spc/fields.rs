//! The fields of one mapping in `objects`, read by name in any letter case, as the official provider
//! does, with the label that their mistakes carry.

use super::{
    file::{FileMode, Layout, PathTranslation, RelPath},
    hints,
    mistakes::Mistakes,
    names::Place,
};
use crate::{
    error::{Error, Reason},
    names::RoleArn,
    text::{accident, is_invisible, quoted},
    yaml::{Node, Position, Scalar, Value},
};

/// A mistake that is in the list already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported;

pub(super) struct Fields<'a> {
    pub(super) label: String,
    /// Where the mapping starts.
    pub(super) at: Position,
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
        place: Place,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let Some(entries) = node.entries() else {
            mistakes.push(|| not_a_mapping(label, node, place));
            return None;
        };
        let mut fields = Self { label, at: node.at, values: Vec::new(), meant: Vec::new() };
        for entry in entries {
            let Some(name) =
                place.known().iter().find(|name| name.eq_ignore_ascii_case(&entry.key))
            else {
                let (what, meant) = hints::unknown(place, &entry.key);
                fields.meant.extend(meant);
                let name = quoted(&entry.key);
                mistakes
                    .push(|| fields.error(&name, Reason::UnknownName, what).in_objects(entry.at));
                continue;
            };
            if fields.get(name).is_some() {
                let what = "is there twice, in different letter case; keep one";
                mistakes.push(|| {
                    fields.error(name, Reason::DuplicateName, what.to_owned()).in_objects(entry.at)
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
        reason: Reason,
        mistakes: &mut Mistakes,
        what: impl FnOnce() -> String,
    ) {
        mistakes.push(|| self.error(field, reason, what()));
    }

    /// Where the field's value starts, or the mapping if there is none.
    fn error(&self, field: &str, reason: Reason, what: String) -> Error {
        let at = self.given(field).map_or(self.at, |value| value.at);
        Error::new(reason, what).subject(format!("{}, field {field}", self.label)).in_objects(at)
    }

    pub(super) fn keep<T>(
        &self,
        field: &str,
        reason: Reason,
        parsed: Result<T, String>,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        parsed.map_err(|what| self.wrong(field, reason, mistakes, || what)).ok()
    }

    pub(super) fn get(&self, field: &str) -> Option<&'a Node> {
        self.values.iter().find(|(name, _)| *name == field).map(|(_, value)| *value)
    }

    /// Null and "" are as good as absent, as in the official provider.
    pub(super) fn given(&self, field: &str) -> Option<&'a Node> {
        let empty = |value: &Node| {
            value.scalar().is_some_and(|text| text.is_null() || text.text.is_empty())
        };
        self.get(field).filter(|value| !empty(value))
    }

    /// A text as its author wrote it, quoted or not.
    pub(super) fn text(
        &self,
        field: &str,
        mistakes: &mut Mistakes,
    ) -> Result<Option<&'a str>, Reported> {
        let Some(value) = self.given(field) else { return Ok(None) };
        let (reason, what) = match value.scalar() {
            None => (Reason::WrongType, "is not a text"),
            Some(text) if may_be_boolean(text) => {
                (Reason::NeedsQuotes, "may mean true or false without quotes; put it in quotes")
            }
            Some(Scalar { text, .. }) => return Ok(Some(text)),
        };
        self.wrong(field, reason, mistakes, || what.to_owned());
        Err(Reported)
    }

    pub(super) fn required(&self, field: &'static str, mistakes: &mut Mistakes) -> Option<&'a str> {
        let text = self.text(field, mistakes).ok()?;
        if text.is_none() && !self.meant.contains(&field) {
            let null = self.get(field).and_then(Node::scalar).filter(|null| null.is_null());
            let named = null.filter(|null| null.text.len() > 1);
            self.wrong(field, Reason::MissingField, mistakes, || match named {
                Some(null) => format!("is missing: {} needs quotes to be a text", null.text),
                None => "is missing".to_owned(),
            });
        }
        text
    }

    pub(super) fn flag(&self, field: &str, mistakes: &mut Mistakes) -> Option<bool> {
        const RULE: &str = "must be true or false";
        let Some(value) = self.given(field) else { return Some(false) };
        let text = value.text();
        let is = |word: &&str| text.is_some_and(|text| word.eq_ignore_ascii_case(text));
        let flag = ["false", "true"].iter().position(is);
        if flag.is_none() {
            self.wrong(field, Reason::InvalidValue, mistakes, || match text {
                Some(text) => hints::refused(text, RULE),
                None => RULE.to_owned(),
            });
        }
        flag.map(|flag| flag == 1)
    }

    pub(super) fn mode(&self, default: FileMode, mistakes: &mut Mistakes) -> Option<FileMode> {
        const FIELD: &str = "filePermission";
        let Some(value) = self.given(FIELD) else { return Some(default) };
        let parsed = match value.scalar() {
            Some(scalar) => file_mode(scalar),
            None => Err(MODE_RULE.to_owned()),
        };
        self.keep(FIELD, Reason::InvalidValue, parsed, mistakes)
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
        let path = match accident::in_text(name) {
            Some(accident) => Err(accident.to_owned()),
            None => translation.apply(name).map_err(|what| format!("as a file path {what}")),
        };
        let path = self.keep(field, Reason::InvalidFilePath, path, mistakes)?;
        match layout.place(&path, &self.label) {
            Ok(()) => Some(path),
            Err(what) => {
                mistakes.push(|| {
                    let error = self.error(field, Reason::DuplicateFile, what);
                    error.hint("give it another objectAlias")
                });
                None
            }
        }
    }
}

/// Of a parameter or a field.
pub(super) fn parse_role(text: &str) -> Result<RoleArn, String> {
    RoleArn::parse(text).ok_or_else(|| {
        let form = RoleArn::FORM;
        match accident::in_word(text) {
            Some(accident) => format!("is not of the form {form}: it {accident}"),
            None => format!("is not of the form {form}: {}", RoleArn::problem(text)),
        }
    })
}

/// As YAML 1.1 reads them, and with it the official provider: `yes` is true there.
pub(super) fn may_be_boolean(scalar: &Scalar) -> bool {
    const WORDS: [&str; 6] = ["true", "false", "yes", "no", "on", "off"];
    scalar.plain && WORDS.iter().any(|word| word.eq_ignore_ascii_case(&scalar.text))
}

const MODE_RULE: &str = "must be an octal mode in quotes, such as \"0400\"";

fn file_mode(scalar: &Scalar) -> Result<FileMode, String> {
    let text = &*scalar.text;
    let octal = FileMode::parse_octal(text);
    // Without quotes and a leading zero, 420 is octal to one author and 0644 to another.
    let decimal =
        Some(text).filter(|text| scalar.plain && matches!(text.as_bytes(), [b'1'..=b'9', _, _]));
    let decimal = decimal.and_then(|text| FileMode::from_bits(text.parse().ok()?));
    match (octal, decimal) {
        (Some(octal), None) if !scalar.plain || text.starts_with('0') => Ok(octal),
        (Some(octal), None) => Err(format!("is {text} without quotes; write \"{octal}\"")),
        (Some(octal), Some(decimal)) => Err(format!(
            "is {text} without quotes: write \"{octal}\" if these are octal digits, or \"{decimal}\" if \
             it is a decimal number"
        )),
        (None, Some(decimal)) => {
            Err(format!("is {text} without quotes, a decimal number: write \"{decimal}\""))
        }
        (None, None) => match text.strip_prefix("0o").and_then(FileMode::parse_octal) {
            Some(octal) => Err(format!("{MODE_RULE}: write \"{octal}\"")),
            None => Err(MODE_RULE.to_owned()),
        },
    }
}

fn not_a_mapping(label: String, node: &Node, place: Place) -> Error {
    let what = "is not a mapping of fields";
    let error =
        |what: String| Error::new(Reason::WrongType, what).subject(label).in_objects(node.at);
    match &node.value {
        _ if node.is_null() => error("is null: remove the lone \"-\"".to_owned()),
        Value::Scalar(block) if block.text.contains('\n') && block.text.contains("objectName") => {
            error(format!("{what} but a block of text")).hint(
                "remove the | behind \"-\", which the Azure provider's array has, and begin with \
                 - objectName: NAME",
            )
        }
        Value::Scalar(scalar) => {
            let text = quoted(&scalar.text);
            match (field_in_text(scalar, place), place) {
                (Some((field, why)), _) => error(format!("{what} but the text {text}: {why}"))
                    .hint(format!("write - {field}: VALUE")),
                (None, Place::Entry) => error(format!("{what} but the text {text}"))
                    .hint("write - path: PATH and below it objectAlias: FILE"),
                (None, _) => error(format!("{what} but the text {text}"))
                    .hint("write - objectName: and the name"),
            }
        }
        Value::Sequence(_) | Value::Mapping(_) => {
            error(format!("{what} but a list")).hint("remove one \"- \"")
        }
    }
}

/// The field that a text begins with, and why YAML does not see one.
fn field_in_text(scalar: &Scalar, place: Place) -> Option<(&'static str, String)> {
    let (field, rest) = place.known().iter().find_map(|field| {
        let (name, rest) = scalar.text.split_at_checked(field.len())?;
        let more = |c: char| c.is_ascii_alphanumeric();
        (name.eq_ignore_ascii_case(field) && !rest.starts_with(more)).then_some((*field, rest))
    })?;
    let mut rest = rest.chars();
    let why = match (rest.next()?, rest.next()) {
        (':', None | Some(' ' | '\t')) if !scalar.plain => {
            "remove the | behind \"-\", or the quotes around the whole".to_owned()
        }
        (':', Some(c)) if c.is_whitespace() || is_invisible(c) => {
            format!("what follows {field}: is U+{:04X}, not a space", u32::from(c))
        }
        (':', Some(_)) => format!("a blank is missing behind {field}:"),
        ('\u{ff1a}', _) => format!("the colon behind {field} is U+FF1A, not a plain one"),
        (c, _) if c.is_whitespace() => format!("a colon is missing behind {field}"),
        _ => return None,
    };
    Some((field, why))
}
