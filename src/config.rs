//! Flags and environment become a `Config`. Everything is parsed, every mistake is reported, and
//! only then is anything refused.

pub mod flags;
mod settings;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    audit::{self, Destination, OnFailure},
    cloud::{
        endpoint::{Endpoints, HostTemplate},
        sign::Keys,
        trust,
    },
    credentials::metadata::DEFAULT_HOST,
    identity::{
        DefaultMode, Mode, Policy, Share,
        api_server::{ACCOUNT_DIR, ApiServer},
    },
    names::{Glob, OidcProviderArn, Region, RoleArn, url_host},
    request::parse_interval,
    sandbox::{self, Reach},
    secret::Secret,
    telemetry::LogFormat,
    values::Freshness,
};
use flags::Flags;
use settings::Settings;

#[derive(Debug)]
pub struct Config {
    pub provider_volume: PathBuf,
    pub admin: SocketAddr,
    pub health_path: String,
    /// `None`: ask the instance metadata.
    pub region: Option<Region>,
    pub hosts: Hosts,
    pub trust: trust::Options,
    pub policy: Policy,
    pub metadata: MetadataOptions,
    /// Where ServiceAccounts are looked up, unless the operator turned that off.
    pub api_server: Option<ApiServer>,
    pub kms_calls: usize,
    pub oos_calls: usize,
    pub mount_timeout: Duration,
    pub freshness: Freshness,
    pub value_cache_bytes: usize,
    /// How old a value may be that stands in while the cloud does not answer; zero for none.
    pub outage_grace: Duration,
    /// Try to read several secrets with one call.
    pub kms_batch: bool,
    pub audit: audit::Options,
    pub drain_timeout: Duration,
    /// Nothing of the process may be swapped to a disk.
    pub lock_memory: bool,
    pub sandbox: sandbox::Wanted,
    /// What `sandbox` leaves.
    pub reach: Reach,
    pub log_format: LogFormat,
    pub log_level: String,
}

/// `Endpoints` before the region is known.
#[derive(Debug)]
pub struct Hosts {
    pub public: bool,
    pub sts: Option<HostTemplate>,
    pub sts_region: Option<Region>,
    pub kms: Option<HostTemplate>,
    pub oos: Option<HostTemplate>,
    pub allowed: Vec<Glob>,
}

impl Hosts {
    pub fn endpoints(&self, region: Region) -> Endpoints {
        let Self { public, sts, kms, oos, allowed, .. } = self;
        Endpoints {
            region,
            public: *public,
            sts: sts.clone(),
            kms: kms.clone(),
            oos: oos.clone(),
            allowed: allowed.clone(),
        }
    }
}

#[derive(Debug)]
pub struct MetadataOptions {
    pub host: String,
    pub role: Option<String>,
    pub without_token: bool,
}

/// The driver asks for every volume again about every 72 s (csi-contract: rotation); one answer in
/// five then comes from the cloud.
const DEFAULT_REFRESH: Duration = Duration::from_secs(300);
/// Twice as long as managed secrets are served from the cache with the default interval.
const DEFAULT_MAX_REFRESH: Duration = Duration::from_secs(3600);

/// Below the two minutes that kubelet gives a volume.
const LONGEST_MOUNT_SECONDS: u64 = 110;

