//! JSON: one object with all lines. `schema` changes when a reader would have to.

use serde::Serialize;
use serde_json::Value;

use crate::doctor::{
    facts::Tried,
    line::{Line, Outcome, Report},
};

#[derive(Serialize)]
struct Root<'a> {
    schema: u32,
    version: &'static str,
    checks: Vec<Entry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<Vec<FactEntry<'a>>>,
    summary: Summary,
}

#[derive(Serialize)]
struct Entry<'a> {
    check: &'static str,
    subject: &'a str,
    outcome: &'static str,
    seen: &'a str,
    fix: &'a str,
    notes: &'a [String],
    request_id: Option<&'a str>,
    took_ms: Option<u64>,
}

#[derive(Serialize)]
struct FactEntry<'a> {
    fact: &'static str,
    question: &'static str,
    how: &'static str,
    answer: &'a str,
    verdict: &'static str,
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Summary {
    ok: usize,
    warn: usize,
    broken: usize,
    skipped: usize,
    exit_status: u8,
}

/// `facts`: where they were tried.
pub(crate) fn value(report: &Report, facts: Option<&[Tried]>) -> Value {
    let count = |outcome| report.count(outcome);
    let root = Root {
        schema: 1,
        version: env!("CARGO_PKG_VERSION"),
        checks: report.lines.iter().map(entry).collect(),
        facts: facts.map(|facts| facts.iter().map(fact).collect()),
        summary: Summary {
            ok: count(Outcome::Ok),
            warn: count(Outcome::Warn),
            broken: count(Outcome::Broken),
            skipped: count(Outcome::Skipped),
            exit_status: report.exit_status(),
        },
    };
    serde_json::to_value(root).unwrap_or_default()
}

pub(crate) fn render(report: &Report, facts: Option<&[Tried]>) -> String {
    let mut text = serde_json::to_string_pretty(&value(report, facts)).unwrap_or_default();
    text.push('\n');
    text
}

fn entry(line: &Line) -> Entry<'_> {
    Entry {
        check: line.check.id(),
        subject: &line.subject,
        outcome: line.outcome.name(),
        seen: &line.seen,
        fix: &line.fix,
        notes: &line.notes,
        request_id: line.request.as_deref(),
        took_ms: line.took.and_then(|took| u64::try_from(took.as_millis()).ok()),
    }
}

fn fact(tried: &Tried) -> FactEntry<'_> {
    let about = tried.fact.about();
    FactEntry {
        fact: about.id,
        question: about.question,
        how: about.how,
        answer: &tried.answer,
        verdict: tried.verdict(),
        request_id: tried.request.as_deref(),
    }
}
