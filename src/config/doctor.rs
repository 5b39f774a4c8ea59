//! Flags of `doctor`: those of serving, so that a set-up can be looked at as the provider has it. Mistakes do
//! not end it: they are what it is asked for.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::{Arg, ArgMatches};
use tracing_subscriber::filter::Targets;

use super::{
    Engine,
    flags::{self, Flags, argument, flags},
    log::log_filter,
    settings::Settings,
};
use crate::telemetry::log::LogFormat;

/// What is looked at, and how.
#[derive(Debug)]
pub(crate) struct Doctor {
    pub(crate) engine: Engine,
    pub(crate) provider_volume: PathBuf,
    pub(crate) admin: SocketAddr,
    pub(crate) log_format: LogFormat,
    /// Of `--log-level` of this command; off without it.
    pub(crate) log_filter: Targets,
    /// Whether the API server is that of this pod's cluster.
    pub(crate) in_cluster: bool,
    pub(crate) mistakes: Vec<String>,
    pub(crate) warnings: Vec<String>,
    /// Flag, text and what gave it; passwords are left out.
    pub(crate) given: Vec<(String, String, String)>,
}

/// Taken, and reported in one sentence.
pub(crate) fn arguments() -> impl Iterator<Item = Arg> {
    flags().map(|flag| argument(flag).hide(true))
}

/// `running`: the arguments of a provider whose flags hold where this command has none.
pub(crate) fn parse(
    matches: &ArgMatches,
    running: Option<Vec<String>>,
    environment: &[(String, String)],
) -> Doctor {
    let mut given = Flags::of(matches);
    let log_filter = given.get("log-level").map(log_filter).transpose();
    // Those of this command come first, and so win.
    let running = running.and_then(|all| flags::command().try_get_matches_from(all).ok());
    if let Some(matches) = running {
        given.0.extend(Flags::of(&matches).0);
    }
    let mut settings = Settings::new(&given, environment);
    let mut doctor = settings.doctor();
    settings.unread(flags::names());
    doctor.warnings = settings.take_warnings();
    let resolved = std::mem::take(&mut settings.resolved).into_iter();
    doctor.given = resolved.map(|(flag, (from, text))| (flag, text, from)).collect();
    doctor.mistakes = settings.mistakes();
    match log_filter {
        Ok(filter) => doctor.log_filter = filter.unwrap_or_default(),
        Err(what) => doctor.mistakes.push(format!("--log-level: {what}")),
    }
    doctor
}

impl Settings<'_> {
    fn doctor(&mut self) -> Doctor {
        self.preset();
        let (policy, sound) = self.policy();
        if sound {
            self.check_default(&policy);
        }
        let off = self.service_account_lookup().then_some("--service-account-lookup=false");
        let api_server = self.api_server(off).map(Arc::new);
        let in_cluster = api_server.is_some() && !self.is_given("kubernetes-api");
        let before = self.take_warnings();
        let provider_volume = self.provider_volume();
        // That it would be created: nobody creates it here.
        self.take_warnings();
        before.into_iter().for_each(|warning| self.warn(warning));
        let engine = self.engine(policy, api_server);
        let _ = self.reach(&engine.audit, &engine.policy);
        let _ = (self.health_path(), self.serve_metrics(), self.debug(), self.drain_timeout());
        let _ = (self.sandbox(), self.flag("lock-memory"), self.startup_taint());
        Doctor {
            engine,
            provider_volume,
            admin: self.admin(),
            log_format: self.log_format(),
            log_filter: Targets::new(),
            in_cluster,
            mistakes: Vec::new(),
            warnings: Vec::new(),
            given: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::flags::command;

    fn parsed(own: &[&str], running: &[&str]) -> Doctor {
        let matches = command().get_matches_from([&["doctor"], own].concat());
        let running = running.iter().map(|text| (*text).to_owned()).collect();
        parse(&matches, Some(running), &[])
    }

    #[test]
    fn flags_of_the_running_provider_hold_where_none_is_given() {
        let running = ["provider", "--region=cn-beijing", "--kms-batch=auto", "--log-level=trace"];
        let doctor = parsed(&["--region=cn-hangzhou"], &running);
        assert_eq!(doctor.engine.region.unwrap().as_str(), "cn-hangzhou");
        assert!(doctor.engine.kms_batch);
        // Its logs would drown the report.
        assert_eq!(doctor.log_filter, Targets::new());
    }

    #[test]
    fn password_of_a_proxy_is_not_among_what_is_given() {
        let doctor = parsed(&["--https-proxy=http://user:planted-password@proxy:3128"], &[]);
        let given = format!("{:?}", doctor.given);
        assert!(given.contains("https-proxy") && !given.contains("planted"), "{given}");
    }

    #[test]
    fn all_mistakes_are_told_and_the_rest_is_still_there() {
        let doctor = parsed(&["--region=nowhere", "--kms-endpoint=http://x"], &["mount", "--x"]);
        let told = doctor.mistakes.join("\n");
        assert!(told.contains("--region") && told.contains("--kms-endpoint"), "{told}");
        assert_eq!(doctor.engine.kms_calls, 64);
    }
}
