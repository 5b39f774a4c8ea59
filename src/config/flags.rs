//! The command line. Flags come in as text; `Config` gives them meaning, so that one run reports
//! every mistake.

use clap::{Arg, ArgMatches, Command};

/// What was given on the command line.
#[derive(Debug, Default)]
pub struct Flags(Vec<(&'static str, String)>);

impl Flags {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(flag, _)| *flag == name).map(|(_, value)| value.as_str())
    }

    /// A misspelt flag, `--help` and `--version` end here.
    pub fn parse(
        arguments: impl IntoIterator<Item = std::ffi::OsString>,
    ) -> Result<Self, clap::Error> {
        Ok(Self::of(&command().try_get_matches_from(arguments)?))
    }

    pub(crate) fn of(matches: &ArgMatches) -> Self {
        let given = FLAGS
            .iter()
            .filter_map(|flag| Some((flag.name, matches.get_one::<String>(flag.name)?.clone())));
        Self(given.collect())
    }
}

/// The environment variable that stands for a flag.
pub fn variable(flag: &str) -> String {
    format!("ALIBABACLOUD_PROVIDER_{}", flag.to_ascii_uppercase().replace('-', "_"))
}

struct Flag {
    group: &'static str,
    name: &'static str,
    value: &'static str,
    help: &'static str,
}

const fn flag(
    group: &'static str,
    name: &'static str,
    value: &'static str,
    help: &'static str,
) -> Flag {
    Flag { group, name, value, help }
}

const DRIVER: &str = "The driver's side";
const IDENTITY: &str = "Who a mount may be";
const KEYS: &str = "Identities that pods share";
const CLOUD: &str = "The cloud's side";
const AUDIT: &str = "The audit record";
const OPERATION: &str = "Operation";

const FRESHNESS: &str = "How fresh values are";

