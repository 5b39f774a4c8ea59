//! The one YAML file that describes the cloud.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::state::arn::{self, account_of};
use crate::state::faults::Fault;
use crate::state::policy::{Document, ShortPolicy};
pub use crate::state::settings::{
    Batch, Kms, Kubernetes, Metadata, Oos, ServiceAccount, Tls, TokenAlgorithm,
};

/// Everything the emulator stands in for, as written in the YAML file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default = "default_region")]
    pub region: String,
    /// Account ids; the first owns whatever names no account.
    pub accounts: Vec<String>,
    #[serde(default)]
    pub users: Vec<User>,
    #[serde(default)]
    pub oidc_providers: Vec<OidcProvider>,
    #[serde(default)]
    pub roles: Vec<Role>,
    #[serde(default)]
    pub secrets: Vec<Secret>,
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    #[serde(default)]
    pub kms: Kms,
    #[serde(default)]
    pub oos: Oos,
    #[serde(default)]
    pub metadata: Metadata,
    #[serde(default)]
    pub kubernetes: Kubernetes,
    #[serde(default)]
    pub tls: Tls,
    #[serde(default)]
    pub faults: Vec<Fault>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{0}")]
    Yaml(String),
    #[error("{0}")]
    Invalid(String),
}

impl Config {
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        let config: Self =
            serde_saphyr::from_str(text).map_err(|error| ConfigError::Yaml(error.to_string()))?;
        config.validate()?;
        Ok(config)
    }

    /// A commented configuration that works as it stands.
    pub fn example() -> &'static str {
        include_str!("example.yaml")
    }

    pub(crate) fn default_account(&self) -> &str {
        self.accounts.first().map_or("", String::as_str)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        if self.accounts.is_empty() {
            return invalid("accounts: at least one account id is needed");
        }
        for user in &self.users {
            self.known_account("users", user.account.as_deref().unwrap_or(self.default_account()))?;
        }
        for provider in &self.oidc_providers {
            if !arn::is_ram(&provider.arn, "oidc-provider") {
                return invalid(format!(
                    "oidc_providers: {:?} is not acs:ram::ACCOUNT:oidc-provider/NAME",
                    provider.arn
                ));
            }
            self.known_account("oidc_providers", account_of(&provider.arn))?;
            if provider.jwks_file.is_some() && provider.jwks_url.is_some() {
                return invalid("oidc_providers: give jwks_file or jwks_url, not both");
            }
        }
        for role in &self.roles {
            if !arn::is_ram(&role.arn, "role") {
                return invalid(format!("roles: {:?} is not acs:ram::ACCOUNT:role/NAME", role.arn));
            }
            self.known_account("roles", account_of(&role.arn))?;
            if !(3600..=43200).contains(&role.max_session_duration) {
                return invalid(format!(
                    "roles: {}: max_session_duration must be 3600 to 43200",
                    role.arn
                ));
            }
        }
        if let Some(role) = &self.metadata.role
            && !self.roles.iter().any(|known| known.arn == *role || arn::name(&known.arn) == role)
        {
            return invalid(format!("metadata: role {role:?} is not among roles"));
        }
        Ok(())
    }

    fn known_account(&self, section: &str, account: &str) -> Result<(), ConfigError> {
        if self.accounts.iter().any(|known| known == account) {
            return Ok(());
        }
        invalid(format!("{section}: account {account:?} is not listed under accounts"))
    }
}

fn invalid<T>(message: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Invalid(message.into()))
}

/// A RAM user, or with `root: true` the account itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub name: String,
    pub account: Option<String>,
    pub access_key_id: String,
    pub access_key_secret: String,
    #[serde(default)]
    pub root: bool,
    #[serde(default)]
    pub inactive: bool,
    #[serde(default)]
    pub policies: Vec<PolicyEntry>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcProvider {
    pub arn: String,
    pub issuer: String,
    pub client_ids: Vec<String>,
    /// With neither file nor URL the keys are those of the builtin issuer.
    pub jwks_file: Option<String>,
    pub jwks_url: Option<String>,
    pub ca_file: Option<String>,
    pub token_file: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    pub arn: String,
    pub trust: Document,
    #[serde(default)]
    pub policies: Vec<PolicyEntry>,
    #[serde(default = "default_session_duration")]
    pub max_session_duration: u64,
}

/// Either a RAM document (`Version`, `Statement`) or the short form (`allow`, `deny`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyEntry {
    #[serde(rename = "Version")]
    pub version: Option<String>,
    #[serde(rename = "Statement")]
    pub statement: Option<Vec<crate::state::policy::Statement>>,
    #[serde(default)]
    pub allow: Vec<String>,
    #[serde(default)]
    pub deny: Vec<String>,
}

impl PolicyEntry {
    pub(crate) fn document(&self) -> Document {
        let mut statements = self.statement.clone().unwrap_or_default();
        statements.extend(ShortPolicy { allow: &self.allow, deny: &self.deny }.statements());
        Document { version: self.version.clone(), statement: statements }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    pub name: String,
    pub region: Option<String>,
    pub account: Option<String>,
    #[serde(rename = "type")]
    pub secret_type: Option<String>,
    pub data_type: Option<String>,
    /// Short for one version labelled ACSCurrent.
    pub value: Option<String>,
    pub value_base64: Option<String>,
    #[serde(default)]
    pub versions: Vec<SecretVersion>,
    pub key_id: Option<String>,
    /// The KMS instance that holds it; its host serves it, and so does the shared gateway.
    pub instance: Option<String>,
    #[serde(default)]
    pub instance_only: bool,
    pub automatic_rotation: Option<String>,
    pub rotation_interval: Option<String>,
    pub last_rotation_date: Option<String>,
    pub next_rotation_date: Option<String>,
    pub extended_config: Option<String>,
    pub description: Option<String>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Other accounts that may read it by ARN, as a secret policy would let them.
    #[serde(default)]
    pub shared_with: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretVersion {
    pub id: String,
    pub value: Option<String>,
    pub value_base64: Option<String>,
    #[serde(default)]
    pub stages: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    pub name: String,
    pub region: Option<String>,
    pub account: Option<String>,
    pub value: Option<String>,
    /// Values of versions 1, 2, ... in order.
    #[serde(default)]
    pub versions: Vec<String>,
    pub description: Option<String>,
    pub key_id: Option<String>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

fn default_region() -> String {
    "cn-hangzhou".to_owned()
}

fn default_session_duration() -> u64 {
    3600
}
