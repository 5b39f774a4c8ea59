//! `schema`: what editors and the API server can know of SecretProviderClasses.

use std::{io::Write, process::ExitCode};

use clap::{Arg, ArgMatches, Command, builder::PossibleValue};

use super::Subcommand;
use crate::schema;

const ABOUT: &str = "\
Prints a JSON Schema, for editors that complete and check manifests.

It refuses less than a mount does: check says all that a mount would say. Examples:

  schema class > secretproviderclass.schema.json
  schema objects > objects.schema.json";

pub(super) const SCHEMA: Subcommand = Subcommand { command, run };

fn command() -> Command {
    Command::new("schema")
        .about("Prints a JSON Schema of SecretProviderClasses, for editors")
        .long_about(ABOUT)
        .max_term_width(100)
        .arg(
            Arg::new("of")
                .value_name("WHAT")
                .default_value("class")
                .value_parser([
                    PossibleValue::new("class").help("a SecretProviderClass"),
                    PossibleValue::new("objects").help("the list in its parameter objects"),
                ])
                .help("Of what"),
        )
}

fn run(matches: &ArgMatches) -> ExitCode {
    let schema = match matches.get_one::<String>("of").map(String::as_str) {
        Some("objects") => schema::objects(),
        _ => schema::class(),
    };
    // A reader who goes away has read enough.
    let _ = writeln!(std::io::stdout(), "{schema:#}");
    ExitCode::SUCCESS
}
