//! Parameters of a SecretProviderClass, as texts. Every one is pod-author input: the author of a pod can
//! override it in the volume's attributes.

use std::collections::BTreeMap;

use super::names::PARAMETERS;
use crate::secret::Secret;

/// The known parameters that are there, and what else there is.
#[derive(Debug, Default)]
pub struct Parameters {
    values: BTreeMap<&'static str, Secret<String>>,
    /// Kubernetes' own keys have a slash; what else is not ours is a mistake that would go unnoticed.
    unknown: Names,
}

/// Some names of many.
#[derive(Debug, Default)]
pub struct Names {
    pub first: Vec<String>,
    /// Beyond these.
    pub more: usize,
}

impl Parameters {
    /// Whatever nobody reads is dropped at once, since a pod's author can send megabytes of it.
    pub fn insert(&mut self, name: &str, value: Secret<String>) {
        // Classes copied from the official provider's tests carry `env_auth_mode`, which nothing ever
        // read.
        let foreign = name.contains('/') || matches!(name, "providerName" | "env_auth_mode");
        match PARAMETERS.iter().find(|known| **known == name) {
            Some(known) => drop(self.values.insert(known, value)),
            None if foreign => {}
            None => self.unknown.add(name),
        }
    }

    pub fn unknown(&self) -> &Names {
        &self.unknown
    }

    /// `None` also where it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.expose().as_str()).filter(|value| !value.is_empty())
    }
}

impl Names {
    /// An error shows fewer, and fewer characters of each.
    const MAX_KEPT: usize = 10;
    const MAX_CHARS: usize = 100;

    pub fn add(&mut self, name: &str) {
        if self.first.len() < Self::MAX_KEPT {
            self.first.push(name.chars().take(Self::MAX_CHARS).collect());
        } else {
            self.more += 1;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}
