//! `explain`: what each pod of manifests would get, and how.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{ArgMatches, Command};

use super::{
    Subcommand, USAGE,
    preview::{Cannot, Input, arguments, read},
};
use crate::{
    config,
    explain::{Format, explain, json, mermaid, svg, text},
    preview::preview,
};

const ABOUT: &str = "\
Says what each pod of manifests would get: files and their modes, as whom and why, which calls are made, which \
permissions these need, how fresh values are and what an outage would do. Without a cluster and without a network.

Reads what check reads. Everything is found by the code that a mount runs, as far as manifests and flags say it; \
what they leave open is a placeholder in capitals.";

const AFTER: &str = "\
Examples:
  explain deploy/
  explain --output=svg deploy/ > secrets.svg
  explain --output=mermaid deploy/          a flow chart for Markdown
  explain --service-account=shop/checkout spc.yaml
  explain --refresh-interval=1m --outage-grace=1h deploy/

Exit status: 0 if all mounts could be explained, 1 if a mount would refuse something (check says where), 64 if the \
command line is wrong, 66 if a file cannot be read.";

const NO_INPUT: u8 = 66;

pub(super) const EXPLAIN: Subcommand = Subcommand { command, run };

fn command() -> Command {
    Command::new("explain")
        .about("Says what pods of manifests would get, and how")
        .long_about(ABOUT)
        .after_help(AFTER)
        .max_term_width(100)
        .args(arguments())
        .args(config::preview::arguments())
        .arg(super::output(
            Format::ALL.map(Format::name),
            "text for people, json, or a picture: mermaid for Markdown, svg",
        ))
}

fn run(matches: &ArgMatches) -> ExitCode {
    let (what, status) = match read(matches) {
        Err(Cannot::Usage(what)) => (what, USAGE),
        Err(Cannot::Read(what)) => (what, NO_INPUT),
        Ok(input) => match config::preview::Preview::parse(matches) {
            Err(mistakes) => (mistakes.join("\nerror: "), USAGE),
            Ok(operator) => return tell(matches, input, &operator),
        },
    };
    let _ = writeln!(io::stderr(), "error: {what}");
    ExitCode::from(status)
}

fn tell(matches: &ArgMatches, input: Input, operator: &config::preview::Preview) -> ExitCode {
    let Input { files, mut given } = input;
    given.assumed.settings.policy.share = operator.share;
    given.assumed.kms_batch = operator.kms_batch;
    let preview = preview(&files, &given.assumed);
    let all = explain(&preview, &given, &operator.caching);
    let chosen = matches.get_one::<String>("output");
    let format = Format::ALL.into_iter().find(|one| Some(one.name()) == chosen.map(String::as_str));
    let written = match format.unwrap_or(Format::Text) {
        Format::Text => text::render(&all, &preview),
        Format::Json => json::render(&all, &preview),
        Format::Mermaid => mermaid::render(&all),
        Format::Svg => svg::render(&all),
    };
    // A reader who goes away has heard enough; the status tells the rest.
    let _ = io::stdout().write_all(written.as_bytes());
    // A picture has no room for it.
    if matches!(format, Some(Format::Mermaid | Format::Svg)) {
        for refused in &preview.refused {
            let reasons = refused.reasons.join("; ");
            let _ = writeln!(io::stderr(), "error: {}: {reasons}", refused.subject);
        }
    }
    ExitCode::from(u8::from(!preview.refused.is_empty()))
}
