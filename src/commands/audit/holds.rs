//! `audit holds`: what a pod had at a time, also at the times of sessions in it.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Arg, ArgMatches, Command};
use serde_json::json;

use super::question::{Answer, Ended, file, format, question, read, time};
use crate::{
    audit::{
        analysis::{
            alerts::Alerts,
            holds::{self, Holds, Moment, Wanted},
        },
        output::holds::{Joined, render, table},
    },
    commands::{NO_INPUT, USAGE},
    text::shown,
};

const ABOUT: &str = "\
Tells which values a pod had been handed at a time: which secrets somebody may have seen who was in it then.

POD is NAMESPACE/NAME, NAME or uid; * and ? stand for any characters and for one. With --alerts it answers for \
every session (exec, attach, debug) that the API server's audit log has of these pods; for an alert of another \
sensor give its time with --at. Without either it answers for the last record.

A record tells when a value was handed out, and when the next mount of the same class had another version or left \
the object out: FROM and UNTIL. It tells neither when a pod ended nor what a process kept in memory, so values \
handed out earlier are listed too. Records of all times count: what was mounted long before is what a pod holds.";

const AFTER: &str = "\
Examples:
  audit holds shop/web-7d4b9c-x2x8p --at=2026-11-23T09:12:44Z /var/log/provider/audit.log
  audit holds '*' --alerts=kube-apiserver-audit.log node-a.log node-b.log
  audit holds 5f1c9e0e-7d43-4c5e-9a83-1f3d5d0c7a11 --at=2026-11-23T17:12:44+08:00 --output=json audit.log";

/// Lines of alerts that are listed one by one.
const MOST_LISTED: usize = 100;
/// Events have the objects of requests in them, where the API server's policy says so.
const LONGEST_EVENT: u64 = 16 << 20;

pub(super) fn command() -> Command {
    question(
        "holds",
        "Tells which values a pod had at a time, and joins sessions in pods with secrets",
        ABOUT,
        AFTER,
    )
    .arg(
        Arg::new("at")
            .long("at")
            .value_name("TIME")
            .value_parser(moment)
            .conflicts_with("alerts")
            .help("The time in question: 2026-11-23T09:12:44Z [default: that of the last record]"),
    )
    .arg(
        Arg::new("alerts")
            .long("alerts")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("The API server's audit log, one event a line; - is standard input"),
    )
    .arg(
        Arg::new("pod")
            .value_name("POD")
            .required(true)
            .help("NAMESPACE/NAME, NAME or uid, or a pattern"),
    )
    .arg(file())
}

/// A day is no moment.
fn moment(text: &str) -> Result<i64, &'static str> {
    match text.len() {
        10 => Err("is a day: give a time such as 2026-11-23T09:12:44Z"),
        _ => time(text),
    }
}

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Ended> {
    let asked = matches.get_one::<String>("pod").map_or("", String::as_str);
    let log = matches.get_one::<PathBuf>("alerts");
    let mut findings = Vec::new();
    let alerts = match log {
        None => None,
        Some(path) => {
            let mut files = matches.get_many::<PathBuf>("file").into_iter().flatten();
            let stdin = Path::new("-");
            if path == stdin
                && files.next().is_none_or(|file| file == stdin || files.any(|file| file == stdin))
            {
                return Err((
                    "standard input is either the record or the alerts".to_owned(),
                    USAGE,
                ));
            }
            Some(read_alerts(path, &mut findings)?)
        }
    };
    let mut holds = Holds::new(Wanted::new(asked));
    let coverage = read(matches, |record| holds.add(record))?;
    holds.sort();
    let counts = alerts.as_ref().map(|alerts| (alerts.lines, alerts.others));
    let namespaces = &coverage.filter.namespaces;
    let alerts: Option<Vec<_>> = alerts.map(|alerts| {
        let all = alerts.all().into_iter();
        all.filter(|alert| {
            holds.takes(alert) && (namespaces.is_empty() || namespaces.contains(&alert.namespace))
        })
        .collect()
    });
    let joined: Vec<Joined<'_>> = match &alerts {
        None => {
            let last = || coverage.all.last();
            let at = matches.get_one::<i64>("at").copied().or_else(last);
            let moment = at.map(|at| Moment { from: at, to: at }).into_iter();
            moment.map(|moment| (None, moment, holds.at(moment, |_, _, _| true))).collect()
        }
        Some(alerts) => {
            let each = alerts.iter().map(|alert| {
                let moment = Moment { from: alert.start, to: alert.end.unwrap_or(alert.start) };
                let answer = match alert.is_refused() {
                    true => holds::Answer::default(),
                    false => holds.during(alert),
                };
                (Some(alert), moment, answer)
            });
            each.collect()
        }
    };
    let sessions = alerts.as_ref().map_or(0, Vec::len);
    let answer = Answer {
        more: json!({
            "asked": asked,
            "alerts": counts.map(|(lines, others)| json!({
                "lines": lines, "other_events": others, "sessions": sessions,
            })),
        }),
        tables: vec![table(&joined)],
        text: &|| {
            let alerts = counts.map_or_else(String::new, |(lines, _)| {
                format!("alerts: {sessions} sessions in these pods, of {lines} events\n")
            });
            format!("{alerts}{}", render(&joined))
        },
        findings,
    };
    Ok(answer.write(format(matches), &coverage))
}

/// Lines that are no events are reported, and left out.
fn read_alerts(path: &Path, findings: &mut Vec<String>) -> Result<Alerts, Ended> {
    let is_stdin = path.as_os_str() == "-";
    let name = if is_stdin { "stdin".to_owned() } else { path.display().to_string() };
    let name = shown(&name).into_owned();
    let failed = |error: io::Error| (format!("{name}: {}", error.kind()), NO_INPUT);
    let mut input: Box<dyn BufRead> = match is_stdin {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(path).map_err(failed)?)),
    };
    let mut alerts = Alerts::default();
    let mut line = Vec::new();
    let mut broken: usize = 0;
    for number in 1_u64.. {
        line.clear();
        if io::Read::take(&mut input, LONGEST_EVENT).read_until(b'\n', &mut line).map_err(failed)?
            == 0
        {
            break;
        }
        if let Err(what) = alerts.add(&line) {
            broken += 1;
            if broken <= MOST_LISTED {
                findings.push(format!("{name}:{number}: {what}"));
            }
        }
    }
    if let Some(more) = broken.checked_sub(MOST_LISTED).filter(|more| *more > 0) {
        findings.push(format!("{name}: and {more} more lines that are no events"));
    }
    Ok(alerts)
}
