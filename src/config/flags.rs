//! The command line: flags come in as text, each part of the configuration has its own, and `Config` gives
//! them meaning, so that one run reports every mistake.

use clap::{Arg, ArgMatches, Command};

pub use super::flag::Flags;
use super::{
    audit, cache, cloud, driver, flag::Flag, identity, log, operation, preset, startup_taint,
};
use crate::spc::mode::Mode;

impl Flags {
    /// A misspelt flag, `--help` and `--version` end here.
    pub fn parse(
        arguments: impl IntoIterator<Item = std::ffi::OsString>,
    ) -> Result<Self, clap::Error> {
        Ok(Self::of(&command().try_get_matches_from(arguments)?))
    }

    pub(crate) fn of(matches: &ArgMatches) -> Self {
        Self::among(flags(), matches)
    }

    pub(super) fn among(flags: impl Iterator<Item = &'static Flag>, matches: &ArgMatches) -> Self {
        let given = flags
            .filter_map(|flag| Some((flag.name, matches.get_one::<String>(flag.name)?.clone())));
        Self(given.collect())
    }
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    flags().map(|flag| flag.name)
}

/// In the order of the help.
const PARTS: [&[Flag]; 9] = [
    preset::FLAGS,
    driver::FLAGS,
    identity::FLAGS,
    cloud::FLAGS,
    operation::FLAGS,
    startup_taint::FLAGS,
    cache::FLAGS,
    audit::FLAGS,
    log::FLAGS,
];

pub(super) fn flags() -> impl Iterator<Item = &'static Flag> {
    PARTS.into_iter().flatten()
}

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
KUBERNETES_SERVICE_PORT, SSL_CERT_FILE, SSL_CERT_DIR. Not used: HTTP_PROXY.

Exit status: 0 after SIGTERM or SIGINT, 64 if the configuration is wrong (all mistakes in
values are listed; an unknown flag is reported alone, as text), 1 if the program cannot start or go
on, or a second signal ended it.";

/// The modes have one list, which is not here.
fn with_modes(help: &str) -> String {
    let unasked: Vec<_> =
        Mode::ALL.into_iter().filter(|mode| *mode != Mode::Pod).map(Mode::name).collect();
    help.replace("{modes}", &Mode::list()).replace("{modes_but_pod}", &unasked.join(", "))
}

pub(super) fn argument(flag: &'static Flag) -> Arg {
    let argument = Arg::new(flag.name)
        .long(flag.name)
        .value_name(flag.value)
        .help(with_modes(flag.help))
        .help_heading(flag.group);
    match flag.value {
        "BOOL" => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
        _ => argument,
    }
}

pub(crate) fn command() -> Command {
    let arguments = flags().map(argument);
    Command::new(env!("CARGO_PKG_NAME"))
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(AFTER)
        .max_term_width(100)
        .args(arguments)
}
