//! The `objects` parameter: YAML that a person wrote becomes typed objects, and every mistake in it
//! is reported with its object and field.

use std::{collections::HashSet, sync::Arc};

use super::{
    context::Context,
    fields::{Fields, Reported, find, parse_role},
    file::{FileMode, Layout, RelPath},
    hints,
    mistakes::Mistakes,
    names::Place,
    read::Read,
    source,
};
use crate::{
    document::jmespath::Expression,
    error::{Error, Errors, Reason},
    text::{accident, quoted},
    yaml::{Node, Position, Value},
};

pub const MAX_OBJECTS: usize = 500;
/// Objects and their extracts together.
const MAX_FILES: usize = 2_000;
/// Of all paths of a mount together: compiled they take dozens of times as much.
const MAX_PATH_BYTES: usize = 64 << 10;

/// Roles of other accounts that a mount logs in to: each is a call to STS.
const MAX_ROLES: usize = 10;
/// Hosts other than the operator's, by kmsEndpoint or region: each may fail to answer in its own time.
const MAX_HOSTS: usize = 8;

/// One secret and the files it becomes.
#[derive(Debug)]
pub struct Object {
    /// How errors name it: its place in the list, from 1, and its name.
    pub label: String,
    /// Where it starts in the text of `objects`.
    pub at: Position,
    pub read: Arc<Read>,
    pub file: RelPath,
    pub mode: FileMode,
    pub encoding: Encoding,
    /// Leave it out when it does not exist.
    pub optional: bool,
    pub extracts: Vec<Extract>,
}

impl Object {
    /// About how many bytes it takes.
    pub fn memory(&self) -> usize {
        let extracts = self.extracts.iter().map(Extract::memory).sum::<usize>();
        let texts = self.label.len() + self.file.as_str().len();
        size_of::<Self>() + texts + self.read.memory() + extracts
    }
}

/// How the stored text stands for the file's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Base64,
    Hex,
}

/// A part of a JSON or YAML secret in a file of its own.
#[derive(Debug)]
pub struct Extract {
    pub path: Expression,
    pub file: RelPath,
    pub mode: FileMode,
    /// Of what the path finds.
    pub encoding: Encoding,
}

impl Extract {
    fn memory(&self) -> usize {
        size_of::<Self>() + self.file.as_str().len() + self.path.memory()
    }
}

pub fn parse(text: &str, context: &Context<'_>) -> Result<Vec<Object>, Errors> {
    let whole = |what: String| Error::new(Reason::InvalidObjects, what).parameter("objects");
    if accident::is_go_value(text) {
        return Err(whole("is a map as Go prints it, not YAML".to_owned())
            .hint("have the template write the value with toYaml")
            .into());
    }
    let document = Node::parse(text).map_err(|malformed| {
        whole(malformed.to_string())
            .hint("line 1 is the first line of objects")
            .in_objects(malformed.at)
    })?;
    let items = match &document.value {
        Value::Sequence(items) if items.is_empty() => {
            return Err(whole("is an empty list: it lists what to mount".to_owned()).into());
        }
        Value::Sequence(items) => items,
        _ if document.is_null() => {
            return Err(whole("is missing or empty: it lists what to mount".to_owned()).into());
        }
        Value::Scalar(_) | Value::Mapping(_) => return Err(not_a_list(&document).into()),
    };
    if items.len() > MAX_OBJECTS {
        let what = format!("has {} objects; {MAX_OBJECTS} are the most", items.len());
        return Err(Error::new(Reason::TooMany, what).parameter("objects").into());
    }
    bounded(items)?;
    let mut layout = Layout::default();
    let mut mistakes = Mistakes::default();
    let mut objects = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        objects.extend(object(index + 1, item, context, &mut layout, &mut mistakes));
    }
    mistakes.keep(few_others(&objects));
    match mistakes.into_errors() {
        Some(errors) => Err(errors),
        None if objects.len() == items.len() => Ok(objects),
        // Fewer files than were asked for must not pass for all of them.
        None => Err(Error::new(Reason::Fault, "the objects were not parsed").into()),
    }
}

fn not_a_list(document: &Node) -> Error {
    let error = |what: &str| {
        Error::new(Reason::InvalidObjects, what).parameter("objects").in_objects(document.at)
    };
    let write = "start each object with \"- \", such as - objectName: NAME";
    if find(document, "array").is_some() {
        error("is the Azure provider's form (array: with a block of text for each object)").hint(
            "write a plain list: no array:, no \"- |\", and each object as - objectName: NAME with \
             its other fields below objectName",
        )
    } else if find(document, "objects").is_some() {
        error("has objects: once more inside").hint("remove that line: the list comes at once")
    } else if document.entries().is_some() {
        error("is not a YAML list but the fields of one object").hint(write)
    } else {
        error("is not a YAML list but a text").hint(write)
    }
}

/// How many files there are to be and how long their paths are, before any of these is compiled.
fn bounded(items: &[Node]) -> Result<(), Error> {
    let extracts = |item: &Node| {
        let list = find(item, "jmesPath").and_then(Node::items);
        list.map_or((0, 0), |list| {
            let paths = list.iter().filter_map(|extract| find(extract, "path")?.text());
            (list.len(), paths.map(str::len).sum::<usize>())
        })
    };
    let extracts: Vec<(usize, usize)> = items.iter().map(extracts).collect();
    let files = items.len() + extracts.iter().map(|(files, _)| files).sum::<usize>();
    if files > MAX_FILES {
        let what = format!("makes {files} files; {MAX_FILES} are the most");
        return Err(Error::new(Reason::TooMany, what).parameter("objects"));
    }
    let mut bytes = 0;
    for (index, (item, (_, more))) in items.iter().zip(extracts).enumerate() {
        bytes += more;
        if bytes > MAX_PATH_BYTES {
            let subject = format!("{}, field jmesPath", label(index + 1, item));
            let what = format!(
                "with its paths, those of the mount are longer than {MAX_PATH_BYTES} bytes together"
            );
            return Err(Error::new(Reason::TooMany, what)
                .subject(subject)
                .in_objects(item.at)
                .hint("make them shorter, or mount some objects in another volume"));
        }
    }
    Ok(())
}

