//! `serve`: what the program is for. From the flags to the end of the drain.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::process;
use crate::{
    app::App,
    config::{self, Config, flags::Flags},
    telemetry::log::{self, LogLevel},
};

pub fn run(flags: &Flags) -> ExitCode {
    let config = match configure(flags) {
        Ok(config) => config,
        Err(status) => return status,
    };
    let level = match process::start(&config.process, config.debug.is_some()) {
        Ok(level) => level,
        Err(what) => return fail(&what),
    };
    let runtime = match process::runtime() {
        Ok(runtime) => runtime,
        Err(what) => return fail(&what),
    };
    let served = runtime.block_on(serve(config, level));
    // What is still under way beside the runtime's thread is nothing to wait for any more.
    runtime.shutdown_background();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// The copy of the environment ends here.
fn configure(flags: &Flags) -> Result<Config, ExitCode> {
    let environment = process::environment();
    Config::parse(flags, &environment)
        .map_err(|mistakes| process::refuse(&mistakes, config::log_format(flags, &environment)))
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

fn fail(error: &str) -> ExitCode {
    log::fatal(error);
    ExitCode::FAILURE
}
