//! Policy: which identity a mount has, and whether the operator allows it. Pure: decided before any call.

pub mod namespaces;

use std::{collections::BTreeSet, fmt, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    error::{Error, Errors, Location, Reason},
    keys::Keys,
    names::{Glob, OidcProviderArn, RoleArn},
    request::NodePublishKeys,
    spc::{RequestedIdentity, Spec, mode::Mode},
};
use namespaces::NamespaceRules;

/// What a SecretProviderClass that says nothing gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultMode {
    Mode(Mode),
    /// The first that is configured; whether it works is not tried.
    Auto,
}

impl fmt::Display for DefaultMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DefaultMode::Mode(mode) => mode.fmt(f),
            DefaultMode::Auto => f.write_str("auto"),
        }
    }
}

/// Who has a RAM session, and the values read with it, in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Nobody: each pod proves itself with its own token.
    Pod,
    /// The pods of one ServiceAccount and role, which have the same rights: one of them proves all.
    ServiceAccount,
}

/// What the operator set up and allows.
#[derive(Debug)]
pub struct Policy {
    pub share: Share,
    pub default: DefaultMode,
    pub allowed: BTreeSet<Mode>,
    /// Roles that a shared identity may assume.
    pub cross_account_roles: Vec<Glob>,
    /// What each namespace may ask for, where the operator wrote rules for it.
    pub namespaces: Option<NamespaceRules>,
    pub oidc_provider: Option<OidcProviderArn>,
    /// Role of the modes `provider` and `ram-role`.
    pub role: Option<RoleArn>,
    pub token_file: Option<PathBuf>,
    pub keys: Option<Arc<Keys>>,
    pub ecs_metadata: bool,
    /// In place of the pod's name, for `provider` and `ram-role`.
    pub session_name: Option<String>,
    /// 900 s up to the role's maximum.
    pub session_lifetime: Duration,
}

impl Policy {
    /// What a mode needs and the operator has not set.
    pub fn lacks(&self, mode: Mode) -> Vec<&'static str> {
        let oidc = (self.oidc_provider.is_some(), OIDC_PROVIDER);
        let role = (self.role.is_some(), "--role-arn");
        let token = (self.token_file.is_some(), "--oidc-token-file");
        let keys = (self.keys.is_some(), "ACCESS_KEY_ID with SECRET_ACCESS_KEY");
        let metadata = "instance metadata, which ALIBABA_CLOUD_ECS_METADATA_DISABLED turns off";
        let needs: &[_] = match mode {
            Mode::Pod => &[oidc],
            Mode::Provider => &[oidc, role, token],
            Mode::RamRole => &[keys, role],
            Mode::NodePublishSecret => &[],
            Mode::AccessKey => &[keys],
            Mode::EcsRole => &[(self.ecs_metadata, metadata)],
        };
        needs.iter().filter(|(set, _)| !set).map(|(_, name)| *name).collect()
    }

    /// One of the settings that the mode needs.
    pub fn require<'a, T>(&self, setting: &'a Option<T>, mode: Mode) -> Result<&'a T, Error> {
        setting.as_ref().ok_or_else(|| {
            let lacks = self.lacks(mode).join(" and ");
            unusable(
                Reason::IdentityNotConfigured,
                mode,
                &format!("the operator has not set {lacks}"),
            )
        })
    }

    pub fn has_swapped_keys(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.swapped())
    }
}

pub const SWAPPED_KEYS: &str =
    "SECRET_ACCESS_KEY holds the id of an access key, and ACCESS_KEY_ID does not";

const OIDC_PROVIDER: &str = "--oidc-provider-arn (or --account-id and --cluster-id)";

/// By whom the mode of a mount was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChosenBy {
    /// The SecretProviderClass, or the pod, whose attributes win over it.
    SecretProviderClass,
    OperatorDefault,
    /// `--default-identity=auto`.
    Auto,
}

impl ChosenBy {
    fn of(requested: RequestedIdentity, default: DefaultMode) -> Self {
        match (requested, default) {
            (RequestedIdentity::Mode(_), _) => ChosenBy::SecretProviderClass,
            (RequestedIdentity::Default | RequestedIdentity::NotPod, DefaultMode::Mode(_)) => {
                ChosenBy::OperatorDefault
            }
            (RequestedIdentity::Default | RequestedIdentity::NotPod, DefaultMode::Auto) => {
                ChosenBy::Auto
            }
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            ChosenBy::SecretProviderClass => "secretproviderclass",
            ChosenBy::OperatorDefault => "operator-default",
            ChosenBy::Auto => "auto",
        }
    }
}

/// Which identity a mount has, and by whom that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub mode: Mode,
    pub chosen_by: ChosenBy,
}