/// What one mount asks for must not keep others waiting, at STS or for hosts that do not answer.
fn few_others(objects: &[Object]) -> Result<(), Error> {
    let split = "mount some objects in another volume, with another SecretProviderClass";
    let (mut roles, mut hosts) = (HashSet::new(), HashSet::new());
    for object in objects {
        let Read { endpoint, cross_account_role, .. } = &*object.read;
        roles.extend(cross_account_role);
        if roles.len() > MAX_ROLES {
            let subject = format!("{}, field crossAccountRoleArn", object.label);
            let what = format!("is role {} of this volume; {MAX_ROLES} are the most", roles.len());
            let error = Error::new(Reason::TooMany, what).subject(subject).hint(split);
            return Err(error.in_objects(object.at));
        }
        if endpoint.is_named_by_pods() {
            hosts.insert(endpoint.host());
        }
        if hosts.len() > MAX_HOSTS {
            let what = format!(
                "{endpoint} is host {} that this volume names beside the operator's; {MAX_HOSTS} are \
                 the most",
                hosts.len()
            );
            let error = Error::new(Reason::TooMany, what).subject(&object.label).hint(split);
            return Err(error.in_objects(object.at));
        }
    }
    Ok(())
}

fn label(number: usize, item: &Node) -> String {
    match find(item, "objectName").and_then(Node::text) {
        None | Some("") => format!("object {number}"),
        Some(name) => format!("object {number} {}", quoted(name)),
    }
}

/// All fields are looked at before the first mistake ends it, so that all mistakes are reported.
fn object(
    number: usize,
    item: &Node,
    context: &Context<'_>,
    layout: &mut Layout,
    mistakes: &mut Mistakes,
) -> Option<Object> {
    let fields = &Fields::of(label(number, item), item, Place::Field, mistakes)?;
    let name = fields.required("objectName", mistakes);
    let read = read(fields, name, context, mistakes);
    let encoding = encoding(fields, mistakes);
    let mode = fields.mode(context.mode, mistakes);
    let optional = fields.flag("optional", mistakes);
    let file = match fields.text("objectAlias", mistakes) {
        Ok(Some(alias)) => fields.file("objectAlias", alias, context.translation, layout, mistakes),
        // A name that cannot be right makes no file worth a second mistake.
        Ok(None) => match (name, &read) {
            (Some(name), Some(_)) => {
                fields.file("objectName", name, context.translation, layout, mistakes)
            }
            _ => None,
        },
        Err(Reported) => None,
    };
    let extracts = extracts(fields, mode.unwrap_or(context.mode), context, layout, mistakes);
    Some(Object {
        label: fields.label.clone(),
        at: fields.at,
        read: read?,
        file: file?,
        mode: mode?,
        encoding: encoding?,
        optional: optional?,
        extracts: extracts?,
    })
}

fn encoding(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Option<Encoding> {
    match fields.text("objectEncoding", mistakes).ok()? {
        None | Some("utf-8") => Some(Encoding::Utf8),
        Some("base64") => Some(Encoding::Base64),
        Some("hex") => Some(Encoding::Hex),
        Some(other) => {
            fields.wrong("objectEncoding", Reason::InvalidValue, mistakes, || {
                hints::object_encoding(other)
            });
            None
        }
    }
}

fn read(
    fields: &Fields<'_>,
    name: Option<&str>,
    context: &Context<'_>,
    mistakes: &mut Mistakes,
) -> Option<Arc<Read>> {
    let source = source::parse(fields, name, context, mistakes);
    let cross_account_role = match fields.text("crossAccountRoleArn", mistakes).ok()? {
        None => None,
        Some(arn) => Some(fields.keep(
            "crossAccountRoleArn",
            Reason::InvalidRole,
            parse_role(arn),
            mistakes,
        )?),
    };
    let (endpoint, source) = source?;
    Some(Read::new(endpoint, source, cross_account_role))
}

fn extracts(
    fields: &Fields<'_>,
    mode: FileMode,
    context: &Context<'_>,
    layout: &mut Layout,
    mistakes: &mut Mistakes,
) -> Option<Vec<Extract>> {
    let Some(list) = fields.given("jmesPath") else { return Some(Vec::new()) };
    let Some(items) = list.items() else {
        fields.wrong("jmesPath", Reason::WrongType, mistakes, || {
            "is not a list of path and objectAlias: start each entry with \"- \"".to_owned()
        });
        return None;
    };
    let mut extracts = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let label = format!("{}, jmesPath {}", fields.label, index + 1);
        let Some(entry) = &Fields::of(label, item, Place::Entry, mistakes) else { continue };
        let path = entry.required("path", mistakes).and_then(|path| {
            entry.keep("path", Reason::InvalidPath, Expression::parse(path), mistakes)
        });
        let file = entry.required("objectAlias", mistakes).and_then(|alias| {
            entry.file("objectAlias", alias, context.translation, layout, mistakes)
        });
        let mode = entry.mode(mode, mistakes);
        let encoding = encoding(entry, mistakes);
        if let (Some(path), Some(file), Some(mode), Some(encoding)) = (path, file, mode, encoding) {
            extracts.push(Extract { path, file, mode, encoding });
        }
    }
    (extracts.len() == items.len()).then_some(extracts)
}

#[cfg(test)]
pub(crate) mod tests;
