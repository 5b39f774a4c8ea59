//! A SecretProviderClass as it is written.

use super::value::{At, Given, Pair, Text};
use crate::yaml::Position;

#[derive(Debug)]
pub struct Class {
    pub provider: Option<Text>,
    pub parameters: Vec<Pair>,
    /// Where their name is.
    pub parameters_at: Option<Position>,
    pub secret_objects: Vec<SecretObject>,
    /// Keys of `spec` that the API does not have.
    pub unknown: Vec<Text>,
}

/// A Secret for the driver to make of some files.
#[derive(Debug)]
pub struct SecretObject {
    pub at: Position,
    pub name: Option<Text>,
    pub secret_type: Option<Text>,
    pub data: Vec<Entry>,
}

/// An entry of its data.
#[derive(Debug)]
pub struct Entry {
    pub at: Position,
    /// The file.
    pub object: Option<Text>,
    /// The key in the Secret.
    pub key: Option<Text>,
}

impl Class {
    pub(super) fn of(at: At<'_>) -> Self {
        let spec = at.get("spec");
        let known = ["provider", "parameters", "secretObjects"];
        let unknown = spec.into_iter().flat_map(At::keys);
        let objects = spec.into_iter().flat_map(|spec| spec.list("secretObjects"));
        Self {
            provider: spec.and_then(|spec| spec.text("provider")),
            parameters: spec.and_then(|spec| spec.get("parameters")).map_or(vec![], At::pairs),
            parameters_at: spec.and_then(|spec| {
                let mut keys = spec.keys();
                keys.find(|key| &*key.text == "parameters").map(|key| key.at)
            }),
            secret_objects: objects.map(SecretObject::of).collect(),
            unknown: unknown.filter(|key| !known.contains(&&*key.text)).collect(),
        }
    }

    pub fn parameter(&self, name: &str) -> Option<&Pair> {
        self.parameters.iter().find(|pair| &*pair.name.text == name)
    }

    /// Parameter `objects`.
    pub fn objects(&self) -> Option<&Text> {
        self.parameter("objects").map(|pair| &pair.value).and_then(Given::text)
    }
}

impl SecretObject {
    fn of(at: At<'_>) -> Self {
        let entry = |at: At<'_>| Entry {
            at: at.position(),
            object: at.text("objectName"),
            key: at.text("key"),
        };
        Self {
            at: at.position(),
            name: at.text("secretName"),
            secret_type: at.text("type"),
            data: at.list("data").map(entry).collect(),
        }
    }
}
