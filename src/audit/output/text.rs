//! Text for people: aligned columns, and what the record is.

use super::{count, short};
use crate::{
    audit::analysis::{
        Span,
        coverage::{Coverage, Gap},
    },
    text::shown,
};

/// A longer name of a row stands on a line by itself, so that the rest stays narrow.
const LONGEST_NAME: usize = 28;
/// Gaps that are listed one by one.
const MOST_GAPS: usize = 3;

/// How a column stands under its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// The first column names the row.
pub(crate) fn columns(indent: usize, heads: &[(&str, Side)], rows: &[Vec<String>]) -> String {
    let length = |text: &str| text.chars().count();
    let mut widths: Vec<usize> = heads.iter().map(|(head, _)| length(head)).collect();
    for row in rows {
        for (at, (cell, width)) in row.iter().zip(&mut widths).enumerate() {
            if at > 0 || length(cell) <= LONGEST_NAME {
                *width = length(cell).max(*width);
            }
        }
    }
    let before = " ".repeat(indent);
    let line = |cells: &[&str]| {
        let cells = cells.iter().zip(&widths).zip(heads);
        let cells = cells.map(|((cell, width), (_, side))| {
            let room = " ".repeat(width.saturating_sub(length(cell)));
            match side {
                Side::Left => format!("{cell}{room}"),
                Side::Right => format!("{room}{cell}"),
            }
        });
        let line = format!("{before}{}", cells.collect::<Vec<_>>().join("  "));
        format!("{}\n", line.trim_end())
    };
    let heads: Vec<&str> = heads.iter().map(|(head, _)| *head).collect();
    let mut text = line(&heads);
    for row in rows {
        let mut cells: Vec<&str> = row.iter().map(String::as_str).collect();
        if let Some(name) = cells.first_mut()
            && length(name) > LONGEST_NAME
        {
            text.push_str(&format!("{before}{name}\n"));
            *name = "";
        }
        text.push_str(&line(&cells));
    }
    text
}

/// `1 line`, `2 lines`.
pub(crate) fn number(of: u64, one: &str, many: &str) -> String {
    format!("{of} {}", if of == 1 { one } else { many })
}

pub(crate) fn times(of: u64) -> String {
    number(of, "time", "times")
}

/// `from ... to ...`, or `at ...`.
pub(crate) fn span(span: &Span) -> String {
    match (short(span.first), short(span.last)) {
        (first, last) if first == last => format!("at {first}"),
        (first, last) => format!("from {first} to {last}"),
    }
}

/// What the answer is made of.
pub(crate) fn head(coverage: &Coverage) -> String {
    let mut text = format!(
        "record: {} of {} on {} in {}",
        number(coverage.lines, "line", "lines"),
        number(count(coverage.runs()), "run", "runs"),
        number(count(coverage.nodes.len()), "node", "nodes"),
        number(count(coverage.files.len()), "file", "files"),
    );
    if coverage.all.times > 0 {
        text.push_str(&format!(", {} UTC", span(&coverage.all)));
    }
    text.push('\n');
    let filter = &coverage.filter;
    if filter.is_of_time() || !filter.namespaces.is_empty() {
        text.push_str(&format!("counted: {}", number(coverage.taken.times, "record", "records")));
        if !filter.namespaces.is_empty() {
            let namespaces: Vec<_> = filter.namespaces.iter().map(|name| shown(name)).collect();
            text.push_str(&format!(" of namespace {}", namespaces.join(", ")));
        }
        if let Some(since) = filter.since {
            text.push_str(&format!(", since {}", short(since)));
        }
        if let Some(until) = filter.until {
            text.push_str(&format!(", before {}", short(until)));
        }
        text.push('\n');
    }
    text
}

/// What a reader has to know of the record before the answer is relied on.
pub(crate) fn notes(coverage: &Coverage) -> String {
    let mut notes = Vec::new();
    let is_are = |of: u64| if of == 1 { "is" } else { "are" };
    let lines = |of: u64| format!("{} {}", number(of, "line", "lines"), is_are(of));
    if coverage.broken_lines > 0 {
        notes.push(format!("{} not understood, and left out", lines(coverage.broken_lines)));
    }
    let missing = coverage.missing();
    if missing > 0 {
        let gap = |gap: Gap<'_>| match gap.from == gap.to {
            true => format!("line {} of run {}", gap.from, shown(gap.run)),
            false => format!("lines {} to {} of run {}", gap.from, gap.to, shown(gap.run)),
        };
        let shown: Vec<String> = coverage.gaps().take(MOST_GAPS).map(gap).collect();
        let more = if coverage.gaps().nth(MOST_GAPS).is_some() { ", and more" } else { "" };
        notes.push(format!("{} missing: {}{more}", lines(missing), shown.join(", ")));
    }
    if coverage.lost > 0 {
        let records = number(coverage.lost, "record", "records");
        notes.push(format!("{records} could not be written, as lines say"));
    }
    if coverage.repeated > 0 {
        notes.push(format!("{} here more than once, and counted once", lines(coverage.repeated)));
    }
    let headless = count(coverage.headless());
    if headless > 0 {
        let runs = number(count(coverage.runs()), "run", "runs");
        notes.push(format!(
            "{headless} of {runs} {} with a later line than the first: what was recorded before is not here",
            if headless == 1 { "begins" } else { "begin" }
        ));
    }
    notes.push("the chain is not verified here: audit verify does that".to_owned());
    notes.iter().map(|note| format!("note: {note}\n")).collect()
}
