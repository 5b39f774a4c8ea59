//! Step 5: values become the volume's files: decoded, taken apart, each with its path and mode.

pub mod jmespath;

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    cloud::kms::Value,
    error::{Class, Error, Errors},
    fetch::Fetched,
    request::{
        file::{FileMode, RelPath},
        objects::{Encoding, Object},
    },
    secret::Secret,
};
use jmespath::Document;

/// The volume's whole content.
#[derive(Debug, Default)]
pub struct Projection {
    pub files: Vec<OutFile>,
    /// How many optional objects were left out.
    pub left_out: usize,
}

#[derive(Debug)]
pub struct OutFile {
    pub path: RelPath,
    pub mode: FileMode,
    pub bytes: Secret<Vec<u8>>,
    /// The version of the secret it came from.
    pub version: String,
}

/// For all expressions of a mount together.
const LONGEST_SEARCH: Duration = Duration::from_secs(2);

/// How many bytes the mount's expressions go through.
pub fn to_search(objects: &[Object], values: &[Fetched]) -> usize {
    let of = |(object, value): (&Object, &Fetched)| {
        let bytes = value.as_ref().map_or(0, |value| value.bytes.expose().len());
        bytes.saturating_mul(object.extracts.len())
    };
    objects.iter().zip(values).map(of).fold(0, usize::saturating_add)
}

pub fn project(objects: &[Object], values: &[Fetched]) -> Result<Projection, Errors> {
    let mut projection = Projection::default();
    let mut errors = Vec::new();
    let end = Instant::now() + LONGEST_SEARCH;
    for (object, value) in objects.iter().zip(values) {
        match value {
            None => projection.left_out += 1,
            Some(value) => match files(object, value, end) {
                Ok(files) => projection.files.extend(files),
                Err(found) => errors.extend(found),
            },
        }
    }
    Errors::of(errors).map_or(Ok(projection), Err)
}

/// The object's own file, then one for each of its extracts.
fn files(object: &Object, value: &Value, end: Instant) -> Result<Vec<OutFile>, Vec<Error>> {
    let wrong =
        |what: &str| Error::new(Class::Unusable, format!("its value {what}")).about(&object.label);
    let bytes = decode(object.encoding, value.bytes.expose()).map_err(|what| vec![wrong(what)])?;
    let file = |path: &RelPath, mode: FileMode, bytes: Secret<Vec<u8>>| OutFile {
        path: path.clone(),
        mode,
        bytes,
        version: value.version.clone(),
    };
    let mut extracted = Vec::with_capacity(object.extracts.len());
    let mut errors = Vec::new();
    if !object.extracts.is_empty() {
        let document = Document::parse(bytes.expose())
            .map_err(|what| vec![wrong(what).fix("jmesPath needs a JSON or YAML secret")])?;
        for extract in &object.extracts {
            if Instant::now() > end {
                let seconds = LONGEST_SEARCH.as_secs();
                let what = format!("the mount's paths take more than {seconds} s");
                let error = Error::new(Class::Unusable, what).about(&object.label);
                return Err(vec![error.fix("give jmesPath fewer or simpler paths")]);
            }
            match extract.path.search(&document) {
                Ok(bytes) => extracted.push(file(&extract.file, extract.mode, bytes)),
                Err(what) => errors.push(
                    Error::new(Class::Unusable, format!("its path {what}"))
                        .about(format!("{}, jmesPath of \"{}\"", object.label, extract.file)),
                ),
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut files = vec![file(&object.file, object.mode, bytes)];
    files.append(&mut extracted);
    Ok(files)
}

fn decode(encoding: Encoding, stored: &[u8]) -> Result<Secret<Vec<u8>>, &'static str> {
    let bytes = match encoding {
        Encoding::Utf8 => stored.to_vec(),
        Encoding::Base64 => STANDARD
            .decode(stored.trim_ascii())
            .map_err(|_| "is not base64, as objectEncoding says")?,
        Encoding::Hex => {
            unhex(stored.trim_ascii()).ok_or("is not hexadecimal, as objectEncoding says")?
        }
    };
    Ok(Secret::new(bytes))
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.chunks(2).map(|pair| match *pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        for (encoding, stored, expected) in [
            (Encoding::Utf8, &b" a\n"[..], Some(&b" a\n"[..])),
            (Encoding::Base64, b"AAH/\n", Some(&[0, 1, 255])),
            (Encoding::Base64, b"AAH", None),
            (Encoding::Hex, b"00fF\n", Some(&[0, 255])),
            (Encoding::Hex, b"0", None),
            (Encoding::Hex, b"0g", None),
        ] {
            let decoded = decode(encoding, stored).ok();
            assert_eq!(decoded.as_ref().map(|d| d.expose().as_slice()), expected);
        }
    }
}
