//! Operation: the admin port, the drain, what the process gives up.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    flag::{Flag, OPERATION, flag},
    settings::Settings,
};
use crate::{
    admin::DebugAccess,
    audit::{self as record, Destination},
    policy::Policy,
    refresh_events,
    sandbox::{self, AllowedPaths},
    spc::parse_interval,
};

pub(super) const FLAGS: &[Flag] = &[
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
        "Path of the liveness probe; /readyz, /metrics and /debug/ are taken [default: /healthz]",
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
         at that port: off, loopback (kubectl port-forward), or all, which is anyone who can reach it \
         [default: off]",
    ),
    flag(
        OPERATION,
        "events",
        "INTERVAL|off",
        "Write a Warning Event for a pod whose refresh has been failing for so long, such as 5m, which the driver \
         keeps to itself; needs the right to create events of events.k8s.io in every namespace [default: off]",
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
];

/// What a drain may take where nothing is set: below the 30 s of a pod that ends.
const DEFAULT_DRAIN: Duration = Duration::from_secs(25);

impl Settings<'_> {
    pub(super) fn admin(&mut self) -> SocketAddr {
        let address =
            self.parsed("healthz-address", &[], |text| text.parse().ok(), "an IP address");
        let address: IpAddr = address.unwrap_or(Ipv6Addr::UNSPECIFIED.into());
        let port = self.parsed("healthz-port", &[], |text| text.parse().ok(), "a port");
        SocketAddr::new(address, port.unwrap_or(8989))
    }

    pub(super) fn health_path(&mut self) -> String {
        let path = self.parsed(
            "healthz-path",
            &[],
            health_path,
            "a path such as /healthz, of letters, digits and / . _ ~ -, and neither /readyz nor \
             /metrics nor below /debug/, which are served beside it",
        );
        path.unwrap_or_else(|| "/healthz".to_owned())
    }

    pub(super) fn serve_metrics(&mut self) -> bool {
        self.flag("metrics").unwrap_or(true)
    }

    pub(super) fn debug(&mut self) -> Option<DebugAccess> {
        self.parsed("debug-endpoints", &[], debug_access, "off, loopback or all")
            .unwrap_or_default()
    }

    /// Events about refreshes that keep failing.
    pub(super) fn events(&mut self) -> Option<refresh_events::Options> {
        let form = "off, or one number with s, m or h, such as 5m, up to 24h";
        let after = self.parsed("events", &[], events_after, form).flatten()?;
        // A mistake in it is reported where ServiceAccounts are looked up.
        let Some(api) = self.cluster() else {
            self.wrong(
                "--events needs the Kubernetes API: set --kubernetes-api, or run it where \
                 KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are a host and a port",
            );
            return None;
        };
        let node = self.env(&["NODE_NAME"]).unwrap_or_default();
        Some(refresh_events::Options { api, after, node })
    }

    pub(super) fn drain_timeout(&mut self) -> Duration {
        let rule = "a number of seconds from 1 to 600";
        self.seconds("drain-timeout", 600, rule).unwrap_or(DEFAULT_DRAIN)
    }

    pub(super) fn sandbox(&mut self) -> sandbox::SandboxMode {
        self.parsed("sandbox", &[], sandbox_wanted, "auto, require or off")
            .unwrap_or(sandbox::SandboxMode::Auto)
    }

    /// The files that are used after the start, whoever asks for mounts; the others have been read by then.
    pub(super) fn reach(&mut self, audit: &record::Options, policy: &Policy) -> AllowedPaths {
        let folder = |path: &Path| path.parent().map(Path::to_owned);
        let mut write = Vec::new();
        if let Destination::File(path) = &audit.to {
            write.extend(folder(path));
        }
        // kubelet renews a token by changing what the folder around it leads to.
        let mut read: Vec<PathBuf> = Vec::new();
        read.extend(policy.token_file.as_deref().and_then(folder));
        self.system_certificates();
        read.extend(self.env(&["SSL_CERT_FILE"]).map(PathBuf::from));
        // Several, as in PATH.
        let folders = self.env(&["SSL_CERT_DIR"]).unwrap_or_default();
        read.extend(std::env::split_paths(&folders).filter(|path| !path.as_os_str().is_empty()));
        AllowedPaths { write, read, ..AllowedPaths::default() }
    }
}

/// It is compared with what a request names, which no prober encodes then; the other two paths would
/// hide it.
fn health_path(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._~-".contains(&b);
    let free = !matches!(text, "/readyz" | "/metrics") && !text.starts_with("/debug/");
    (free && text.starts_with('/') && text.bytes().all(plain)).then(|| text.to_owned())
}

fn events_after(text: &str) -> Option<Option<Duration>> {
    match text {
        "off" => Some(None),
        text => parse_interval(text).filter(|after| !after.is_zero()).map(Some),
    }
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
