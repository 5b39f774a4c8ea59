//! `check`: what is wrong with manifests, before they are applied.

pub(super) mod settings;

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use clap::{Arg, ArgMatches, Command};

use super::{NO_INPUT, Subcommand, USAGE, fail, input};
use crate::check::{
    self, Report,
    output::{Format, github, json, sarif, text},
    rule::Severity,
};

const ABOUT: &str = "\
Finds what is wrong with manifests, without a cluster and without a network.

Reads SecretProviderClasses, SecretSyncs, ServiceAccounts, the CSIDriver, pods and what makes pods, from \
files, folders (*.yaml, *.yml and *.json, at any depth), or - for standard input. Other kinds are passed \
over. What a mount would refuse is found by the code that a mount runs, and shown in its words; \
each finding has a code, which explain-code explains.";

const AFTER: &str = "\
Examples:
  check deploy/
  helm template shop charts/shop | check -
  check --output sarif deploy/ > check.sarif
  check --allowed-identities=pod,ecs-role --region=cn-beijing deploy/

A comment ignores a finding, with the reason behind the colon:
  objectVersionLabel: blue   # check-ignore mutable-pin: blue is moved by our release job

Exit status: 0 if nothing is found that counts, 1 if something is, 64 if the command line is wrong, 66 if a \
file cannot be read. Errors count; warnings and notes with --deny.";

pub(super) const CHECK: Subcommand = Subcommand { command, run };

fn command() -> Command {
    Command::new("check")
        .about("Finds what is wrong with manifests, without a cluster")
        .long_about(ABOUT)
        .after_help(AFTER)
        .max_term_width(100)
        .arg(input::argument())
        .arg(super::output(
            Format::ALL.map(Format::name),
            "text for people, json, sarif for code scanning, github for annotations of a workflow",
        ))
        .arg(
            Arg::new("deny")
                .long("deny")
                .value_name("SEVERITY")
                .value_parser(["warnings", "notes"])
                .help("Exit with 1 for these too; notes includes warnings"),
        )
        .arg(
            Arg::new("color")
                .long("color")
                .value_name("WHEN")
                .value_parser(["auto", "always", "never"])
                .default_value("auto")
                .help("Colours; auto: on a terminal, unless NO_COLOR is set"),
        )
        .args(settings::arguments())
}

fn run(matches: &ArgMatches) -> ExitCode {
    let settings = match settings::of(matches) {
        Ok(settings) => settings,
        Err(what) => return fail(&what, USAGE),
    };
    let paths = input::paths(matches);
    let files = match input::manifests(&paths) {
        Ok(files) => files,
        Err(what) => return fail(&what, NO_INPUT),
    };
    let report = check::check(&files, &settings);
    let chosen = matches.get_one::<String>("output");
    let format = Format::ALL.into_iter().find(|one| Some(one.name()) == chosen.map(String::as_str));
    let written = match format.unwrap_or(Format::Text) {
        Format::Text => text::render(&report, &files, coloured(matches)),
        Format::Json => json::render(&report, &files),
        Format::Sarif => sarif::render(&report, &files),
        Format::GitHub => github::render(&report, &files),
    };
    // A reader who goes away has heard enough; the status tells the rest.
    let _ = std::io::stdout().write_all(written.as_bytes());
    ExitCode::from(u8::from(counts(&report, matches.get_one::<String>("deny"))))
}

/// Whether something was found that counts.
fn counts(report: &Report, deny: Option<&String>) -> bool {
    let least = match deny.map(String::as_str) {
        Some("notes") => Severity::Note,
        Some(_) => Severity::Warning,
        None => Severity::Error,
    };
    report.findings.iter().any(|finding| finding.severity() <= least)
}

fn coloured(matches: &ArgMatches) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match matches.get_one::<String>("color").map(String::as_str) {
        Some("always") => true,
        Some("never") => false,
        _ => {
            let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            std::io::stdout().is_terminal() && !set("NO_COLOR") && !dumb
        }
    }
}
