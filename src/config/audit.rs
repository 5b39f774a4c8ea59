//! `--audit` and what belongs to it.

use std::path::Path;

use super::{
    flag::{AUDIT, Flag, flag},
    settings::Settings,
};
use crate::audit::{self, Destination, OnFailure};

pub(super) const FLAGS: &[Flag] = &[
    flag(
        AUDIT,
        "audit",
        "off|stdout|FILE",
        "Where to write a line for each value read and each mount refused; FILE is a path that \
         starts with /, in a folder that exists [default: off]",
    ),
    flag(
        AUDIT,
        "audit-failure",
        "refuse|continue",
        "A mount whose records cannot be written fails (refuse), or is served and they are counted \
         (continue) [default: refuse]",
    ),
    flag(
        AUDIT,
        "audit-max-mib",
        "N",
        "A file of this size is rotated to FILE.1, and FILE.1 to FILE.2 [default: 64]",
    ),
    flag(AUDIT, "audit-files", "N", "How many rotated files are kept [default: 8]"),
    flag(
        AUDIT,
        "audit-key-file",
        "FILE",
        "Key of 32 bytes or more to chain the lines with (HMAC-SHA256) [default: none, SHA-256]",
    ),
];

impl Settings<'_> {
    pub(super) fn audit(&mut self) -> audit::Options {
        let to = self.parsed("audit", &[], destination, "off, stdout or a path that starts with /");
        let to = to.unwrap_or(Destination::Off);
        match &to {
            Destination::Off => {
                for flag in ["audit-failure", "audit-max-mib", "audit-files", "audit-key-file"] {
                    if self.is_given(flag) {
                        self.warn(format!("--{flag} has no effect: --audit is off"));
                    }
                }
            }
            Destination::Stdout => {}
            Destination::File(path) => {
                if let Err(what) = check_file(path) {
                    self.wrong(format!("--audit: {what}"));
                }
            }
        }
        let on_failure = self.parsed("audit-failure", &[], on_failure, "refuse or continue");
        audit::Options {
            to,
            most_bytes: (self.count("audit-max-mib", 1, 64) as u64) << 20,
            files: self.count("audit-files", 1, 8),
            key: self.file("audit-key-file", |path| audit::key::read(path.as_ref())),
            on_failure: on_failure.unwrap_or(OnFailure::Refuse),
            node: self.env(&["NODE_NAME"]).unwrap_or_default(),
        }
    }
}

fn destination(text: &str) -> Option<Destination> {
    match text {
        "off" => Some(Destination::Off),
        "stdout" => Some(Destination::Stdout),
        path => path.starts_with('/').then(|| Destination::File(path.into())),
    }
}

/// A folder that is not there is a path with a typo, or a volume that is not mounted: a record in a
/// folder made for it would end with the container.
fn check_file(path: &Path) -> Result<(), String> {
    if path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(format!("{} is a folder: name a file in it", path.display()));
    }
    match path.parent() {
        Some(folder) if folder.exists() && !folder.is_dir() => {
            Err(format!("{} is not a folder", folder.display()))
        }
        Some(folder) if !folder.exists() => Err(format!(
            "there is no folder {}: mount or make it, or correct the path",
            folder.display()
        )),
        _ => Ok(()),
    }
}

fn on_failure(text: &str) -> Option<OnFailure> {
    match text {
        "refuse" => Some(OnFailure::Refuse),
        "continue" => Some(OnFailure::Continue),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audit_file_needs_a_folder_that_exists() {
        let folder = tempfile::TempDir::new().unwrap();
        let at = |name: &str| check_file(&folder.path().join(name));
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert_eq!(at("audit.log"), Ok(()));
        assert_eq!(at("file"), Ok(()));
        for (name, said) in [
            ("typo/audit.log", "there is no folder"),
            ("file/audit.log", "is not a folder"),
            ("", "is a folder: name a file in it"),
            ("typo/", "is a folder: name a file in it"),
        ] {
            let error = at(name).unwrap_err();
            assert!(error.contains(said), "{name}: {error}");
        }
        assert!(!folder.path().join("typo").exists());
    }
}
