//! Hook: how the application hears that files have changed: a signal, or a program that is run.
//!
//! The program is run by a process that is started before the sandbox is entered, which keeps others from
//! being started at all. It has no values, no token and no keys.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
};

use rustix::process::{Pid, Signal, getpid, kill_process};

use crate::{
    config::sidecar::{Hook, Whom},
    sync::lock,
    text::quoted,
};

/// The command of this program that runs another each time it reads a line.
pub const RUNNER: &str = "run-on-change";
/// Of a name in `/proc/PID/comm`, without the NUL (`TASK_COMM_LEN` of the kernel).
const LONGEST_NAME: usize = 15;
/// What the other process must not have.
const KEYS: [&str; 5] = [
    "SECRET_ACCESS_KEY",
    "ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
];

#[derive(Debug)]
pub(super) enum OnChange {
    Signal(Signal, Whom),
    Run(Arc<Mutex<Runner>>),
}

impl OnChange {
    /// To be called before the sandbox is entered.
    pub(super) fn start(hook: Hook) -> Result<Self, String> {
        Ok(match hook {
            Hook::Signal(signal, whom) => Self::Signal(signal, whom),
            Hook::Run(program) => {
                let runner = Runner::start(&program);
                let runner = runner.map_err(|error| {
                    format!("--on-change-exec: no process to run it: {}", error.kind())
                })?;
                Self::Run(Arc::new(Mutex::new(runner)))
            }
        })
    }

    /// Does not wait for a program that is run.
    pub(super) fn tell(&self) {
        match self {
            Self::Signal(signal, whom) => match send(*signal, whom) {
                Ok(processes) => tracing::info!(processes, "signalled that files have changed"),
                Err(error) => {
                    tracing::warn!(error, "the signal that files have changed reaches nobody");
                }
            },
            Self::Run(runner) => {
                let runner = runner.clone();
                tokio::task::spawn_blocking(move || match lock(&runner).run() {
                    Ok(outcome) if outcome == OK => tracing::info!("ran --on-change-exec"),
                    Ok(error) => tracing::warn!(error, "--on-change-exec failed"),
                    Err(error) => {
                        let error = error.kind();
                        tracing::warn!(%error, "the process that runs --on-change-exec is gone");
                    }
                });
            }
        }
    }
}

fn send(signal: Signal, whom: &Whom) -> Result<usize, String> {
    let own = getpid();
    let processes = match whom {
        Whom::PidFile(file) => {
            let text = fs::read_to_string(file)
                .map_err(|error| format!("{} cannot be read: {}", file.display(), error.kind()))?;
            // 1 is the pod's own, where processes are shared, and this program where they are not.
            let pid = text.trim().parse().ok().filter(|pid| *pid > 1).and_then(Pid::from_raw);
            let pid = pid.filter(|pid| *pid != own);
            vec![pid.ok_or_else(|| format!("{} holds no process's number", file.display()))?]
        }
        Whom::Named(name) => named(name)?.into_iter().filter(|pid| *pid != own).collect(),
    };
    if processes.is_empty() {
        return Err("there is no process of this name; the pod needs shareProcessNamespace: true"
            .to_owned());
    }
    for pid in &processes {
        kill_process(*pid, signal).map_err(|error| {
            let error = io::Error::from(error).kind();
            format!("process {pid:?}: {error}; both containers need the same user")
        })?;
    }
    Ok(processes.len())
}

fn named(name: &str) -> Result<Vec<Pid>, String> {
    let failed = |error: io::Error| format!("/proc cannot be read: {}", error.kind());
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc").map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let pid = entry.file_name().to_str().and_then(|pid| pid.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else { continue };
        // One that has ended meanwhile has no name.
        let comm = fs::read(entry.path().join("comm")).unwrap_or_default();
        let comm = comm.strip_suffix(b"\n").unwrap_or(&comm);
        if comm == name.as_bytes().get(..LONGEST_NAME).unwrap_or(name.as_bytes()) {
            processes.push(pid);
        }
    }
    Ok(processes)
}

/// The process that runs the program.
#[derive(Debug)]
pub(super) struct Runner {
    _child: Child,
    ask: ChildStdin,
    told: BufReader<ChildStdout>,
}

const OK: &str = "ok";

impl Runner {
    fn start(program: &[String]) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(RUNNER).args(program).stdin(Stdio::piped()).stdout(Stdio::piped());
        for key in KEYS {
            command.env_remove(key);
        }
        let mut child = command.spawn()?;
        let (ask, told) = (child.stdin.take(), child.stdout.take());
        let (Some(ask), Some(told)) = (ask, told) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Self { _child: child, ask, told: BufReader::new(told) })
    }

    fn run(&mut self) -> io::Result<String> {
        self.ask.write_all(b"\n")?;
        let mut line = String::new();
        match self.told.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

/// Runs the program each time a line is read, until there are no more, and says how it ended.
pub fn run_on_change(program: &str, arguments: &[String]) {
    for line in io::stdin().lock().lines() {
        if line.is_err() {
            return;
        }
        // What it writes is for people; this process's output is not.
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(io::stderr());
        let outcome = match command.status() {
            Ok(status) if status.success() => OK.to_owned(),
            Ok(status) => format!("{} ended with {status}", quoted(program)),
            Err(error) => format!("{} cannot be run: {}", quoted(program), error.kind()),
        };
        if writeln!(io::stdout(), "{outcome}").is_err() {
            return;
        }
    }
}