const FLAGS: &[Flag] = &[
    flag(
        DRIVER,
        "provider-volume",
        "DIR",
        "Where the driver looks for providers' sockets; ours is alibabacloud.sock \
         [default: /var/run/secrets-store-csi-providers]",
    ),
    flag(
        DRIVER,
        "mount-timeout",
        "SECONDS",
        "The longest a mount may take; less if the driver gives less [default: 90]",
    ),
    flag(
        IDENTITY,
        "allowed-identities",
        "MODE,...",
        "Which identities a SecretProviderClass, or a pod that overrides it, may choose: pod, \
         provider, ram-role, node-publish-secret, access-key, ecs-role [default: pod and \
         --default-identity]",
    ),
    flag(
        IDENTITY,
        "default-identity",
        "MODE|auto",
        "For a SecretProviderClass that names none; auto takes the first that is configured, in \
         the order provider, ram-role, node-publish-secret, access-key, ecs-role [default: pod]",
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
        "oidc-provider-arn",
        "ARN",
        "The cluster's OIDC provider in RAM, for pod and provider [also: \
         ALICLOUD_OIDC_PROVIDER_ARN, ALIBABA_CLOUD_OIDC_PROVIDER_ARN]",
    ),
    flag(
        IDENTITY,
        "account-id",
        "ID",
        "With --cluster-id, in place of --oidc-provider-arn [also: ALICLOUD_ACCOUNT_ID]",
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
        "The API server to ask for that, if not this pod's cluster; http://127.0.0.1:8001 with kubectl proxy",
    ),
    flag(
        KEYS,
        "role-arn",
        "ARN",
        "The role of provider and ram-role [also: ALICLOUD_ROLE_ARN, ALIBABA_CLOUD_ROLE_ARN]",
    ),
    flag(
        KEYS,
        "oidc-token-file",
        "FILE",
        "The provider's own token, for provider [also: ALICLOUD_OIDC_TOKEN_FILE, \
         ALIBABA_CLOUD_OIDC_TOKEN_FILE]",
    ),
    flag(
        KEYS,
        "role-session-name",
        "NAME",
        "Session name of provider and ram-role, in place of one that names the pod [also: \
         ALICLOUD_ROLE_SESSION_NAME, ALIBABA_CLOUD_ROLE_SESSION_NAME]",
    ),
    flag(
        KEYS,
        "role-session-expiration",
        "SECONDS",
        "Lifetime of their sessions [default: 3600] [also: ALICLOUD_ROLE_SESSION_EXPIRATION]",
    ),
    flag(
        KEYS,
        "ecs-role-name",
        "NAME",
        "The instance's role, for ecs-role [default: the one attached] [also: \
         ALIBABA_CLOUD_ECS_METADATA]",
    ),
    flag(
        CLOUD,
        "region",
        "REGION",
        "Of secrets whose SecretProviderClass names none [default: the instance's] [also: \
         ALIBABA_CLOUD_REGION_ID]",
    ),
    flag(
        CLOUD,
        "public-endpoints",
        "BOOL",
        "Call STS, KMS and OOS at their public hosts, not at those inside the VPC \
         [default: false]",
    ),
    flag(
        CLOUD,
        "sts-endpoint",
        "HOST",
        "Another host for STS; {region} is filled in [also: ALIBABA_CLOUD_STS_ENDPOINT]",
    ),
    flag(CLOUD, "kms-endpoint", "HOST", "Another host for KMS; {region} is filled in"),
    flag(CLOUD, "oos-endpoint", "HOST", "Another host for OOS; {region} is filled in"),
    flag(
        CLOUD,
        "allowed-endpoints",
        "HOST,...",
        "Hosts (with * and ?) beyond Alibaba Cloud's own that an object may name in kmsEndpoint \
         [default: none]",
    ),
    flag(CLOUD, "ca-file", "FILE", "PEM certificates to trust beside the system's"),
    flag(
        CLOUD,
        "kms-ca-file",
        "FILE",
        "PEM certificates to trust for KMS instances, in place of Alibaba Cloud's private CAs",
    ),
    flag(
        CLOUD,
        "resolve",
        "HOST=IP[:PORT],...",
        "Addresses of hosts (with * and ?) that DNS does not know; certificates are checked as ever",
    ),
    flag(
        CLOUD,
        "metadata-endpoint",
        "HOST[:PORT]",
        "Instance metadata, asked over http [default: 100.100.100.200]",
    ),
    flag(
        CLOUD,
        "max-concurrent-kms-secret-pulls",
        "N",
        "KMS calls at once, over all mounts [default: 64]",
    ),
    flag(
        CLOUD,
        "max-concurrent-oos-secret-pulls",
        "N",
        "OOS calls at once, over all mounts [default: 16]",
    ),
    flag(
        OPERATION,
        "healthz-address",
        "IP",
        "Where probes and metrics are served [default: ::, which is IPv4 too]",
    ),
    flag(OPERATION, "healthz-port", "PORT", "Their port [default: 8989]"),
    flag(OPERATION, "healthz-path", "PATH", "Path of the liveness probe [default: /healthz]"),
    flag(
        FRESHNESS,
        "refresh-interval",
        "INTERVAL",
        "A mount is answered from memory while all its values are younger than this: 30s, 5m, 1h; \
         0 asks the cloud every time [default: 5m]",
    ),
    flag(
        FRESHNESS,
        "min-refresh-interval",
        "INTERVAL",
        "The least that a SecretProviderClass can ask for with refreshInterval, and the least of \
         --refresh-interval [default: 0]",
    ),
    flag(
        FRESHNESS,
        "max-refresh-interval",
        "INTERVAL",
        "The most that a SecretProviderClass can ask for with refreshInterval, and the longest that \
         any value is served from the cache: a right that was taken back is noticed by then \
         [default: 1h, or --refresh-interval if that is longer]",
    ),
    flag(
        FRESHNESS,
        "share",
        "WHO",
        "Who has a RAM session and its values in common: pod (nobody) or service-account (the pods \
         of one ServiceAccount and role: 30 replicas then cost what one does, and ActionTrail \
         tells the ServiceAccount, not the pod) [default: pod]",
    ),
    flag(
        FRESHNESS,
        "kms-batch",
        "auto|off",
        "Read up to 20 secrets with one BatchGetSecretValue, where KMS and the role allow it \
         [default: off]",
    ),
    flag(
        FRESHNESS,
        "value-cache-mib",
        "N",
        "How much memory values may take, sealed; the longest unused go first, and with 0 none are \
         kept [default: 16]",
    ),
    flag(
        FRESHNESS,
        "outage-grace",
        "INTERVAL",
        "While STS, KMS or OOS cannot be reached, throttles or is in trouble, what was last read \
         stands in up to this age, at most 24h; what is refused never does. Each such answer is \
         logged, counted and recorded \
         [default: 0]",
    ),
    flag(
        AUDIT,
        "audit",
        "off|stdout|FILE",
        "Where a line for each value read and each mount refused goes; FILE is a whole path \
         [default: off]",
    ),
    flag(
        AUDIT,
        "audit-failure",
        "refuse|continue",
        "A mount whose records cannot be written fails, or goes on and they are counted \
         [default: refuse]",
    ),
    flag(
        AUDIT,
        "audit-max-mib",
        "N",
        "A file of this size is set aside as FILE.1, what was there as FILE.2 [default: 64]",
    ),
    flag(AUDIT, "audit-files", "N", "How many of these are kept [default: 8]"),
    flag(
        AUDIT,
        "audit-key-file",
        "FILE",
        "A key of 32 bytes or more to chain the lines with (HMAC-SHA256) [default: none, SHA-256]",
    ),
    flag(
        OPERATION,
        "drain-timeout",
        "SECONDS",
        "After SIGTERM, how long mounts in flight may take [default: 25]",
    ),
    flag(
        OPERATION,
        "sandbox",
        "auto|require|off",
        "Give up, before serving, the files and system calls that are not needed: as far as this \
         kernel can, or all of it or not start, or nothing of it [default: auto]",
    ),
    flag(
        OPERATION,
        "lock-memory",
        "BOOL",
        "Keep all memory out of swap, or do not start; needs CAP_IPC_LOCK [default: false]",
    ),
    flag(
        OPERATION,
        "log-level",
        "FILTER",
        "error, warn, info, debug, trace, or TARGET=LEVEL,... [default: info]",
    ),
    flag(OPERATION, "log-format", "FORMAT", "text or json [default: text]"),
];

