//! What the command line asks for: to serve, or one of the commands that the same program has.

use std::{ffi::OsString, process::ExitCode};

use clap::{ArgMatches, Command};

use crate::{
    audit,
    config::flags::{self, Flags},
};

#[derive(Debug)]
pub enum Asked {
    Serve(Flags),
    /// It has run, and this is its exit status.
    Done(ExitCode),
}

struct Subcommand {
    command: fn() -> Command,
    run: fn(&ArgMatches) -> ExitCode,
}

const SUBCOMMANDS: [Subcommand; 1] =
    [Subcommand { command: audit::command::command, run: audit::command::run }];

/// A misspelt flag, `--help` and `--version` end as errors here.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, clap::Error> {
    let program = flags::command()
        .subcommands(SUBCOMMANDS.iter().map(|subcommand| (subcommand.command)()))
        .subcommand_help_heading("Commands")
        .disable_help_subcommand(true)
        .args_conflicts_with_subcommands(true);
    let matches = program.try_get_matches_from(arguments)?;
    let chosen = matches.subcommand().and_then(|(name, matches)| {
        let mut all = SUBCOMMANDS.iter();
        all.find(|one| (one.command)().get_name() == name).map(|one| (one.run, matches))
    });
    Ok(match chosen {
        Some((run, matches)) => Asked::Done(run(matches)),
        None => Asked::Serve(Flags::of(&matches)),
    })
}
