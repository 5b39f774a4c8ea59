//! `audit`: what an audit record tells, and whether it is whole. A file for each question.

pub(super) mod files;
mod holds;
mod kpi;
mod question;
mod report;
mod verify;
mod who;

use std::process::ExitCode;

use clap::{ArgMatches, Command};

use super::{Subcommand, USAGE};

pub use verify::check;

pub(super) const AUDIT: Subcommand = Subcommand { command, run };

fn command() -> Command {
    Command::new("audit")
        .about("Answers questions from an audit record, and verifies it")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(report::command())
        .subcommand(who::command())
        .subcommand(holds::command())
        .subcommand(kpi::command())
        .subcommand(verify::command())
}

fn run(matches: &ArgMatches) -> ExitCode {
    match matches.subcommand() {
        Some(("report", matches)) => question::end(report::run(matches)),
        Some(("who", matches)) => question::end(who::run(matches)),
        Some(("holds", matches)) => question::end(holds::run(matches)),
        Some(("kpi", matches)) => question::end(kpi::run(matches)),
        Some(("verify", matches)) => verify::run(matches),
        _ => ExitCode::from(USAGE),
    }
}
