//! Settings of the cloud's services, as the YAML file has them.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kms {
    #[serde(default)]
    pub batch: Batch,
    /// Answer an expired session with `InvalidAccessKeyId.NotFound`, as KMS documents it may.
    #[serde(default)]
    pub expired_session_is_unknown_key: bool,
    /// Let any caller whose policies allow it read secrets of other accounts by ARN.
    #[serde(default)]
    pub cross_account_by_arn: bool,
}

/// What becomes of BatchGetSecretValue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Batch {
    #[default]
    Available,
    Unknown,
    Forbidden,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oos {
    /// Decrypting a parameter also needs `kms:GetSecretValue` on the secret behind it.
    #[serde(default = "yes")]
    pub require_kms_permission: bool,
}

impl Default for Oos {
    fn default() -> Self {
        Self { require_kms_permission: true }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Name or ARN of the role attached to the node; none means no role is attached.
    pub role: Option<String>,
    pub region: Option<String>,
    #[serde(default)]
    pub imdsv1: bool,
    #[serde(default = "yes")]
    pub token_service: bool,
}

impl Default for Metadata {
    fn default() -> Self {
        Self { role: None, region: None, imdsv1: false, token_service: true }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kubernetes {
    #[serde(default = "default_issuer")]
    pub issuer: String,
    #[serde(default)]
    pub token_algorithm: TokenAlgorithm,
    #[serde(default)]
    pub service_accounts: Vec<ServiceAccount>,
    /// Refuse to show ServiceAccounts, as RBAC without `get serviceaccounts` does.
    #[serde(default)]
    pub forbid_service_accounts: bool,
    #[serde(default)]
    pub forbid_token_requests: bool,
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self {
            issuer: default_issuer(),
            token_algorithm: TokenAlgorithm::default(),
            service_accounts: Vec::new(),
            forbid_service_accounts: false,
            forbid_token_requests: false,
        }
    }
}

impl Kubernetes {
    pub(crate) fn service_account(&self, namespace: &str, name: &str) -> Option<&ServiceAccount> {
        let mut accounts = self.service_accounts.iter();
        accounts.find(|account| account.namespace == namespace && account.name == name)
    }

    /// Of a ServiceAccount that need not be listed.
    pub(crate) fn uid(&self, namespace: &str, name: &str) -> String {
        self.service_account(namespace, name)
            .map_or_else(|| made_up_uid(namespace, name), ServiceAccount::uid)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum TokenAlgorithm {
    #[default]
    RS256,
    ES256,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccount {
    pub namespace: String,
    pub name: String,
    pub uid: Option<String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl ServiceAccount {
    pub(crate) fn uid(&self) -> String {
        self.uid.clone().unwrap_or_else(|| made_up_uid(&self.namespace, &self.name))
    }
}

fn made_up_uid(namespace: &str, name: &str) -> String {
    format!("uid-{namespace}-{name}")
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// More names and addresses for the certificate served when the client sends no name.
    #[serde(default)]
    pub names: Vec<String>,
    #[serde(default = "yes")]
    pub send_instance_intermediate: bool,
}

impl Default for Tls {
    fn default() -> Self {
        Self { names: Vec::new(), send_instance_intermediate: true }
    }
}

fn default_issuer() -> String {
    "https://kubernetes.default.svc".to_owned()
}

fn yes() -> bool {
    true
}
