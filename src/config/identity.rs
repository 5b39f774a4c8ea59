//! Which identities there are, and whether they can work at all.

use std::{
    collections::BTreeSet,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    flag::{Flag, IDENTITY, KEYS, flag},
    settings::Settings,
};
use crate::{
    identity::api_server::{ACCOUNT_DIR, ApiServer},
    keys::Keys,
    limits,
    names::{Glob, OidcProviderArn, RoleArn},
    policy::{
        DefaultMode, Policy, SWAPPED_KEYS, Share,
        namespaces::{MAX_BYTES, NamespaceRules},
    },
    secret::Secret,
    spc::mode::Mode,
};

pub(super) const FLAGS: &[Flag] = &[
    flag(
        IDENTITY,
        "allowed-identities",
        "MODE,...",
        "Identities that a SecretProviderClass, or a pod that overrides it, may ask for: {modes} \
         [default: pod and --default-identity]",
    ),
    flag(
        IDENTITY,
        "default-identity",
        "MODE|auto",
        "Identity of a SecretProviderClass that names none; the program does not start where it \
         cannot work. auto: the first that is configured, in the order {modes_but_pod} \
         [default: pod]",
    ),
    flag(
        IDENTITY,
        "allowed-cross-account-roles",
        "ARN,...",
        "Roles (with * and ?) that objects may name in crossAccountRoleArn under an identity that \
         pods share [default: none]",
    ),
    flag(
        IDENTITY,
        "namespace-rules",
        "FILE",
        "Which identities, roles and objects the SecretProviderClasses of each namespace may ask for, of \
         those that these flags allow: docs/namespace-rules.md has the form. Read at start [default: no rules]",
    ),
    flag(
        IDENTITY,
        "oidc-provider-arn",
        "ARN",
        "The cluster's OIDC provider in RAM, for pod and provider: \
         acs:ram::ACCOUNT:oidc-provider/NAME [also: \
         ALICLOUD_OIDC_PROVIDER_ARN, ALIBABA_CLOUD_OIDC_PROVIDER_ARN]",
    ),
    flag(
        IDENTITY,
        "account-id",
        "ID",
        "With --cluster-id, in place of --oidc-provider-arn: \
         acs:ram::ACCOUNT_ID:oidc-provider/ack-rrsa-CLUSTER_ID [also: ALICLOUD_ACCOUNT_ID]",
    ),
    flag(IDENTITY, "cluster-id", "ID", "The ACK cluster's id [also: ALICLOUD_CLUSTER_ID]"),
    flag(
        IDENTITY,
        "service-account-lookup",
        "BOOL",
        "Read a pod's RAM role from its ServiceAccount's annotations; without it, roleArn names \
         the role [default: true]",
    ),
    flag(
        IDENTITY,
        "kubernetes-api",
        "URL",
        "API server to read ServiceAccounts from, such as http://127.0.0.1:8001 for kubectl proxy \
         [default: this pod's cluster]",
    ),
    flag(
        KEYS,
        "role-arn",
        "ARN",
        "RAM role of provider and ram-role: acs:ram::ACCOUNT:role/NAME [also: ALICLOUD_ROLE_ARN, \
         ALIBABA_CLOUD_ROLE_ARN]",
    ),
    flag(
        KEYS,
        "oidc-token-file",
        "FILE",
        "Token of the provider's own ServiceAccount, for provider [also: ALICLOUD_OIDC_TOKEN_FILE, \
         ALIBABA_CLOUD_OIDC_TOKEN_FILE]",
    ),
    flag(
        KEYS,
        "role-session-name",
        "NAME",
        "Session name of provider and ram-role [default: one that names the pod] [also: \
         ALICLOUD_ROLE_SESSION_NAME, ALIBABA_CLOUD_ROLE_SESSION_NAME]",
    ),
    flag(
        KEYS,
        "role-session-expiration",
        "SECONDS",
        "Lifetime of these sessions, 900 to 43200 [default: 3600] [also: ALICLOUD_ROLE_SESSION_EXPIRATION]",
    ),
    flag(
        KEYS,
        "ecs-role-name",
        "NAME",
        "RAM role of the instance, for ecs-role [default: the one attached] [also: \
         ALIBABA_CLOUD_ECS_METADATA]",
    ),
];

