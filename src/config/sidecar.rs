//! Flags of `mount`: those of every mount, and where its files go.
//!
//! What an operator allows pods has no flag here: the pod runs this program itself, with rights of its own.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgMatches, Command};
use rustix::process::Signal;

use super::{
    Engine, Process, audit, cache, cloud,
    flag::{CHANGES, FILES, FRESHNESS, Flag, Flags, IDENTITY, OPERATION, flag},
    flags::argument,
    identity, log, operation,
    settings::Settings,
};
use crate::{names::Glob, sandbox::AllowedPaths, spc::mode::Mode, telemetry::log::LogFormat};

const OWN: &[Flag] = &[
    flag(
        FILES,
        "file",
        "FILE",
        "The SecretProviderClass, as YAML or JSON, such as a key of a ConfigMap",
    ),
    flag(FILES, "name", "NAME", "Which class of FILE, where it has several documents"),
    flag(
        FILES,
        "into",
        "DIR",
        "The folder that gets the files, empty or written by this command: an emptyDir with medium: \
         Memory, or a folder of a tmpfs",
    ),
    flag(
        FILES,
        "allow-disk",
        "BOOL",
        "Write to DIR though it is on a disk, which keeps values after they are deleted [default: false]",
    ),
    flag(
        FILES,
        "dry-run",
        "BOOL",
        "Read the values, and print the path, mode, size and version of each file and as whom it was read, \
         but no value. DIR need not be given; if it is, it gets the files, each with mode 0600 [default: false]",
    ),
    flag(
        FILES,
        "watch",
        "BOOL",
        "Go on after the first time, and keep the files fresh (--refresh-interval) until SIGTERM \
         [default: false]",
    ),
    flag(
        FILES,
        "termination-log",
        "FILE|off",
        "Gets the error, for kubectl describe pod [default: /dev/termination-log, where there is one]",
    ),
    flag(
        CHANGES,
        "on-change-signal",
        "SIGNAL",
        "Sent when files have changed: HUP, USR1, USR2, INT, QUIT, TERM or WINCH. The pod needs \
         shareProcessNamespace: true, and both containers the same user",
    ),
    flag(
        CHANGES,
        "on-change-pid-file",
        "FILE",
        "Whom to send it: the process whose number FILE holds",
    ),
    flag(
        CHANGES,
        "on-change-process",
        "NAME",
        "Whom to send it, in place of a pid file: the processes of this name (/proc/PID/comm)",
    ),
    flag(
        IDENTITY,
        "default-identity",
        "MODE|auto",
        "Identity of a class that names none: {modes}; auto is the first that is configured, in the \
         order {modes_but_pod} [default: pod]",
    ),
    flag(
        IDENTITY,
        "role-arn",
        "ARN",
        "RAM role of pod, provider and ram-role: acs:ram::ACCOUNT:role/NAME [also: ALICLOUD_ROLE_ARN, \
         ALIBABA_CLOUD_ROLE_ARN, which ACK's pod-identity webhook sets]",
    ),
    flag(
        IDENTITY,
        "oidc-token-file",
        "FILE",
        "The pod's projected token for sts.aliyuncs.com, read again each time [also: \
         ALICLOUD_OIDC_TOKEN_FILE, ALIBABA_CLOUD_OIDC_TOKEN_FILE, which the webhook sets]",
    ),
    flag(
        IDENTITY,
        "role-session-name",
        "NAME",
        "Session name [default: one that names the pod, as its token does] [also: \
         ALICLOUD_ROLE_SESSION_NAME, ALIBABA_CLOUD_ROLE_SESSION_NAME]",
    ),
    flag(
        FRESHNESS,
        "refresh-interval",
        "INTERVAL",
        "With --watch: how old values get before they are read again, where the class has no \
         refreshInterval: 30s, 5m, 1h; 0 is every minute [default: 5m]",
    ),
    flag(
        OPERATION,
        "mount-timeout",
        "SECONDS",
        "The longest that one time may take, 1 to 110 [default: 90]",
    ),
    flag(
        OPERATION,
        "healthz-port",
        "PORT",
        "Port of /readyz, /healthz and /metrics, with --watch; it answers once the files are there \
         [default: none]",
    ),
];

/// Flags of `serve` that have no meaning here, or another one.
const NOT_HERE: [&str; 14] = [
    "allowed-identities",
    "allowed-cross-account-roles",
    "service-account-lookup",
    "kubernetes-api",
    "default-identity",
    "role-arn",
    "oidc-token-file",
    "role-session-name",
    "refresh-interval",
    "healthz-port",
    "debug-endpoints",
    "events",
    "drain-timeout",
    "share",
];

