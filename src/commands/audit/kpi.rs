//! `audit kpi`: numbers for a security team.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::question::{Answer, Ended, file, format, question, read, stretch};
use crate::{
    audit::{
        analysis::kpi::{Counts, never_used},
        output::kpi::{render, table},
    },
    commands::{USAGE, policy::existing},
    ram::usage::Usage,
};

const ABOUT: &str = "\
Tells the numbers that a security team watches: mounts by identity, denied, with stale values; how late pods took \
up new versions; grants of RAM policies that no read used.

The lag is counted from the first pod that was handed a version, since no record says when a secret was changed: \
the true lag is at least this.";

const AFTER: &str = "\
Examples:
  audit kpi --since=2026-11-01 --until=2026-12-01 node-*.log
  audit kpi --policy=policy.json --role=shop audit.log
  audit kpi --output=csv audit.log
  audit kpi --output=json audit.log | jq '.kpi[] | select(.kpi == \"mounts_by_identity\")'

A file given to --policy that is no permission policy ends with 65.";

pub(super) fn command() -> Command {
    question(
        "kpi",
        "Tells the numbers: identities, denied, stale, rotation lag, grants never used",
        ABOUT,
        AFTER,
    )
    .args(stretch())
    .arg(Arg::new("policy").long("policy").value_name("POLICY").action(ArgAction::Append).help(
        "A permission policy: a file with its JSON, or a system policy's name; lists its grants \
                     that no read used; can be given more than once",
    ))
    .arg(
        Arg::new("role").long("role").value_name("NAME|ARN").requires("policy").help(
            "Whose policy it is: reads of other roles do not count as its use [default: of all]",
        ),
    )
    .arg(file())
}

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Ended> {
    let mut policies = Vec::new();
    for name in matches.get_many::<String>("policy").into_iter().flatten() {
        if name == "-" {
            return Err(("--policy is a file or a system policy's name".to_owned(), USAGE));
        }
        policies.push(existing(name)?);
    }
    let role = matches.get_one::<String>("role").map(String::as_str);
    let mut counts = Counts::default();
    let mut usage = (!policies.is_empty()).then(Usage::default);
    let coverage = read(matches, |record| {
        counts.add(record);
        if let Some(usage) = &mut usage {
            usage.count(record);
        }
    })?;
    let mut kpi = counts.kpi();
    kpi.unused = usage.map(|usage| never_used(&policies, &usage, role));
    let answer = Answer {
        more: json!({}),
        tables: vec![table(&kpi)],
        text: &|| render(&kpi),
        findings: Vec::new(),
    };
    Ok(answer.write(format(matches), &coverage))
}
