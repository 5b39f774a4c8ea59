//! The command line. Flags come in as text; `Config` gives them meaning, so that one run reports
//! every mistake.

use clap::{Arg, ArgMatches, Command};

use crate::spc::mode::Mode;

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

/// How the names of this program's own variables begin.
pub(super) const PREFIX: &str = "ALIBABACLOUD_PROVIDER_";

/// The environment variable of a flag.
pub fn variable(flag: &str) -> String {
    format!("{PREFIX}{}", flag.to_ascii_uppercase().replace('-', "_"))
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FLAGS.iter().map(|flag| flag.name)
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

const DRIVER: &str = "Driver";
const IDENTITY: &str = "Identity";
const KEYS: &str = "Shared identities";
const CLOUD: &str = "Alibaba Cloud";
const AUDIT: &str = "Audit record";
const OPERATION: &str = "Operation";

const FRESHNESS: &str = "Caching";

const FLAGS: &[Flag] = &[
    flag(
        DRIVER,
        "provider-volume",
        "DIR",
        "The driver's directory for providers' sockets, a path that starts with /; it gets \
         alibabacloud.sock [default: /var/run/secrets-store-csi-providers]",
    ),
    flag(
        DRIVER,
        "mount-timeout",
        "SECONDS",
        "The longest a mount may take, 1 to 110; less if the driver gives less [default: 90]",
    ),
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
    flag(
        CLOUD,
        "region",
        "REGION",
        "Region of secrets whose SecretProviderClass names none, such as cn-hangzhou [default: the \
         instance's, from instance metadata] [also: ALIBABA_CLOUD_REGION_ID]",
    ),
    flag(
        CLOUD,
        "public-endpoints",
        "BOOL",
        "Call STS, KMS and OOS at their public hosts, not at those inside the VPC \
         [default: false] [also: ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED=false]",
    ),
    flag(
        CLOUD,
        "sts-endpoint",
        "HOST",
        "Host of STS in place of Alibaba Cloud's; {region} is filled in [also: ALIBABA_CLOUD_STS_ENDPOINT]",
    ),
    flag(
        CLOUD,
        "kms-endpoint",
        "HOST",
        "Host of KMS in place of Alibaba Cloud's; {region} is filled in",
    ),
    flag(
        CLOUD,
        "oos-endpoint",
        "HOST",
        "Host of OOS in place of Alibaba Cloud's; {region} is filled in",
    ),
    flag(
        CLOUD,
        "allowed-endpoints",
        "HOST,...",
        "Hosts (with * and ?) that an object may name in kmsEndpoint beyond Alibaba Cloud's own, and \
         KMS instances that it may name under an identity that pods share [default: none]",
    ),
    flag(CLOUD, "ca-file", "FILE", "PEM certificates to trust in addition to the system's"),
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
        "Addresses of hosts (with * and ?), used instead of DNS; certificates are checked all the \
         same",
    ),
    flag(
        CLOUD,
        "metadata-endpoint",
        "HOST[:PORT]",
        "Instance metadata service, called over http [default: 100.100.100.200]",
    ),
    flag(
        CLOUD,
        "max-concurrent-kms-secret-pulls",
        "N",
        "Concurrent KMS calls, over all mounts [default: 64]",
    ),
    flag(
        CLOUD,
        "max-concurrent-oos-secret-pulls",
        "N",
        "Concurrent OOS calls, over all mounts [default: 16]",
    ),
    flag(
        OPERATION,
        "healthz-address",
        "IP",
        "Address of probes and metrics [default: ::, which is IPv4 too]",
    ),
    flag(OPERATION, "healthz-port", "PORT", "Port of probes and metrics [default: 8989]"),
    flag(
        OPERATION,
        "healthz-path",
        "PATH",
        "Path of the liveness probe; /readyz and /metrics are taken [default: /healthz]",
    ),
    flag(
        OPERATION,
        "metrics",
        "BOOL",
        "Serve /metrics at that port, to anyone who can reach it [default: true]",
    ),
    flag(
        OPERATION,
        "debug-endpoints",
        "WHO",
        "Serve /debug/state (limits, sessions, cache sizes) and /debug/log-level (read it, or PUT another) \
         at that port: off, loopback (kubectl port-forward) or all [default: off]",
    ),
    flag(
        FRESHNESS,
        "refresh-interval",
        "INTERVAL",
        "Cache TTL: a mount is served from the cache until one of its values is this old: 30s, 5m, \
         1h; 0 reads from the cloud every time [default: 5m]",
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
        "Upper limit of refreshInterval and of the cache TTL of every value; a revoked right is \
         noticed by then, except while stale values are served (--stale-while-throttled, \
         --outage-grace) [default: 1h, or \
         --refresh-interval or --min-refresh-interval if longer]",
    ),
    flag(
        FRESHNESS,
        "share",
        "WHO",
        "Who shares a RAM session and its cached values: pod (nobody) or service-account (the pods \
         of one ServiceAccount and role: 30 replicas then cost what one does, and ActionTrail \
         shows the ServiceAccount, not the pod) [default: pod]",
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
        "Size of the value cache, which is encrypted in memory; the least recently used are \
         evicted, and 0 turns it off [default: 16]",
    ),
    flag(
        FRESHNESS,
        "stale-while-throttled",
        "INTERVAL",
        "Serves values of running pods stale up to this age, at most 24h, while STS, KMS or OOS \
         throttles, and refreshes them behind; never after a refusal. Each time is logged, counted \
         and recorded; 0 turns it off [default: 1h, or --max-refresh-interval if shorter]",
    ),
    flag(
        FRESHNESS,
        "outage-grace",
        "INTERVAL",
        "Serves stale values up to this age, at most 24h, while STS, KMS or OOS cannot be reached, \
         throttles or returns 5xx (stale-if-error); never after a refusal. Each time is logged, \
         counted and recorded [default: 0]",
    ),
    flag(
        AUDIT,
        "audit",
        "off|stdout|FILE",
        "Where to write a line for each value read and each mount refused; FILE is a path that \
         starts with /, in a folder that exists [default: off]",
    ),
    flag(
        AUDIT,
        "audit-failure",
        "refuse|continue",
        "A mount whose records cannot be written fails (refuse), or is served and they are counted \
         (continue) [default: refuse]",
    ),
    flag(
        AUDIT,
        "audit-max-mib",
        "N",
        "A file of this size is rotated to FILE.1, and FILE.1 to FILE.2 [default: 64]",
    ),
    flag(AUDIT, "audit-files", "N", "How many rotated files are kept [default: 8]"),
    flag(
        AUDIT,
        "audit-key-file",
        "FILE",
        "Key of 32 bytes or more to chain the lines with (HMAC-SHA256) [default: none, SHA-256]",
    ),
    flag(
        OPERATION,
        "drain-timeout",
        "SECONDS",
        "How long mounts in flight may take after SIGTERM, 1 to 600; a second one ends them at \
         once [default: 25]",
    ),
    flag(
        OPERATION,
        "sandbox",
        "auto|require|off",
        "Restrict the process to the files and system calls that it needs (Landlock, seccomp). auto: \
         best effort; require: fail to start if unavailable; off [default: auto]",
    ),
    flag(
        OPERATION,
        "lock-memory",
        "BOOL",
        "Lock all memory (mlockall) so that none is swapped, or fail to start; needs CAP_IPC_LOCK \
         [default: false]",
    ),
    flag(
        OPERATION,
        "log-level",
        "FILTER",
        "error, warn, info, debug, trace or off; or a list of these and TARGET=LEVEL, such as \
         warn,provider=debug. What ends the program is printed at any level [default: info]",
    ),
    flag(OPERATION, "log-format", "FORMAT", "text or json [default: text]"),
];

