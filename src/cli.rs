//! Command line: what it asks for. Nothing is run here.

use std::ffi::OsString;

use clap::ArgMatches;

use crate::{
    commands::Subcommand,
    config::flags::{self, Flags},
};

#[derive(Debug)]
pub enum Invocation {
    Serve(Flags),
    Command(Subcommand, ArgMatches),
}

/// A misspelt flag, `--help` and `--version` are errors here.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let program = flags::command()
        .subcommands(Subcommand::all().map(Subcommand::command))
        .subcommand_help_heading("Commands")
        .disable_help_subcommand(true)
        .args_conflicts_with_subcommands(true);
    let mut matches = program.try_get_matches_from(arguments)?;
    let chosen = matches.remove_subcommand().and_then(|(name, matches)| {
        let chosen = Subcommand::all().find(|one| one.command().get_name() == name)?;
        Some(Invocation::Command(chosen, matches))
    });
    Ok(chosen.unwrap_or_else(|| Invocation::Serve(Flags::of(&matches))))
}
