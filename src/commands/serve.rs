//! `serve`: what the program is for. From the flags to the end of the drain.

use std::{io::Write, process::ExitCode};

use rustix::{
    mm::{MlockAllFlags, mlockall},
    process::{Resource, getrlimit},
    thread::{CapabilitySet, capabilities},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::Targets;

use super::USAGE;
use crate::{
    app::App,
    config::{self, Config, flags::Flags},
    sandbox::{self, SandboxMode},
    telemetry::log::{self, LogFormat, LogLevel},
};

pub fn run(flags: &Flags) -> ExitCode {
    let config = match configure(flags) {
        Ok(config) => config,
        Err(status) => return status,
    };
    let changeable = config.debug.is_some();
    let level = match log::start(config.log_format, config.log_filter.clone(), changeable) {
        Ok(level) => level,
        Err(what) => return fail(&what),
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if config.lock_memory
        && let Err(why) = lock_memory()
    {
        return fail(&format!("--lock-memory: {why}"));
    }
    // The runtime's threads start within it.
    if let Err(gaps) = enter_sandbox(&config) {
        return fail(&gaps);
    }
    // One thread serves: a mount that is passed from thread to thread wakes the machine up for each
    // of its steps. What takes more than a moment is done beside it.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no threads to run on: {error}")),
    };
    let served = runtime.block_on(serve(config, level));
    // What is still under way beside the runtime's thread is nothing to wait for any more.
    runtime.shutdown_background();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// The copy of the environment, which can hold access keys, ends here.
fn configure(flags: &Flags) -> Result<Config, ExitCode> {
    let environment: Vec<(String, String)> = std::env::vars_os()
        .map(|(name, text)| (name.to_string_lossy().into(), text.to_string_lossy().into()))
        .collect();
    Config::parse(flags, &environment)
        .map_err(|mistakes| refuse(&mistakes, config::log_format(flags, &environment)))
}

async fn serve(config: Config, level: Option<LogLevel>) -> Result<(), String> {
    let shutdown = CancellationToken::new();
    let drain = config.drain_timeout.as_secs();
    let unheard = |error| format!("signals cannot be heard: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
    let mut signalled = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let first = shutdown.clone();
    let second = async move {
        signalled().await;
        tracing::info!(
            "draining: mounts in flight have up to {drain} s; a second signal ends them at once"
        );
        first.cancel();
        signalled().await;
    };
    let serving = async {
        let bound = tokio::select! {
            bound = App::bind(config) => bound?,
            () = shutdown.cancelled() => return Ok(()),
        };
        bound.with_log_level(level).serve(shutdown.clone()).await
    };
    tokio::select! {
        served = serving => served,
        () = second => Err("a second signal came before the drain was over: mounts in flight were \
                            cut off; kubelet repeats them".to_owned()),
    }
}

/// With the right to lock a part alone, what comes later would be refused in the middle of a mount.
fn lock_memory() -> Result<(), String> {
    let all = getrlimit(Resource::Memlock).current.is_none()
        || capabilities(None).is_ok_and(|held| held.effective.contains(CapabilitySet::IPC_LOCK));
    if !all {
        return Err("it needs the capability IPC_LOCK, or no limit on locked memory".to_owned());
    }
    let now_and_later = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    mlockall(now_and_later).map_err(|error| error.to_string())
}

fn enter_sandbox(config: &Config) -> Result<(), String> {
    if config.sandbox == SandboxMode::Off {
        tracing::warn!("the sandbox is off");
        return Ok(());
    }
    let report = sandbox::enter(&config.reach);
    tracing::info!(
        no_new_privileges = %report.no_new_privileges,
        files = %report.files,
        system_calls = %report.system_calls,
        "sandbox"
    );
    report.suffices(config.sandbox)
}

fn refuse(mistakes: &[String], format: LogFormat) -> ExitCode {
    match format {
        LogFormat::Text => {
            let mut text = String::from("The configuration is wrong:\n");
            for mistake in mistakes {
                text.push_str(&format!("  - {mistake}\n"));
            }
            text.push_str("See --help.\n");
            let _ = std::io::stderr().write_all(text.as_bytes());
        }
        LogFormat::Json => {
            let _ = log::start(format, Targets::new(), false);
            log::fatal(&format!("the configuration is wrong: {}; see --help", mistakes.join("; ")));
        }
    }
    ExitCode::from(USAGE)
}

fn fail(error: &str) -> ExitCode {
    log::fatal(error);
    ExitCode::FAILURE
}
