//! Check: everything that is looked at, with its id, which stays when words change.

/// In the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Check {
    Configuration,
    Proxy,
    Metadata,
    Token,
    Issuer,
    Names,
    Certificate,
    Answer,
    Clock,
    Login,
    Permission,
    Quota,
    Socket,
    Provider,
    ServiceAccounts,
    Driver,
    Kubelet,
}

/// What a check is, for help and documents.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub(crate) id: &'static str,
    /// What it looks at.
    pub(crate) title: &'static str,
    /// Without which it is skipped.
    pub(crate) needs: &'static str,
    /// What it warns of or calls broken.
    pub(crate) finds: &'static str,
}

const fn about(
    id: &'static str,
    title: &'static str,
    needs: &'static str,
    finds: &'static str,
) -> About {
    About { id, title, needs, finds }
}

impl Check {
    pub(crate) const ALL: [Self; 17] = [
        Self::Configuration,
        Self::Proxy,
        Self::Metadata,
        Self::Token,
        Self::Issuer,
        Self::Names,
        Self::Certificate,
        Self::Answer,
        Self::Clock,
        Self::Login,
        Self::Permission,
        Self::Quota,
        Self::Socket,
        Self::Provider,
        Self::ServiceAccounts,
        Self::Driver,
        Self::Kubelet,
    ];

    pub(crate) fn id(self) -> &'static str {
        self.about().id
    }

    pub(crate) fn about(self) -> About {
        match self {
            Self::Configuration => about(
                "configuration",
                "flags and variables, as the provider would read them",
                "nothing",
                "values that are wrong, a default identity that lacks something, what is set and not read",
            ),
            Self::Proxy => about(
                "proxy",
                "which hosts are called through the HTTP proxy",
                "nothing",
                "a proxy that no call goes through",
            ),
            Self::Metadata => about(
                "metadata",
                "instance metadata: the region and the RAM role of the node",
                "instance metadata that is not turned off",
                "no answer where region or identity depend on it; another region than --region",
            ),
            Self::Token => about(
                "token",
                "the projected token: audience, times, whose it is; the token itself is never shown",
                "--oidc-token-file or its variable",
                "no or another audience than sts.aliyuncs.com, a token that expired or is not renewed, a file that is \
                 none",
            ),
            Self::Issuer => about(
                "issuer",
                "the token's issuer beside the OIDC provider; what the trust policy must have",
                "a token that can be read",
                "no OIDC provider, an issuer of another cluster, one that RAM cannot reach",
            ),
            Self::Names => about(
                "names",
                "A and AAAA of each host by each name server of /etc/resolv.conf, and how long each took",
                "a host that is looked up: no address, not in --resolve, not through the proxy",
                "a name that does not exist, servers that fail, differ or are slow",
            ),
            Self::Certificate => about(
                "certificate",
                "TCP and TLS to each host; the whole chain, verified as for a call",
                "nothing",
                "no connection, an issuer that is not trusted, another host's certificate, one that expired or soon \
                 will",
            ),
            Self::Answer => about(
                "answer",
                "whether the service itself answers: one unsigned question to each host, which it has to refuse",
                "a connection with a certificate that is trusted",
                "no answer in time, an answer of a proxy or a gateway, throttling",
            ),
            Self::Clock => about(
                "clock",
                "the clock here beside header Date of the services' answers",
                "an answer",
                "a difference of a minute and more; from 15 minutes on every signature is refused",
            ),
            Self::Login => about(
                "login",
                "the RAM session of the identity, by AssumeRoleWithOIDC, AssumeRole or instance metadata",
                "what the identity is made of: a token and a role, an access key, or an instance",
                "what STS refuses: trust policy, audience, issuer, a role that does not exist",
            ),
            Self::Permission => about(
                "permission",
                "whether each secret may be read: GetSecretValue with DryRun, GetSecretParameter without decryption",
                "a login, and --secret or --file",
                "a secret that does not exist, kms:GetSecretValue or kms:Decrypt that is not allowed",
            ),
            Self::Quota => about(
                "quota",
                "documented quotas beside what is configured, and throttled calls in /metrics",
                "nothing; /metrics for what was throttled",
                "calls that were throttled",
            ),
            Self::Socket => about(
                "socket",
                "the provider's socket: owner, mode, and who answers Version through it",
                "the driver's directory for providers",
                "no socket, a stale one, one that does not answer or that others can write",
            ),
            Self::Provider => about(
                "provider",
                "/readyz of the provider that runs here",
                "its admin port",
                "what it says that keeps mounts from working",
            ),
            Self::ServiceAccounts => about(
                "service-accounts",
                "whether the API server lets the provider look ServiceAccounts up",
                "the pod's own token, or --kubernetes-api",
                "a look-up that is forbidden, an API server that does not answer",
            ),
            Self::Driver => about(
                "driver",
                "the CSIDriver object and the driver's settings, from the API server, --file or the node's processes",
                "one of these",
                "no tokenRequests, no podInfoOnMount, rotation that is off, a rotationPollInterval that is dangerous",
            ),
            Self::Kubelet => about(
                "kubelet",
                "the version of Kubernetes, and what kubelet and the driver do that surprises",
                "the API server, for the version",
                "nothing: it only informs",
            ),
        }
    }
}