const ABOUT: &str = "\
Mounts secrets of Alibaba Cloud KMS Secrets Manager and OOS parameters into pods as files.

Serves the Secrets Store CSI Driver on a Unix socket. Each pod's ServiceAccount token is exchanged \
for temporary credentials of its RAM role (RRSA), and its secrets are read with those.";

const AFTER: &str = "\
Examples:
  Each pod reads with its own RAM role, in an ACK cluster:
    --region=cn-hangzhou --account-id=1234567890123456 --cluster-id=c0123456789abcdef
  All pods read with the worker node's RAM role:
    --region=cn-hangzhou --default-identity=ecs-role --allowed-identities=ecs-role
  Each pod with its own role; stale values for an hour at most in an outage; an audit record:
    --oidc-provider-arn=acs:ram::1234567890123456:oidc-provider/ack-rrsa-c0123456789abcdef
    --region=cn-hangzhou --outage-grace=1h --share=service-account --audit=/audit/audit.log

Every flag is an environment variable too: ALIBABACLOUD_PROVIDER_ and the flag in capitals, such as
ALIBABACLOUD_PROVIDER_LOG_LEVEL for --log-level; any other variable with this prefix is a mistake.
Flags win over these, and these over the names in [also: ...], which must agree where several are set.
An empty value is the same as none.

Access keys come from the environment alone: ACCESS_KEY_ID and SECRET_ACCESS_KEY (or
ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET, ALIBABA_CLOUD_SECURITY_TOKEN).
Also read: NODE_NAME, ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED, ALIBABA_CLOUD_STS_REGION,
ALIBABA_CLOUD_ECS_METADATA_DISABLED, ALIBABA_CLOUD_IMDSV1_DISABLED, KUBERNETES_SERVICE_HOST,
KUBERNETES_SERVICE_PORT, SSL_CERT_FILE, SSL_CERT_DIR. Not used: HTTPS_PROXY and HTTP_PROXY.

Exit status: 0 after SIGTERM or SIGINT, 64 if the configuration is wrong (all mistakes in
values are listed; an unknown flag is reported alone, as text), 1 if the program cannot start or go
on, or a second signal ended it.";

/// The modes have one list, which is not here.
fn with_modes(help: &str) -> String {
    let unasked: Vec<_> =
        Mode::ALL.into_iter().filter(|mode| *mode != Mode::Pod).map(Mode::name).collect();
    help.replace("{modes}", &Mode::list()).replace("{modes_but_pod}", &unasked.join(", "))
}

pub(crate) fn command() -> Command {
    let arguments = FLAGS.iter().map(|flag| {
        let argument = Arg::new(flag.name)
            .long(flag.name)
            .value_name(flag.value)
            .help(with_modes(flag.help))
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
