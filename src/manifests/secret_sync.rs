//! A SecretSync of secrets-store-sync-controller as it is written.

use super::value::{At, Text};
use crate::yaml::Position;

#[derive(Debug)]
pub struct SecretSync {
    pub class: Option<Text>,
    pub service_account: Option<Text>,
    pub secret_type: Option<Text>,
    pub data: Vec<Entry>,
}

#[derive(Debug)]
pub struct Entry {
    pub at: Position,
    /// The file.
    pub source: Option<Text>,
    /// The key in the Secret.
    pub key: Option<Text>,
}

impl SecretSync {
    pub(super) fn of(at: At<'_>) -> Self {
        let spec = at.get("spec");
        let text = |key: &str| spec.and_then(|spec| spec.text(key));
        let object = spec.and_then(|spec| spec.get("secretObject"));
        let data = object.into_iter().flat_map(|object| object.list("data"));
        let entry = |at: At<'_>| Entry {
            at: at.position(),
            source: at.text("sourcePath"),
            key: at.text("targetKey"),
        };
        Self {
            class: text("secretProviderClassName"),
            service_account: text("serviceAccountName"),
            secret_type: object.and_then(|object| object.text("type")),
            data: data.map(entry).collect(),
        }
    }
}
