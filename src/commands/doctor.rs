//! `doctor`: what keeps mounts from working here. Its arguments, and how its report is written.

mod bundle;
mod facts;
mod given;
mod hosts;
mod identity;
mod node;
mod run;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{Subcommand, USAGE, fail, process};
use crate::{
    config::doctor as config,
    doctor::output::{json, text},
    telemetry::log,
};
use bundle::NewFile;
use given::{Cannot, Given};
use run::{Examined, Progress};

const ABOUT: &str = "\
Looks for what keeps mounts from working here: token, trust policy, DNS, certificates, clock, login, permission, the \
socket, the driver. Each line is ok, warn or broken, with what was seen and what to do, or skipped, with why. No secret \
is read and nothing is changed; tokens, keys and values are never shown.";

const AFTER: &str = "\
Where to run it:
  in the provider's pod       kubectl -n kube-system exec POD -- /csi-secrets-store-provider-alibabacloud doctor
                              the flags of the running provider hold, and its variables
  in an application's pod     as a container or command of its own: the variables of ACK's pod-identity webhook hold
  on a node                   as root, with the provider's flags: the socket and the driver's process are seen
  on a laptop                 with --region, --public-endpoints, --oidc-provider-arn, --role-arn and --oidc-token-file
                              (kubectl create token ACCOUNT --audience=sts.aliyuncs.com > FILE), and kubectl proxy
                              with --kubernetes-api=http://127.0.0.1:8001
All flags of this program without a command are taken: see --help there.

Examples:
  doctor --secret=shop/database             may this identity read this secret? (KMS: a dry run)
  doctor --file=spc.yaml --output=json      may it read all that the class names?
  doctor --cloud                            also tries what nobody has seen of the real services yet
  doctor --bundle=doctor.json               the report and all that support asks for, in a file without secrets

What each check looks at, needs and finds is in docs/doctor.md; its ids stay when words change.

Exit status: 0 all is ok, a warning or skipped; 1 something is broken; 64 the command line is wrong; 66 a file cannot be \
read; 73 the bundle cannot be made, or is there already.";

pub(super) const DOCTOR: Subcommand = Subcommand { command, run };

/// As sysexits.h has them.
const NO_INPUT: u8 = 66;
const CANNOT_CREATE: u8 = 73;

fn command() -> Command {
    let own = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("doctor")
        .about("Looks for what keeps mounts from working here")
        .long_about(ABOUT)
        .after_help(AFTER)
        .max_term_width(100)
        .arg(
            own(
                "secret",
                "NAME",
                "A KMS secret that is to be read, by name or ARN; can be given more than once",
            )
            .action(ArgAction::Append),
        )
        .arg(
            own(
                "file",
                "FILE",
                "Manifests with the SecretProviderClass that is to be mounted, and the CSIDriver",
            )
            .value_parser(clap::value_parser!(PathBuf)),
        )
        .arg(own("name", "NAME", "Which class of FILE, where it has several").requires("file"))
        .arg(
            own("output", "FORMAT", "text, a line as soon as it is known, or json")
                .short('o')
                .value_parser(["text", "json"])
                .default_value("text"),
        )
        .arg(
            own(
                "cloud",
                "",
                "Also try what the program assumes of the services, and show which holds",
            )
            .num_args(0)
            .action(ArgAction::SetTrue),
        )
        .arg(
            own(
                "bundle",
                "FILE",
                "Write report, configuration, metrics and state there, as JSON, mode 0600",
            )
            .value_parser(clap::value_parser!(PathBuf)),
        )
        .arg(
            own("timeout", "SECONDS", "For all of it, 5 to 300")
                .default_value("30")
                .value_parser(clap::value_parser!(u64).range(5..=300)),
        )
        .arg(
            own(
                "list",
                "",
                "Tell what each check looks at, needs and finds, and which facts there are",
            )
            .num_args(0)
            .action(ArgAction::SetTrue),
        )
        .args(config::arguments())
}

fn run(matches: &ArgMatches) -> ExitCode {
    let started = Instant::now();
    if matches.get_flag("list") {
        say(&text::list());
        return ExitCode::SUCCESS;
    }
    let given = match Given::read(matches) {
        Ok(given) => given,
        Err(Cannot::Usage(what)) => return fail(&what, USAGE),
        Err(Cannot::Read(what)) => return fail(&what, NO_INPUT),
    };
    // Before all else: a run whose bundle is lost would be for nothing.
    let bundle = matches.get_one::<PathBuf>("bundle").map(|path| NewFile::create(path));
    let bundle = match bundle.transpose() {
        Ok(bundle) => bundle,
        Err(what) => return fail(&what, CANNOT_CREATE),
    };
    let running = node::running_provider();
    let from =
        running.as_ref().map_or("here", |_| "here and by the provider that runs in this container");
    let settings = config::parse(matches, running.clone(), &process::environment());
    if let Err(what) = log::start(settings.log_format, settings.log_filter.clone(), false) {
        return fail(&what, 1);
    }
    let seconds = matches.get_one::<u64>("timeout").copied().unwrap_or(30);
    let asked = run::Asked {
        settings,
        given,
        from: from.to_owned(),
        cloud: matches.get_flag("cloud"),
        time: Duration::from_secs(seconds),
    };
    let as_text = matches.get_one::<String>("output").is_none_or(|format| format == "text");
    let runtime = match process::runtime() {
        Ok(runtime) => runtime,
        Err(what) => return fail(&what, 1),
    };
    let show = |progress: &Progress| {
        if as_text {
            say(&match progress {
                Progress::Line(line) => text::line(line),
                Progress::Fact(fact) => text::fact(fact),
                Progress::Facts(words) => format!("\n{words}\n"),
            });
        }
    };
    let Examined { mut report, facts, about } = runtime.block_on(run::examine(asked, &show));
    // What hangs is not waited for.
    runtime.shutdown_background();
    report.sort();
    if let Some(file) = bundle
        && let Err(what) = file.write(&about.bundle(&report, facts.as_deref()).render())
    {
        return fail(&what, CANNOT_CREATE);
    }
    if as_text {
        say(&text::summary(&report, started.elapsed()));
    } else {
        say(&json::render(&report, facts.as_deref()));
    }
    ExitCode::from(report.exit_status())
}

/// A reader who goes away has heard enough; the status tells the rest.
fn say(words: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(words.as_bytes()).and_then(|()| out.flush());
}
