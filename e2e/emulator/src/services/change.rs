//! Changes that tests and users make while the emulator runs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::state::cloud::Cloud;
use crate::state::config::{self, Batch};
use crate::state::error::VaultError;
use crate::state::faults::Fault;
use crate::state::identity::resolve_role;
use crate::state::pod_token::TokenFor;
use crate::state::sync::lock;

#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("no role named {0}")]
    NoRole(String),
    #[error("{0}")]
    Invalid(String),
}

/// One change, as `POST /{name}` with the fields as a JSON body.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Change {
    RotateSecret {
        name: String,
        value: Option<String>,
        value_base64: Option<String>,
        version_id: Option<String>,
    },
    PutSecret(Box<config::Secret>),
    DeleteSecret {
        name: String,
    },
    MoveStage {
        name: String,
        stage: String,
        version_id: String,
    },
    RotateParameter {
        name: String,
        value: String,
    },
    PutParameter(Box<config::Parameter>),
    DeleteParameter {
        name: String,
    },
    RevokeRole {
        role: String,
    },
    RestoreRole {
        role: String,
    },
    RevokeTrust {
        role: String,
    },
    RestoreTrust {
        role: String,
    },
    ExpireSessions {
        role: String,
    },
    SessionLifetime {
        seconds: Option<u64>,
    },
    ClockOffset {
        seconds: i64,
    },
    Latency {
        ms: u64,
    },
    Batch {
        mode: Batch,
    },
    Fault(Box<Fault>),
    ClearFault {
        id: u64,
    },
    ClearFaults {},
    ClearRequests {},
    PodToken {
        namespace: String,
        service_account: String,
        #[serde(default = "default_pod")]
        pod: String,
        #[serde(default = "default_pod")]
        uid: String,
        #[serde(default = "default_audience")]
        audience: String,
        #[serde(default = "default_lifetime")]
        lifetime_seconds: i64,
    },
}

fn default_pod() -> String {
    "pod-0".to_owned()
}

fn default_audience() -> String {
    "sts.aliyuncs.com".to_owned()
}

fn default_lifetime() -> i64 {
    3600
}

/// What a change tells: a new version, an id, a count or a token.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Done,
    Version(String),
    FaultId(u64),
    Sessions(usize),
    Token(String),
}

impl Cloud {
    pub(crate) fn apply(&self, change: Change) -> Result<Outcome, ChangeError> {
        match change {
            Change::RotateSecret { name, value, value_base64, version_id } => {
                let value = match (value, value_base64) {
                    (Some(text), None) => text.into_bytes(),
                    (None, Some(text)) => STANDARD.decode(text).map_err(|_| {
                        ChangeError::Invalid("value_base64 is not base64".to_owned())
                    })?,
                    _ => {
                        let message = "give value or value_base64".to_owned();
                        return Err(ChangeError::Invalid(message));
                    }
                };
                return Ok(Outcome::Version(self.rotate_secret(&name, value, version_id)?));
            }
            Change::PutSecret(secret) => self.put_secret(*secret)?,
            Change::DeleteSecret { name } => lock(&self.vault).delete_secret(&name)?,
            Change::MoveStage { name, stage, version_id } => {
                self.move_stage(&name, &stage, &version_id)?;
            }
            Change::RotateParameter { name, value } => {
                let version = self.rotate_parameter(&name, value)?;
                return Ok(Outcome::Version(version.to_string()));
            }
            Change::PutParameter(parameter) => self.put_parameter(*parameter)?,
            Change::DeleteParameter { name } => lock(&self.vault).delete_parameter(&name)?,
            Change::RevokeRole { role } => self.set_permissions(&role, false)?,
            Change::RestoreRole { role } => self.set_permissions(&role, true)?,
            Change::RevokeTrust { role } => self.set_trust(&role, false)?,
            Change::RestoreTrust { role } => self.set_trust(&role, true)?,
            Change::ExpireSessions { role } => {
                return Ok(Outcome::Sessions(self.expire_sessions(&role)?));
            }
            Change::SessionLifetime { seconds } => self.sessions.set_lifetime(seconds),
            Change::ClockOffset { seconds } => self.clock.set_offset(seconds),
            Change::Latency { ms } => self.faults.set_latency(Duration::from_millis(ms)),
            Change::Batch { mode } => *lock(&self.batch) = mode,
            Change::Fault(fault) => return Ok(Outcome::FaultId(self.faults.add(*fault))),
            Change::ClearFault { id } => self.faults.clear(Some(id)),
            Change::ClearFaults {} => self.faults.clear(None),
            Change::ClearRequests {} => self.journal.clear(),
            Change::PodToken {
                namespace,
                service_account,
                pod,
                uid,
                audience,
                lifetime_seconds,
            } => {
                let token = self.pod_token(
                    &TokenFor {
                        namespace: &namespace,
                        service_account: &service_account,
                        pod: Some((&pod, &uid)),
                        audiences: &[audience],
                    },
                    lifetime_seconds,
                );
                return Ok(Outcome::Token(token));
            }
        }
        Ok(Outcome::Done)
    }

    pub(crate) fn rotate_secret(
        &self,
        name: &str,
        value: Vec<u8>,
        version_id: Option<String>,
    ) -> Result<String, ChangeError> {
        let now = self.clock.now();
        let id = lock(&self.vault).secret_mut(name)?.rotate(value, version_id, now);
        self.remember_vault();
        Ok(id)
    }

    pub(crate) fn rotate_parameter(&self, name: &str, value: String) -> Result<u32, ChangeError> {
        let now = self.clock.now();
        let version = lock(&self.vault).parameter_mut(name)?.rotate(value, now);
        self.remember_vault();
        Ok(version)
    }

    pub(crate) fn put_secret(&self, secret: config::Secret) -> Result<(), ChangeError> {
        lock(&self.vault).put_secret(&self.config, secret, self.clock.now())?;
        self.remember_vault();
        Ok(())
    }

    pub(crate) fn put_parameter(&self, parameter: config::Parameter) -> Result<(), ChangeError> {
        lock(&self.vault).put_parameter(&self.config, parameter, self.clock.now())?;
        self.remember_vault();
        Ok(())
    }

    pub(crate) fn move_stage(&self, name: &str, stage: &str, id: &str) -> Result<(), ChangeError> {
        Ok(lock(&self.vault).secret_mut(name)?.move_stage(stage, id)?)
    }

    pub(crate) fn set_permissions(&self, role: &str, granted: bool) -> Result<(), ChangeError> {
        self.directory.set_permissions(self.role_arn(role)?, granted);
        Ok(())
    }

    pub(crate) fn set_trust(&self, role: &str, granted: bool) -> Result<(), ChangeError> {
        self.directory.set_trust(self.role_arn(role)?, granted);
        Ok(())
    }

    pub(crate) fn expire_sessions(&self, role: &str) -> Result<usize, ChangeError> {
        Ok(self.sessions.expire(self.role_arn(role)?))
    }

    fn role_arn(&self, role: &str) -> Result<&str, ChangeError> {
        resolve_role(&self.config, role)
            .map(|role| role.arn.as_str())
            .ok_or_else(|| ChangeError::NoRole(role.to_owned()))
    }
}
