//! Line: what one check says of one thing.

use std::time::Duration;

use super::check::Check;
use crate::error::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Ok,
    /// Mounts work, and something should be looked at.
    Warn,
    /// Mounts fail, all or some.
    Broken,
    /// It could not be looked at, or does not apply here.
    Skipped,
}

impl Outcome {
    pub(crate) const ALL: [Self; 4] = [Self::Ok, Self::Warn, Self::Broken, Self::Skipped];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Broken => "broken",
            Self::Skipped => "skipped",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) check: Check,
    /// The host, file or object that it is about; empty where the check has but one.
    pub(crate) subject: String,
    pub(crate) outcome: Outcome,
    /// What was seen; of what was skipped, why.
    pub(crate) seen: String,
    /// What to do; empty where there is nothing.
    pub(crate) fix: String,
    pub(crate) notes: Vec<String>,
    /// The cloud's id of the request.
    pub(crate) request: Option<String>,
    pub(crate) took: Option<Duration>,
}

impl Line {
    fn new(check: Check, subject: &str, outcome: Outcome, seen: impl Into<String>) -> Self {
        let (subject, seen, fix, notes) =
            (subject.to_owned(), seen.into(), String::new(), Vec::new());
        Self { check, subject, outcome, seen, fix, notes, request: None, took: None }
    }

    pub(crate) fn ok(check: Check, subject: &str, seen: impl Into<String>) -> Self {
        Self::new(check, subject, Outcome::Ok, seen)
    }

    pub(crate) fn warn(
        check: Check,
        subject: &str,
        seen: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { fix: fix.into(), ..Self::new(check, subject, Outcome::Warn, seen) }
    }

    pub(crate) fn broken(
        check: Check,
        subject: &str,
        seen: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { fix: fix.into(), ..Self::new(check, subject, Outcome::Broken, seen) }
    }

    pub(crate) fn skipped(check: Check, subject: &str, why: impl Into<String>) -> Self {
        Self::new(check, subject, Outcome::Skipped, why)
    }

    /// What a mount would say, in the mount's words.
    pub(crate) fn of_error(check: Check, subject: &str, error: &Error) -> Self {
        let bare = Error { hint: Box::default(), request: None, ..error.clone() };
        let line = Self::broken(check, subject, bare.to_string(), advice(&error.hint));
        Self { request: error.request.as_deref().map(str::to_owned), ..line }
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub(crate) fn request(self, id: Option<&str>) -> Self {
        Self { request: id.filter(|id| !id.is_empty()).map(str::to_owned), ..self }
    }

    pub(crate) fn took(self, took: Duration) -> Self {
        Self { took: Some(took), ..self }
    }
}

/// A mount's hint without what is of a mount alone.
pub(crate) fn advice(hint: &str) -> String {
    let hint = hint.strip_suffix("the mount is tried again").unwrap_or(hint);
    hint.trim_end_matches([';', ' ']).to_owned()
}

/// All lines, and what they come to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) lines: Vec<Line>,
}

impl Report {
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.lines.iter().filter(|line| line.outcome == outcome).count()
    }

    /// 0: all is ok or a warning; 1: something is broken.
    pub(crate) fn exit_status(&self) -> u8 {
        u8::from(self.count(Outcome::Broken) > 0)
    }

    /// In the order of the checks; lines of one check stay as they came.
    pub(crate) fn sort(&mut self) {
        self.lines.sort_by_key(|line| line.check);
    }
}
