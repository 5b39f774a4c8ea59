//! Step 5: values become the volume's files: decoded, taken apart, each with its path and mode.

mod encoding;

use crate::limits::DRIVER_ANSWER;
use std::time::{Duration, Instant};

use crate::{
    document::Document,
    error::{Error, Errors, Reason},
    secret::Secret,
    spc::{
        file::{FileMode, RelPath},
        objects::{Extract, Object},
    },
    text::quoted,
    value::{Fetched, Value},
};
use encoding::decode;

/// The volume's whole content.
#[derive(Debug, Default)]
pub struct Projection {
    pub files: Vec<OutFile>,
    /// How many optional objects were left out.
    pub left_out: usize,
}

/// The driver takes an answer without files for "nothing to do" and one without versions for an
/// error: when every object is optional and none exists, this file says so.
pub const NOTHING: &str = ".no-objects";

impl Projection {
    /// Of all files together.
    pub fn bytes(&self) -> usize {
        self.files.iter().map(|file| file.bytes.expose().len()).sum()
    }
}

#[derive(Debug)]
pub struct OutFile {
    pub path: RelPath,
    pub mode: FileMode,
    pub bytes: Secret<Vec<u8>>,
    /// The version of the secret it came from.
    pub version: String,
}

/// What to say of `which` files, each with its size and path, that make more than the driver takes.
pub fn too_large<'a>(
    which: &str,
    size: usize,
    files: impl Iterator<Item = (usize, &'a str)>,
) -> Error {
    let mut largest: Vec<_> = files.collect();
    largest.sort_unstable_by(|a, b| b.cmp(a));
    let named: Vec<_> =
        largest.iter().take(3).map(|(size, path)| format!("\"{path}\" {size} bytes")).collect();
    let what = format!(
        "{which} files make an answer of {size} bytes; the driver takes {DRIVER_ANSWER} (largest: {})",
        named.join(", ")
    );
    Error::new(Reason::TooLarge, what).hint("mount fewer objects in one volume")
}

/// The files made so far: all of them are in memory until the answer is sent, so no more are made
/// than it can hold.
#[derive(Default)]
struct Files {
    made: Vec<OutFile>,
    bytes: usize,
}

impl Files {
    fn add(&mut self, file: OutFile) {
        self.bytes += file.bytes.expose().len();
        self.made.push(file);
    }

    fn fit(&self) -> bool {
        self.bytes <= DRIVER_ANSWER
    }

    fn too_large(&self) -> Error {
        let files = self.made.iter().map(|file| (file.bytes.expose().len(), file.path.as_str()));
        too_large(&format!("the first {}", self.made.len()), self.bytes, files)
    }
}

/// For all expressions of a mount together.
const LONGEST_SEARCH: Duration = Duration::from_secs(2);

fn bytes(value: &Fetched) -> usize {
    value.as_ref().map_or(0, |value| value.bytes.expose().len())
}

/// How many bytes the values have.
pub fn held(values: &[Fetched]) -> usize {
    values.iter().map(bytes).sum()
}

/// How many bytes the mount's expressions go through. Those that are more than the names of keys can
/// make much of little: they count as much as the largest value.
pub fn to_search(objects: &[Object], values: &[Fetched]) -> usize {
    const COSTLY: usize = 32 << 10;
    let of = |(object, value): (&Object, &Fetched)| {
        let each = |extract: &Extract| if extract.path.is_keys() { bytes(value) } else { COSTLY };
        object.extracts.iter().map(each).fold(0, usize::saturating_add)
    };
    objects.iter().zip(values).map(of).fold(0, usize::saturating_add)
}

/// How many bytes the files have at most, if no expression makes more than it reads.
pub fn to_copy(objects: &[Object], values: &[Fetched]) -> usize {
    let of = |(object, value): (&Object, &Fetched)| {
        bytes(value).saturating_mul(1 + object.extracts.len())
    };
    objects.iter().zip(values).map(of).fold(0, usize::saturating_add)
}

pub fn project(objects: &[Object], values: &[Fetched]) -> Result<Projection, Errors> {
    let (mut volume, mut left_out) = (Files::default(), 0);
    let mut errors = Vec::new();
    let end = Instant::now() + LONGEST_SEARCH;
    for (object, value) in objects.iter().zip(values) {
        match value {
            None => left_out += 1,
            Some(value) => {
                errors.extend(files(object, value, end, &mut volume).err().unwrap_or_default());
            }
        }
        if !volume.fit() {
            errors.push(volume.too_large());
            break;
        }
    }
    Errors::of(errors).map_or(Ok(Projection { files: volume.made, left_out }), Err)
}

