//! What went wrong with a mount, in the words its owner will read in `kubectl describe pod`.
//!
//! An error holds facts (names, codes, request ids) and what to do about it, never input that could
//! be a value or a token, and never a library's or the cloud's own sentence.

use std::{fmt, sync::Arc};

use tonic::{Code, Status};

/// The driver adds about 200 characters of its own and an Event's text ends near 1 KiB
/// (csi-contract: reporting errors).
const MAX_MESSAGE_BYTES: usize = 880;

/// What kind of failure it is. It alone decides the gRPC code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
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

impl Class {
    /// UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED and CANCELLED must never leave:
    /// after one of them kubelet keeps the directory and the driver starts the pod on it, empty.
    pub fn code(self) -> Code {
        match self {
            Class::Invalid => Code::InvalidArgument,
            Class::Denied => Code::PermissionDenied,
            Class::Unauthenticated => Code::Unauthenticated,
            Class::NotFound => Code::NotFound,
            Class::Unusable => Code::FailedPrecondition,
            Class::Internal => Code::Internal,
        }
    }
}

/// One failure: what it concerns, what happened, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub class: Class,
    /// The field, object or role it concerns; empty when it concerns the whole mount.
    pub subject: Box<str>,
    pub what: Box<str>,
    /// Facts beside it, such as an HTTP status.
    pub detail: Box<str>,
    /// The cloud's error code, which `what` holds too.
    pub code: Option<Box<str>>,
    /// The cloud's id of the request, by which its support finds it.
    pub request: Option<Box<str>>,
    /// The cloud's host that was asked, where one was; `what` holds it too.
    pub host: Option<Arc<str>>,
    pub fix: Box<str>,
}

impl Error {
    pub fn new(class: Class, what: impl Into<String>) -> Self {
        Self {
            class,
            subject: Box::default(),
            what: what.into().into_boxed_str(),
            detail: Box::default(),
            code: None,
            request: None,
            host: None,
            fix: Box::default(),
        }
    }

