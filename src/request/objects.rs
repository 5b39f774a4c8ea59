//! The `objects` parameter: YAML that a person wrote becomes typed objects, and every mistake in it
//! is told with its item and field.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    file::{FileMode, Layout, PathTranslation, RelPath},
    unknown,
};
use crate::{
    cloud::{
        endpoint::{Endpoint, Endpoints, Service},
        kms::SecretRef,
        oos::ParameterRef,
    },
    digest::{Digest, Parts},
    error::{Error, quoted},
    names::{Region, RoleArn, secret_arn_region},
    project::jmespath::Expression,
    yaml,
};

pub const MAX_OBJECTS: usize = 500;
/// Objects and their extracts together.
const MAX_FILES: usize = 2_000;
/// Of all paths of a mount together: compiled they take dozens of times as much.
const MAX_PATH_BYTES: usize = 64 << 10;
const MAX_ERRORS: usize = 20;

/// One secret and the files it becomes.
#[derive(Debug)]
pub struct Object {
    /// How errors name it: its place in the list, from 1, and its name.
    pub label: String,
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

/// What to read, as whom: two objects with the same `Read` are fetched once.
#[derive(Debug)]
pub struct Read {
    pub endpoint: Endpoint,
    pub source: Source,
    pub cross_account_role: Option<RoleArn>,
    digest: Digest,
}

impl Read {
    pub fn new(
        endpoint: Endpoint,
        source: Source,
        cross_account_role: Option<RoleArn>,
    ) -> Arc<Self> {
        let mut parts = Parts::new();
        parts.part(endpoint.host());
        parts.part(cross_account_role.as_ref().map_or("", RoleArn::as_str));
        match &source {
            Source::Kms(SecretRef { name, version_id, stage }) => {
                parts.part("kms");
                parts.part(name);
                parts.part(version_id.as_deref().unwrap_or_default());
                parts.part(stage.as_deref().unwrap_or_default());
            }
            Source::Oos(ParameterRef { region, name, version }) => {
                parts.part("oos");
                parts.part(region.as_str());
                parts.part(name);
                parts.part(&version.map(|version| version.to_string()).unwrap_or_default());
            }
        }
        Arc::new(Self { endpoint, source, cross_account_role, digest: parts.digest() })
    }

    fn memory(&self) -> usize {
        let source = match &self.source {
            Source::Kms(SecretRef { name, version_id, stage }) => {
                let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
                name.len() + length(version_id) + length(stage)
            }
            Source::Oos(ParameterRef { region, name, .. }) => region.as_str().len() + name.len(),
        };
        let role = self.cross_account_role.as_ref().map_or(0, |role| role.as_str().len());
        size_of::<Self>() + self.endpoint.host().len() + source + role
    }

    /// Of everything that tells it from another read.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    Kms(SecretRef),
    Oos(ParameterRef),
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

/// What holds for all objects of a mount.
#[derive(Debug)]
pub struct Context<'a> {
    pub endpoints: &'a Endpoints,
    pub region: &'a Region,
    pub translation: PathTranslation,
    /// For objects without `filePermission`.
    pub mode: FileMode,
}

const FIELDS: [&str; 11] = [
    "crossAccountRoleArn",
    "filePermission",
    "jmesPath",
    "kmsEndpoint",
    "objectAlias",
    "objectEncoding",
    "objectName",
    "objectType",
    "objectVersion",
    "objectVersionLabel",
    "optional",
];
const EXTRACT_FIELDS: [&str; 4] = ["filePermission", "objectAlias", "objectEncoding", "path"];

pub fn parse(text: &str, context: &Context<'_>) -> Result<Vec<Object>, Vec<Error>> {
    let whole = |what: String| vec![Error::invalid("parameter objects", what)];
    if text.trim().is_empty() {
        return Err(whole("is missing or empty: it lists what to mount".to_owned()));
    }
    let items = match yaml::parse(text) {
        Ok(Value::Array(items)) => items,
        Ok(_) => return Err(whole("is not a YAML list; start each object with \"- \"".to_owned())),
        Err(malformed) => return Err(whole(malformed.to_string())),
    };
    if items.is_empty() {
        return Err(whole("is an empty list".to_owned()));
    }
    if items.len() > MAX_OBJECTS {
        return Err(whole(format!("has {} objects; {MAX_OBJECTS} are the most", items.len())));
    }
    bounded(&items).map_err(|error| vec![error])?;
    let mut layout = Layout::default();
    let mut objects = Vec::with_capacity(items.len());
    let mut errors = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match object(index + 1, item, context, &mut layout) {
            Ok(object) => objects.push(object),
            Err(error) => errors.push(error),
        }
        if errors.len() == MAX_ERRORS {
            break;
        }
    }
    if errors.is_empty() { Ok(objects) } else { Err(errors) }
}

