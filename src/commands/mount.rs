//! `mount`: a pod that no driver serves mounts for itself. From the flags to the exit status.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    process::ExitCode,
};

use clap::{Arg, ArgAction, ArgMatches, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Subcommand, USAGE, process};
use crate::{
    config::sidecar::{self as settings, Arguments, Sidecar, arguments},
    sidecar::{
        EndReason, Ended, Prepared,
        hook::{RUNNER, run_on_change},
    },
    telemetry::log,
};

const ABOUT: &str = "\
Writes the files of a SecretProviderClass into a folder, where no driver mounts them.

For pods on ACK Serverless, ACS and virtual nodes, which have no DaemonSets, and for containers and \
services outside Kubernetes. The files are those that the driver would write, changed all at once. As an \
init container it ends when they are there; with --watch, as a sidecar, it keeps them fresh.";

const AFTER: &str = "\
Examples:
  An init container of a pod with ACK's pod identity, the class from a ConfigMap:
    mount --region=cn-hangzhou --file=/etc/class/spc.yaml --into=/secrets
  A native sidecar, with a probe and a signal to the application:
    mount --region=cn-hangzhou --file=/etc/class/spc.yaml --into=/secrets --watch \\
      --healthz-port=8989 --on-change-signal=HUP --on-change-process=nginx
  What it would write for which identity, without a value:
    mount --region=cn-hangzhou --file=spc.yaml --dry-run
  A service on an ECS instance, with the instance's role:
    mount --file=/etc/shop/spc.yaml --into=/run/shop --watch --default-identity=ecs-role \\
      --on-change-exec systemctl reload shop

Flags are environment variables too, as those of this program without a command: see --help there.
The pod runs this program with its own rights, so there are no flags for what an operator allows.

Exit status: 0 the files are there, or SIGTERM ended --watch; 64 the flags or variables are wrong; 65
the class is; 66 its file cannot be read; 73 DIR cannot be written, or is on a disk; 75 the cloud does
not answer or throttles, try again; 77 refused: a right, a role, a token or a secret is missing; 130 a
signal came before the files were there; 1 it cannot start.
The error is on standard error and in the termination log, for kubectl describe pod.";

pub(super) const MOUNT: Subcommand = Subcommand { command, run };
pub(super) const RUN_ON_CHANGE: Subcommand = Subcommand { command: runner, run: run_runner };

/// As kubelet cuts it off (terminationMessagePath).
const LONGEST_MESSAGE: usize = 4096;

fn command() -> Command {
    arguments(
        Command::new("mount")
            .about("Writes the files of a SecretProviderClass where no driver mounts them")
            .long_about(ABOUT)
            .after_help(AFTER)
            .max_term_width(100),
    )
}

fn run(matches: &ArgMatches) -> ExitCode {
    let given = Arguments::of(matches);
    let sidecar = {
        let environment = process::environment();
        match Sidecar::parse(&given, &environment) {
            Ok(sidecar) => sidecar,
            Err(mistakes) => {
                let log = settings::termination_log(&given, &environment);
                let message = format!("the configuration is wrong: {}", mistakes.join("; "));
                leave(log.as_deref().and_then(open).as_ref(), &message);
                return process::refuse(&mistakes, settings::log_format(&given, &environment));
            }
        }
    };
    let termination_log = sidecar.termination_log.as_deref().and_then(open);
    match mount(sidecar) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Ended { reason, message }) => {
            log::fatal(&message);
            leave(termination_log.as_ref(), &message);
            ExitCode::from(status(reason))
        }
    }
}

fn status(reason: EndReason) -> u8 {
    match reason {
        EndReason::Start => 1,
        // As sysexits.h has them.
        EndReason::Class => 65,
        EndReason::Manifest => 66,
        EndReason::Folder => 73,
        EndReason::Unreachable => 75,
        EndReason::Refused => 77,
        EndReason::Interrupted => 130,
    }
}

fn mount(sidecar: Sidecar) -> Result<(), Ended> {
    let starting = |message| Ended { reason: EndReason::Start, message };
    let (settings, prepared) = Prepared::new(sidecar)?;
    process::start(&settings, false).map_err(starting)?;
    let runtime = process::runtime().map_err(starting)?;
    let ended = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let unheard = |error| starting(format!("signals cannot be heard: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
        let cancelled = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            cancelled.cancel();
        });
        prepared.run(shutdown).await
    });
    runtime.shutdown_background();
    ended
}

/// Before the sandbox is entered, which leaves nothing of it.
fn open(path: &Path) -> Option<File> {
    OpenOptions::new().write(true).open(path).ok()
}

/// There is nothing else to do where it cannot be written: standard error has it too.
fn leave(mut log: Option<&File>, message: &str) {
    if let Some(file) = &mut log {
        let bytes = message.as_bytes();
        let _ = file.write_all(bytes.get(..LONGEST_MESSAGE).unwrap_or(bytes));
    }
}

fn runner() -> Command {
    let program = Arg::new("program")
        .required(true)
        .num_args(1..)
        .action(ArgAction::Append)
        .trailing_var_arg(true)
        .allow_hyphen_values(true);
    Command::new(RUNNER).hide(true).arg(program)
}

fn run_runner(matches: &ArgMatches) -> ExitCode {
    let program: Vec<String> = matches.get_many("program").into_iter().flatten().cloned().collect();
    match program.split_first() {
        Some((program, arguments)) => {
            run_on_change(program, arguments);
            ExitCode::SUCCESS
        }
        None => ExitCode::from(USAGE),
    }
}
