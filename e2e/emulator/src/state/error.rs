//! Errors of the vault: what cannot be put in it, and what is not there.

#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("no secret named {0}")]
    NoSecret(String),
    #[error("no parameter named {0}")]
    NoParameter(String),
    #[error("secret {0} has no version {1}")]
    NoVersion(String, String),
    #[error("{0}")]
    Invalid(String),
}
