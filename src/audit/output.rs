//! The forms of what an analysis found: the same rows as JSON and CSV, and a text for people.

pub(crate) mod csv;
pub(crate) mod holds;
pub(crate) mod json;
pub(crate) mod kpi;
pub(crate) mod report;
pub(crate) mod text;
pub(crate) mod who;

use std::borrow::Cow;

use jiff::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    Csv,
}

impl Format {
    pub(crate) const ALL: [Self; 3] = [Self::Text, Self::Json, Self::Csv];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Text(Cow<'a, str>),
    Number(u64),
    /// Microseconds since 1970.
    Time(Option<i64>),
    List(Vec<&'a str>),
    /// A part of one, or seconds.
    Fraction(Option<f64>),
}

/// Rows for programs. Every row has a cell for each column.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [&'static str],
    pub(crate) rows: Vec<Vec<Cell<'a>>>,
}

pub(crate) fn text(text: &str) -> Cell<'_> {
    Cell::Text(Cow::Borrowed(text))
}

/// As the record has times.
pub(crate) fn time(micros: i64) -> String {
    at(micros, "%Y-%m-%dT%H:%M:%S.%6fZ")
}

/// For people.
pub(crate) fn short(micros: i64) -> String {
    at(micros, "%Y-%m-%d %H:%M:%S")
}

fn at(micros: i64, form: &str) -> String {
    let time = Timestamp::from_microsecond(micros).unwrap_or_default();
    time.strftime(form).to_string()
}

pub(crate) fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
