//! Text: a line for each outcome, as it is known.

use std::time::Duration;

use crate::{
    doctor::{
        check::{About, Check},
        facts::{Fact, Tried},
        line::{Line, Outcome, Report},
    },
    text::shown,
};

/// Under the outcome's first letter stands what belongs to it.
const INDENT: &str = "         ";

pub(crate) fn line(line: &Line) -> String {
    let subject =
        if line.subject.is_empty() { String::new() } else { format!("{}: ", line.subject) };
    let mut facts = Vec::new();
    facts.extend(line.took.map(time));
    facts.extend(line.request.as_ref().map(|id| format!("request {id}")));
    let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
    let what = format!("{subject}{}{facts}", line.seen);
    let mut text = format!("{:<8} {:<16} {}\n", line.outcome.name(), line.check.id(), shown(&what));
    if !line.fix.is_empty() {
        text.push_str(&format!("{INDENT}fix: {}\n", shown(&line.fix)));
    }
    for note in &line.notes {
        text.push_str(&format!("{INDENT}- {}\n", shown(note)));
    }
    text
}

pub(crate) fn fact(tried: &Tried) -> String {
    let id = tried.request.as_ref().map_or(String::new(), |id| format!(" (request {id})"));
    let about = tried.fact.about();
    let head = format!("{:<10} {}: {}\n", tried.verdict(), about.id, about.question);
    if !tried.fact.can_be_tried() {
        return format!("{head}{INDENT}  {}\n", about.how);
    }
    let answer = format!("{}{id}", tried.answer);
    format!("{head}{INDENT}  tried: {}\n{INDENT}  answer: {}\n", about.how, shown(&answer))
}

pub(crate) fn summary(report: &Report, took: Duration) -> String {
    let counts =
        Outcome::ALL.map(|outcome| format!("{} {}", report.count(outcome), outcome.name()));
    format!("{} in {}\n", counts.join(", "), time(took))
}

fn time(took: Duration) -> String {
    match took.as_millis() {
        ms @ ..1000 => format!("{ms} ms"),
        ms => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
    }
}

/// Every check and every fact, for who wants to know what there is.
pub(crate) fn list() -> String {
    let checks = Check::ALL.map(|check| {
        let About { id, title, needs, finds } = check.about();
        format!("{id}\n  looks at: {title}\n  needs: {needs}\n  finds: {finds}\n")
    });
    let facts = Fact::ALL.map(|fact| {
        let about = fact.about();
        format!("{}\n  {}\n  tried by: {}\n", about.id, about.question, about.how)
    });
    format!("{}\nFacts, with --cloud:\n{}", checks.concat(), facts.concat())
}
