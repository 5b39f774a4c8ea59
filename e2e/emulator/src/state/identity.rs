//! Callers: users and sessions, what their policies allow, and which roles exist.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::state::arn::{self, account_of};
use crate::state::config::{Config, Role};
use crate::state::journal::PrincipalRecord;
use crate::state::policy::{Context, Decision, Document, evaluate};
use crate::state::sessions::Session;
use crate::state::sync::lock;

/// A caller whose signature held.
#[derive(Debug, Clone)]
pub(crate) struct Principal {
    pub(crate) account: String,
    /// ARN of the user or of the role.
    pub(crate) arn: String,
    pub(crate) access_key_id: String,
    pub(crate) kind: PrincipalKind,
}

#[derive(Debug, Clone)]
pub(crate) enum PrincipalKind {
    Root,
    User { name: String },
    Role { session_name: String, policy: Option<Document> },
}

impl Principal {
    pub(crate) fn of_session(session: &Session) -> Self {
        Self {
            account: account_of(&session.role_arn).to_owned(),
            arn: session.role_arn.clone(),
            access_key_id: session.access_key_id.clone(),
            kind: PrincipalKind::Role {
                session_name: session.session_name.clone(),
                policy: session.policy.clone(),
            },
        }
    }

    pub(crate) fn record(&self) -> PrincipalRecord {
        PrincipalRecord {
            account: self.account.clone(),
            arn: self.arn.clone(),
            session_name: match &self.kind {
                PrincipalKind::Role { session_name, .. } => Some(session_name.clone()),
                _ => None,
            },
            access_key_id: self.access_key_id.clone(),
        }
    }

    fn denied(&self, action: &str, explicit: bool) -> Denied {
        let (principal_type, principal) = match &self.kind {
            PrincipalKind::Root => ("Account", self.account.clone()),
            PrincipalKind::User { name } => ("SubUser", name.clone()),
            PrincipalKind::Role { session_name, .. } => {
                ("AssumedRoleUser", format!("{}:{session_name}", arn::name(&self.arn)))
            }
        };
        Denied {
            action: action.to_owned(),
            principal_type,
            principal,
            account: self.account.clone(),
            explicit,
        }
    }
}

/// Why a caller may not do what it asked for; `AccessDeniedDetail` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) action: String,
    pub(crate) principal_type: &'static str,
    pub(crate) principal: String,
    pub(crate) account: String,
    pub(crate) explicit: bool,
}

/// Users and roles with what was revoked since the start.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    revoked: Mutex<Revoked>,
}

#[derive(Debug, Default)]
struct Revoked {
    permissions: BTreeSet<String>,
    trust: BTreeSet<String>,
}

impl Directory {
    pub(crate) fn set_permissions(&self, role_arn: &str, granted: bool) {
        set(&mut lock(&self.revoked).permissions, role_arn, granted);
    }

    pub(crate) fn set_trust(&self, role_arn: &str, granted: bool) {
        set(&mut lock(&self.revoked).trust, role_arn, granted);
    }

    pub(crate) fn is_trust_revoked(&self, role_arn: &str) -> bool {
        lock(&self.revoked).trust.contains(role_arn)
    }

    /// Role policies AND session policy; the account itself may do anything.
    pub(crate) fn authorize(
        &self,
        config: &Config,
        principal: &Principal,
        action: &str,
        resource: &str,
    ) -> Result<(), Denied> {
        let policies: Vec<Document> = match &principal.kind {
            PrincipalKind::Root => return Ok(()),
            PrincipalKind::User { name } => config
                .users
                .iter()
                .filter(|user| user.name == *name && user.access_key_id == principal.access_key_id)
                .flat_map(|user| &user.policies)
                .map(crate::state::config::PolicyEntry::document)
                .collect(),
            PrincipalKind::Role { .. } => {
                if lock(&self.revoked).permissions.contains(&principal.arn) {
                    return Err(principal.denied(action, false));
                }
                let role = find_role(config, &principal.arn);
                role.into_iter()
                    .flat_map(|role| &role.policies)
                    .map(crate::state::config::PolicyEntry::document)
                    .collect()
            }
        };
        let context = Context::new();
        let mut decisions = vec![evaluate(&policies, action, resource, &context)];
        if let PrincipalKind::Role { policy: Some(policy), .. } = &principal.kind {
            decisions.push(evaluate(std::slice::from_ref(policy), action, resource, &context));
        }
        match decisions.iter().find(|decision| **decision != Decision::Allowed) {
            None => Ok(()),
            Some(decision) => Err(principal.denied(action, *decision == Decision::ExplicitDeny)),
        }
    }
}

fn set(revoked: &mut BTreeSet<String>, role_arn: &str, granted: bool) {
    if granted {
        revoked.remove(role_arn);
    } else {
        revoked.insert(role_arn.to_owned());
    }
}

/// By ARN; the control interfaces also take the plain name.
pub(crate) fn find_role<'a>(config: &'a Config, name: &str) -> Option<&'a Role> {
    config.roles.iter().find(|role| role.arn == name)
}

pub(crate) fn resolve_role<'a>(config: &'a Config, name: &str) -> Option<&'a Role> {
    find_role(config, name)
        .or_else(|| config.roles.iter().find(|role| arn::name(&role.arn) == name))
}
