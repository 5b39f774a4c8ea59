//! Clock: the one here beside those of the services.

use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};

use super::token::span;
use crate::doctor::{check::Check, line::Line};

const CHECK: Check = Check::Clock;
/// As far as the services tolerate it (API documentation: `x-acs-date`).
const REFUSED_FROM: i64 = 15 * 60;
const MUCH: i64 = 60;

/// Header Date of an answer, and the time here when it came.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) host: String,
    pub(crate) date: Option<String>,
    pub(crate) here: Timestamp,
}

pub(crate) fn judge(answers: &[Seen]) -> Line {
    let differences = answers.iter().filter_map(|seen| {
        let there = DateTimeParser::new().parse_timestamp(seen.date.as_deref()?).ok()?;
        Some((seen.here.as_second() - there.as_second(), &seen.host))
    });
    let Some((ahead, host)) = differences.max_by_key(|(ahead, _)| ahead.abs()) else {
        return Line::skipped(CHECK, "", "no host answered with the time");
    };
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let what = format!("the clock here is {} {way} that of {host}", span(ahead.abs()));
    let fix = "set the node's clock right (chrony or ntpd)";
    match ahead.abs() {
        REFUSED_FROM.. => {
            let what = format!("{what}: from 15 min on the services refuse every signature");
            Line::broken(CHECK, "", what, fix)
        }
        MUCH.. => Line::warn(CHECK, "", what, fix),
        _ => Line::ok(CHECK, "", what),
    }
}