const ABOUT: &str = "\
Gives pods their secrets from Alibaba Cloud KMS Secrets Manager and OOS, as files.

Serves the Secrets Store CSI Driver on a Unix socket. Each pod proves itself to RAM with its own \
ServiceAccount token (RRSA) and reads under its own RAM role.";

const AFTER: &str = "\
Every flag can be given as an environment variable too: ALIBABACLOUD_PROVIDER_ and the flag in
capitals, such as ALIBABACLOUD_PROVIDER_REGION. Flags win over these, and these over the names in
[also: ...], which must agree where several are set.

Access keys come from the environment alone: ACCESS_KEY_ID and SECRET_ACCESS_KEY (or
ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET, ALIBABA_CLOUD_SECURITY_TOKEN).
Also read: NODE_NAME, ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED, ALIBABA_CLOUD_STS_REGION,
ALIBABA_CLOUD_ECS_METADATA_DISABLED, ALIBABA_CLOUD_IMDSV1_DISABLED, SSL_CERT_FILE, SSL_CERT_DIR.

Exit status: 0 after SIGTERM, 64 if the configuration is wrong (all mistakes are listed), 1 if the
program could not go on.";

pub(crate) fn command() -> Command {
    let arguments = FLAGS.iter().map(|flag| {
        let argument = Arg::new(flag.name)
            .long(flag.name)
            .value_name(flag.value)
            .help(flag.help)
            .help_heading(flag.group);
        match flag.value {
            "BOOL" => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
            _ => argument,
        }
    });
    Command::new(env!("CARGO_PKG_NAME"))
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(AFTER)
        .max_term_width(100)
        .args(arguments)
}