/// As those of `serve`.
const SHARED: [&[Flag]; 6] =
    [identity::FLAGS, cloud::FLAGS, operation::FLAGS, cache::FLAGS, audit::FLAGS, log::FLAGS];

const EXEC: &str = "on-change-exec";
const DEFAULT_TERMINATION_LOG: &str = "/dev/termination-log";

fn flags() -> impl Iterator<Item = &'static Flag> {
    let shared = SHARED.into_iter().flatten();
    OWN.iter().chain(shared.filter(|flag| !NOT_HERE.contains(&flag.name)))
}

/// What the command is run with.
#[derive(Debug)]
pub struct Sidecar {
    pub engine: Engine,
    pub process: Process,
    /// The file with the SecretProviderClass.
    pub manifest: PathBuf,
    /// Which class of it; `None`: the only one.
    pub class: Option<String>,
    pub goal: Goal,
    pub allow_disk: bool,
    pub termination_log: Option<PathBuf>,
    /// `None`: once.
    pub watch: Option<Watch>,
}

/// What comes of the values.
#[derive(Debug, PartialEq, Eq)]
pub enum Goal {
    /// Files in this folder.
    Files(PathBuf),
    /// A report, and files that nobody else can read where there is a folder.
    DryRun(Option<PathBuf>),
}

#[derive(Debug)]
pub struct Watch {
    /// `None`: no probes.
    pub admin: Option<SocketAddr>,
    pub health_path: String,
    pub serve_metrics: bool,
    pub on_change: Option<Hook>,
}

/// What is done when files have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hook {
    Signal(Signal, Whom),
    /// The program, and its arguments.
    Run(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Whose number a file holds.
    PidFile(PathBuf),
    /// All of a name.
    Named(String),
}

/// What was given on the command line.
#[derive(Debug)]
pub struct Arguments {
    flags: Flags,
    run: Vec<String>,
}

impl Arguments {
    pub fn of(matches: &ArgMatches) -> Self {
        let run = matches.get_many::<String>(EXEC).into_iter().flatten().cloned().collect();
        Self { flags: Flags::among(flags(), matches), run }
    }
}

pub fn arguments(command: Command) -> Command {
    let run = Arg::new(EXEC)
        .long(EXEC)
        .value_name("PROGRAM ARG...")
        .num_args(1..)
        .allow_hyphen_values(true)
        .help_heading(CHANGES)
        .help(
            "Run when files have changed, without the sandbox and without a shell; takes all arguments \
             after it, and is no variable. The program must be in this container",
        );
    command.args(flags().map(argument)).arg(run)
}

/// How to say what else is wrong with the configuration.
pub fn log_format(given: &Arguments, environment: &[(String, String)]) -> LogFormat {
    super::log_format(&given.flags, environment)
}

/// Where to leave that the configuration is wrong.
pub fn termination_log(given: &Arguments, environment: &[(String, String)]) -> Option<PathBuf> {
    Settings::new(&given.flags, environment).termination_log()
}

impl Sidecar {
    pub fn parse(given: &Arguments, environment: &[(String, String)]) -> Result<Self, Vec<String>> {
        let mut settings = Settings::new(&given.flags, environment);
        let sidecar = settings.sidecar(&given.run);
        settings.unread(flags().map(|flag| flag.name));
        let warnings = settings.take_warnings();
        let mistakes = settings.mistakes();
        let mut sidecar = sidecar.filter(|_| mistakes.is_empty()).ok_or(mistakes)?;
        sidecar.process.warnings = warnings;
        Ok(sidecar)
    }
}

