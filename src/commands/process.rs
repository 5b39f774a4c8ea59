//! Process: what every command that runs on begins with: its environment, logs, locked memory, the sandbox.

use std::{io::Write, process::ExitCode};

use rustix::{
    mm::{MlockAllFlags, mlockall},
    process::{Resource, getrlimit},
    thread::{CapabilitySet, capabilities},
};
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::filter::Targets;

use super::USAGE;
use crate::{
    config::Process,
    sandbox::{self, SandboxMode},
    telemetry::log::{self, LogFormat, LogLevel},
};

/// A copy, which can hold access keys: for a short time.
pub(super) fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .map(|(name, text)| (name.to_string_lossy().into(), text.to_string_lossy().into()))
        .collect()
}

/// To be called before there are threads: they start within the sandbox.
pub(super) fn start(process: &Process, changeable: bool) -> Result<Option<LogLevel>, String> {
    let level = log::start(process.log_format, process.log_filter.clone(), changeable)?;
    for warning in &process.warnings {
        tracing::warn!("{warning}");
    }
    if process.lock_memory {
        lock_memory().map_err(|why| format!("--lock-memory: {why}"))?;
    }
    enter_sandbox(process)?;
    Ok(level)
}

/// One thread serves: a mount that is passed from thread to thread wakes the machine up for each of its
/// steps. What takes more than a moment is done beside it.
pub(super) fn runtime() -> Result<Runtime, String> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.map_err(|error| format!("no threads to run on: {error}"))
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

fn enter_sandbox(process: &Process) -> Result<(), String> {
    if process.sandbox == SandboxMode::Off {
        tracing::warn!("the sandbox is off");
        return Ok(());
    }
    let report = sandbox::enter(&process.reach);
    tracing::info!(
        no_new_privileges = %report.no_new_privileges,
        files = %report.files,
        system_calls = %report.system_calls,
        "sandbox"
    );
    report.suffices(process.sandbox)
}

pub(super) fn refuse(mistakes: &[String], format: LogFormat) -> ExitCode {
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
