//! The secrets and parameters, which change while the emulator runs.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use crate::state::config::{self, Config};
use crate::state::error::VaultError;
use crate::state::secret::Secret;

/// Region, account and name.
pub(crate) type Id = (String, String, String);

#[derive(Debug, Default)]
pub(crate) struct Vault {
    pub(crate) secrets: BTreeMap<Id, Secret>,
    pub(crate) parameters: BTreeMap<Id, Parameter>,
}

#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) settings: config::Parameter,
    pub(crate) id: String,
    pub(crate) versions: Vec<(u32, String)>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

impl Vault {
    pub(crate) fn load(config: &Config, now: Timestamp) -> Result<Self, VaultError> {
        let mut vault = Self::default();
        for secret in &config.secrets {
            vault.put_secret(config, secret.clone(), now)?;
        }
        for parameter in &config.parameters {
            vault.put_parameter(config, parameter.clone(), now)?;
        }
        Ok(vault)
    }

    pub(crate) fn put_secret(
        &mut self,
        config: &Config,
        settings: config::Secret,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let id = identity(config, &settings.name, &settings.region, &settings.account);
        self.secrets.insert(id, Secret::new(settings, now)?);
        Ok(())
    }

    pub(crate) fn put_parameter(
        &mut self,
        config: &Config,
        settings: config::Parameter,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let values: Vec<String> =
            settings.value.iter().chain(&settings.versions).cloned().collect();
        if values.is_empty() {
            return Err(VaultError::Invalid(format!(
                "parameter {}: a value or versions are needed",
                settings.name
            )));
        }
        let reserved = ["ALIYUN", "ACS", "ALIBABA", "ALICLOUD", "OOS"];
        if reserved.iter().any(|word| settings.name.starts_with(word)) {
            return Err(VaultError::Invalid(format!(
                "parameter {}: the name starts with a reserved word",
                settings.name
            )));
        }
        if values.iter().any(|value| !(1..=4096).contains(&value.chars().count())) {
            return Err(VaultError::Invalid(format!(
                "parameter {}: a value has 1 to 4,096 characters",
                settings.name
            )));
        }
        let id = identity(config, &settings.name, &settings.region, &settings.account);
        let parameter = Parameter {
            id: format!("p-{}", crate::state::random::alphanumeric(20).to_lowercase()),
            versions: (1..).zip(values).collect(),
            settings,
            created: now,
            updated: now,
        };
        self.parameters.insert(id, parameter);
        Ok(())
    }

    /// Finds by ARN, or by plain name wherever it is.
    pub(crate) fn secret_mut(&mut self, name: &str) -> Result<&mut Secret, VaultError> {
        let id = find(&self.secrets, name, crate::state::arn::secret_parts(name));
        id.and_then(|id| self.secrets.get_mut(&id))
            .ok_or_else(|| VaultError::NoSecret(name.to_owned()))
    }

    pub(crate) fn parameter_mut(&mut self, name: &str) -> Result<&mut Parameter, VaultError> {
        find(&self.parameters, name, None)
            .and_then(|id| self.parameters.get_mut(&id))
            .ok_or_else(|| VaultError::NoParameter(name.to_owned()))
    }

    pub(crate) fn delete_secret(&mut self, name: &str) -> Result<(), VaultError> {
        find(&self.secrets, name, crate::state::arn::secret_parts(name))
            .and_then(|id| self.secrets.remove(&id))
            .map(|_| ())
            .ok_or_else(|| VaultError::NoSecret(name.to_owned()))
    }

    pub(crate) fn delete_parameter(&mut self, name: &str) -> Result<(), VaultError> {
        find(&self.parameters, name, None)
            .and_then(|id| self.parameters.remove(&id))
            .map(|_| ())
            .ok_or_else(|| VaultError::NoParameter(name.to_owned()))
    }

    /// How many versions its secrets were given that nobody named.
    pub(crate) fn rotations(&self) -> u64 {
        self.secrets.values().map(|secret| u64::from(secret.rotations)).sum()
    }

    /// Every value held, as the bytes a leak would show.
    pub(crate) fn values(&self) -> impl Iterator<Item = String> {
        let secrets = self.secrets.values().flat_map(|secret| &secret.versions).map(|version| {
            if version.binary {
                STANDARD.encode(&version.value)
            } else {
                String::from_utf8_lossy(&version.value).into_owned()
            }
        });
        let parameters = self.parameters.values().flat_map(|parameter| &parameter.versions);
        secrets.chain(parameters.map(|(_, value)| value.clone()))
    }
}

fn identity(config: &Config, name: &str, region: &Option<String>, account: &Option<String>) -> Id {
    (
        region.clone().unwrap_or_else(|| config.region.clone()),
        account.clone().unwrap_or_else(|| config.default_account().to_owned()),
        name.to_owned(),
    )
}

fn find<T>(map: &BTreeMap<Id, T>, name: &str, arn: Option<(&str, &str, &str)>) -> Option<Id> {
    map.keys()
        .find(|(region, account, known)| match arn {
            Some(parts) => parts == (region, account, known),
            None => known == name,
        })
        .cloned()
}

impl Parameter {
    pub(crate) fn rotate(&mut self, value: String, now: Timestamp) -> u32 {
        let number = self.versions.last().map_or(0, |(number, _)| *number) + 1;
        self.versions.push((number, value));
        self.updated = now;
        number
    }

    pub(crate) fn version(&self, number: Option<u32>) -> Option<&(u32, String)> {
        match number {
            Some(number) => self.versions.iter().find(|(known, _)| *known == number),
            None => self.versions.last(),
        }
    }
}
