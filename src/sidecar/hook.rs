//! Hook: how the application hears that files have changed: a signal, or a program that is run.
//!
//! The program is run by a process that is started before the sandbox is entered, which keeps others from
//! being started at all. It has no values, no token and no keys.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
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
const KEYS: [&str; 6] = [
    "SECRET_ACCESS_KEY",
    "ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
    // Its URL may hold a password. HTTPS_PROXY is for other programs too.
    "ALIBABACLOUD_PROVIDER_HTTPS_PROXY",
];

#[derive(Debug)]
pub(super) enum OnChange {
    Signal(Signal, Whom),
    Run(Arc<Running>),
}

#[derive(Debug)]
pub(super) struct Running {
    runner: Mutex<Runner>,
    /// One waits for its turn, and will find the files as they are then: another is for nothing.
    waits: AtomicBool,
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
                let (runner, waits) = (Mutex::new(runner), AtomicBool::new(false));
                Self::Run(Arc::new(Running { runner, waits }))
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
            Self::Run(running) => {
                if !running.waits.swap(true, Ordering::Relaxed) {
                    let running = running.clone();
                    tokio::task::spawn_blocking(move || running.run());
                }
            }
        }
    }
}

impl Running {
    fn run(&self) {
        let mut runner = lock(&self.runner);
        self.waits.store(false, Ordering::Relaxed);
        match runner.run() {
            Ok(outcome) if outcome == OK => tracing::info!("ran --on-change-exec"),
            Ok(error) => tracing::warn!(error, "--on-change-exec failed"),
            Err(error) => {
                let error = error.kind();
                tracing::warn!(%error, "the process that runs --on-change-exec is gone");
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
    answers: BufReader<ChildStdout>,
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
        let (ask, answers) = (child.stdin.take(), child.stdout.take());
        let (Some(ask), Some(answers)) = (ask, answers) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Self { _child: child, ask, answers: BufReader::new(answers) })
    }

    fn run(&mut self) -> io::Result<String> {
        self.ask.write_all(b"\n")?;
        let mut line = String::new();
        match self.answers.read_line(&mut line)? {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signal_goes_to_no_number_that_is_no_other_process() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("pid");
        let own = std::process::id().to_string();
        for text in ["", "0", "1", "-7", "nginx", "99999999999", "12 13", &own] {
            fs::write(&file, text).unwrap();
            let told = send(Signal::TERM, &Whom::PidFile(file.clone())).unwrap_err();
            assert!(told.ends_with("holds no process's number"), "{text}: {told}");
        }
        let told = send(Signal::TERM, &Whom::PidFile(folder.path().join("none"))).unwrap_err();
        assert!(told.contains("cannot be read"), "{told}");
    }

    #[test]
    fn name_that_no_process_has_is_told_with_what_the_pod_needs() {
        let told = send(Signal::HUP, &Whom::Named("no such name".to_owned())).unwrap_err();
        assert!(told.contains("shareProcessNamespace"), "{told}");
    }
}
