//! Finding: a rule that does not hold, where, and what is said about it.

use super::rule::{Rule, Severity};
use crate::yaml::Position;

#[derive(Debug)]
pub struct Finding {
    pub rule: Rule,
    pub place: Place,
    /// What it concerns and what is wrong, in the words of a mount where that would refuse it.
    pub message: String,
    /// What to do; empty where the message says it.
    pub hint: String,
    /// Facts beside it, such as other providers' form of an object and ours.
    pub notes: Vec<String>,
    /// Where else to look.
    pub related: Option<(Place, &'static str)>,
    /// `SecretProviderClass shop/checkout`; empty where no object is known.
    pub object: String,
}

/// A place in one of the files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its index among the files given.
    pub file: usize,
    pub at: Position,
    pub show: Show,
}

/// What of its line may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Show {
    Line,
    /// The line, which is of a text alone that holds no values.
    Text,
    /// The name at this place alone: what follows may be a value that nobody is to see.
    Name,
    Nothing,
}

impl Finding {
    pub fn new(rule: Rule, place: Place, message: impl Into<String>) -> Self {
        Self {
            rule,
            place,
            message: message.into(),
            hint: String::new(),
            notes: Vec::new(),
            related: None,
            object: String::new(),
        }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub fn related(self, place: Place, what: &'static str) -> Self {
        Self { related: Some((place, what)), ..self }
    }

    pub fn severity(&self) -> Severity {
        self.rule.severity()
    }

    /// As a mount's message has it: what is wrong and, after a semicolon, what to do.
    pub fn sentence(&self) -> String {
        match &*self.hint {
            "" => self.message.clone(),
            hint => format!("{}; {hint}", self.message),
        }
    }
}
