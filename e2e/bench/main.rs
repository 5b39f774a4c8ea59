//! What the provider costs and how fast it is, beside bare requests and beside the official way.

mod against;
mod cgroup;
mod chart;
#[allow(dead_code, reason = "shared with the demonstration, which uses more of it")]
#[path = "../demo/cloud.rs"]
mod cloud;
mod content;
mod curves;
mod dashboard;
mod dead;
#[allow(
    dead_code,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "shared with the tests, which use all of it and stop where they fail"
)]
#[path = "../driver/mod.rs"]
mod driver;
mod events;
mod figures;
mod hours;
mod latency;
mod load;
mod naive;
mod node;
#[allow(dead_code, reason = "shared with the demonstration, which uses more of it")]
#[path = "../demo/page.rs"]
mod page;
mod panel;
mod pods;
#[allow(dead_code, reason = "shared with the demonstration, which uses more of it")]
#[path = "../demo/processes.rs"]
mod processes;
mod raw;
mod report;
mod soak;
mod tenants;
mod throughput;
mod usage;

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use clap::Parser;
use page::Page;

type Fault = Box<dyn std::error::Error + Send + Sync>;

const AFTER_HELP: &str = "\
`make bench` and `make soak` build the programs and run this. No account, no cluster and no network
are needed. Only a full run rewrites docs/performance.md and its pictures.

Exit status: 0 if the run came to its end, whatever its figures; 1 if it did not, or if the soak saw
the provider grow; 2 if the command line is wrong.";

/// Measures the provider against the emulator, as processes on this machine.
#[derive(Debug, Parser)]
#[command(name = "bench", after_help = AFTER_HELP)]
struct Options {
    /// The provider's program [default: release/ beside this one's profile].
    #[arg(long, value_name = "FILE")]
    provider: Option<PathBuf>,
    /// The emulator's program [default: beside this one's directory].
    #[arg(long, value_name = "FILE")]
    emulator: Option<PathBuf>,
    /// Rough figures in half a minute.
    #[arg(long)]
    quick: bool,
    /// Not the figures, but so many mounts of all kinds, and whether the provider grows by them.
    #[arg(long, value_name = "MOUNTS", num_args = 0..=1, default_missing_value = "200000")]
    soak: Option<usize>,
    /// Not the figures, but tenants who ask for as much as there is, each alone and all together, and
    /// what that does to other pods' mounts and to probes. The provider has the chart's limits; needs root.
    #[arg(long, conflicts_with_all = ["soak", "quick"])]
    tenants: bool,
    /// With --tenants: only those whose names hold this, and docs/performance.md stays as it is.
    #[arg(long, requires = "tenants", value_name = "TEXT")]
    only: Option<String>,
    /// Not the figures, but this build of the provider beside another, in turns: their ratios.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["soak", "quick", "tenants"])]
    against: Option<PathBuf>,
    /// Not the figures, but the chart's dashboard and alerts: every query against this program of Prometheus, which
    /// reads the provider through a refusal, throttling and an outage.
    #[arg(long, value_name = "PROMETHEUS", conflicts_with_all = ["soak", "quick", "tenants", "against"])]
    dashboard: Option<PathBuf>,
    /// With --dashboard: writes dashboard.svg there.
    #[arg(long, requires = "dashboard", value_name = "FOLDER")]
    draw: Option<PathBuf>,
    /// Only load for a profiler, for so many seconds: mounts answered from memory, or fetched.
    #[arg(long, value_name = "SECONDS", conflicts_with = "soak")]
    hold: Option<u64>,
    /// With --hold: fetched.
    #[arg(long, requires = "hold")]
    fetched: bool,
    /// With --hold: so many mounts in flight.
    #[arg(long, requires = "hold", value_name = "N", default_value_t = throughput::BUSY)]
    lanes: usize,
}

struct Programs {
    provider: PathBuf,
    emulator: PathBuf,
    /// The provider's --help: a variant that it does not know is not measured.
    help: String,
}

impl Programs {
    fn find(options: &Options) -> Result<Self, Fault> {
        let own = env::current_exe()?;
        let profile = own.parent().and_then(Path::parent).ok_or("no directory of programs")?;
        let release = profile.with_file_name("release");
        let or = |given: &Option<PathBuf>, folder: &Path, name: &str| {
            given.clone().unwrap_or_else(|| folder.join(name))
        };
        let provider = or(&options.provider, &release, env!("CARGO_PKG_NAME"));
        let emulator = or(&options.emulator, profile, "alibabacloud-emulator");
        for program in [&provider, &emulator] {
            if !program.is_file() {
                return Err(
                    format!("{} is not there; `make bench` builds it", program.display()).into()
                );
            }
        }
        let help = Command::new(&provider).arg("--help").output()?.stdout;
        Ok(Self { provider, emulator, help: String::from_utf8(help)? })
    }

    fn know(&self, flag: &str) -> bool {
        self.help.split_whitespace().any(|word| word == flag)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let page = Page::on_stdout();
    match run(&options, &page).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            page.complain(&format!("bench: {fault}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options, page: &Page) -> Result<(), Fault> {
    let programs = Programs::find(options)?;
    if let Some(mounts) = options.soak {
        return soak::run(&programs, page, mounts).await;
    }
    if options.tenants {
        return tenants::run(&programs, page, options.only.as_deref()).await;
    }
    if let Some(prometheus) = &options.dashboard {
        return dashboard::run(&programs, page, prometheus, options.draw.as_deref()).await;
    }
    if let Some(other) = &options.against {
        return against::run(&programs, page, other).await;
    }
    if let Some(seconds) = options.hold {
        return figures::hold(&programs, page, seconds, options.fetched, options.lanes).await;
    }
    let (report, charts) = figures::measure(&programs, page, options.quick).await?;
    report.print(page)?;
    if !options.quick {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        report.publish(&docs, &charts)?;
    }
    Ok(())
}
