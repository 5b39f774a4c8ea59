//! Flags and environment become a `Config`. Everything is parsed, every mistake is reported, and
//! only then is anything refused.

mod audit;
mod cache;
mod cloud;
pub(crate) mod doctor;
mod driver;
mod environment;
mod flag;
pub mod flags;
mod identity;
mod log;
mod operation;
mod preset;
pub(crate) mod preview;
mod settings;
pub mod sidecar;
mod startup_taint;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use hyper::header::HeaderValue;
use tracing_subscriber::filter::Targets;

use crate::{
    admin::DebugAccess,
    audit as record,
    cloud::trust,
    freshness::Freshness,
    identity::api_server::{ACCOUNT_DIR, ApiServer},
    names::Region,
    policy::Policy,
    refresh_events,
    sandbox::{self, AllowedPaths},
    startup_taint::StartupTaint,
    telemetry::log::LogFormat,
};
pub use cloud::{Hosts, MetadataOptions};
use flags::Flags;
pub(crate) use identity::namespace_rules;
pub use log::log_filter;
use settings::Settings;

/// Of a provider that the driver calls.
#[derive(Debug)]
pub struct Config {
    pub engine: Engine,
    pub process: Process,
    pub provider_volume: PathBuf,
    pub admin: SocketAddr,
    pub health_path: String,
    /// Whether `/metrics` is served beside it.
    pub serve_metrics: bool,
    /// Who is served `/debug` beside it; `None`: nobody.
    pub debug: Option<DebugAccess>,
    pub drain_timeout: Duration,
    /// What is removed from the node once mounts can be served, if anything is.
    pub startup_taint: Option<StartupTaint>,
}

/// What mounts need, whoever asks for them.
#[derive(Debug)]
pub struct Engine {
    /// `None`: ask the instance metadata.
    pub region: Option<Region>,
    pub hosts: Hosts,
    pub trust: trust::Options,
    pub policy: Policy,
    pub metadata: MetadataOptions,
    /// Where ServiceAccounts are looked up, unless nobody wants that.
    pub api_server: Option<Arc<ApiServer>>,
    /// Events about refreshes that keep failing, where the operator wants them.
    pub events: Option<refresh_events::Options>,
    pub kms_calls: usize,
    pub oos_calls: usize,
    /// What calls to the cloud say of who sends them, if the operator has words of his own for it.
    pub agent: Option<HeaderValue>,
    pub mount_timeout: Duration,
    pub freshness: Freshness,
    pub value_cache_bytes: usize,
    /// How old a value may be to be served stale while the cloud does not answer; zero for never.
    pub outage_grace: Duration,
    pub stale_while_throttled: Duration,
    /// Try to read several secrets with one call.
    pub kms_batch: bool,
    pub audit: record::Options,
}

/// What the process is started with.
#[derive(Debug)]
pub struct Process {
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

impl Config {
    /// `environment` stands for the process's, so that a test can have its own.
    pub fn parse(flags: &Flags, environment: &[(String, String)]) -> Result<Self, Vec<String>> {
        let mut settings = Settings::new(flags, environment);
        let mut config = settings.config();
        settings.unread(flags::names());
        config.process.warnings = settings.take_warnings();
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
        self.preset();
        let (policy, sound) = self.policy();
        // What is given and wrong has been said, and is not missing.
        if sound {
            self.check_default(&policy);
        }
        let lookup = self.service_account_lookup();
        let taint = self.startup_taint();
        let off = match (lookup, &taint) {
            (true, _) => Some("--service-account-lookup=false"),
            (false, Some(_)) => Some("leave --remove-startup-taint out"),
            (false, None) => None,
        };
        let api_server = self.api_server(off).map(Arc::new);
        self.check_own_token(&policy, lookup, taint.is_some());
        let provider_volume = self.provider_volume();
        let mut engine = self.engine(policy, api_server.clone().filter(|_| lookup));
        engine.events = self.events();
        let mut reach = self.reach(&engine.audit, &engine.policy);
        reach.write.insert(0, provider_volume.clone());
        reach.read.insert(0, ACCOUNT_DIR.into());
        Config {
            process: self.process(reach),
            engine,
            provider_volume,
            admin: self.admin(),
            health_path: self.health_path(),
            serve_metrics: self.serve_metrics(),
            debug: self.debug(),
            drain_timeout: self.drain_timeout(),
            startup_taint: api_server
                .zip(taint)
                .map(|(api, wanted)| StartupTaint::new(api, wanted.node, wanted.key)),
        }
    }

    fn engine(&mut self, policy: Policy, api_server: Option<Arc<ApiServer>>) -> Engine {
        let audit = self.audit();
        let freshness = self.freshness();
        Engine {
            mount_timeout: self.mount_timeout(),
            api_server,
            events: None,
            region: self.region(&policy),
            hosts: self.hosts(),
            trust: self.trust(),
            metadata: self.metadata(),
            kms_calls: self.kms_calls(),
            oos_calls: self.oos_calls(),
            agent: self.agent(),
            kms_batch: self.kms_batch(),
            freshness,
            value_cache_bytes: self.value_cache_bytes(),
            outage_grace: self.outage_grace(),
            stale_while_throttled: self.stale_while_throttled(freshness),
            audit,
            policy,
        }
    }

    fn process(&mut self, reach: AllowedPaths) -> Process {
        Process {
            lock_memory: self.flag("lock-memory").unwrap_or_default(),
            sandbox: self.sandbox(),
            reach,
            log_format: self.log_format(),
            log_filter: self.log_filter(),
            warnings: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
