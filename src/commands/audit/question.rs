//! Questions: what all of them are given, and how their answers are written.

use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Arg, ArgAction, ArgMatches, Command};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::Value;

use super::files;
use crate::{
    audit::{
        analysis::coverage::{Coverage, Filter},
        output::{Format, Table, count, csv, json, text},
    },
    commands::{NO_INPUT, fail},
    records::Record,
};

/// Why there is no answer, and the exit status.
pub(super) type Ended = (String, u8);

pub(super) const STATUS: &str = "\
Exit status: 0 if the answer is of all that the files should hold; 1 if lines are broken or missing, or records \
were lost, so that it may lack something (FILE:LINE is on standard error); 64 if the command line is wrong; \
66 if a file cannot be read.";

pub(super) fn question(
    name: &'static str,
    about: &'static str,
    long: &str,
    after: &str,
) -> Command {
    Command::new(name)
        .about(about)
        .long_about(long.to_owned())
        .after_help(format!("{after}\n\n{STATUS}"))
        .max_term_width(100)
        .arg(crate::commands::output(
            Format::ALL.map(Format::name),
            "text for people, json, or csv: one table after RFC 4180",
        ))
        .arg(
            Arg::new("namespace")
                .long("namespace")
                .short('n')
                .value_name("NAME")
                .action(ArgAction::Append)
                .help("Count records of pods in this namespace alone; can be given more than once"),
        )
}

/// For questions about a stretch of time.
pub(super) fn stretch() -> [Arg; 2] {
    let arg = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("TIME").value_parser(time).help(help)
    };
    [
        arg(
            "since",
            "Count records from this time on: 2026-11-23T09:00:00Z, or a day, from 0:00 UTC",
        ),
        arg("until", "Count records before this time"),
    ]
}

pub(super) fn file() -> Arg {
    Arg::new("file")
        .value_name("FILE")
        .action(ArgAction::Append)
        .value_parser(clap::value_parser!(PathBuf))
        .help(
            "Audit records, each with the files rotated from it, of one node or several; - is standard \
             input [default: standard input]",
        )
}

/// Microseconds since 1970.
pub(super) fn time(text: &str) -> Result<i64, &'static str> {
    let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok();
    let time = text.parse::<Timestamp>().ok().or_else(|| {
        // A text with a time in it and no offset could mean any: it is no day.
        (text.len() == 10).then(day)?.map(|day| day.timestamp())
    });
    time.map(Timestamp::as_microsecond)
        .ok_or("is no time such as 2026-11-23T09:00:00Z or 2026-11-23T17:00:00+08:00, and no day such as 2026-11-23")
}

/// Hands on the records that count, and tells which lines there were.
pub(super) fn read(
    matches: &ArgMatches,
    mut take: impl FnMut(&Record<'_>),
) -> Result<Coverage, Ended> {
    let of = |name: &str| matches.try_get_one::<i64>(name).ok().flatten().copied();
    let namespaces = matches.get_many::<String>("namespace").into_iter().flatten();
    let filter = Filter {
        since: of("since"),
        until: of("until"),
        namespaces: namespaces.cloned().collect(),
    };
    if let (Some(since), Some(until)) = (filter.since, filter.until)
        && since >= until
    {
        return Err(("--since is not before --until".to_owned(), super::USAGE));
    }
    let mut coverage = Coverage::new(filter);
    let files: Vec<PathBuf> = matches.get_many("file").into_iter().flatten().cloned().collect();
    files::lines(&files, |file, number, line| {
        if let Some(record) = coverage.take(file, number, line) {
            take(&record);
        }
    })
    .map_err(|what| (what, NO_INPUT))?;
    Ok(coverage)
}

pub(super) fn format(matches: &ArgMatches) -> Format {
    let chosen = matches.get_one::<String>("output").map(String::as_str);
    Format::ALL.into_iter().find(|one| Some(one.name()) == chosen).unwrap_or(Format::Text)
}

/// An answer in every form.
pub(super) struct Answer<'a> {
    /// Further members of the JSON.
    pub(super) more: Value,
    pub(super) tables: Vec<Table<'a>>,
    pub(super) text: &'a dyn Fn() -> String,
    /// What else is wrong with the input: lines for standard error.
    pub(super) findings: Vec<String>,
}

impl Answer<'_> {
    pub(super) fn write(&self, format: Format, coverage: &Coverage) -> ExitCode {
        let mut out = BufWriter::new(io::stdout().lock());
        let written = match (format, &*self.tables) {
            (Format::Json, tables) => json::write(&mut out, coverage, self.more.clone(), tables),
            (Format::Csv, [table, ..]) => csv::write(&mut out, table),
            (Format::Csv, []) => Ok(()),
            (Format::Text, _) => {
                let head = text::head(coverage);
                let notes = text::notes(coverage);
                out.write_all(format!("{head}{}\n{notes}", (self.text)()).as_bytes())
            }
        };
        // A reader who goes away has heard enough; the status tells the rest.
        let _ = written.and_then(|()| out.flush());
        let mut notes = String::new();
        for (file, line, what) in &coverage.broken {
            notes.push_str(&format!("{file}:{line}: {what}\n"));
        }
        let more = coverage.broken_lines - count(coverage.broken.len());
        if more > 0 {
            notes.push_str(&format!("and {more} more lines that are not understood\n"));
        }
        for finding in &self.findings {
            notes.push_str(&format!("{finding}\n"));
        }
        if format == Format::Csv {
            notes.push_str(&text::notes(coverage));
        }
        let _ = io::stderr().write_all(notes.as_bytes());
        ExitCode::from(u8::from(!coverage.is_whole() || !self.findings.is_empty()))
    }
}

pub(super) fn end(answer: Result<ExitCode, Ended>) -> ExitCode {
    answer.unwrap_or_else(|(what, status)| fail(&what, status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_an_offset_or_are_a_day() {
        let micros = 1_763_888_400_000_000;
        for text in ["2025-11-23T09:00:00Z", "2025-11-23T17:00:00+08:00", "2025-11-23 09:00:00Z"] {
            assert_eq!(time(text), Ok(micros), "{text}");
        }
        assert_eq!(time("2025-11-23"), Ok(micros - 9 * 3_600_000_000));
        for text in [
            "",
            "now",
            "2025-11-23T09:00:00",
            "2025-11-23T09:00",
            "09:00",
            "2025-13-01",
            "20251123",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
