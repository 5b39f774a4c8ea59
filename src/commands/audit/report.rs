//! `audit report`: who read what.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::question::{Answer, Ended, file, format, question, read, stretch};
use crate::{
    audit::{
        analysis::{access::Accesses, report::Report},
        output::{
            Format,
            report::{By, render, table},
        },
    },
    commands::USAGE,
};

const ABOUT: &str = "\
Tells who read what: for each secret, pod and identity how often values were handed out, between which times, and \
what was refused.

Handed out means that the value was read and that the mount succeeded, so that the driver got it. What a pod did \
with it is in no record.";

const AFTER: &str = "\
Examples:
  audit report /var/log/provider/audit.log
  audit report --since=2026-11-22 --until=2026-11-23 --namespace=shop node-a.log node-b.log
  audit report --by=pod --output=csv audit.log > pods.csv
  kubectl logs POD | grep '^{\"schema\":' | csi-secrets-store-provider-alibabacloud audit report";

pub(super) fn command() -> Command {
    question(
        "report",
        "Tells who read what, by secret, pod and identity, and what was refused",
        ABOUT,
        AFTER,
    )
    .args(stretch())
    .arg(
        Arg::new("by")
            .long("by")
            .value_name("WHAT")
            .action(ArgAction::Append)
            .value_delimiter(',')
            .value_parser(By::ALL.map(By::name))
            .help("Tell this table alone; for csv one has to be named [default: all]"),
    )
    .arg(file())
}

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Ended> {
    let named: Vec<&str> =
        matches.get_many::<String>("by").into_iter().flatten().map(String::as_str).collect();
    let by: Vec<By> =
        By::ALL.into_iter().filter(|by| named.is_empty() || named.contains(&by.name())).collect();
    let format = format(matches);
    if format == Format::Csv && by.len() != 1 {
        let names = By::ALL.map(By::name).join(", ");
        return Err((format!("csv is one table: name it with --by, one of {names}"), USAGE));
    }
    let mut accesses = Accesses::default();
    let coverage = read(matches, |record| accesses.add(record))?;
    let report = Report::of(&accesses);
    let answer = Answer {
        more: json!({}),
        tables: match format {
            Format::Text => Vec::new(),
            _ => by.iter().map(|by| table(&report, *by)).collect(),
        },
        text: &|| render(&report, &by),
        findings: Vec::new(),
    };
    Ok(answer.write(format, &coverage))
}