impl Settings<'_> {
    /// Whether there was no mistake in it, too.
    pub(super) fn policy(&mut self) -> (Policy, bool) {
        let before = self.count_mistakes();
        let mut allowed: BTreeSet<Mode> = self
            .list("allowed-identities", Mode::parse, &format!("any of {}", Mode::list()))
            .into_iter()
            .collect();
        let default = self
            .parsed(
                "default-identity",
                &[],
                |text| match text {
                    "auto" => Some(DefaultMode::Auto),
                    mode => Mode::parse(mode).map(DefaultMode::Mode),
                },
                &format!("auto or one of {}", Mode::list()),
            )
            .unwrap_or(DefaultMode::Mode(Mode::Pod));
        match default {
            DefaultMode::Mode(mode) if allowed.is_empty() => allowed.extend([Mode::Pod, mode]),
            DefaultMode::Mode(mode) if !allowed.contains(&mode) => self.wrong(format!(
                "--default-identity is {mode}, which --allowed-identities does not allow: add it \
                 there, or choose another default"
            )),
            DefaultMode::Auto if allowed.iter().all(|mode| *mode == Mode::Pod) => self.wrong(
                "--default-identity is auto, which never chooses pod: --allowed-identities must \
                 list what it may choose",
            ),
            _ => {}
        }
        let oidc_provider = self.oidc_provider();
        let role = self.parsed(
            "role-arn",
            &["ALICLOUD_ROLE_ARN", "ALIBABA_CLOUD_ROLE_ARN"],
            RoleArn::parse,
            &format!("of the form {}", RoleArn::FORM),
        );
        let token_file = self.parsed(
            "oidc-token-file",
            &["ALICLOUD_OIDC_TOKEN_FILE", "ALIBABA_CLOUD_OIDC_TOKEN_FILE"],
            |text| text.starts_with('/').then(|| PathBuf::from(text)),
            "a path that starts with /",
        );
        let keys = self.keys();
        let ecs_metadata = !self.env_bool("ALIBABA_CLOUD_ECS_METADATA_DISABLED").unwrap_or(false);
        let sound = self.count_mistakes() == before;
        let policy = Policy {
            oidc_provider,
            role,
            token_file,
            keys,
            ecs_metadata,
            default,
            allowed,
            share: self.share(),
            cross_account_roles: self.list(
                "allowed-cross-account-roles",
                |text| text.starts_with("acs:ram::").then(|| Glob::new(text)),
                "patterns of role ARNs, such as acs:ram::123456789012:role/*",
            ),
            namespaces: self.namespace_rules(),
            session_name: self.parsed(
                "role-session-name",
                &["ALICLOUD_ROLE_SESSION_NAME", "ALIBABA_CLOUD_ROLE_SESSION_NAME"],
                session_name,
                "2 to 64 characters of A-Z a-z 0-9 . @ - _",
            ),
            session_lifetime: Duration::from_secs(self.session_seconds().unwrap_or(3600)),
        };
        (policy, sound)
    }

    fn namespace_rules(&mut self) -> Option<NamespaceRules> {
        let file = self.parsed(
            "namespace-rules",
            &[],
            |text| text.starts_with('/').then(|| PathBuf::from(text)),
            "a path that starts with /",
        )?;
        match namespace_rules(&file) {
            Ok(rules) => Some(rules),
            Err(mistakes) => {
                for what in mistakes {
                    self.wrong(format!("--namespace-rules: {}: {what}", file.display()));
                }
                None
            }
        }
    }

    /// Which pod identity needs, unless every role is named by `roleArn`.
    pub(super) fn service_account_lookup(&mut self) -> bool {
        self.flag("service-account-lookup").unwrap_or(true)
    }

    /// The API server. `off`: how not to need it; `None` where nothing does.
    pub(super) fn api_server(&mut self, off: Option<&str>) -> Option<ApiServer> {
        let given = self.parsed(
            "kubernetes-api",
            &[],
            ApiServer::at,
            "http://HOST:PORT or https://HOST:PORT, an IPv6 address in brackets",
        );
        // Kubernetes sets both in every pod.
        self.env(&["KUBERNETES_SERVICE_HOST"]);
        self.env(&["KUBERNETES_SERVICE_PORT"]);
        let off = off?;
        if self.is_given("kubernetes-api") {
            return given;
        }
        let own = self.cluster();
        if own.is_none() {
            self.wrong(format!(
                "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not a host and a port: \
                 set --kubernetes-api, or {off}"
            ));
        }
        own
    }

    /// The API server, whatever it is asked for.
    pub(super) fn cluster(&mut self) -> Option<ApiServer> {
        if let Some(url) = self.text("kubernetes-api", &[]) {
            return ApiServer::at(&url);
        }
        let host = self.env(&["KUBERNETES_SERVICE_HOST"]);
        let port = self.env(&["KUBERNETES_SERVICE_PORT"]);
        ApiServer::in_cluster(
            host.as_deref().unwrap_or("kubernetes.default.svc"),
            port.as_deref().unwrap_or("443"),
        )
    }

    /// Without it the cluster's API server answers nothing: no look-up succeeds, so that pod identity serves
    /// nobody, and no taint is removed.
    pub(super) fn check_own_token(&mut self, policy: &Policy, lookup: bool, taint: bool) {
        if self.is_given("kubernetes-api") {
            return;
        }
        let token = Path::new(ACCOUNT_DIR).join("token");
        let Some(what) = unreadable(&token) else { return };
        if taint {
            self.wrong(format!(
                "--remove-startup-taint changes the node with the provider's own token, and {} {what}: mount it \
                 (automountServiceAccountToken: true in the provider's pod)",
                token.display()
            ));
        }
        let usable = policy.allowed.contains(&Mode::Pod) && policy.lacks(Mode::Pod).is_empty();
        if !lookup || !usable {
            return;
        }
        let why = format!(
            "identity pod looks up ServiceAccounts with the provider's own token, and {} {what}: \
             mount it (automountServiceAccountToken: true in the provider's pod), or set \
             --service-account-lookup=false, where roleArn names every role",
            token.display()
        );
        match policy.default {
            DefaultMode::Mode(Mode::Pod) => self.wrong(why),
            DefaultMode::Mode(_) | DefaultMode::Auto => self.warn(why),
        }
    }

    fn session_seconds(&mut self) -> Option<u64> {
        self.parsed(
            "role-session-expiration",
            &["ALICLOUD_ROLE_SESSION_EXPIRATION"],
            |text| text.parse().ok().filter(|s| limits::SESSION_SECONDS.contains(s)),
            "a number of seconds from 900 to 43200",
        )
    }

    fn oidc_provider(&mut self) -> Option<OidcProviderArn> {
        let arn = self.parsed(
            "oidc-provider-arn",
            &["ALICLOUD_OIDC_PROVIDER_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN"],
            OidcProviderArn::parse,
            &format!("of the form {}", OidcProviderArn::FORM),
        );
        let account = self.text("account-id", &["ALICLOUD_ACCOUNT_ID"]);
        let cluster = self.text("cluster-id", &["ALICLOUD_CLUSTER_ID"]);
        let alone = match (account, cluster) {
            (Some(account), Some(cluster)) => {
                let made = OidcProviderArn::of_cluster(&account, &cluster);
                return self.one_provider(arn, made, &account);
            }
            (Some(_), None) => ("--account-id", "--cluster-id"),
            (None, Some(_)) => ("--cluster-id", "--account-id"),
            (None, None) => return arn,
        };
        let (given, missing) = alone;
        match arn {
            Some(_) => self.warn(format!("{given} has no effect without {missing}")),
            None => self.wrong(format!(
                "{given} is given and {missing} is not: give both, or --oidc-provider-arn"
            )),
        }
        arn
    }

    fn one_provider(
        &mut self,
        arn: Option<OidcProviderArn>,
        made: Option<OidcProviderArn>,
        account: &str,
    ) -> Option<OidcProviderArn> {
        match (arn, made) {
            (_, None) if is_rounded(account) => self.wrong(
                "--account-id is a number that was rounded on its way here: put it in quotes where \
                 it is written, as text (Helm: --set-string)",
            ),
            (_, None) => self.wrong(
                "--account-id and --cluster-id do not make an OIDC provider's ARN: the account id \
                 is a number, the cluster id letters and digits",
            ),
            (Some(arn), Some(made)) if arn != made => self.wrong(
                "--oidc-provider-arn is another provider than --account-id and --cluster-id name: \
                 keep one",
            ),
            (_, made) => return made,
        }
        None
    }

    pub(super) fn share(&mut self) -> Share {
        self.parsed("share", &[], share, "pod or service-account").unwrap_or(Share::Pod)
    }

    fn keys(&mut self) -> Option<Arc<Keys>> {
        let id = self.env(&["ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_ID"]);
        let secret = self.env(&["SECRET_ACCESS_KEY", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"]);
        let token = self.env(&["ALIBABA_CLOUD_SECURITY_TOKEN"]).map(Secret::new);
        match (id, secret.map(Secret::new)) {
            (Some(id), Some(secret)) => return Some(Arc::new(Keys { id, secret, token })),
            (Some(_), None) => self.wrong("ACCESS_KEY_ID is set, SECRET_ACCESS_KEY is not"),
            (None, Some(_)) => self.wrong("SECRET_ACCESS_KEY is set, ACCESS_KEY_ID is not"),
            (None, None) if token.is_some() => {
                self.warn("ALIBABA_CLOUD_SECURITY_TOKEN has no effect without an access key");
            }
            (None, None) => {}
        }
        None
    }

    /// A provider whose default identity cannot work serves nobody, and would be ready all the same.
    pub(super) fn check_default(&mut self, policy: &Policy) {
        let default = match (policy.default, automatic(policy)) {
            (DefaultMode::Mode(mode), _) => mode,
            // Pods that bring keys are served.
            (DefaultMode::Auto, None | Some(Mode::AccessKey | Mode::EcsRole))
                if policy.allowed.contains(&Mode::NodePublishSecret) =>
            {
                Mode::NodePublishSecret
            }
            (DefaultMode::Auto, None) => {
                self.wrong(
                    "--default-identity is auto, and nothing that it could choose is configured: \
                     neither a RAM role with an OIDC token or an access key, nor an access key, \
                     nor instance metadata",
                );
                return;
            }
            (DefaultMode::Auto, Some(mode)) if !policy.allowed.contains(&mode) => {
                self.wrong(format!(
                    "--default-identity is auto and chooses {mode}, the first that is configured, \
                     which --allowed-identities does not allow: add it there, or name the default"
                ));
                return;
            }
            (DefaultMode::Auto, Some(mode)) => mode,
        };
        for &mode in &policy.allowed {
            let Some(why) = unusable(policy, mode) else { continue };
            if mode == default {
                self.wrong(format!(
                    "identity {mode}, the default, cannot be used: {why}; set it right, or choose \
                     another --default-identity"
                ));
            } else {
                self.warn(format!(
                    "identity {mode} is allowed and cannot be used: {why}; set it right, or leave \
                     {mode} out of --allowed-identities"
                ));
            }
        }
    }
}

/// What `auto` chooses for a pod that brings no keys.
fn automatic(policy: &Policy) -> Option<Mode> {
    let own = [Mode::Provider, Mode::RamRole, Mode::AccessKey, Mode::EcsRole];
    own.into_iter().find(|mode| policy.lacks(*mode).is_empty())
}

fn unusable(policy: &Policy, mode: Mode) -> Option<String> {
    let lacks = policy.lacks(mode);
    if !lacks.is_empty() {
        return Some(format!("it needs {}", lacks.join(" and ")));
    }
    if matches!(mode, Mode::RamRole | Mode::AccessKey) && policy.has_swapped_keys() {
        return Some(format!("{SWAPPED_KEYS} (are they swapped?)"));
    }
    let file = policy.token_file.as_deref().filter(|_| mode == Mode::Provider)?;
    let what = unreadable(file)?;
    Some(format!("its token file {} {what}", file.display()))
}

/// Rules out of their file, or all that is wrong with it.
pub(crate) fn namespace_rules(file: &Path) -> Result<NamespaceRules, Vec<String>> {
    let unread = |error: &std::io::Error| vec![format!("cannot be read: {}", error.kind())];
    let opened = std::fs::File::open(file).map_err(|error| unread(&error))?;
    let mut text = String::new();
    opened.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| unread(&error))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(vec![format!("is longer than {MAX_BYTES} bytes")]);
    }
    NamespaceRules::parse(&text)
}

/// Kubelet has mounted the token before it starts the container.
fn unreadable(file: &Path) -> Option<String> {
    match std::fs::read_to_string(file) {
        Ok(text) if text.trim().is_empty() => Some("is empty".to_owned()),
        Ok(_) => None,
        Err(error) => Some(format!("cannot be read: {}", error.kind())),
    }
}

/// As YAML tools write a number of sixteen digits.
fn is_rounded(account: &str) -> bool {
    account.contains(['e', 'E', '.']) && account.parse::<f64>().is_ok()
}

fn share(text: &str) -> Option<Share> {
    match text {
        "pod" => Some(Share::Pod),
        "service-account" => Some(Share::ServiceAccount),
        _ => None,
    }
}

fn session_name(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".@-_".contains(c);
    ((2..=64).contains(&text.len()) && text.chars().all(plain)).then(|| text.to_owned())
}
