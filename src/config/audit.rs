//! `--audit` and what belongs to it.

use std::path::Path;

use super::settings::Settings;
use crate::audit::{self, Destination, OnFailure};

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
