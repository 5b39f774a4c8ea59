//! What went wrong with a mount, in the words its owner will read in `kubectl describe pod`.
//!
//! An error holds facts (names, codes, request ids) and what to do about it, never input that could
//! be a value or a token, and never a library's or the cloud's own sentence.

mod location;
mod reason;

use std::{borrow::Cow, fmt, ops::Deref, sync::Arc};

use tonic::Code;

pub use location::Location;
pub use reason::Reason;

use crate::{
    digest::Parts,
    limits,
    text::{cut, shown},
    yaml::Position,
};

/// What kind of failure it is. It alone decides the gRPC code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The SecretProviderClass or the request is wrong.
    Invalid,
    /// The identity is not allowed, by the operator or by RAM.
    Denied,
    /// The identity could not be proven.
    Unauthenticated,
    /// No such secret or version.
    NotFound,
    /// The set-up is incomplete: an annotation, a flag, an endpoint.
    Unusable,
    /// The cloud did not answer well in time, or a fault of ours.
    Internal,
}

impl ErrorKind {
    /// UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED and CANCELLED must never leave:
    /// after one of them kubelet keeps the directory and the driver starts the pod on it, empty.
    pub fn code(self) -> Code {
        match self {
            ErrorKind::Invalid => Code::InvalidArgument,
            ErrorKind::Denied => Code::PermissionDenied,
            ErrorKind::Unauthenticated => Code::Unauthenticated,
            ErrorKind::NotFound => Code::NotFound,
            ErrorKind::Unusable => Code::FailedPrecondition,
            ErrorKind::Internal => Code::Internal,
        }
    }
}

/// One failure: what it concerns, what happened, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub reason: Reason,
    /// The field, object or role it concerns; empty when it concerns the whole mount.
    pub subject: Box<str>,
    pub message: Box<str>,
    /// Facts beside it, such as an HTTP status.
    pub detail: Detail,
    /// How often it was tried, where that is known: it may differ from one mount to the next, and so
    /// may the request's id, while the failure is the same.
    pub attempts: u32,
    /// The cloud's error code, which `message` holds too.
    pub code: Option<Box<str>>,
    /// The cloud's id of the request, by which its support finds it.
    pub request: Option<Box<str>>,
    /// The cloud's host that was asked, where one was; `message` holds it too.
    pub host: Option<Arc<str>>,
    pub hint: Box<str>,
    /// Of a mistake in a SecretProviderClass. Boxed to keep errors small.
    pub location: Option<Box<Location>>,
}

/// A text that most errors do not have. It is boxed twice to keep errors, and what holds them, small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail(Option<Box<Box<str>>>);

impl From<String> for Detail {
    fn from(text: String) -> Self {
        Self((!text.is_empty()).then(|| Box::new(text.into_boxed_str())))
    }
}

impl From<&str> for Detail {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Deref for Detail {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.as_deref().map_or("", |text| text)
    }
}

impl Error {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            subject: Box::default(),
            message: message.into().into_boxed_str(),
            detail: Detail::default(),
            attempts: 0,
            code: None,
            request: None,
            host: None,
            hint: Box::default(),
            location: None,
        }
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.reason.kind()
    }

    /// But for whom it concerns, and which try it was.
    fn says_the_same(&self, other: &Self) -> bool {
        (&self.message, &self.detail, &self.hint) == (&other.message, &other.detail, &other.hint)
    }

    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into().into_boxed_str();
        self
    }

    /// It concerns this parameter of the SecretProviderClass.
    pub fn parameter(self, name: &str) -> Self {
        let subject = format!("parameter {}", shown(name));
        self.subject(subject).located(Location::Parameter(name.into()))
    }

    /// It is at this place in the text of parameter `objects`.
    pub fn in_objects(self, at: Position) -> Self {
        self.located(Location::Objects(at))
    }

    pub fn located(mut self, location: Location) -> Self {
        self.location = Some(Box::new(location));
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into().into_boxed_str();
        self
    }
}

/// Subject, what happened, facts in parentheses, and after a semicolon what to do. Whatever is
/// foreign in any of these is escaped here, if it was not before.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.subject.is_empty() {
            write!(f, "{}: ", shown(&self.subject))?;
        }
        f.write_str(&shown(&self.message))?;
        let detail = Some(Cow::from(&*self.detail)).filter(|detail| !detail.is_empty());
        let attempts = (self.attempts > 1).then(|| format!("{} attempts", self.attempts).into());
        let request = self.request.as_ref().map(|id| format!("request {id}").into());
        let facts: Vec<_> = [detail, attempts, request].into_iter().flatten().collect();
        if !facts.is_empty() {
            write!(f, " ({})", shown(&facts.join(", ")))?;
        }
        if !self.hint.is_empty() {
            write!(f, "; {}", shown(&self.hint))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// All failures of one mount, and how many more there are of which only the number is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    kept: Vec<Error>,
    more: usize,
}

