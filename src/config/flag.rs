//! Flag: its group, name and help, and what was given for it.

use std::fmt;

/// What was given on the command line.
#[derive(Default)]
pub struct Flags(pub(super) Vec<(&'static str, String)>);

/// Without what they are set to: a proxy's URL may hold a password.
impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Flags {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(flag, _)| *flag == name).map(|(_, value)| value.as_str())
    }
}

/// How the names of this program's own variables begin.
pub(super) const PREFIX: &str = "ALIBABACLOUD_PROVIDER_";

/// The environment variable of a flag.
pub(super) fn variable(flag: &str) -> String {
    format!("{PREFIX}{}", flag.to_ascii_uppercase().replace('-', "_"))
}

pub(super) struct Flag {
    pub(super) group: &'static str,
    pub(super) name: &'static str,
    pub(super) value: &'static str,
    pub(super) help: &'static str,
}

pub(super) const fn flag(
    group: &'static str,
    name: &'static str,
    value: &'static str,
    help: &'static str,
) -> Flag {
    Flag { group, name, value, help }
}

pub(super) const DRIVER: &str = "Driver";
pub(super) const FILES: &str = "Files";
pub(super) const CHANGES: &str = "Changes";
pub(super) const IDENTITY: &str = "Identity";
pub(super) const KEYS: &str = "Shared identities";
pub(super) const CLOUD: &str = "Alibaba Cloud";
pub(super) const AUDIT: &str = "Audit record";
pub(super) const OPERATION: &str = "Operation";

pub(super) const FRESHNESS: &str = "Caching";