    pub fn invalid(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Class::Invalid, what).about(subject)
    }

    /// But for whom it concerns, and which request it was.
    fn says_the_same(&self, other: &Self) -> bool {
        (&self.what, &self.detail, &self.fix) == (&other.what, &other.detail, &other.fix)
    }

    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into().into_boxed_str();
        self
    }

    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into().into_boxed_str();
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.subject.is_empty() {
            write!(f, "{}: ", self.subject)?;
        }
        f.write_str(&self.what)?;
        match (&*self.detail, &self.request) {
            ("", None) => {}
            ("", Some(request)) => write!(f, " (request {request})")?,
            (detail, None) => write!(f, " ({detail})")?,
            (detail, Some(request)) => write!(f, " ({detail}, request {request})")?,
        }
        if !self.fix.is_empty() {
            write!(f, "; {}", self.fix)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// All failures of one mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(Vec<Error>);

impl Errors {
    /// `None` when there is nothing to report.
    pub fn of(errors: Vec<Error>) -> Option<Self> {
        (!errors.is_empty()).then_some(Self(errors))
    }

    /// The class that decides the code: what the pod's author can mend comes before what passes.
    pub fn class(&self) -> Class {
        self.0.iter().map(|error| error.class).min().unwrap_or(Class::Internal)
    }

    /// But for the requests that were made.
    pub fn say_the_same(&self, other: &Self) -> bool {
        let same = |(a, b): (&Error, &Error)| {
            (a.class, &a.subject) == (b.class, &b.subject) && a.says_the_same(b)
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Error> {
        self.0.iter()
    }

    /// As many failures as fit; those with the same cause share one sentence.
    pub fn message(&self) -> String {
        let mut told: Vec<(Error, Vec<&str>)> = Vec::new();
        for error in &self.0 {
            match told.iter_mut().find(|(t, _)| t.says_the_same(error)) {
                Some((_, subjects)) if !error.subject.is_empty() => subjects.push(&error.subject),
                Some(_) => {}
                None => told.push((error.clone(), vec![&error.subject])),
            }
        }
        let mut message = String::new();
        let (mut shown, total) = (0, self.0.len());
        for (error, subjects) in &told {
            let subject = match subjects.as_slice() {
                [] => String::new(),
                [first, rest @ ..] if rest.len() > 3 => format!("{first} and {} more", rest.len()),
                some => some.join(", "),
            };
            let sentence = error.clone().about(subject).to_string();
            let separator = if message.is_empty() { "" } else { " | " };
            let left = MAX_MESSAGE_BYTES.saturating_sub(message.len() + separator.len() + 24);
            if sentence.len() > left && !message.is_empty() {
                break;
            }
            message.push_str(separator);
            message.push_str(cut(&sentence, left));
            shown += subjects.len().max(1);
        }
        if shown < total {
            message.push_str(&format!(" | and {} more", total - shown));
        }
        message
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

impl From<Errors> for Status {
    fn from(errors: Errors) -> Self {
        Status::new(errors.class().code(), errors.message())
    }
}

/// A name as its author wrote it, short and on one line, for use in an error.
pub fn quoted(name: &str) -> String {
    const LONGEST: usize = 80;
    let clean: String = name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let short = cut(&clean, LONGEST);
    if short.len() < clean.len() { format!("\"{short}...\"") } else { format!("\"{short}\"") }
}

/// An identifier that came from outside, such as a cloud's error code: only what such a thing can
/// look like gets through, so that nothing can be smuggled into an error by way of it.
pub fn identifier(text: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '*');
    (!text.is_empty() && text.len() <= 64 && text.chars().all(plain)).then_some(text)
}

fn cut(text: &str, longest: usize) -> &str {
    let end = (0..=longest.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_class_becomes_one_of_the_five_codes_that_start_a_pod_empty() {
        use Class::*;
        for class in [Invalid, Denied, Unauthenticated, NotFound, Unusable, Internal] {
            assert!(
                !matches!(
                    class.code(),
                    Code::Unavailable
                        | Code::DeadlineExceeded
                        | Code::ResourceExhausted
                        | Code::Aborted
                        | Code::Cancelled
                ),
                "{class:?}"
            );
        }
    }

    #[test]
    fn failures_with_one_cause_share_a_sentence() {
        let of = |name: &str| Error::new(Class::NotFound, "no such secret").about(name);
        let other = Error::new(Class::Denied, "forbidden").about("c").fix("grant it");
        let errors = Errors::of(vec![of("a"), other, of("b")]).unwrap();
        assert_eq!(errors.message(), "a, b: no such secret | c: forbidden; grant it");
        assert_eq!(errors.class(), Class::Denied);
        let of = |name: &str| Error { request: Some(format!("id-of-{name}").into()), ..of(name) };
        let errors = Errors::of(vec![of("a"), of("b")]).unwrap();
        assert_eq!(errors.message(), "a, b: no such secret (request id-of-a)");
    }

    #[test]
    fn a_long_list_is_cut_between_failures_and_counted() {
        let one = |n: usize| {
            Error::new(Class::NotFound, format!("{n} {}", "x".repeat(200))).about(format!("o{n}"))
        };
        let message = Errors::of((0..9).map(one).collect()).unwrap().message();
        assert!(message.len() <= 900, "{}", message.len());
        assert!(message.ends_with("| and 5 more"), "{message}");
        let long = Errors::from(Error::new(Class::Internal, "é".repeat(900)));
        assert!(long.message().len() <= 900);
    }

    #[test]
    fn foreign_identifiers_pass_only_if_they_look_like_one() {
        assert_eq!(identifier("Forbidden.NoPermission"), Some("Forbidden.NoPermission"));
        for bad in ["", "a b", "x/y", &"a".repeat(65), "<html>", "é"] {
            assert_eq!(identifier(bad), None, "{bad}");
        }
        assert_eq!(quoted("a\nb"), "\"a?b\"");
        assert!(quoted(&"é".repeat(99)).len() < 90);
    }
}