/// The object's own file, then one for each of its extracts, as long as they fit.
fn files(
    object: &Object,
    value: &Value,
    end: Instant,
    volume: &mut Files,
) -> Result<(), Vec<Error>> {
    let wrong = |what: String| {
        Error::new(Reason::InvalidSecret, format!("its value {what}")).subject(&object.label)
    };
    let stored = Secret::new(value.bytes.expose().clone());
    let bytes = decode(object.encoding, stored).map_err(|what| vec![wrong(what)])?;
    let file = |path: &RelPath, mode: FileMode, bytes: Secret<Vec<u8>>| OutFile {
        path: path.clone(),
        mode,
        bytes,
        version: value.version.clone(),
    };
    let document = match &*object.extracts {
        [] => None,
        _ => Some(
            Document::parse(bytes.expose())
                .map_err(|unread| vec![wrong(unread.message).hint(unread.hint)])?,
        ),
    };
    volume.add(file(&object.file, object.mode, bytes));
    let Some(document) = document else { return Ok(()) };
    let mut errors = Vec::new();
    for extract in &object.extracts {
        if !volume.fit() {
            break;
        }
        if Instant::now() > end {
            let seconds = LONGEST_SEARCH.as_secs();
            let what = format!("the mount's paths take more than {seconds} s");
            let error = Error::new(Reason::PathFailed, what).subject(&object.label);
            return Err(vec![error.hint("give jmesPath fewer or simpler paths")]);
        }
        match extracted(extract, &document, end) {
            Ok(bytes) => volume.add(file(&extract.file, extract.mode, bytes)),
            Err(what) => errors.push(
                Error::new(Reason::PathFailed, format!("its path {what}"))
                    .subject(format!("{}, jmesPath of \"{}\"", object.label, extract.file)),
            ),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn extracted(
    extract: &Extract,
    document: &Document,
    end: Instant,
) -> Result<Secret<Vec<u8>>, String> {
    let path = quoted(&extract.path.to_string());
    let found = extract.path.search(document, end);
    let found = found.map_err(|what| format!("{path} {what}"))?;
    decode(extract.encoding, found).map_err(|what| format!("{path} finds what {what}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::spc::objects::tests::parsed;

    fn objects(text: &str) -> Vec<Object> {
        parsed(text).unwrap()
    }

    fn value(text: &str) -> Fetched {
        Some(Arc::new(Value {
            bytes: Secret::new(text.as_bytes().to_vec()),
            version: "1".to_owned(),
            rotates_at: None,
            request_id: String::new(),
        }))
    }

    #[test]
    fn no_more_is_made_than_an_answer_can_hold() {
        let many = vec!["@"; 130].join(",");
        let extracts = |number: usize| -> String {
            (0..20)
                .map(|n| format!("  - {{path: '[{many}]', objectAlias: x{number}-{n}}}\n"))
                .collect()
        };
        let text: String =
            (0..2).map(|n| format!("- objectName: n{n}\n  jmesPath:\n{}", extracts(n))).collect();
        let json = value(&format!("[\"{}\"]", "x".repeat(30_000)));
        let errors = project(&objects(&text), &[json.clone(), json]).unwrap_err();
        let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let [told] = &*told else { panic!("{told:?}") };
        // The secret, and two extracts of 3.9 MB each.
        assert!(told.starts_with("the first 3 files make an answer of 7"), "{told}");
        assert!(told.contains("the driver takes 4194304 (largest: \"x0-1\" 39"), "{told}");
    }

    #[test]
    fn as_much_is_made_as_an_answer_can_hold() {
        let list = objects("- objectName: a\n- objectName: b\n- objectName: c");
        let of = |sizes: [usize; 3]| {
            let values = sizes.map(|size| value(&"x".repeat(size)));
            project(&list, &values).map(|projection| projection.files.len())
        };
        assert_eq!(of([DRIVER_ANSWER - 1, 1, 0]), Ok(3));
        let told = of([DRIVER_ANSWER, 1, 1]).unwrap_err().message();
        assert!(told.starts_with("the first 2 files make an answer of 4194305 bytes"), "{told}");
    }
}
