//! JSON: one object with what the record is, and a list for each table.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Value, json};

use super::{Cell, Table, count, time};
use crate::audit::analysis::{Span, coverage::Coverage};

/// Raised when a member changes its meaning or goes; new members do not raise it.
const SCHEMA: u32 = 1;
/// Gaps that are listed one by one.
const MOST_GAPS: usize = 100;

pub(crate) fn write(
    out: &mut impl Write,
    coverage: &Coverage,
    more: Value,
    tables: &[Table<'_>],
) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &Document { coverage, more, tables })?;
    out.write_all(b"\n")
}

struct Document<'a> {
    coverage: &'a Coverage,
    /// Members between.
    more: Value,
    tables: &'a [Table<'a>],
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schema", &SCHEMA)?;
        map.serialize_entry("record", &record(self.coverage))?;
        for (name, value) in self.more.as_object().into_iter().flatten() {
            map.serialize_entry(name, value)?;
        }
        for table in self.tables {
            map.serialize_entry(table.name, &Rows(table))?;
        }
        map.end()
    }
}

struct Rows<'a>(&'a Table<'a>);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.0.rows.len()))?;
        for row in &self.0.rows {
            rows.serialize_element(&Row(self.0.columns, row))?;
        }
        rows.end()
    }
}

struct Row<'a>(&'static [&'static str], &'a [Cell<'a>]);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().zip(self.1))
    }
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Text(text) => serializer.serialize_str(text),
            Cell::Number(number) => serializer.serialize_u64(*number),
            Cell::Time(at) => at.map(time).serialize(serializer),
            Cell::List(texts) => texts.serialize(serializer),
            Cell::Fraction(of) => of.map(|of| (of * 1e4).round() / 1e4).serialize(serializer),
        }
    }
}

fn record(coverage: &Coverage) -> Value {
    let span =
        |span: &Span| json!({ "first": span.first().map(time), "last": span.last().map(time) });
    let broken = coverage
        .broken
        .iter()
        .map(|(file, line, what)| json!({ "file": file, "line": line, "what": what.to_string() }));
    let gaps = coverage.gaps().take(MOST_GAPS);
    let gaps = gaps.map(|gap| json!({ "run": gap.run, "from": gap.from, "to": gap.to }));
    json!({
        "files": coverage.files,
        "lines": coverage.lines,
        "runs": count(coverage.runs()),
        "runs_without_their_start": count(coverage.headless()),
        "nodes": coverage.nodes,
        "time": span(&coverage.all),
        "counted": coverage.taken.times,
        "counted_time": span(&coverage.taken),
        "whole": coverage.is_whole(),
        "chain_verified": false,
        "broken_lines": coverage.broken_lines,
        "broken": broken.collect::<Vec<_>>(),
        "missing_lines": coverage.missing(),
        "missing": gaps.collect::<Vec<_>>(),
        "lost_records": coverage.lost,
        "repeated_lines": coverage.repeated,
    })
}