/// How many files there are to be and how long their paths are, before any of these is compiled.
fn bounded(items: &[Value]) -> Result<(), Error> {
    let extracts = |item: &Value| {
        let list = item.get("jmesPath").and_then(Value::as_array);
        list.map_or((0, 0), |list| {
            let paths = list.iter().filter_map(|extract| extract.get("path")?.as_str());
            (list.len(), paths.map(str::len).sum::<usize>())
        })
    };
    let extracts: Vec<(usize, usize)> = items.iter().map(extracts).collect();
    let files = items.len() + extracts.iter().map(|(files, _)| files).sum::<usize>();
    if files > MAX_FILES {
        let what = format!("makes {files} files; {MAX_FILES} are the most");
        return Err(Error::invalid("parameter objects", what));
    }
    let mut bytes = 0;
    for (index, (item, (_, more))) in items.iter().zip(extracts).enumerate() {
        bytes += more;
        if bytes > MAX_PATH_BYTES {
            let name = item.get("objectName").and_then(Value::as_str).unwrap_or_default();
            let subject = format!("object {} {}, field jmesPath", index + 1, quoted(name));
            let what = format!(
                "with its paths, those of the mount are longer than {MAX_PATH_BYTES} bytes together"
            );
            return Err(Error::invalid(subject, what)
                .fix("make them shorter, or mount some objects in another volume"));
        }
    }
    Ok(())
}

/// The fields of one item, with the label that its errors carry.
struct Fields<'a> {
    label: String,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    fn of(label: String, value: &'a Value, known: &[&str]) -> Result<Self, Error> {
        let map = match value {
            Value::Object(map) => map,
            Value::Null => return Err(Error::invalid(label, "is null: remove the lone \"-\"")),
            _ => return Err(Error::invalid(label, "is not a mapping of fields")),
        };
        let fields = Self { label, map };
        match map.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(fields.wrong(&quoted(name), unknown("field", name, known))),
            None => Ok(fields),
        }
    }

    fn wrong(&self, field: &str, what: impl Into<String>) -> Error {
        Error::invalid(format!("{}, field {field}", self.label), what)
    }

    /// A text, or a whole number as its author wrote it. Null and "" are as good as absent, as in
    /// the official provider.
    fn text(&self, field: &str) -> Result<Option<String>, Error> {
        match self.map.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) if number.is_u64() => Ok(Some(number.to_string())),
            Some(Value::Bool(_) | Value::Number(_)) => {
                Err(self.wrong(field, "is not a text; put it in quotes"))
            }
            Some(_) => Err(self.wrong(field, "is not a text")),
        }
    }

    fn flag(&self, field: &str) -> Result<bool, Error> {
        match self.map.get(field) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            Some(_) => Err(self.wrong(field, "must be true or false")),
        }
    }

    fn mode(&self, default: FileMode) -> Result<FileMode, Error> {
        let mode = match self.map.get("filePermission") {
            None | Some(Value::Null) => Some(default),
            Some(Value::String(text)) => FileMode::parse_octal(text),
            // 400 without quotes may be meant as 0400 or as the number.
            Some(_) => None,
        };
        mode.ok_or_else(|| {
            self.wrong("filePermission", "must be an octal mode in quotes, such as \"0400\"")
        })
    }

    fn encoding(&self) -> Result<Encoding, Error> {
        match self.text("objectEncoding")?.as_deref() {
            None | Some("utf-8") => Ok(Encoding::Utf8),
            Some("base64") => Ok(Encoding::Base64),
            Some("hex") => Ok(Encoding::Hex),
            Some(_) => Err(self.wrong("objectEncoding", "must be utf-8, base64 or hex")),
        }
    }

    fn path(&self, field: &str, name: &str, context: &Context<'_>) -> Result<RelPath, Error> {
        let path = context.translation.apply(name);
        path.map_err(|what| self.wrong(field, format!("as a file path {what}")))
    }
}

