//! The project in one run: a cloud, the provider and three pods, told as a story and checked.

mod checks;
#[allow(dead_code, reason = "shared with the benchmark, which uses more of it")]
mod cloud;
#[allow(
    dead_code,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "shared with the tests, which use all of it and stop where they fail"
)]
#[path = "../driver/mod.rs"]
mod driver;
mod manifest;
mod page;
mod pod;
#[allow(dead_code, reason = "shared with the benchmark, which uses more of it")]
mod processes;
mod stage;
mod story;
mod told;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use clap::Parser;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use checks::Checks;
use page::Page;
use stage::{Programs, Stage};

type Fault = Box<dyn std::error::Error>;

const AFTER_HELP: &str = "\
What to look for:
  - Each pod reads under its own RAM role. It proves itself with its own ServiceAccount token,
    and ActionTrail would show its calls under the session name NAMESPACE@SERVICEACCOUNT@POD.
  - A pod whose role may not read a secret does not start, and its Event says what to do.
  - A rotated secret reaches a running pod at the next mount: all files of a volume at once.
  - The second mount costs no new session, and a volume that did not change is not written.

What takes part:
  - the provider: the real program, started with the flags in the output
  - the cloud: alibabacloud-emulator, which checks signatures, tokens and policies as STS, KMS
    and OOS do, and also stands in for the Kubernetes API; e2e/demo/cloud.yaml is its content:
    ServiceAccounts, RAM roles with their policies, secrets, parameters
  - kubelet and the driver: played by this program, with the driver's requests and file layout
  - e2e/demo/checkout.yaml and reports.yaml: the SecretProviderClasses, ready to be copied

Both programs have to be built first; `make demo` does it. No account, no cluster and no network
are needed, and nothing is left behind.

Exit status: 0 if everything held, 1 if not, 2 if the command line is wrong.";

/// Shows how pods get secrets from Alibaba Cloud: three pods, one refused, one rotation.
#[derive(Debug, Parser)]
#[command(name = "demo", after_help = AFTER_HELP)]
struct Options {
    /// The provider's program [default: beside this one's directory].
    #[arg(long, value_name = "FILE")]
    provider: Option<PathBuf>,
    /// The emulator's program [default: beside this one's directory].
    #[arg(long, value_name = "FILE")]
    emulator: Option<PathBuf>,
    /// Keep the temporary directory: volumes, logs and settings.
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let page = Page::on_stdout();
    match run(&options, &page).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            page.complain(&format!("demo: {fault}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options, page: &Page) -> Result<bool, Fault> {
    let started = Instant::now();
    let programs = Programs::find(options.provider.clone(), options.emulator.clone())?;
    let mut directory = TempDir::with_prefix("alibabacloud-demo-")?;
    directory.disable_cleanup(options.keep);
    let mut checks = Checks::default();
    let outcome = tokio::select! {
        biased;
        what = interruption() => Err(what?.into()),
        outcome = perform(&programs, directory.path(), page, &mut checks) => outcome,
    };
    if let Err(fault) = &outcome {
        checks.that(&format!("the story came to its end: {fault}"), false);
    }
    checks.report(page)?;
    if !checks.all_held() {
        processes::show_logs(page, directory.path())?;
    }
    if options.keep {
        page.line(&format!("\n   kept: {}", directory.path().display()))?;
    }
    page.verdict(checks.all_held(), started.elapsed())?;
    Ok(checks.all_held())
}

async fn perform(
    programs: &Programs,
    directory: &Path,
    page: &Page,
    checks: &mut Checks,
) -> Result<(), Fault> {
    story::introduce(page, directory)?;
    let mut stage = Stage::set(programs, directory, page).await?;
    story::tell(&mut stage, page, checks).await
}

/// Ends the run in an orderly way, so that neither programs nor secrets stay behind.
async fn interruption() -> Result<&'static str, Fault> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(tokio::select! {
        _ = interrupt.recv() => "interrupted",
        _ = terminate.recv() => "terminated",
    })
}