impl Policy {
    /// `keys`: of the volume's `nodePublishSecretRef`. `namespace`: of the pod; `None` where it is not known, so
    /// that no rule is found.
    pub fn decide(
        &self,
        spec: &Spec,
        keys: &NodePublishKeys,
        namespace: Option<&str>,
    ) -> Result<Decision, Errors> {
        let mode = mode(spec, keys, self)?;
        if mode != Mode::Pod && spec.role.is_some() {
            return Err(Error::new(
                Reason::Contradiction,
                format!("has a meaning for identity pod alone; this mount's is {mode}"),
            )
            .parameter("roleArn")
            .hint("remove it, or set identity: pod")
            .into());
        }
        check_cross_account(spec, mode, self)?;
        check_instances(spec, mode)?;
        if let (Some(rules), Some(namespace)) = (&self.namespaces, namespace) {
            rules.check(namespace, mode, spec)?;
        }
        Ok(Decision { mode, chosen_by: ChosenBy::of(spec.identity, self.default) })
    }

    /// Whether the rules of the pod's namespace allow its own role.
    pub fn check_role(&self, namespace: &str, role: &RoleArn) -> Result<(), Error> {
        self.namespaces.as_ref().map_or(Ok(()), |rules| rules.check_role(namespace, role))
    }
}

fn mode(spec: &Spec, keys: &NodePublishKeys, policy: &Policy) -> Result<Mode, Error> {
    let mode = match (spec.identity, policy.default) {
        (RequestedIdentity::Mode(mode), _) => mode,
        (RequestedIdentity::NotPod, DefaultMode::Mode(Mode::Pod)) => {
            return Err(Error::new(
                Reason::Contradiction,
                "is \"false\", but the pod's identity is the only one this provider uses unasked",
            )
            .parameter("usePodServiceAccountToken")
            .hint("remove it, or ask the operator for --default-identity=auto"));
        }
        (RequestedIdentity::Default | RequestedIdentity::NotPod, DefaultMode::Mode(mode)) => mode,
        (RequestedIdentity::Default | RequestedIdentity::NotPod, DefaultMode::Auto) => {
            first_configured(keys, policy)?
        }
    };
    if policy.allowed.contains(&mode) {
        return Ok(mode);
    }
    let allowed: Vec<_> = policy.allowed.iter().map(|mode| mode.name()).collect();
    Err(Error::new(
        Reason::IdentityNotAllowed,
        format!("identity {mode} is not allowed here (allowed: {})", allowed.join(", ")),
    )
    .located(Location::Parameter("identity".into()))
    .hint(format!(
        "the operator can allow it with --allowed-identities={},{mode}",
        allowed.join(",")
    )))
}

/// As in the official provider, the pod's own identity has to be asked for: every mount there
/// carries a token, so its presence says nothing.
fn first_configured(keys: &NodePublishKeys, policy: &Policy) -> Result<Mode, Error> {
    let configured = |mode: &Mode| match mode {
        Mode::Pod => false,
        Mode::NodePublishSecret => {
            !matches!(keys, NodePublishKeys::Absent | NodePublishKeys::Others(_))
        }
        mode => policy.lacks(*mode).is_empty(),
    };
    Mode::ALL.into_iter().find(configured).ok_or_else(|| {
        Error::new(Reason::IdentityNotConfigured, "no identity is configured here")
            .hint("set identity: pod in the SecretProviderClass")
    })
}

/// A pod author writes `crossAccountRoleArn`: with keys that are not the pod's own, the operator
/// has to have agreed to the role.
fn check_cross_account(spec: &Spec, mode: Mode, policy: &Policy) -> Result<(), Errors> {
    let refused = spec.objects.iter().filter_map(|object| {
        let role = object.read.cross_account_role.as_ref()?;
        let listed = policy.cross_account_roles.iter().any(|glob| glob.matches(role.as_str()));
        if !mode.is_shared() || listed {
            return None;
        }
        let subject = format!("{}, field crossAccountRoleArn", object.label);
        let what = format!("identity {mode} is shared by pods and may not assume {role}");
        let hint = "the operator can allow roles with --allowed-cross-account-roles";
        Some(
            Error::new(Reason::RoleNotAllowed, what)
                .subject(subject)
                .hint(hint)
                .in_objects(object.at),
        )
    });
    Errors::of(refused.collect()).map_or(Ok(()), Err)
}

/// Anyone can make a KMS instance, which gets the session's token. A pod may send its own there, but none
/// that pods share.
fn check_instances(spec: &Spec, mode: Mode) -> Result<(), Errors> {
    let refused = spec.objects.iter().filter(|object| object.read.endpoint.is_unlisted_instance());
    let refused = refused.filter(|_| mode.is_shared()).map(|object| {
        let host = object.read.endpoint.host();
        let subject = format!("{}, field kmsEndpoint", object.label);
        let what = format!(
            "identity {mode} is shared by pods, and its session goes only to KMS instances that the \
             operator lists; {host} is not listed"
        );
        let hint = "the operator can list instances with --allowed-endpoints";
        Error::new(Reason::InstanceNotAllowed, what).subject(subject).hint(hint).in_objects(object.at)
    });
    Errors::of(refused.collect()).map_or(Ok(()), Err)
}

/// The mode is allowed, and cannot work.
pub fn unusable(reason: Reason, mode: Mode, what: &str) -> Error {
    Error::new(reason, format!("identity {mode} cannot be used: {what}"))
}

#[cfg(test)]
mod tests;
