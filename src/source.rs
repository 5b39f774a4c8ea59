//! Source: what an object is read from.

use crate::names::Region;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    Kms(SecretRef),
    Oos(ParameterRef),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretRef {
    /// Name or ARN.
    pub name: String,
    pub version_id: Option<String>,
    pub stage: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParameterRef {
    pub region: Region,
    pub name: String,
    pub version: Option<u32>,
}
