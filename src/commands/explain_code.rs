//! `explain-code`: what a code means, of a finding of `check` or of a mount's log line.

use std::{io::Write, process::ExitCode};

use clap::{Arg, ArgMatches, Command};

use super::{Subcommand, USAGE};
use crate::{check::rule::Rule, text::quoted};

const ABOUT: &str = "\
Says what a code means and what to do.

CODE is that of a finding of check, or the reason of a mount's log line: what check finds before a mount \
has the code that the mount would have. Without one, all are listed.";

pub(super) const EXPLAIN_CODE: Subcommand = Subcommand { command, run };

fn command() -> Command {
    Command::new("explain-code")
        .about("Says what a code of check or a mount's reason means")
        .long_about(ABOUT)
        .after_help("Exit status: 0, or 64 if there is no such code.")
        .max_term_width(100)
        .arg(Arg::new("code").value_name("CODE").help("A code [default: list all]"))
}

fn run(matches: &ArgMatches) -> ExitCode {
    let text = match matches.get_one::<String>("code") {
        None => list(),
        Some(code) => match Rule::of_code(code) {
            Some(rule) => explain(rule),
            None => {
                let _ = writeln!(
                    std::io::stderr(),
                    "error: {} is no code; explain-code lists all",
                    quoted(code)
                );
                return ExitCode::from(USAGE);
            }
        },
    };
    // A reader who goes away has heard enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn list() -> String {
    let width = Rule::all().map(|rule| rule.code().len()).max().unwrap_or_default();
    let line = |rule: Rule| {
        let severity = if rule.is_checked() { rule.severity().name() } else { "mount" };
        format!("{:width$}  {severity:7}  {}\n", rule.code(), rule.meaning().trim())
    };
    let rules = Rule::all().map(line).collect::<String>();
    format!("{rules}\nmount: a reason of a mount's log line that check cannot find.\n")
}

fn explain(rule: Rule) -> String {
    let found = match (rule, rule.is_checked()) {
        (Rule::Mount(_), true) => "a mount would be refused; check finds it before",
        (Rule::Mount(_), false) => "a mount failed; check cannot find it before",
        _ => "found by check",
    };
    let (code, severity) = (rule.code(), rule.severity().name());
    let (meaning, fix) = (rule.meaning().trim(), rule.fix());
    let more = match rule {
        Rule::Mount(_) => format!("\nMore: docs/troubleshooting.md#{code}\n"),
        _ => String::new(),
    };
    format!("{code} ({severity}): {found}\n\n{meaning}\n\nWhat to do: {fix}\n{more}")
}
