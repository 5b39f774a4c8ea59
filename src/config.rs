//! Flags and environment become a `Config`. Everything is parsed, every mistake is reported, and
//! only then is anything refused.

mod audit;
mod environment;
pub mod flags;
mod identity;
mod log;
mod settings;

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use tracing_subscriber::filter::Targets;

use crate::{
    admin::DebugAccess,
    audit::{self as record, Destination},
    cloud::trust,
    credentials::metadata::DEFAULT_HOST,
    endpoint::{Endpoints, HostTemplate, is_authority},
    identity::api_server::{ACCOUNT_DIR, ApiServer},
    names::{Glob, Region, url_host},
    policy::Policy,
    sandbox::{self, AllowedPaths},
    spc::parse_interval,
    telemetry::log::LogFormat,
    text::quoted,
    value_cache::Freshness,
};
use flags::Flags;
pub use log::log_filter;
use settings::Settings;

#[derive(Debug)]
pub struct Config {
    pub provider_volume: PathBuf,
    pub admin: SocketAddr,
    pub health_path: String,
    /// Whether `/metrics` is served beside it.
    pub serve_metrics: bool,
    /// Who is served `/debug` beside it; `None`: nobody.
    pub debug: Option<DebugAccess>,
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
    /// How old a value may be to be served stale while the cloud does not answer; zero for never.
    pub outage_grace: Duration,
    pub stale_while_throttled: Duration,
    /// Try to read several secrets with one call.
    pub kms_batch: bool,
    pub audit: record::Options,
    pub drain_timeout: Duration,
    /// Nothing of the process may be swapped to a disk.
    pub lock_memory: bool,
    pub sandbox: sandbox::SandboxMode,
    /// What `sandbox` leaves.
    pub reach: AllowedPaths,
    pub log_format: LogFormat,
    pub log_filter: Targets,
    /// What the operator hardly wants, though the process can serve.
    pub warnings: Vec<String>,
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
const DEFAULT_STALE_WHILE_THROTTLED: Duration = Duration::from_secs(3600);

/// Below the two minutes that kubelet gives a volume.
const LONGEST_MOUNT_SECONDS: u64 = 110;

impl Config {
    /// `environment` stands for the process's, so that a test can have its own.
    pub fn parse(flags: &Flags, environment: &[(String, String)]) -> Result<Self, Vec<String>> {
        let mut settings = Settings::new(flags, environment);
        let mut config = settings.config();
        settings.unread();
        config.warnings = settings.take_warnings();
        let mistakes = settings.mistakes();
        if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
    }
}

/// How to say what else is wrong with the configuration.
pub fn log_format(flags: &Flags, environment: &[(String, String)]) -> LogFormat {
    Settings::new(flags, environment).log_format()
}

impl Settings<'_> {
    fn config(&mut self) -> Config {
        let policy = self.policy();
        let audit = self.audit();
        let provider_volume = self
            .checked("provider-volume", &[], provider_volume)
            .unwrap_or_else(|| "/var/run/secrets-store-csi-providers".into());
        if !provider_volume.exists() {
            self.warn(format!(
                "--provider-volume: there is no folder {}, and it is created: the driver finds the \
                 provider only if this is its own directory for providers, mounted from the host",
                provider_volume.display()
            ));
        }
        let reach = self.reach(&provider_volume, &audit, &policy);
        let address =
            self.parsed("healthz-address", &[], |text| text.parse().ok(), "an IP address");
        let address = address.unwrap_or(Ipv6Addr::UNSPECIFIED.into());
        let port = self.parsed("healthz-port", &[], |text| text.parse().ok(), "a port");
        let path = self.parsed(
            "healthz-path",
            &[],
            health_path,
            "a path such as /healthz, of letters, digits and / . _ ~ -, and neither /readyz nor \
             /metrics, which are served beside it",
        );
        let seconds = |most: u64| {
            move |text: &str| {
                let seconds = text.parse().ok().filter(|s| (1..=most).contains(s));
                seconds.map(Duration::from_secs)
            }
        };
        let freshness = self.freshness();
        Config {
            provider_volume,
            admin: SocketAddr::new(address, port.unwrap_or(8989)),
            health_path: path.unwrap_or_else(|| "/healthz".to_owned()),
            serve_metrics: self.flag("metrics").unwrap_or(true),
            debug: self
                .parsed("debug-endpoints", &[], debug_access, "off, loopback or all")
                .unwrap_or_default(),
            region: self.region(&policy),
            hosts: self.hosts(),
            trust: trust::Options {
                ca_pem: self.pem("ca-file"),
                kms_ca_pem: self.pem("kms-ca-file"),
                resolve: self.list("resolve", fixed_address, "HOST=IP or HOST=IP:PORT"),
            },
            metadata: self.metadata(),
            api_server: self.api_server(&policy),
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
            freshness,
            value_cache_bytes: self.count("value-cache-mib", 0, 16) << 20,
            outage_grace: self.outage_grace(),
            stale_while_throttled: self.stale_while_throttled(freshness),
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
                .unwrap_or(sandbox::SandboxMode::Auto),
            reach,
            log_format: self.log_format(),
            log_filter: self.log_filter(),
            warnings: Vec::new(),
            policy,
        }
    }