impl Config {
    /// `environment` stands for the process's, so that a test can have its own.
    pub fn parse(
        flags: &Flags,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<String>> {
        let mut settings = Settings::new(flags, environment);
        let config = settings.config();
        let mistakes = settings.mistakes();
        if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
    }
}

impl Settings<'_> {
    fn config(&mut self) -> Config {
        let policy = self.policy();
        let audit = self.audit();
        let provider_volume: PathBuf = self
            .text("provider-volume", &[])
            .unwrap_or_else(|| "/var/run/secrets-store-csi-providers".to_owned())
            .into();
        let reach = self.reach(&provider_volume, &audit, &policy);
        let address =
            self.parsed("healthz-address", &[], |text| text.parse().ok(), "an IP address");
        let address = address.unwrap_or(Ipv6Addr::UNSPECIFIED.into());
        let port = self.parsed("healthz-port", &[], |text| text.parse().ok(), "a port");
        let path = self.parsed(
            "healthz-path",
            &[],
            |text| text.starts_with('/').then(|| text.to_owned()),
            "a path that starts with /",
        );
        let seconds = |most: u64| {
            move |text: &str| {
                let seconds = text.parse().ok().filter(|s| (1..=most).contains(s));
                seconds.map(Duration::from_secs)
            }
        };
        Config {
            provider_volume,
            admin: SocketAddr::new(address, port.unwrap_or(8989)),
            health_path: path.unwrap_or_else(|| "/healthz".to_owned()),
            region: self.parsed(
                "region",
                &["ALIBABA_CLOUD_REGION_ID"],
                Region::parse,
                "a region id such as cn-hangzhou",
            ),
            hosts: self.hosts(),
            trust: trust::Options {
                ca_pem: self.pem("ca-file"),
                kms_ca_pem: self.pem("kms-ca-file"),
                resolve: self.list("resolve", fixed_address, "HOST=IP or HOST=IP:PORT"),
            },
            metadata: self.metadata(),
            api_server: self.api_server(),
            kms_calls: self.count("max-concurrent-kms-secret-pulls", 1, 64),
            oos_calls: self.count("max-concurrent-oos-secret-pulls", 1, 16),
            mount_timeout: self
                .parsed(
                    "mount-timeout",
                    &[],
                    seconds(LONGEST_MOUNT_SECONDS),
                    "a number of seconds from 1 to 110",
                )
                .unwrap_or(Duration::from_secs(90)),
            freshness: self.freshness(),
            value_cache_bytes: self.count("value-cache-mib", 0, 16) << 20,
            outage_grace: self.outage_grace(),
            kms_batch: self
                .parsed("kms-batch", &[], auto_or_off, "auto or off")
                .unwrap_or_default(),
            audit,
            drain_timeout: self
                .parsed("drain-timeout", &[], seconds(600), "a number of seconds from 1 to 600")
                .unwrap_or(Duration::from_secs(25)),
            lock_memory: self.flag("lock-memory").unwrap_or_default(),
            sandbox: self
                .parsed("sandbox", &[], sandbox_wanted, "auto, require or off")
                .unwrap_or(sandbox::Wanted::Auto),
            reach,
            log_format: self
                .parsed("log-format", &[], log_format, "text or json")
                .unwrap_or(LogFormat::Text),
            log_level: self.text("log-level", &[]).unwrap_or_else(|| "info".to_owned()),
            policy,
        }
    }

    fn freshness(&mut self) -> Freshness {
        let default = self.interval("refresh-interval").unwrap_or(DEFAULT_REFRESH);
        let least = self.interval("min-refresh-interval").unwrap_or_default();
        let most = self.interval("max-refresh-interval");
        for (flag, other) in [("refresh-interval", default), ("min-refresh-interval", least)] {
            if most.is_some_and(|most| most < other) {
                self.wrong(format!("--max-refresh-interval is less than --{flag}"));
            }
        }
        let most = most.unwrap_or(DEFAULT_MAX_REFRESH.max(default).max(least));
        Freshness { default, least, most }
    }

    fn outage_grace(&mut self) -> Duration {
        let grace = self.interval("outage-grace").unwrap_or_default();
        if !grace.is_zero() && self.text("value-cache-mib", &[]).as_deref() == Some("0") {
            self.wrong("--outage-grace needs values in memory, and --value-cache-mib is 0");
        }
        grace
    }