fn object(
    number: usize,
    item: &Value,
    context: &Context<'_>,
    layout: &mut Layout,
) -> Result<Object, Error> {
    let mut fields = Fields::of(format!("object {number}"), item, &FIELDS)?;
    let Some(name) = fields.text("objectName")? else {
        return Err(fields.wrong("objectName", "is missing"));
    };
    fields.label = format!("object {number} {}", quoted(&name));
    // Names have up to 192 characters; an ARN adds its prefix (alibaba-cloud-api: KMS).
    if name.len() > 300 || name.chars().any(char::is_control) {
        return Err(fields.wrong("objectName", "is too long or holds a control character"));
    }
    let read = read(&fields, &name, context)?;
    let encoding = fields.encoding()?;
    let mode = fields.mode(context.mode)?;
    let optional = fields.flag("optional")?;
    let alias = fields.text("objectAlias")?;
    let named_by = if alias.is_some() { "objectAlias" } else { "objectName" };
    let file = fields.path(named_by, alias.as_deref().unwrap_or(&name), context)?;
    layout
        .place(&file, &fields.label)
        .map_err(|what| fields.wrong(named_by, what).fix("give it another objectAlias"))?;
    let extracts = extracts(&fields, mode, context, layout)?;
    Ok(Object { label: fields.label, read, file, mode, encoding, optional, extracts })
}

fn read(fields: &Fields<'_>, name: &str, context: &Context<'_>) -> Result<Arc<Read>, Error> {
    let cross_account_role = fields
        .text("crossAccountRoleArn")?
        .map(|arn| {
            RoleArn::parse(&arn).ok_or_else(|| {
                let form = format!("is not of the form {}", RoleArn::FORM);
                fields.wrong("crossAccountRoleArn", form)
            })
        })
        .transpose()?;
    let (endpoint, source) = match fields.text("objectType")?.as_deref() {
        None | Some("kms") => kms(fields, name, context)?,
        Some("oos") => oos(fields, name, context)?,
        Some(_) => return Err(fields.wrong("objectType", "must be kms or oos")),
    };
    Ok(Read::new(endpoint, source, cross_account_role))
}

fn kms(
    fields: &Fields<'_>,
    name: &str,
    context: &Context<'_>,
) -> Result<(Endpoint, Source), Error> {
    let arn_region = if name.starts_with("acs:") {
        Some(secret_arn_region(name).map_err(|what| fields.wrong("objectName", what))?)
    } else {
        None
    };
    let endpoint = match fields.text("kmsEndpoint")? {
        None => context.endpoints.of(Service::Kms, arn_region.as_ref().unwrap_or(context.region)),
        Some(host) => {
            let (endpoint, host_region) = context
                .endpoints
                .kms_of_object(&host)
                .map_err(|what| fields.wrong("kmsEndpoint", what))?;
            if let (Some(arn), Some(host)) = (&arn_region, &host_region)
                && arn != host
            {
                let what = format!("is in {host}, the ARN in objectName in {arn}");
                return Err(fields.wrong("kmsEndpoint", what));
            }
            endpoint
        }
    };
    let secret = SecretRef {
        name: name.to_owned(),
        version_id: fields.text("objectVersion")?,
        stage: fields.text("objectVersionLabel")?,
    };
    Ok((endpoint, Source::Kms(secret)))
}

fn oos(
    fields: &Fields<'_>,
    name: &str,
    context: &Context<'_>,
) -> Result<(Endpoint, Source), Error> {
    if name.starts_with("acs:") {
        return Err(fields.wrong("objectName", "of an OOS parameter is its name, not an ARN"));
    }
    for field in ["kmsEndpoint", "objectVersionLabel"] {
        if fields.text(field)?.is_some() {
            return Err(fields.wrong(field, "has no meaning for objectType oos"));
        }
    }
    let version = fields
        .text("objectVersion")?
        .map(|text| {
            text.parse().ok().filter(|version| *version > 0).ok_or_else(|| {
                fields.wrong("objectVersion", "of an OOS parameter is a number from 1")
            })
        })
        .transpose()?;
    let endpoint = context.endpoints.of(Service::Oos, context.region);
    let region = context.region.clone();
    Ok((endpoint, Source::Oos(ParameterRef { region, name: name.to_owned(), version })))
}

