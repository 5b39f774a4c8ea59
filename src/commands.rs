//! Commands: a file for each. `serve` is what the program does where none is named.

pub mod audit;
mod check;
mod convert;
mod doctor;
mod explain;
mod explain_code;
mod input;
mod mount;
mod policy;
mod preview;
mod process;
mod schema;
pub mod serve;

use std::{fmt, io::Write, process::ExitCode};

use clap::{Arg, ArgMatches, Command, builder::ValueParser};

/// The command line is wrong: `EX_USAGE` of sysexits.h.
pub const USAGE: u8 = 64;

/// A file cannot be read: `EX_NOINPUT`.
const NO_INPUT: u8 = 66;

/// What there is beside serving. A new one gets a line here and a file.
const ALL: &[Subcommand] = &[
    audit::AUDIT,
    check::CHECK,
    convert::CONVERT,
    doctor::DOCTOR,
    explain::EXPLAIN,
    policy::POLICY,
    explain_code::EXPLAIN_CODE,
    schema::SCHEMA,
    mount::MOUNT,
    mount::RUN_ON_CHANGE,
];

/// The form of what a command writes.
fn output(forms: impl Into<ValueParser>, help: &'static str) -> Arg {
    Arg::new("output")
        .long("output")
        .short('o')
        .value_name("FORMAT")
        .value_parser(forms.into())
        .default_value("text")
        .help(help)
}

/// Ends a command that could not do what it was asked for.
fn fail(what: &str, status: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {what}");
    ExitCode::from(status)
}

#[derive(Clone, Copy)]
pub struct Subcommand {
    /// Its name, help and arguments.
    command: fn() -> Command,
    run: fn(&ArgMatches) -> ExitCode,
}

impl Subcommand {
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().copied()
    }

    pub fn command(self) -> Command {
        (self.command)()
    }

    pub fn run(self, matches: &ArgMatches) -> ExitCode {
        (self.run)(matches)
    }
}

impl fmt::Debug for Subcommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str((self.command)().get_name())
    }
}
