//! The changes a test makes through the emulator value.

use std::io;
use std::time::Duration;

use crate::net::emulator::Emulator;
use crate::services::change::ChangeError;
use crate::state::config::{self, Batch};
use crate::state::faults::Fault;
use crate::state::sync::lock;

impl Emulator {
    /// Makes the value current under a new version id, which it returns.
    pub fn rotate_secret(
        &self,
        name: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<String, ChangeError> {
        self.cloud.rotate_secret(name, value.as_ref().to_vec(), None)
    }

    pub fn rotate_parameter(
        &self,
        name: &str,
        value: impl Into<String>,
    ) -> Result<u32, ChangeError> {
        self.cloud.rotate_parameter(name, value.into())
    }

    /// Creates or replaces a secret by one with a single text version `v1`.
    pub fn set_secret_text(&self, name: &str, value: &str) -> Result<(), ChangeError> {
        self.put_secret(config::Secret {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            ..config::Secret::default()
        })
    }

    pub fn put_secret(&self, secret: config::Secret) -> Result<(), ChangeError> {
        self.cloud.put_secret(secret)
    }

    pub fn put_parameter(&self, parameter: config::Parameter) -> Result<(), ChangeError> {
        self.cloud.put_parameter(parameter)
    }

    pub fn delete_secret(&self, name: &str) -> Result<(), ChangeError> {
        Ok(lock(&self.cloud.vault).delete_secret(name)?)
    }

    pub fn delete_parameter(&self, name: &str) -> Result<(), ChangeError> {
        Ok(lock(&self.cloud.vault).delete_parameter(name)?)
    }

    pub fn move_stage(&self, name: &str, stage: &str, id: &str) -> Result<(), ChangeError> {
        self.cloud.move_stage(name, stage, id)
    }

    /// Takes all permissions from a role (name or ARN), sessions under way included.
    pub fn revoke_role(&self, role: &str) -> Result<(), ChangeError> {
        self.cloud.set_permissions(role, false)
    }

    pub fn restore_role(&self, role: &str) -> Result<(), ChangeError> {
        self.cloud.set_permissions(role, true)
    }

    /// Lets nobody assume the role any more; sessions under way go on.
    pub fn revoke_trust(&self, role: &str) -> Result<(), ChangeError> {
        self.cloud.set_trust(role, false)
    }

    pub fn restore_trust(&self, role: &str) -> Result<(), ChangeError> {
        self.cloud.set_trust(role, true)
    }

    /// Ends the role's sessions now; returns how many there were.
    pub fn expire_sessions(&self, role: &str) -> Result<usize, ChangeError> {
        self.cloud.expire_sessions(role)
    }

    /// Overrides the lifetime of sessions issued from now on.
    pub fn set_session_lifetime(&self, lifetime: Option<Duration>) {
        self.cloud.sessions.set_lifetime(lifetime.map(|lifetime| lifetime.as_secs()));
    }

    /// Delays every answer.
    pub fn set_latency(&self, latency: Duration) {
        self.cloud.faults.set_latency(latency);
    }

    /// Sets the cloud's clock ahead of the machine's, or behind it.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.cloud.clock.set_offset(seconds);
    }

    pub fn set_batch(&self, batch: Batch) {
        *lock(&self.cloud.batch) = batch;
    }

    pub fn add_fault(&self, fault: Fault) -> u64 {
        self.cloud.faults.add(fault)
    }

    pub fn clear_fault(&self, id: u64) {
        self.cloud.faults.clear(Some(id));
    }

    /// Clears all faults and the latency.
    pub fn clear_faults(&self) {
        self.cloud.faults.clear(None);
    }

    /// An outage: connections are refused and those under way dropped. Control stays up.
    pub async fn stop_listening(&self) {
        self.listeners.stop().await;
    }

    /// Ends the outage, at the same addresses.
    pub async fn resume(&self) -> io::Result<()> {
        self.listeners.start().await
    }
}
