//! Step 2: who this mount is, decided once and before the first call. Nothing here tries one
//! identity and falls back to another: a mode that cannot be used fails the mount.

pub mod api_server;
pub mod kubernetes;

use std::{collections::BTreeSet, fmt, path::PathBuf, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    cloud::sign,
    credentials::{KeyedLogin, Login},
    error::{Error, ErrorKind, Errors},
    keys::Keys,
    names::{Glob, OidcProviderArn, RoleArn},
    request::{
        Mount, NodePublishKeys, Pod, RequestedIdentity, STS_AUDIENCE, TokenInput, caller::Via,
        mode::Mode,
    },
    secret::Secret,
    text::quoted,
};
use kubernetes::ServiceAccounts;

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
    fn require<'a, T>(&self, setting: &'a Option<T>, mode: Mode) -> Result<&'a T, Error> {
        setting.as_ref().ok_or_else(|| {
            let lacks = self.lacks(mode).join(" and ");
            unusable(mode, &format!("the operator has not set {lacks}"))
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
    fn of(wish: RequestedIdentity, default: DefaultMode) -> Self {
        match (wish, default) {
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
    /// What would mend a refusal of this identity by STS.
    pub trust_fix: String,
}

/// The lifetime that every RAM role allows unless its owner shortened it.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);

pub async fn choose(
    mount: &Mount,
    policy: &Policy,
    service_accounts: &ServiceAccounts,
) -> Result<Identity, Errors> {
    let mode = mode(mount, policy)?;
    let chosen_by = ChosenBy::of(mount.identity, policy.default);
    if mode != Mode::Pod && mount.role.is_some() {
        return Err(Error::invalid(
            "parameter roleArn",
            format!("has a meaning for identity pod alone; this mount's is {mode}"),
        )
        .fix("remove it, or set identity: pod")
        .into());
    }
    check_cross_account(mount, mode, policy)?;
    check_instances(mount, mode)?;
    let shared = mode == Mode::Pod && policy.share == Share::ServiceAccount;
    let own_name = session_name(&mount.pod, shared);
    let operator_name = || policy.session_name.clone().unwrap_or_else(|| own_name.clone());
    let mut trust_fix = format!("check the trust policy of the {mode} identity's role");
    let login = match mode {
        Mode::Pod => {
            let provider = policy.require(&policy.oidc_provider, mode)?;
            let token = pod_token(&mount.token, mount.via)?;
            let subject = subject(&mount.pod);
            if shared {
                check_subject(&token, &subject)?;
            }
            let role = service_accounts.role(&mount.pod, mount.role.as_ref(), provider).await?;
            trust_fix = format!(
                "the trust policy of {role} must allow {} with oidc:aud {STS_AUDIENCE} and \
                 oidc:sub {subject}",
                provider.as_str(),
            );
            Login::Oidc {
                role,
                provider: provider.clone(),
                token,
                subject,
                shared,
                name: own_name.clone(),
                lifetime: DEFAULT_LIFETIME,
            }
        }
        Mode::Provider => Login::Oidc {
            role: policy.require(&policy.role, mode)?.clone(),
            provider: policy.require(&policy.oidc_provider, mode)?.clone(),
            token: provider_token(policy.require(&policy.token_file, mode)?).await?,
            subject: "the provider's own".to_owned(),
            shared: false,
            name: operator_name(),
            lifetime: policy.session_lifetime,
        },
        Mode::RamRole => Login::Assume {
            base: KeyedLogin::new(Login::Keys(operator_keys(policy, mode)?)),
            role: policy.require(&policy.role, mode)?.clone(),
            name: operator_name(),
            lifetime: policy.session_lifetime,
        },
        Mode::AccessKey => Login::Keys(operator_keys(policy, mode)?),
        Mode::NodePublishSecret => Login::Keys(published_keys(&mount.node_publish_keys)?),
        Mode::EcsRole if policy.ecs_metadata => Login::EcsRole,
        Mode::EcsRole => return Err(unusable(mode, "instance metadata is disabled here").into()),
    };
    let own_allowed = policy.allowed.contains(&Mode::Pod) && policy.oidc_provider.is_some();
    let (login, session_name) = (KeyedLogin::new(login), own_name);
    Ok(Identity { mode, chosen_by, own_allowed, login, session_name, trust_fix })
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
        let refusal = matches!(error.kind, ErrorKind::Denied | ErrorKind::Unauthenticated);
        if refusal && error.host.is_some() && self.mode != Mode::Pod {
            let facts = [&*error.detail, &self.described()];
            let facts: Vec<&str> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
            error.detail = facts.join(", ").into();
        }
        error
    }

    /// An error of this identity's login, with what only the mount knows about trust.
    pub fn with_hint(&self, error: Error) -> Error {
        match (error.fix.is_empty(), &*self.login) {
            (true, Login::Oidc { .. }) => error.fix(&self.trust_fix),
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

fn mode(mount: &Mount, policy: &Policy) -> Result<Mode, Error> {
    let mode = match (mount.identity, policy.default) {
        (RequestedIdentity::Mode(mode), _) => mode,
        (RequestedIdentity::NotPod, DefaultMode::Mode(Mode::Pod)) => {
            return Err(Error::invalid(
                "parameter usePodServiceAccountToken",
                "is \"false\", but the pod's identity is the only one this provider uses unasked",
            )
            .fix("remove it, or ask the operator for --default-identity=auto"));
        }
        (RequestedIdentity::Default | RequestedIdentity::NotPod, DefaultMode::Mode(mode)) => mode,
        (RequestedIdentity::Default | RequestedIdentity::NotPod, DefaultMode::Auto) => {
            first_configured(mount, policy)?
        }
    };
    if policy.allowed.contains(&mode) {
        return Ok(mode);
    }
    let allowed: Vec<_> = policy.allowed.iter().map(|mode| mode.name()).collect();
    Err(Error::new(
        ErrorKind::Denied,
        format!("identity {mode} is not allowed here (allowed: {})", allowed.join(", ")),
    )
    .fix(format!(
        "the operator can allow it with --allowed-identities={},{mode}",
        allowed.join(",")
    )))
}

/// As in the official provider, the pod's own identity has to be asked for: every mount there
/// carries a token, so its presence says nothing.
fn first_configured(mount: &Mount, policy: &Policy) -> Result<Mode, Error> {
    let configured = |mode: &Mode| match mode {
        Mode::Pod => false,
        Mode::NodePublishSecret => {
            !matches!(mount.node_publish_keys, NodePublishKeys::Absent | NodePublishKeys::Others(_))
        }
        mode => policy.lacks(*mode).is_empty(),
    };
    Mode::ALL.into_iter().find(configured).ok_or_else(|| {
        Error::new(ErrorKind::Unusable, "no identity is configured here")
            .fix("set identity: pod in the SecretProviderClass")
    })
}

/// A pod author writes `crossAccountRoleArn`: with keys that are not the pod's own, the operator
/// has to have agreed to the role.
fn check_cross_account(mount: &Mount, mode: Mode, policy: &Policy) -> Result<(), Errors> {
    let refused = mount.objects.iter().filter_map(|object| {
        let role = object.read.cross_account_role.as_ref()?;
        let listed = policy.cross_account_roles.iter().any(|glob| glob.matches(role.as_str()));
        if !mode.is_shared() || listed {
            return None;
        }
        let subject = format!("{}, field crossAccountRoleArn", object.label);
        let what = format!("identity {mode} is shared by pods and may not assume {role}");
        let fix = "the operator can allow roles with --allowed-cross-account-roles";
        Some(Error::new(ErrorKind::Denied, what).about(subject).fix(fix))
    });
    Errors::of(refused.collect()).map_or(Ok(()), Err)
}

/// Anyone can make a KMS instance, which gets the session's token. A pod may send its own there, but none
/// that pods share.
fn check_instances(mount: &Mount, mode: Mode) -> Result<(), Errors> {
    let refused = mount.objects.iter().filter(|object| object.read.endpoint.is_unlisted_instance());
    let refused = refused.filter(|_| mode.is_shared()).map(|object| {
        let host = object.read.endpoint.host();
        let subject = format!("{}, field kmsEndpoint", object.label);
        let what = format!(
            "identity {mode} is shared by pods, and its session goes only to KMS instances that the \
             operator lists; {host} is not listed"
        );
        let fix = "the operator can list instances with --allowed-endpoints";
        Error::new(ErrorKind::Denied, what).about(subject).fix(fix)
    });
    Errors::of(refused.collect()).map_or(Ok(()), Err)
}

fn operator_keys(policy: &Policy, mode: Mode) -> Result<Arc<Keys>, Error> {
    let keys = policy.require(&policy.keys, mode)?;
    if policy.has_swapped_keys() {
        let fix = "the operator must look whether they are swapped";
        return Err(unusable(mode, SWAPPED_KEYS).fix(fix));
    }
    Ok(keys.clone())
}

fn unusable(mode: Mode, what: &str) -> Error {
    Error::new(ErrorKind::Unusable, format!("identity {mode} cannot be used: {what}"))
}

fn pod_token(input: &TokenInput, via: Via) -> Result<Arc<Secret<String>>, Error> {
    let unproven = |what: String| {
        Error::new(ErrorKind::Unauthenticated, format!("identity pod cannot be used: {what}"))
    };
    let (sender, enable) = match via {
        Via::Driver => (
            "driver",
            format!(
                "the CSIDriver object must list {STS_AUDIENCE} in tokenRequests (driver chart: \
                 tokenRequests[0].audience)"
            ),
        ),
        Via::SyncController => (
            "sync controller",
            format!(
                "the sync controller must ask for {STS_AUDIENCE} (its chart: \
                 tokenRequestAudience[0].audience)"
            ),
        ),
    };
    match input {
        TokenInput::Absent => {
            Err(unproven(format!("the {sender} sent no ServiceAccount token")).fix(enable))
        }
        TokenInput::OtherAudiences(audiences) => {
            let list: Vec<_> = audiences.iter().map(|audience| quoted(audience)).collect();
            let what = format!("the {sender} sent tokens for {} only", list.join(", "));
            Err(unproven(what).fix(enable))
        }
        TokenInput::Token(token) => match token.expires {
            // Without its time: where clocks differ each new token has another.
            Some(expires) if expires <= jiff::Timestamp::now() => Err(unproven(
                "the pod's token has expired".to_owned(),
            )
            .fix("kubelet renews it; if this stays, check the clocks of node and API server")),
            _ => Ok(token.jwt.clone()),
        },
    }
}

/// What a pod's token says that it is of.
fn subject(pod: &Pod) -> String {
    format!("system:serviceaccount:{}:{}", pod.namespace, pod.service_account)
}

/// Only one pod's token of a ServiceAccount is held against STS, so the others' have at least to say
/// whose they are.
fn check_subject(token: &Secret<String>, subject: &str) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
    }
    let claims = token.expose().split('.').nth(1);
    let claims = claims.and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok()).map(Zeroizing::new);
    let claims = claims.and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok());
    if claims.is_some_and(|claims| claims.sub == subject) {
        return Ok(());
    }
    let what = format!("identity pod cannot be used: the pod's token is not one of {subject}");
    Err(Error::new(ErrorKind::Unauthenticated, what)
        .fix("kubelet sends the token: remove any from the volume's attributes and Secret"))
}

/// Read at each mount: kubelet replaces the file as it renews the token.
async fn provider_token(file: &std::path::Path) -> Result<Arc<Secret<String>>, Error> {
    let failed = |what: &str| unusable(Mode::Provider, &format!("{} {what}", file.display()));
    let text = tokio::fs::read_to_string(file).await.map(Secret::new);
    let text = text.map_err(|error| failed(&format!("cannot be read: {}", error.kind())))?;
    match text.expose().trim() {
        "" => Err(failed("is empty")),
        token => Ok(Arc::new(Secret::new(token.to_owned()))),
    }
}

fn published_keys(keys: &NodePublishKeys) -> Result<Arc<Keys>, Error> {
    let mode = Mode::NodePublishSecret;
    let fix = "the pod's volume needs a nodePublishSecretRef to a Secret with the entries \
               access_key and access_secret";
    match keys {
        NodePublishKeys::Keys(keys) => Ok(keys.clone()),
        NodePublishKeys::Absent => Err(unusable(mode, "the mount brought no Secret").fix(fix)),
        NodePublishKeys::Others(what) | NodePublishKeys::Unusable(what) => {
            Err(unusable(mode, what).fix(fix))
        }
    }
}

/// Tells namespace, ServiceAccount and, unless it is shared, pod, within STS's
/// `[A-Za-z0-9.@_-]{2,64}`. Names have no `@`, so two pods cannot have one name; what is cut is stood
/// for by a hash.
fn session_name(pod: &Pod, shared: bool) -> String {
    const LONGEST: usize = 64;
    /// 80 bits: no two pods have one name by chance, nor by trying.
    const HASH: usize = 20;
    let Pod { namespace, service_account, name, .. } = pod;
    let full = match shared {
        true => format!("{namespace}@{service_account}"),
        false => format!("{namespace}@{service_account}@{name}"),
    };
    let clean: String = full
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "@.-_".contains(c) { c } else { '_' })
        .collect();
    if clean.len() <= LONGEST && clean == full {
        return clean;
    }
    let hash: String = sign::sha256_hex(full.as_bytes()).chars().take(HASH).collect();
    let kept: String = clean.chars().take(LONGEST - HASH - 1).collect();
    format!("{kept}_{hash}")
}

#[cfg(test)]
mod tests;
