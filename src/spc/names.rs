//! Names that a SecretProviderClass can hold: its parameters, the fields of an object, and those of an
//! entry of an object's `jmesPath`.

/// Where a name was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Parameter,
    /// Of an object.
    Field,
    /// Of an entry of an object's `jmesPath`.
    Entry,
}

pub const PARAMETERS: &[&str] = &[
    "identity",
    "objects",
    "pathTranslation",
    "refreshInterval",
    "region",
    "roleArn",
    "usePodServiceAccountToken",
];

/// Of an object.
pub const FIELDS: &[&str] = &[
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

/// Of an entry of `jmesPath`.
pub const ENTRY_FIELDS: &[&str] = &["filePermission", "objectAlias", "objectEncoding", "path"];

impl Place {
    /// The names that there are.
    pub fn known(self) -> &'static [&'static str] {
        match self {
            Place::Parameter => PARAMETERS,
            Place::Field => FIELDS,
            Place::Entry => ENTRY_FIELDS,
        }
    }
}