    fn policy(&mut self) -> Policy {
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
                 list what it may choose"
                    .to_owned(),
            ),
            _ => {}
        }
        let lifetime = self.parsed(
            "role-session-expiration",
            &["ALICLOUD_ROLE_SESSION_EXPIRATION"],
            // What STS accepts (alibaba-cloud-api: DurationSeconds).
            |text| text.parse().ok().filter(|s| (900..=43_200).contains(s)),
            "a number of seconds from 900 to 43200",
        );
        let share = |text: &str| match text {
            "pod" => Some(Share::Pod),
            "service-account" => Some(Share::ServiceAccount),
            _ => None,
        };
        Policy {
            share: self.parsed("share", &[], share, "pod or service-account").unwrap_or(Share::Pod),
            default,
            allowed,
            cross_account_roles: self.list(
                "allowed-cross-account-roles",
                |text| text.starts_with("acs:ram::").then(|| Glob::new(text)),
                "patterns of role ARNs, such as acs:ram::123456789012:role/*",
            ),
            oidc_provider: self.oidc_provider(),
            role: self.parsed(
                "role-arn",
                &["ALICLOUD_ROLE_ARN", "ALIBABA_CLOUD_ROLE_ARN"],
                RoleArn::parse,
                &format!("of the form {}", RoleArn::FORM),
            ),
            token_file: self
                .text(
                    "oidc-token-file",
                    &["ALICLOUD_OIDC_TOKEN_FILE", "ALIBABA_CLOUD_OIDC_TOKEN_FILE"],
                )
                .map(PathBuf::from),
            keys: self.keys(),
            ecs_metadata: !self.is_true("ALIBABA_CLOUD_ECS_METADATA_DISABLED"),
            session_name: self.parsed(
                "role-session-name",
                &["ALICLOUD_ROLE_SESSION_NAME", "ALIBABA_CLOUD_ROLE_SESSION_NAME"],
                session_name,
                "2 to 64 characters of A-Z a-z 0-9 . @ - _",
            ),
            session_lifetime: Duration::from_secs(lifetime.unwrap_or(3600)),
        }
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
        let of_cluster = match (account, cluster) {
            (Some(account), Some(cluster)) => {
                let made = OidcProviderArn::of_cluster(&account, &cluster);
                if made.is_none() {
                    self.wrong(
                        "--account-id and --cluster-id do not make an OIDC provider's ARN: the \
                         account id is a number, the cluster id letters and digits"
                            .to_owned(),
                    );
                }
                made
            }
            _ => None,
        };
        match (&arn, &of_cluster) {
            (Some(arn), Some(made)) if arn != made => {
                self.wrong(
                    "--oidc-provider-arn is another provider than --account-id and --cluster-id \
                     name: keep one"
                        .to_owned(),
                );
                None
            }
            _ => arn.or(of_cluster),
        }
    }

    fn keys(&mut self) -> Option<Arc<Keys>> {
        let id = self.env(&["ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_ID"]);
        let secret = self.env(&["SECRET_ACCESS_KEY", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"]);
        let token = self.env(&["ALIBABA_CLOUD_SECURITY_TOKEN"]).map(Secret::new);
        match (id, secret.map(Secret::new)) {
            (Some(id), Some(secret)) => Some(Arc::new(Keys { id, secret, token })),
            (None, None) => None,
            (Some(_), None) => {
                self.wrong("ACCESS_KEY_ID is set, SECRET_ACCESS_KEY is not".to_owned());
                None
            }
            (None, Some(_)) => {
                self.wrong("SECRET_ACCESS_KEY is set, ACCESS_KEY_ID is not".to_owned());
                None
            }
        }
    }

    fn hosts(&mut self) -> Hosts {
        let host = "a host name or [IPV6-ADDRESS], with :PORT and {region} if needed, and without https://";
        let public = self.flag("public-endpoints").unwrap_or_else(|| {
            self.env(&["ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED"])
                .is_some_and(|text| text.eq_ignore_ascii_case("false"))
        });
        let sts_region = self.env(&["ALIBABA_CLOUD_STS_REGION"]);
        let sts_region = sts_region.and_then(|text| {
            let region = Region::parse(&text);
            if region.is_none() {
                self.wrong("ALIBABA_CLOUD_STS_REGION is not a region id".to_owned());
            }
            region
        });
        Hosts {
            public,
            sts: self.parsed(
                "sts-endpoint",
                &["ALIBABA_CLOUD_STS_ENDPOINT"],
                HostTemplate::parse,
                host,
            ),
            sts_region,
            kms: self.parsed("kms-endpoint", &[], HostTemplate::parse, host),
            oos: self.parsed("oos-endpoint", &[], HostTemplate::parse, host),
            allowed: self.list(
                "allowed-endpoints",
                |text| (!text.contains("://")).then(|| Glob::new(text)),
                "host names or patterns of them",
            ),
        }
    }

    fn interval(&mut self, flag: &str) -> Option<Duration> {
        self.parsed(flag, &[], parse_interval, "0, or such as 30s, 5m, 1h, up to 24h")
    }

    /// The files that are used after the start; the others have been read by then.
    fn reach(&mut self, volume: &Path, audit: &audit::Options, policy: &Policy) -> Reach {
        let folder = |path: &Path| path.parent().map(Path::to_owned);
        let mut write = vec![volume.to_owned()];
        if let Destination::File(path) = &audit.to {
            write.extend(folder(path));
        }
        // kubelet renews a token by changing what the folder around it leads to.
        let mut read = vec![PathBuf::from(ACCOUNT_DIR)];
        read.extend(policy.token_file.as_deref().and_then(folder));
        read.extend(self.env(&["SSL_CERT_FILE"]).map(PathBuf::from));
        // Several, as in PATH.
        let folders = self.env(&["SSL_CERT_DIR"]).unwrap_or_default();
        read.extend(std::env::split_paths(&folders).filter(|path| !path.as_os_str().is_empty()));
        Reach { write, read }
    }

    fn audit(&mut self) -> audit::Options {
        let to = self.parsed("audit", &[], destination, "off, stdout or a path that starts with /");
        let on_failure = self.parsed("audit-failure", &[], on_failure, "refuse or continue");
        audit::Options {
            to: to.unwrap_or(Destination::Off),
            most_bytes: (self.count("audit-max-mib", 1, 64) as u64) << 20,
            files: self.count("audit-files", 1, 8),
            key: self.file("audit-key-file", |path| audit::command::key(path.as_ref())),
            on_failure: on_failure.unwrap_or(OnFailure::Refuse),
            node: self.env(&["NODE_NAME"]).unwrap_or_default(),
        }
    }

    fn metadata(&mut self) -> MetadataOptions {
        MetadataOptions {
            host: url_host(&self.text("metadata-endpoint", &[]).unwrap_or(DEFAULT_HOST.to_owned())),
            role: self.parsed(
                "ecs-role-name",
                &["ALIBABA_CLOUD_ECS_METADATA"],
                |text| crate::error::identifier(text).map(str::to_owned),
                "a RAM role's name",
            ),
            without_token: !self.is_true("ALIBABA_CLOUD_IMDSV1_DISABLED"),
        }
    }

    fn api_server(&mut self) -> Option<ApiServer> {
        let on = self.flag("service-account-lookup").unwrap_or(true);
        let given = self.parsed(
            "kubernetes-api",
            &[],
            ApiServer::at,
            "http://HOST:PORT or https://HOST:PORT",
        );
        // Kubernetes sets both in every pod.
        let host = self.env(&["KUBERNETES_SERVICE_HOST"]);
        let port = self.env(&["KUBERNETES_SERVICE_PORT"]);
        let own = ApiServer::in_cluster(
            host.as_deref().unwrap_or("kubernetes.default.svc"),
            port.as_deref().unwrap_or("443"),
        );
        on.then(|| given.unwrap_or(own))
    }
}

fn sandbox_wanted(text: &str) -> Option<sandbox::Wanted> {
    match text {
        "auto" => Some(sandbox::Wanted::Auto),
        "require" => Some(sandbox::Wanted::Require),
        "off" => Some(sandbox::Wanted::Off),
        _ => None,
    }
}

fn auto_or_off(text: &str) -> Option<bool> {
    match text {
        "auto" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

fn fixed_address(text: &str) -> Option<(Glob, SocketAddr)> {
    let (host, address) = text.split_once('=')?;
    let ip = || match address.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(text) => text.parse().ok().map(IpAddr::V6),
        None => address.parse().ok(),
    };
    let address = address.parse().ok().or_else(|| Some(SocketAddr::new(ip()?, 0)))?;
    (!host.is_empty()).then(|| (Glob::new(host), address))
}

fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

fn destination(text: &str) -> Option<Destination> {
    match text {
        "off" => Some(Destination::Off),
        "stdout" => Some(Destination::Stdout),
        path => path.starts_with('/').then(|| Destination::File(path.into())),
    }
}

fn on_failure(text: &str) -> Option<OnFailure> {
    match text {
        "refuse" => Some(OnFailure::Refuse),
        "continue" => Some(OnFailure::Continue),
        _ => None,
    }
}

fn session_name(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".@-_".contains(c);
    ((2..=64).contains(&text.len()) && text.chars().all(plain)).then(|| text.to_owned())
}
