//! The running program: builds every part from the configuration and joins them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    admin::{Admin, AdminState, DebugAccess, Debugged, MetricsText},
    audit::Audit,
    cloud::{Cloud, trust::Clients},
    config::{Config, Engine, MetadataOptions, log_filter},
    credentials::{Sessions, metadata::Metadata},
    endpoint::{Endpoint, Service},
    events::Events,
    fetch::Fetcher,
    identity::kubernetes::ServiceAccounts,
    memory::Memory,
    mount::{Observers, Provider},
    names::Region,
    offload::Offload,
    readiness::Readiness,
    refresh_events::RefreshEvents,
    server::{self, Socket},
    spc::object_cache::ObjectCache,
    startup_taint::StartupTaint,
    telemetry::{Metrics, log::LogLevel},
    value_cache::ValueCache,
};

/// The name that `spec.provider` of a SecretProviderClass has.
const SOCKET: &str = "alibabacloud.sock";

/// How long a session or value that is over may stay in memory.
const SWEEP_EVERY: Duration = Duration::from_secs(15);

/// All that can fail at the start has succeeded, and nothing is served yet.
#[derive(Debug)]
pub struct App {
    provider: Arc<Provider>,
    readiness: Arc<Readiness>,
    socket: Socket,
    admin: Admin,
    health_path: String,
    serve_metrics: bool,
    debug: Option<DebugAccess>,
    log_level: Option<LogLevel>,
    drain: Duration,
    startup_taint: Option<StartupTaint>,
}

impl App {
    pub async fn bind(config: Config) -> Result<Self, String> {
        let admin = Admin::bind(config.admin).map_err(|error| error.to_string())?;
        let (provider, readiness) = provider(config.engine).await?;
        // Last: a start that fails leaves the socket to the process that has it.
        let socket = Socket::bind(&config.provider_volume, SOCKET).map_err(|e| e.to_string())?;
        Ok(Self {
            provider: Arc::new(provider),
            readiness,
            socket,
            admin,
            health_path: config.health_path,
            serve_metrics: config.serve_metrics,
            debug: config.debug,
            log_level: None,
            drain: config.drain_timeout,
            startup_taint: config.startup_taint,
        })
    }

    /// What the admin port changes when another level is asked for.
    pub fn with_log_level(self, log_level: Option<LogLevel>) -> Self {
        Self { log_level, ..self }
    }

    /// What the debug endpoints answer with.
    fn debugged(&self, access: DebugAccess) -> Debugged {
        let provider = self.provider.clone();
        let (read, changed) = (self.log_level.clone(), self.log_level.clone());
        Debugged {
            access,
            state: Arc::new(move || serde_json::to_string(&provider.state()).unwrap_or_default()),
            log_level: Arc::new(move || read.as_ref().map(LogLevel::text).unwrap_or_default()),
            set_log_level: Arc::new(move |text| {
                let level = changed.as_ref().ok_or("cannot be changed here")?;
                let filter = (!text.is_empty()).then(|| log_filter(text)).transpose()?;
                level.set(filter)
            }),
        }
    }

    pub fn admin_address(&self) -> std::io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// Serves until `shutdown`, then drains.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), String> {
        let metrics = self.provider.observers.metrics.clone();
        let debug = self.debug.map(|access| self.debugged(access));
        let state = AdminState {
            health_path: self.health_path,
            socket_path: Some(self.socket.path().to_owned()),
            readiness: self.readiness,
            draining: shutdown.clone(),
            metrics: self
                .serve_metrics
                .then(|| -> MetricsText { Arc::new(move || metrics.text()) }),
            debug,
        };
        let untaint = self.startup_taint.map(|taint| {
            let state = state.clone();
            let unready = move || {
                let state = state.clone();
                async move { state.unready().await }
            };
            AbortOnDropHandle::new(tokio::spawn(taint.remove(unready)))
        });
        // Probes are answered until the last mount has been.
        let drained = CancellationToken::new();
        let admin = tokio::spawn(self.admin.serve(state, drained.clone()));
        let sweep = sweep(self.provider.fetcher.clone());
        let audit = self.provider.observers.audit.clone();
        let served = server::serve(self.socket, self.provider, shutdown, self.drain).await;
        drop((sweep, untaint));
        audit.end().await;
        drained.cancel();
        let _ = admin.await;
        served.map_err(|error| error.to_string())
    }
}

