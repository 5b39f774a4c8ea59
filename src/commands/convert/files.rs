//! Files of the output: one for each manifest, and none that is there is overwritten unless asked.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{convert::Manifest, text::shown};

/// Each with its path: kind, namespace and name.
pub(super) fn of(manifests: &[Manifest], folder: &Path) -> Vec<(PathBuf, String)> {
    let mut taken = BTreeSet::new();
    let file = |Manifest { kind, namespace, name, text, .. }: &Manifest| {
        let parts = [Some(*kind), namespace.as_deref(), Some(&**name)];
        let joined = parts.into_iter().flatten().collect::<Vec<_>>().join("-").to_ascii_lowercase();
        // Names that Kubernetes would not take must not lead out of the folder.
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '_' };
        let plain: String = joined.chars().map(plain).take(200).collect();
        let mut path = format!("{plain}.yaml");
        let mut number = 2;
        while !taken.insert(path.clone()) {
            path = format!("{plain}-{number}.yaml");
            number += 1;
        }
        (folder.join(path), text.clone())
    };
    manifests.iter().map(file).collect()
}

/// All of them, or none if one is there already.
pub(super) fn write(
    files: &[(PathBuf, String)],
    folder: Option<&Path>,
    force: bool,
) -> Result<(), String> {
    let named = |path: &Path| shown(&path.display().to_string()).into_owned();
    let failed = |path: &Path, error: &io::Error| format!("{}: {}", named(path), error.kind());
    if let Some(there) = files.iter().find(|(path, _)| !force && path.symlink_metadata().is_ok()) {
        return Err(format!("{} is there already; --force overwrites it", named(&there.0)));
    }
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    }
    for (path, text) in files {
        put(path, text, force).map_err(|error| failed(path, &error))?;
    }
    Ok(())
}

/// A link that is there is replaced and not followed.
fn put(path: &Path, text: &str, force: bool) -> io::Result<()> {
    if force {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}
