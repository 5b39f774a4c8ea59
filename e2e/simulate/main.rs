//! A thousand nodes against one account's quotas: the engine's own code under simulated time.

mod account;
mod drawing;
mod figures;
mod line;
mod matrix;
mod node;
mod options;
mod page;
mod pictures;
mod pod;
mod report;
mod scenario;
mod tally;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;

use figures::Row;
use options::Options;
use scenario::{CLUSTERS, Outcome, Scenario};

/// The memory of a hundred thousand pods that mount all the time is half as much with it, and a
/// quarter of the time is saved.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Fault = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let options = Options::parse().settled();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            page::progress(&format!("simulate: {fault}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Fault> {
    let started = Instant::now();
    page::line(&report::setting(options))?;
    if options.matrix {
        let cells = matrix::run(options)?;
        page::line(&report::matrix_text(&cells))?;
        if let Some(directory) = &options.draw {
            pictures::draw_matrix(directory, &cells)?;
        }
        if let Some(file) = &options.report {
            report::write_matrix(file, &report::setting(options), &cells)?;
        }
        page::line(&format!("in {:.0} s", started.elapsed().as_secs_f64()))?;
        return Ok(());
    }
    let wanted = |scenario: &&Scenario| {
        options.only.is_empty() || options.only.iter().any(|name| name == scenario.name)
    };
    let chosen = CLUSTERS.map(|row| row.iter().filter(wanted).copied().collect::<Vec<_>>());
    let outcomes = together(&chosen, options)?;
    let rows: Vec<Row<'_>> = outcomes.iter().map(Row::of).collect();
    page::line(&report::text(&rows))?;
    if let Some(directory) = &options.draw {
        pictures::draw(directory, &outcomes, options)?;
    }
    if let Some(file) = &options.report {
        report::write(file, &report::setting(options), &rows)?;
    }
    page::line(&format!("in {:.0} s", started.elapsed().as_secs_f64()))?;
    Ok(())
}

/// Each cluster with a clock and a thread of its own.
fn together(chosen: &[Vec<Scenario>], options: &Options) -> Result<Vec<Outcome>, Fault> {
    let outcomes: Result<Vec<_>, Fault> = std::thread::scope(|scope| {
        let rows = chosen.iter().filter(|row| !row.is_empty());
        let threads: Vec<_> =
            rows.map(|row| scope.spawn(|| alone(scenario::run(row, options)))).collect();
        let done = threads.into_iter().map(|thread| thread.join());
        done.map(|outcomes| outcomes.map_err(|_| "a run ended badly")?).collect()
    });
    Ok(outcomes?.into_iter().flatten().collect())
}

/// On a clock of its own, which stands still while anything is to be done.
fn alone<T>(story: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let outcome = runtime.block_on(story);
    runtime.shutdown_timeout(Duration::ZERO);
    outcome
}
