//! Input: the files that are named, those in folders, and standard input.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, ArgMatches};

use crate::{
    manifests::{self, MOST_BYTES},
    text::shown,
};

/// What becomes of a file's name and text, and of one that is no text.
pub(super) struct Reader<T> {
    pub(super) read: fn(String, String) -> T,
    pub(super) unread: fn(String, &'static str) -> T,
}

/// The files of a command's line.
pub(super) fn argument() -> Arg {
    Arg::new("file")
        .value_name("FILE")
        .required(true)
        .action(ArgAction::Append)
        .value_parser(clap::value_parser!(PathBuf))
        .help("Files and folders with manifests; - is standard input")
}

pub(super) fn paths(matches: &ArgMatches) -> Vec<PathBuf> {
    matches.get_many("file").into_iter().flatten().cloned().collect()
}

/// Manifests of this provider's classes and of who uses them.
pub(super) fn manifests(paths: &[PathBuf]) -> Result<Vec<manifests::File>, String> {
    let (read_one, unread) = (manifests::File::read, manifests::File::unread);
    read(paths, &Reader { read: read_one, unread })
}

/// All of them, or which of them cannot be read.
pub(super) fn read<T>(paths: &[PathBuf], reader: &Reader<T>) -> Result<Vec<T>, String> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let failed = |error: io::Error| format!("stdin: {}", error.kind());
            files.push(manifest("stdin", io::stdin().lock(), reader).map_err(failed)?);
        } else if path.is_dir() {
            let mut found = Vec::new();
            within(path, &mut found)?;
            if found.is_empty() {
                let path = path.display().to_string();
                return Err(format!("{}: holds no .yaml, .yml or .json", shown(&path)));
            }
            for path in found {
                files.push(file(&path, reader)?);
            }
        } else {
            files.push(file(path, reader)?);
        }
    }
    Ok(files)
}

/// Files with manifests' extensions, in the order of their names. Hidden ones are left out, and links to
/// folders are not followed: these could lead round in a circle.
fn within(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |error: io::Error| failed(folder, &error);
    let mut entries =
        fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let kind = entry.file_type().map_err(failed)?;
        if hidden {
            continue;
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        if kind.is_dir() {
            within(&path, found)?;
        } else if matches!(extension, Some("yaml" | "yml" | "json")) && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

fn file<T>(path: &Path, reader: &Reader<T>) -> Result<T, String> {
    let name = path.display().to_string();
    let read = File::open(path).and_then(|file| manifest(&name, file, reader));
    read.map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &io::Error) -> String {
    format!("{}: {}", shown(&path.display().to_string()), error.kind())
}

fn manifest<T>(name: &str, input: impl Read, reader: &Reader<T>) -> io::Result<T> {
    let name = name.to_owned();
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    input.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > MOST_BYTES {
        return Ok((reader.unread)(name, "larger than 64 MiB"));
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => (reader.read)(name, text),
        Err(error) => {
            let bytes = error.as_bytes();
            let wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
            let what = if wide { "UTF-16; save it as UTF-8" } else { "not a text in UTF-8" };
            (reader.unread)(name, what)
        }
    })
}
