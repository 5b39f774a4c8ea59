//! Identity: who a mount is, decided once (`policy.rs`) and before the first call to the cloud. Nothing
//! here tries one identity and falls back to another: a mode that cannot be used fails the mount.

pub mod api_server;
pub mod kubernetes;
mod modes;

use std::time::Duration;

use crate::{
    error::{Error, ErrorKind, Errors},
    login::{KeyedLogin, Login},
    names::RoleArn,
    policy::{ChosenBy, Decision, Policy, Share},
    request::{Mount, STS_AUDIENCE, caller::Via},
    session_name::session_name,
    spc::mode::Mode,
};
use kubernetes::ServiceAccounts;
use modes::Evidence;

/// A mount's one identity.
#[derive(Debug)]
pub struct Identity {
    pub mode: Mode,
    pub chosen_by: ChosenBy,
    /// Whether the operator lets pods have identities of their own.
    pub own_allowed: bool,
    pub login: KeyedLogin,
    /// The name under which sessions of this mount show up in ActionTrail.
    pub session_name: String,
    /// What would fix a refusal of this identity by STS.
    pub trust_hint: String,
}

/// The lifetime that every RAM role allows unless its owner shortened it.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);

pub async fn resolve(
    mount: &Mount,
    policy: &Policy,
    service_accounts: &ServiceAccounts,
) -> Result<Identity, Errors> {
    let Decision { mode, chosen_by } =
        policy.decide(&mount.spec, &mount.node_publish_keys, Some(&mount.pod.namespace))?;
    let shared = mode == Mode::Pod && policy.share == Share::ServiceAccount;
    let session_name = match &policy.session_name {
        // Its own to choose, where it asks by itself.
        Some(name) if mount.via == Via::Sidecar => name.clone(),
        _ => session_name(&mount.pod, shared),
    };
    let evidence = Evidence { mount, policy, service_accounts, session_name: &session_name };
    let login = KeyedLogin::new(modes::login(mode, &evidence).await?);
    let trust_hint = match (mode, &*login) {
        (Mode::Pod, Login::Oidc { role, provider, subject, .. }) => format!(
            "the trust policy of {role} must allow {} with oidc:aud {STS_AUDIENCE} and oidc:sub {subject}",
            provider.as_str(),
        ),
        _ => format!("check the trust policy of the {mode} identity's role"),
    };
    let own_allowed = policy.allowed.contains(&Mode::Pod) && policy.oidc_provider.is_some();
    Ok(Identity { mode, chosen_by, own_allowed, login, session_name, trust_hint })
}

impl Identity {
    /// The mode and by whom it was chosen, such as "identity access-key, the operator's default".
    pub fn described(&self) -> String {
        let chosen = match self.chosen_by {
            ChosenBy::SecretProviderClass => "set in the SecretProviderClass",
            ChosenBy::OperatorDefault => "the operator's default",
            ChosenBy::Auto => "the first that the operator set up",
        };
        format!("identity {}, {chosen}", self.mode)
    }

    /// For a mount that a shared identity cannot serve: how it can have one of its own. Empty where
    /// it has one.
    pub fn own_instead(&self) -> String {
        match (self.mode.is_shared(), self.own_allowed) {
            (false, _) => String::new(),
            (true, true) => "set identity: pod in the SecretProviderClass for the role of the \
                             pod's own ServiceAccount"
                .to_owned(),
            (true, false) => "have the operator allow identity pod for the role of the pod's own \
                              ServiceAccount"
                .to_owned(),
        }
    }

    /// A refusal of the cloud says whom it refused, unless that is the pod itself: its role is in
    /// the error already.
    pub fn named_in(&self, mut error: Error) -> Error {
        let refusal = matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unauthenticated);
        if refusal && error.host.is_some() && self.mode != Mode::Pod {
            let facts = [&*error.detail, &self.described()];
            let facts: Vec<&str> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
            error.detail = facts.join(", ").into();
        }
        error
    }

    /// An error of this identity's login, with what only the mount knows about trust.
    pub fn with_hint(&self, error: Error) -> Error {
        match (error.hint.is_empty(), &*self.login) {
            (true, Login::Oidc { .. }) => error.hint(&self.trust_hint),
            _ => error,
        }
    }

    /// How to become a role of another account from here.
    pub fn assume_role(&self, role: &RoleArn) -> KeyedLogin {
        KeyedLogin::new(Login::Assume {
            base: self.login.clone(),
            role: role.clone(),
            name: self.session_name.clone(),
            lifetime: DEFAULT_LIFETIME,
        })
    }
}

#[cfg(test)]
mod tests;
