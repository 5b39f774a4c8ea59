//! Configuration: what the provider would say of its flags and variables.

use crate::doctor::{check::Check, line::Line};

const CHECK: Check = Check::Configuration;

#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) mistakes: Vec<String>,
    pub(crate) warnings: Vec<String>,
    /// How many flags are given, and where from beside the command line.
    pub(crate) given: usize,
    pub(crate) from: String,
}

pub(crate) fn judge(seen: &Seen) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for mistake in &seen.mistakes {
        let fix = "give this command the flags and variables that the provider has, or correct them there: with \
                   these it would not start";
        lines.push(Line::broken(CHECK, "", mistake, fix));
    }
    for warning in &seen.warnings {
        lines.push(Line::warn(CHECK, "", warning, "set it right, or remove it"));
    }
    if lines.is_empty() {
        let from = &seen.from;
        lines.push(Line::ok(CHECK, "", format!("{} settings are given {from}", seen.given)));
    }
    lines
}
