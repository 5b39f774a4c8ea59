//! `audit verify`: whether the chain of a record is whole.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::files::in_order;
use crate::{
    audit::{
        chain::Digest,
        hash::Hash,
        key,
        verify::{Report, Run, Verifier},
    },
    commands::NO_INPUT,
};

const ABOUT: &str = "\
Detects lines of an audit record that were changed, removed, reordered, repeated or cut off.

Reads each FILE with the files rotated from it (FILE.2, FILE.1, then FILE), or standard input. All \
are one sequence of lines; lines of several processes may alternate in it.";

const AFTER: &str = "\
Examples:
  audit verify /var/log/provider/audit.log
  audit verify --key-file audit.key /var/log/provider/audit.log
  audit verify --expect HASH audit.log      HASH from a log line \"audit record ... hash=HASH\"
  kubectl logs POD | grep '^{\"schema\":' | csi-secrets-store-provider-alibabacloud audit verify

What it can show: a plain chain finds every change by someone who does not calculate it anew from
there on; anyone who can write the file can do that. With --audit-key-file only holders of the key can.
Lines missing from the end leave a shorter chain that is whole: only a hash from elsewhere shows
that, so give the last one that the log shows with --expect. The same goes for the oldest files.

Exit status: 0 if all is whole, 1 if not (FILE:LINE and what is wrong), 66 if a file cannot be read,
64 if the command line is wrong.";

/// Runs that are listed one by one.
const MOST_RUNS: usize = 20;

pub(super) fn command() -> Command {
    Command::new("verify")
        .about("Detects tampering with an audit record")
        .long_about(ABOUT)
        .after_help(AFTER)
        .max_term_width(100)
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .action(ArgAction::Append)
                .value_parser(clap::value_parser!(PathBuf))
                .help("A record, with the files rotated from it [default: standard input]"),
        )
        .arg(
            Arg::new("key-file")
                .long("key-file")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .help("The key that the record was written with (--audit-key-file)"),
        )
        .arg(
            Arg::new("expect")
                .long("expect")
                .value_name("HASH")
                .action(ArgAction::Append)
                .value_parser(|text: &str| Hash::parse(text).ok_or("is not 64 hexadecimal digits"))
                .help("A line with this hash must be there; can be given more than once"),
        )
}

pub(super) fn run(matches: &ArgMatches) -> ExitCode {
    let key = match matches.get_one::<PathBuf>("key-file").map(|path| (path, key::read(path))) {
        None => None,
        Some((_, Ok(key))) => Some(key),
        Some((path, Err(what))) => {
            return say(&format!("--key-file: {} {what}\n", path.display()), NO_INPUT);
        }
    };
    let expected = matches.get_many::<Hash>("expect").into_iter().flatten().copied();
    let mut verifier = Verifier::new(Digest::new(key.as_ref()), expected);
    let given: Vec<PathBuf> = matches.get_many("file").into_iter().flatten().cloned().collect();
    if given.is_empty()
        && let Err(error) = verifier.read("stdin", std::io::stdin().lock())
    {
        return say(&format!("stdin: {}\n", error.kind()), NO_INPUT);
    }
    for path in in_order(&given) {
        let name = path.display().to_string();
        let read = File::open(&path).and_then(|file| verifier.read(&name, BufReader::new(file)));
        if let Err(error) = read {
            return say(&format!("{name}: {}\n", error.kind()), NO_INPUT);
        }
    }
    let report = verifier.report();
    say(&summary(&report), u8::from(!report.findings.is_empty()))
}

/// What `audit verify` says of one input without a key, and whether it is whole.
pub fn check(name: &str, input: impl BufRead) -> io::Result<(bool, String)> {
    let mut verifier = Verifier::new(Digest::new(None), []);
    verifier.read(name, input)?;
    let report = verifier.report();
    Ok((report.findings.is_empty(), summary(&report)))
}

fn summary(report: &Report) -> String {
    let Report { lines, files, runs, first_time, last_time, findings, .. } = report;
    let mut text = String::new();
    for finding in findings {
        text.push_str(&format!("{}: {}\n", finding.place, finding.what));
    }
    if report.more > 0 {
        text.push_str(&format!("and {} more\n", report.more));
    }
    if let Some(other) = &report.other_digest {
        let hint = match other.as_str() {
            "sha256" => "lines say that they are chained without a key: anyone can have made them",
            _ => {
                "lines say that they are chained with a key: give it, or the right one, with --key-file"
            }
        };
        text.push_str(&format!("{hint}\n"));
    }
    let verdict = if findings.is_empty() { "whole" } else { "NOT WHOLE" };
    text.push_str(&format!("{verdict}: {lines} lines of {} runs in {files} files", runs.len()));
    if !first_time.is_empty() {
        text.push_str(&format!(", from {first_time} to {last_time}"));
    }
    text.push('\n');
    for Run { id, node, from, to, stopped, .. } in runs.iter().take(MOST_RUNS) {
        let on = if node.is_empty() { String::new() } else { format!(" on {node}") };
        let earlier = if *from > 1 { " (those before are not here)" } else { "" };
        let end =
            if *stopped { "its end" } else { "no end: it runs on, was killed, or was cut off" };
        text.push_str(&format!("  run {id}{on}: lines {from} to {to}{earlier}, {end}\n"));
    }
    if runs.len() > MOST_RUNS {
        text.push_str(&format!("  and {} more runs\n", runs.len() - MOST_RUNS));
    }
    if report.lost > 0 {
        text.push_str(&format!("{} records could not be written, as lines say\n", report.lost));
    }
    if let Some(last) = report.last {
        text.push_str(&format!("last hash: {last}\n"));
    }
    text
}

fn say(text: &str, status: u8) -> ExitCode {
    // A reader who goes away has heard enough; the status tells the rest.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(status)
}
