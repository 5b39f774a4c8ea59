//! Identity modes: each has a file with how its login is made.

mod access_key;
mod ecs_role;
mod node_publish_secret;
mod pod;
mod provider;
mod ram_role;

use super::kubernetes::ServiceAccounts;
use crate::{error::Errors, login::Login, policy::Policy, request::Mount, spc::mode::Mode};

/// What a mode makes its login of.
pub(super) struct Evidence<'a> {
    pub(super) mount: &'a Mount,
    pub(super) policy: &'a Policy,
    pub(super) service_accounts: &'a ServiceAccounts,
    /// Of the pod, for its sessions.
    pub(super) session_name: &'a str,
}

impl Evidence<'_> {
    /// Of sessions that pods share, where the operator may name them.
    fn shared_session_name(&self) -> String {
        self.policy.session_name.clone().unwrap_or_else(|| self.session_name.to_owned())
    }
}

pub(super) async fn login(mode: Mode, evidence: &Evidence<'_>) -> Result<Login, Errors> {
    match mode {
        Mode::Pod => pod::login(evidence).await,
        Mode::Provider => Ok(provider::login(evidence).await?),
        Mode::RamRole => Ok(ram_role::login(evidence)?),
        Mode::NodePublishSecret => Ok(node_publish_secret::login(evidence)?),
        Mode::AccessKey => Ok(access_key::login(evidence)?),
        Mode::EcsRole => Ok(ecs_role::login(evidence)?),
    }
}