/// What serves mounts, whoever asks for them, and what tells whether it can.
pub async fn provider(engine: Engine) -> Result<(Provider, Arc<Readiness>), String> {
    let MetadataOptions { host, role, without_token } = engine.metadata;
    let metadata = Metadata::new(&host, role, without_token)?;
    let region = match engine.region {
        Some(region) => region,
        None => ask_region(&metadata).await?,
    };
    let metrics = Arc::new(Metrics::new());
    let endpoints = engine.hosts.endpoints(region);
    let region = &endpoints.region;
    let sts_region = engine.hosts.sts_region.as_ref().unwrap_or(region);
    let sts = endpoints.of(Service::Sts, sts_region);
    let kms = endpoints.of(Service::Kms, region);
    let oos = endpoints.of(Service::Oos, region);
    if let Some(proxy) = &engine.trust.proxy {
        let hosts = [&sts, &kms, &oos].into_iter().filter(|host| engine.trust.is_proxied(host));
        log_proxy(proxy.address(), &hosts.map(Endpoint::host).collect::<Vec<_>>());
    }
    let clients = Clients::new(engine.trust)?;
    let watched = [
        (&sts, "STS does not answer"),
        (&kms, "KMS does not answer"),
        (&oos, "OOS does not answer"),
    ];
    let watched = watched.map(|(endpoint, what)| (endpoint.host().to_owned(), what));
    let readiness = Arc::new(Readiness::new(watched.into()));
    let cloud = Cloud::new(clients, metrics.clone(), engine.kms_calls, engine.oos_calls)
        .with_readiness(readiness.clone());
    let cloud = Arc::new(match engine.agent {
        Some(agent) => cloud.with_agent(agent),
        None => cloud,
    });
    let warmed = cloud.clone();
    tokio::task::spawn_blocking(move || warmed.warm());
    let allowed: Vec<_> = engine.policy.allowed.iter().map(|mode| mode.name()).collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        %region,
        %sts,
        %kms,
        %oos,
        allowed_identities = allowed.join(","),
        default_identity = %engine.policy.default,
        oidc_provider = engine.policy.oidc_provider.as_ref().map_or("none", |arn| arn.as_str()),
        "starting"
    );
    let sessions = Sessions::new(cloud.clone(), sts, metadata, metrics.clone());
    let values = ValueCache::new(engine.value_cache_bytes, metrics.clone())?;
    let values = values.with_stale(engine.outage_grace, engine.stale_while_throttled);
    let values = Arc::new(values.with_most(engine.freshness.most));
    let provider = Provider {
        endpoints,
        objects: ObjectCache::default(),
        offload: Offload::default(),
        memory: Memory::default(),
        policy: engine.policy,
        service_accounts: ServiceAccounts::new(engine.api_server),
        fetcher: Arc::new(Fetcher::new(cloud, sessions, values, engine.kms_batch)),
        freshness: engine.freshness,
        observers: Observers {
            audit: Audit::start(engine.audit, metrics.clone())?,
            events: Events::default(),
            refresh_events: engine
                .events
                .map(|options| RefreshEvents::start(options, metrics.clone())),
            metrics,
        },
        limit: engine.mount_timeout,
    };
    Ok((provider, readiness))
}

/// Wipes what is over, for as long as its handle is kept.
pub fn sweep(fetcher: Arc<Fetcher>) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut ticks = tokio::time::interval(SWEEP_EVERY);
        loop {
            ticks.tick().await;
            fetcher.sweep();
        }
    }))
}

/// Operators who see a call fail at a proxy, or none come there, look here.
fn log_proxy(proxy: &str, hosts: &[&str]) {
    if hosts.is_empty() {
        tracing::warn!(
            proxy,
            "no host of STS, KMS or OOS is called through the proxy: those inside the VPC are called directly \
             unless --proxy-vpc-endpoints is set, and --no-proxy and --resolve name others"
        );
    } else {
        tracing::info!(proxy, hosts = hosts.join(","), "called through the proxy");
    }
}

async fn ask_region(metadata: &Metadata) -> Result<Region, String> {
    let asked = metadata.region().await;
    let region = asked.map_err(|error| {
        format!(
            "no --region is given, and the instance cannot be asked for its own: {}; set --region",
            error.message
        )
    })?;
    Region::parse(&region).ok_or_else(|| {
        "no --region is given, and the instance's own is not a region id; set --region".to_owned()
    })
}
