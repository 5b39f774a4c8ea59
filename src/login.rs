//! Login: what a session is got with, and what tells one login from another.

use std::{ops::Deref, sync::Arc, time::Duration};

use crate::{
    digest::{Digest, Parts},
    keys::Keys,
    names::{OidcProviderArn, RoleArn},
    secret::Secret,
};

#[derive(Clone, Debug)]
pub enum Login {
    /// Long-lived keys: there is no session.
    Keys(Arc<Keys>),
    /// AssumeRoleWithOIDC.
    Oidc {
        role: RoleArn,
        provider: OidcProviderArn,
        token: Arc<Secret<String>>,
        /// The ServiceAccount, as tokens name it.
        subject: String,
        /// Whether all pods of the ServiceAccount may have the session, whatever their tokens.
        shared: bool,
        name: String,
        lifetime: Duration,
    },
    /// AssumeRole, from another login.
    Assume { base: KeyedLogin, role: RoleArn, name: String, lifetime: Duration },
    /// The role of the machine.
    EcsRole,
}

/// A login with its key, which is a digest of a kilobyte: made once for each mount.
#[derive(Clone, Debug)]
pub struct KeyedLogin {
    login: Arc<Login>,
    key: LoginKey,
    pod: LoginKey,
    account: Digest,
}

/// Who calls, as far as quotas and turns are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// A digest of the login: one for each pod and role, or for all that share a session.
    pub login: Digest,
    /// A digest of the ServiceAccount and the role: the same for all replicas of a workload.
    pub account: Digest,
}

/// A digest of everything that a session depends on, its token or keys included: two logins with one key
/// are one login.
pub type LoginKey = Digest;

impl KeyedLogin {
    pub fn new(login: Login) -> Self {
        let (key, pod, account) = (login.digest(true), login.digest(false), login.account());
        Self { login: Arc::new(login), key, pod, account }
    }

    /// The same for all tokens that one pod has for one role in the course of time.
    pub fn pod(&self) -> &LoginKey {
        &self.pod
    }

    /// Whose calls its calls are, where they have to wait.
    pub fn caller(&self) -> Caller {
        Caller { login: self.pod, account: self.account }
    }

    /// Whose room its sessions and values take: the pod's, or all pods' that share a login.
    pub fn owner(&self) -> &LoginKey {
        match &*self.login {
            Login::Assume { base, .. } => base.owner(),
            _ => &self.pod,
        }
    }

    /// Tells logins apart, for whatever else must never be shared between them.
    pub fn key(&self) -> &LoginKey {
        &self.key
    }
}

impl Deref for KeyedLogin {
    type Target = Login;

    fn deref(&self) -> &Login {
        &self.login
    }
}

impl Login {
    /// Who the cloud will see, for errors: a role, or an access key's id.
    pub fn who(&self) -> String {
        match self {
            Login::Keys(keys) => keys
                .shown_id()
                .map_or_else(|| "the access key".to_owned(), |id| format!("access key {id}")),
            Login::Oidc { role, .. } | Login::Assume { role, .. } => format!("role {role}"),
            Login::EcsRole => "the instance's role".to_owned(),
        }
    }

    /// The role that the cloud will see, where it is known by its ARN.
    pub fn role(&self) -> Option<&RoleArn> {
        match self {
            Login::Oidc { role, .. } | Login::Assume { role, .. } => Some(role),
            Login::Keys(_) | Login::EcsRole => None,
        }
    }

    fn digest(&self, token: bool) -> LoginKey {
        let mut parts = Parts::new();
        self.feed(&mut parts, token);
        parts.digest()
    }

    /// The same for all pods of a ServiceAccount with one role.
    fn account(&self) -> Digest {
        let mut parts = Parts::new();
        self.feed_account(&mut parts);
        parts.digest()
    }

    fn feed_account(&self, parts: &mut Parts) {
        match self {
            Login::Keys(keys) => {
                parts.part("keys");
                parts.part(&keys.id);
            }
            Login::EcsRole => parts.part("ecs-role"),
            Login::Oidc { role, subject, .. } => {
                parts.part("oidc");
                parts.part(role.as_str());
                parts.part(subject);
            }
            Login::Assume { base, role, .. } => {
                parts.part("assume");
                base.login.feed_account(parts);
                parts.part(role.as_str());
            }
        }
    }

    fn feed(&self, parts: &mut Parts, with_token: bool) {
        match self {
            Login::Keys(keys) => {
                parts.part("keys");
                parts.part(&keys.id);
                parts.part(keys.secret.expose());
                parts.part(keys.token.as_ref().map_or("", |token| token.expose()));
            }
            Login::EcsRole => parts.part("ecs-role"),
            Login::Oidc { role, provider, token, subject, shared, name, lifetime } => {
                parts.part("oidc");
                parts.part(role.as_str());
                parts.part(provider.as_str());
                parts.part(subject);
                match shared {
                    true => parts.part("shared"),
                    false if with_token => {
                        parts.part("own");
                        parts.part(token.expose());
                    }
                    false => parts.part("pod"),
                }
                parts.part(name);
                parts.part(&lifetime.as_secs().to_string());
            }
            Login::Assume { base, role, name, lifetime } => {
                parts.part("assume");
                base.login.feed(parts, with_token);
                parts.part(role.as_str());
                parts.part(name);
                parts.part(&lifetime.as_secs().to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests;