    fn region(&mut self, policy: &Policy) -> Option<Region> {
        let before = self.count_mistakes();
        let region = self.parsed(
            "region",
            &["ALIBABA_CLOUD_REGION_ID"],
            Region::parse,
            "a region id such as cn-hangzhou",
        );
        if region.is_none() && self.count_mistakes() == before && !policy.ecs_metadata {
            self.wrong(
                "no --region is given, and ALIBABA_CLOUD_ECS_METADATA_DISABLED turns off the \
                 instance metadata, which would be asked for it: set --region",
            );
        }
        region
    }

    fn freshness(&mut self) -> Freshness {
        let default = self.interval("refresh-interval");
        // A mistake in it is reported by itself.
        let comparable = default.is_some() || !self.is_given("refresh-interval");
        let default = default.unwrap_or(DEFAULT_REFRESH);
        let least = self.interval("min-refresh-interval").unwrap_or_default();
        let most = self.interval("max-refresh-interval");
        for (flag, other) in [("refresh-interval", default), ("min-refresh-interval", least)] {
            if comparable && most.is_some_and(|most| most < other) {
                let most = self.with_value("max-refresh-interval", "");
                let other = self.with_value(flag, "5m, the default");
                self.wrong(format!("{most} is less than {other}: lower that too, or raise this"));
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

    fn stale_while_throttled(&mut self, freshness: Freshness) -> Duration {
        let default = DEFAULT_STALE_WHILE_THROTTLED.min(freshness.most);
        self.interval("stale-while-throttled").unwrap_or(default)
    }

    fn hosts(&mut self) -> Hosts {
        let host = "a host name or [IPV6-ADDRESS], with :PORT and {region} if needed, and without https://";
        let inside = self.env_bool("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED").unwrap_or(true);
        let public = self.flag("public-endpoints").unwrap_or(!inside);
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
        self.parsed(
            flag,
            &[],
            parse_interval,
            "0, or one number with s, m or h, such as 30s, 5m, 1h, up to 24h",
        )
    }

    /// The files that are used after the start; the others have been read by then.
    fn reach(&mut self, volume: &Path, audit: &record::Options, policy: &Policy) -> AllowedPaths {
        let folder = |path: &Path| path.parent().map(Path::to_owned);
        let mut write = vec![volume.to_owned()];
        if let Destination::File(path) = &audit.to {
            write.extend(folder(path));
        }
        // kubelet renews a token by changing what the folder around it leads to.
        let mut read = vec![PathBuf::from(ACCOUNT_DIR)];
        read.extend(policy.token_file.as_deref().and_then(folder));
        self.system_certificates();
        read.extend(self.env(&["SSL_CERT_FILE"]).map(PathBuf::from));
        // Several, as in PATH.
        let folders = self.env(&["SSL_CERT_DIR"]).unwrap_or_default();
        read.extend(std::env::split_paths(&folders).filter(|path| !path.as_os_str().is_empty()));
        AllowedPaths { write, read }
    }

    fn metadata(&mut self) -> MetadataOptions {
        MetadataOptions {
            host: self
                .parsed("metadata-endpoint", &[], authority, "HOST or HOST:PORT, without http://")
                .unwrap_or_else(|| DEFAULT_HOST.to_owned()),
            role: self.parsed(
                "ecs-role-name",
                &["ALIBABA_CLOUD_ECS_METADATA"],
                |text| crate::text::identifier(text).map(str::to_owned),
                "a RAM role's name",
            ),
            without_token: !self.env_bool("ALIBABA_CLOUD_IMDSV1_DISABLED").unwrap_or(false),
        }
    }
}

fn provider_volume(text: &str) -> Result<PathBuf, String> {
    let folder = Path::new(text);
    if !folder.is_absolute() {
        return Err(format!("{} is not a path that starts with /", quoted(text)));
    }
    if folder.exists() && !folder.is_dir() {
        return Err(format!("{text} is not a folder"));
    }
    Ok(folder.to_owned())
}

/// It is compared with what a request names, which no prober encodes then; the other two paths would
/// hide it.
fn health_path(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._~-".contains(&b);
    let free = !matches!(text, "/readyz" | "/metrics");
    (free && text.starts_with('/') && text.bytes().all(plain)).then(|| text.to_owned())
}

fn authority(text: &str) -> Option<String> {
    let host = url_host(text);
    is_authority(&host).then_some(host)
}

fn sandbox_wanted(text: &str) -> Option<sandbox::SandboxMode> {
    match text {
        "auto" => Some(sandbox::SandboxMode::Auto),
        "require" => Some(sandbox::SandboxMode::Require),
        "off" => Some(sandbox::SandboxMode::Off),
        _ => None,
    }
}

fn debug_access(text: &str) -> Option<Option<DebugAccess>> {
    match text {
        "off" => Some(None),
        "loopback" => Some(Some(DebugAccess::Loopback)),
        "all" => Some(Some(DebugAccess::All)),
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

#[cfg(test)]
mod tests;