impl Settings<'_> {
    fn sidecar(&mut self, run: &[String]) -> Option<Sidecar> {
        let (mut policy, _) = self.policy();
        policy.allowed = Mode::ALL.into();
        policy.cross_account_roles = vec![Glob::new("*")];
        let engine = self.engine(policy, None);
        let manifest = self.needed("file");
        let goal = self.goal();
        let watch = self.watch(run);
        if watch.is_some() && matches!(goal, Some(Goal::DryRun(_))) {
            self.wrong("--dry-run and --watch: give one");
        }
        let mut reach = self.reach(&engine.audit, &engine.policy);
        reach.tree.extend(match &goal {
            Some(Goal::Files(into) | Goal::DryRun(Some(into))) => Some(into.clone()),
            Some(Goal::DryRun(None)) | None => None,
        });
        // kubelet replaces a key of a ConfigMap by changing what the folder around it leads to.
        reach.read.extend(manifest.as_deref().and_then(Path::parent).map(PathBuf::from));
        signals(watch.as_ref(), &mut reach);
        let process = self.process(reach);
        Some(Sidecar {
            engine,
            process,
            class: self.text("name", &[]),
            allow_disk: self.flag("allow-disk").unwrap_or_default(),
            termination_log: self.termination_log(),
            watch,
            manifest: manifest?,
            goal: goal?,
        })
    }

    fn goal(&mut self) -> Option<Goal> {
        if !self.flag("dry-run").unwrap_or_default() {
            return self.needed("into").map(Goal::Files);
        }
        let into = self.is_given("into").then(|| self.needed("into"));
        Some(Goal::DryRun(into.flatten()))
    }

    /// What is given for it has to make sense without it, too.
    fn watch(&mut self, run: &[String]) -> Option<Watch> {
        let watch = Watch {
            admin: self.is_given("healthz-port").then(|| self.admin()),
            health_path: self.health_path(),
            serve_metrics: self.serve_metrics(),
            on_change: self.on_change(run),
        };
        if self.flag("watch").unwrap_or_default() {
            return Some(watch);
        }
        if watch.admin.is_some() {
            self.wrong(
                "--healthz-port needs --watch: nothing is there to ask once the files are written",
            );
        }
        if watch.on_change.is_some() {
            self.wrong("what is done on a change (--on-change-...) needs --watch");
        }
        None
    }

    /// A path that has to be given.
    fn needed(&mut self, flag: &str) -> Option<PathBuf> {
        let path = self.checked(flag, &[], |text| {
            std::path::absolute(text).map_err(|error| error.kind().to_string())
        });
        if path.is_none() && !self.is_given(flag) {
            self.wrong(format!("--{flag} is missing"));
        }
        path
    }

    fn termination_log(&mut self) -> Option<PathBuf> {
        let given = self.text("termination-log", &[]);
        match given.as_deref() {
            Some("off") => None,
            Some(path) => Some(path.into()),
            None => Some(PathBuf::from(DEFAULT_TERMINATION_LOG)).filter(|path| path.exists()),
        }
    }

    fn on_change(&mut self, run: &[String]) -> Option<Hook> {
        let form = "one of HUP, USR1, USR2, INT, QUIT, TERM and WINCH";
        let signal = self.parsed("on-change-signal", &[], signal, form);
        let pid_file = self.text("on-change-pid-file", &[]).map(PathBuf::from);
        let named = self.text("on-change-process", &[]);
        let whom = match (pid_file, named) {
            (Some(_), Some(_)) => {
                self.wrong("--on-change-pid-file and --on-change-process: give one");
                None
            }
            (Some(file), None) => Some(Whom::PidFile(file)),
            (None, Some(name)) => Some(Whom::Named(name)),
            (None, None) => None,
        };
        match (signal, whom, run) {
            (None, None, []) => None,
            (None, None, run) => Some(Hook::Run(run.to_vec())),
            (Some(_), _, [_, ..]) => {
                self.wrong("--on-change-signal and --on-change-exec: give one");
                None
            }
            (Some(signal), Some(whom), []) => Some(Hook::Signal(signal, whom)),
            (Some(_), None, []) => {
                self.wrong(
                    "--on-change-signal needs --on-change-pid-file or --on-change-process, which say \
                     whom to send it",
                );
                None
            }
            (None, Some(_), _) => {
                if !self.is_given("on-change-signal") {
                    self.wrong(
                        "--on-change-pid-file and --on-change-process need --on-change-signal",
                    );
                }
                None
            }
        }
    }
}

/// Files and rights that a signal needs.
fn signals(watch: Option<&Watch>, reach: &mut AllowedPaths) {
    match watch.and_then(|watch| watch.on_change.as_ref()) {
        Some(Hook::Signal(_, whom)) => {
            reach.signals = true;
            match whom {
                Whom::PidFile(file) => reach.read.extend(file.parent().map(PathBuf::from)),
                Whom::Named(_) => reach.read.push("/proc".into()),
            }
        }
        Some(Hook::Run(_)) | None => {}
    }
}

fn signal(text: &str) -> Option<Signal> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let all = [
        ("HUP", Signal::HUP),
        ("USR1", Signal::USR1),
        ("USR2", Signal::USR2),
        ("INT", Signal::INT),
        ("QUIT", Signal::QUIT),
        ("TERM", Signal::TERM),
        ("WINCH", Signal::WINCH),
    ];
    all.into_iter().find(|(known, _)| *known == name).map(|(_, signal)| signal)
}

#[cfg(test)]
mod tests;