impl Errors {
    /// `None` when there is nothing to report.
    pub fn of(errors: Vec<Error>) -> Option<Self> {
        (!errors.is_empty()).then_some(Self { kept: errors, more: 0 })
    }

    /// With so many more that are counted only.
    pub fn and_more(self, more: usize) -> Self {
        Self { more: self.more + more, ..self }
    }

    /// How many are counted only.
    pub fn more(&self) -> usize {
        self.more
    }

    /// The kind that decides the code: what the author of the pod can fix comes before what is transient.
    pub fn kind(&self) -> ErrorKind {
        self.kept.iter().map(Error::kind).min().unwrap_or(ErrorKind::Internal)
    }

    /// Those that are kept.
    pub fn iter(&self) -> impl Iterator<Item = &Error> {
        self.kept.iter()
    }

    /// What these failures are: reason, subject, the cloud's code, and the facts in message and hint, such as
    /// which annotation or key it is about. An hour's Event must not carry those of another failure. What
    /// differs from try to try, request ids and numbers of attempts, is in none of them.
    pub fn cause(&self, parts: &mut Parts) {
        parts.part(&self.more.to_string());
        for error in &self.kept {
            let Error { reason, subject, message, detail, code, hint, .. } = error;
            let code = code.as_deref().unwrap_or_default();
            for part in [reason.name(), subject, message, detail, code, hint] {
                parts.part(part);
            }
        }
    }

    /// The reason that decides the code; of several the first.
    pub fn reason(&self) -> Reason {
        let first = self.kept.iter().min_by_key(|error| error.kind());
        first.map_or(Reason::Fault, |error| error.reason)
    }

    /// As many failures as fit; those with the same cause share one sentence.
    pub fn message(&self) -> String {
        self.message_within(limits::EVENT_MESSAGE)
    }

    /// The same, after a prefix.
    pub fn message_after(&self, prefix: &str) -> String {
        let left = limits::EVENT_MESSAGE.saturating_sub(prefix.len());
        [prefix, &self.message_within(left)].concat()
    }

    fn message_within(&self, most: usize) -> String {
        let mut groups = self.groups();
        let total = self.kept.len() + self.more;
        let all = joined(&groups, most);
        if all.1 == total {
            return all.0;
        }
        // What the code is made of comes first where not everything has room.
        groups.sort_by_key(|(error, _)| error.kind());
        let kind = if self.kind() == ErrorKind::Invalid { "mistakes" } else { "failures" };
        let head = |shown: usize| format!("{total} {kind}; the first {shown}: ");
        let tail = |shown: usize| format!(" | and {} more", total - shown);
        let room = head(total).len() + tail(0).len();
        let (text, shown) = joined(&groups, most.saturating_sub(room));
        [head(shown), text, tail(shown)].concat()
    }

    /// Errors that say the same, with their subjects.
    fn groups(&self) -> Vec<(&Error, Vec<&str>)> {
        let mut groups: Vec<(&Error, Vec<&str>)> = Vec::new();
        for error in &self.kept {
            match groups.iter_mut().find(|(first, _)| first.says_the_same(error)) {
                Some((_, subjects)) => subjects.push(&error.subject),
                None => groups.push((error, vec![&error.subject])),
            }
        }
        groups
    }
}

/// As many sentences as fit, at least one even if it has to be cut; and of how many errors they are.
fn joined(groups: &[(&Error, Vec<&str>)], most: usize) -> (String, usize) {
    let mut text = String::new();
    let mut errors = 0;
    for (error, subjects) in groups {
        let named: Vec<&str> = subjects.iter().copied().filter(|name| !name.is_empty()).collect();
        let subject = match named.as_slice() {
            [first, rest @ ..] if rest.len() > 3 => format!("{first} and {} more", rest.len()),
            some => some.join(", "),
        };
        let sentence = (*error).clone().subject(subject).to_string();
        let separator = if text.is_empty() { "" } else { " | " };
        let left = most.saturating_sub(text.len() + separator.len());
        if sentence.len() > left && !text.is_empty() {
            break;
        }
        text.push_str(separator);
        text.push_str(cut(&sentence, left));
        errors += subjects.len();
    }
    (text, errors)
}

impl IntoIterator for Errors {
    type Item = Error;
    type IntoIter = std::vec::IntoIter<Error>;

    /// Those that are kept.
    fn into_iter(self) -> Self::IntoIter {
        self.kept.into_iter()
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self { kept: vec![error], more: 0 }
    }
}

#[cfg(test)]
mod tests;