fn extracts(
    fields: &Fields<'_>,
    mode: FileMode,
    context: &Context<'_>,
    layout: &mut Layout,
) -> Result<Vec<Extract>, Error> {
    let items = match fields.map.get("jmesPath") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) if items.is_empty() => {
            return Err(fields.wrong("jmesPath", "is an empty list"));
        }
        Some(Value::Array(items)) => items,
        Some(_) => return Err(fields.wrong("jmesPath", "is not a list of path and objectAlias")),
    };
    let mut extracts = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let label = format!("{}, jmesPath {}", fields.label, index + 1);
        let entry = Fields::of(label, item, &EXTRACT_FIELDS)?;
        let Some(path) = entry.text("path")? else {
            return Err(entry.wrong("path", "is missing"));
        };
        let Some(alias) = entry.text("objectAlias")? else {
            return Err(entry.wrong("objectAlias", "is missing"));
        };
        let path = Expression::parse(&path).map_err(|what| entry.wrong("path", what))?;
        let file = entry.path("objectAlias", &alias, context)?;
        layout.place(&file, &entry.label).map_err(|what| entry.wrong("objectAlias", what))?;
        let (mode, encoding) = (entry.mode(mode)?, entry.encoding()?);
        extracts.push(Extract { path, file, mode, encoding });
    }
    Ok(extracts)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn parsed(text: &str) -> Result<Vec<Object>, Vec<Error>> {
        let endpoints = Endpoints::of_hangzhou();
        let context = Context {
            endpoints: &endpoints,
            region: &endpoints.region,
            translation: PathTranslation::Slash('_'),
            mode: FileMode::parse_octal("0644").unwrap(),
        };
        parse(text, &context)
    }

    fn object(text: &str) -> Object {
        parsed(text).unwrap().remove(0)
    }

    /// What is wrong, in the words of the first mistake.
    fn wrong(text: &str) -> String {
        parsed(text).unwrap_err().remove(0).to_string()
    }

    fn list(objects: usize) -> String {
        (0..objects).map(|n| format!("- objectName: n{n}\n")).collect()
    }

    /// One object with so many extracts.
    fn extracts(number: usize, extracts: usize) -> String {
        let extract = |n| format!("  - {{path: a, objectAlias: x{number}-{n}}}\n");
        let extracts: String = (0..extracts).map(extract).collect();
        format!("- objectName: n{number}\n  jmesPath:\n{extracts}")
    }

    #[test]
    fn lists_are_bounded() {
        assert_eq!(parsed(&list(MAX_OBJECTS)).unwrap().len(), MAX_OBJECTS);
        for more in [1, 2] {
            assert!(wrong(&list(MAX_OBJECTS + more)).contains("500 are the most"));
        }
        let files = |more: usize| {
            let objects: String = (0..4).map(|n| extracts(n, 499)).collect();
            let rest: String = (0..more).map(|n| format!("- objectName: m{n}\n")).collect();
            objects + &rest
        };
        parsed(&files(0)).unwrap();
        for more in [1, 2] {
            assert!(wrong(&files(more)).contains("2000 are the most"));
        }
    }

    #[test]
    fn the_paths_of_a_mount_are_bounded_before_any_is_compiled() {
        // It would be refused by itself too.
        let path = "[".repeat(1024);
        let objects = |paths: usize, path: &str, more: &str| -> String {
            let extract = |n| format!("  - {{path: '{path}', objectAlias: x{n}}}\n");
            let paths: String = (0..paths).map(extract).collect();
            format!("- objectName: a\n- objectName: b/c\n  jmesPath:\n{paths}{more}")
        };
        assert!(wrong(&objects(64, &path, "")).contains("jmesPath 1, field path: nests too deep"));
        let one = "- objectName: d/e\n  jmesPath: [{path: a, objectAlias: y}]\n";
        assert_eq!(
            wrong(&objects(64, &path, one)),
            "object 3 \"d/e\", field jmesPath: with its paths, those of the mount are longer than \
             65536 bytes together; make them shorter, or mount some objects in another volume"
        );
        let more = wrong(&objects(65, &path, ""));
        assert!(more.starts_with("object 2 \"b/c\", field jmesPath: with its"), "{more}");
        assert!(wrong(&objects(1_999, "[", "")).contains("2000 are the most"));
    }

    #[test]
    fn what_an_object_takes_is_all_that_it_holds() {
        let least = object("- objectName: a");
        let texts = least.label.len() + "a".len() + least.read.endpoint.host().len() + "a".len();
        assert_eq!(least.memory(), size_of::<Object>() + size_of::<Read>() + texts);
        let more = |yaml: &str| object(yaml).memory() - least.memory();
        assert_eq!(more("- objectName: abcd"), 3 * 3, "in its label, its file and its name");
        assert_eq!(more("- {objectName: a, objectAlias: abcdef}"), 5);
        assert_eq!(more("- {objectName: a, objectVersion: v12}"), 3);
        assert_eq!(more("- {objectName: a, objectVersionLabel: stage}"), 5);
        let role = "acs:ram::1:role/partner";
        assert_eq!(more(&format!("- {{objectName: a, crossAccountRoleArn: {role}}}")), role.len());
        let extract = "- {objectName: a, jmesPath: [{path: b, objectAlias: cde}]}";
        let path = Expression::parse("b").unwrap().memory();
        assert_eq!(more(extract), size_of::<Extract>() + "cde".len() + path);
        let oos = object("- {objectName: a, objectType: oos}");
        let texts = oos.label.len() + "a".len() + oos.read.endpoint.host().len() + "a".len();
        let region = "cn-hangzhou".len();
        assert_eq!(oos.memory(), size_of::<Object>() + size_of::<Read>() + texts + region);
    }

    #[test]
    fn mistakes_are_told_by_number_up_to_twenty() {
        let errors = parsed("- objectName: a\n- objectName: ''\n- objectNam: b").unwrap_err();
        let subjects: Vec<_> = errors.iter().map(|error| &*error.subject).collect();
        assert_eq!(subjects, ["object 2, field objectName", "object 3, field \"objectNam\""]);
        assert_eq!(parsed(&"- {}\n".repeat(30)).unwrap_err().len(), MAX_ERRORS);
        assert!(wrong("- objectName: a\n-").ends_with("is null: remove the lone \"-\""));
        assert!(wrong("- a").ends_with("is not a mapping of fields"));
    }

    #[test]
    fn texts_are_texts_or_whole_numbers() {
        let version = |text: &str| {
            let object = object(&format!("- {{objectName: a, objectVersion: {text}}}"));
            match &object.read.source {
                Source::Kms(secret) => secret.version_id.clone(),
                Source::Oos(_) => panic!("not of KMS"),
            }
        };
        assert_eq!(version("v1").as_deref(), Some("v1"));
        assert_eq!(version("7").as_deref(), Some("7"));
        assert_eq!(version("null"), None);
        assert_eq!(version("''"), None);
        for bad in ["1.5", "-1", "true"] {
            let wrong = wrong(&format!("- {{objectName: a, objectVersion: {bad}}}"));
            assert!(wrong.ends_with("is not a text; put it in quotes"), "{wrong}");
        }
        assert!(wrong("- objectName: [a]").ends_with("is not a text"));
    }

    #[test]
    fn flags_are_true_or_false_with_or_without_quotes() {
        let optional = |text: &str| object(&format!("- {{objectName: a, optional: {text}}}"));
        for (text, expected) in [
            ("true", true),
            ("'true'", true),
            ("false", false),
            ("'false'", false),
            ("null", false),
        ] {
            assert_eq!(optional(text).optional, expected, "{text}");
        }
        assert!(!object("- objectName: a").optional);
        for bad in ["'yes'", "''", "1"] {
            let wrong = wrong(&format!("- {{objectName: a, optional: {bad}}}"));
            assert!(wrong.ends_with("must be true or false"), "{wrong}");
        }
    }

    #[test]
    fn names_have_an_end_and_no_control_characters() {
        let long = |bytes: usize| {
            parsed(&format!("- {{objectName: {}, objectAlias: a}}", "n".repeat(bytes)))
        };
        long(300).unwrap();
        for bad in [301, 302] {
            let errors = long(bad).unwrap_err();
            assert!(errors[0].what.contains("is too long"), "{errors:?}");
        }
        assert!(wrong("- {objectName: \"a\\tb\", objectAlias: a}").contains("control character"));
    }

    #[test]
    fn modes_and_encodings() {
        let item = object("- {objectName: a, filePermission: '0400', objectEncoding: base64}");
        assert_eq!((item.mode.bits(), item.encoding), (0o400, Encoding::Base64));
        assert_eq!(object("- {objectName: a, objectEncoding: hex}").encoding, Encoding::Hex);
        assert!(wrong("- {objectName: a, filePermission: 400}").contains("must be an octal mode"));
    }

    #[test]
    fn an_arn_and_a_host_must_agree_on_the_region() {
        const ARN: &str = "acs:kms:cn-beijing:1:secret/x";
        let host = |fields: &str| {
            let list = parsed(&format!("- {{{fields}, objectAlias: a}}"));
            list.map(|list| list[0].read.endpoint.host().to_owned()).map_err(|e| e[0].to_string())
        };
        let of = |name: &str, endpoint: &str| {
            host(&format!("objectName: '{name}', kmsEndpoint: '{endpoint}'"))
        };
        assert_eq!(of(ARN, "").unwrap(), "kms-vpc.cn-beijing.aliyuncs.com");
        let beijing = "kms.cn-beijing.aliyuncs.com";
        assert_eq!(of(ARN, beijing).unwrap(), beijing);
        assert_eq!(of("x", beijing).unwrap(), beijing);
        let torn = of(ARN, "kms.cn-hangzhou.aliyuncs.com").unwrap_err();
        assert!(torn.ends_with("is in cn-hangzhou, the ARN in objectName in cn-beijing"), "{torn}");
        let instance = "kst-1.cryptoservice.kms.aliyuncs.com";
        assert_eq!(of(ARN, instance).unwrap(), instance);
    }

    #[test]
    fn versions_of_oos_are_numbers_from_one() {
        let version = |text: &str| {
            parsed(&format!("- {{objectName: a, objectType: oos, objectVersion: {text}}}"))
                .map(|list| match &list[0].read.source {
                    Source::Oos(parameter) => parameter.version,
                    Source::Kms(_) => panic!("not of OOS"),
                })
                .ok()
        };
        assert_eq!(version("''"), Some(None));
        assert_eq!(version("1").flatten().map(|version| version.to_string()).as_deref(), Some("1"));
        assert_eq!(version("2").flatten().map(|version| version.to_string()).as_deref(), Some("2"));
        for bad in ["0", "latest", "-1", "99999999999999999999999"] {
            assert_eq!(version(bad), None, "{bad}");
        }
        let host = object("- {objectName: a, objectType: oos}").read.endpoint.host().to_owned();
        assert_eq!(host, "oos-vpc.cn-hangzhou.aliyuncs.com");
    }

    #[test]
    fn extracts_have_a_path_and_a_file_each() {
        let item = object(
            "- objectName: a\n  filePermission: '0400'\n  jmesPath:\n  - {path: x, objectAlias: b/c}\n  \
             - {path: y, objectAlias: d, filePermission: '0440'}",
        );
        let files: Vec<_> =
            item.extracts.iter().map(|one| (one.file.as_str(), one.mode.bits())).collect();
        assert_eq!(files, [("b_c", 0o400), ("d", 0o440)]);
        assert!(object("- {objectName: a, jmesPath: null}").extracts.is_empty());
        for (list, told) in [
            ("[]", "object 1 \"a\", field jmesPath: is an empty list"),
            ("x", "object 1 \"a\", field jmesPath: is not a list of path and objectAlias"),
            ("[{path: x}]", "object 1 \"a\", jmesPath 1, field objectAlias: is missing"),
            (
                "[{path: x, objectAlias: b}, {objectAlias: c}]",
                "object 1 \"a\", jmesPath 2, field path: is missing",
            ),
        ] {
            let wrong = wrong(&format!("- {{objectName: a, jmesPath: {list}}}"));
            assert!(wrong.starts_with(told), "{wrong}");
        }
    }

    /// Memory and calls under way go by it.
    #[test]
    fn reads_that_differ_in_anything_differ_in_their_digest() {
        let role = "crossAccountRoleArn: 'acs:ram::1:role/r'";
        let reads = [
            "objectName: a".to_owned(),
            "objectName: b".to_owned(),
            "objectName: a, objectVersion: v".to_owned(),
            "objectName: a, objectVersionLabel: v".to_owned(),
            "objectName: a, kmsEndpoint: kms.cn-hangzhou.aliyuncs.com".to_owned(),
            format!("objectName: a, {role}"),
            "objectName: a, objectType: oos".to_owned(),
            "objectName: b, objectType: oos".to_owned(),
            "objectName: a, objectType: oos, objectVersion: 1".to_owned(),
            format!("objectName: a, objectType: oos, {role}"),
        ];
        let digest = |fields: &String| *object(&format!("- {{{fields}}}")).read.digest();
        let all: std::collections::BTreeSet<_> = reads.iter().map(digest).collect();
        assert_eq!(all.len(), reads.len());
        assert_eq!(digest(&reads[2]), digest(&reads[2]));
    }
}
