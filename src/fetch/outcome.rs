//! Outcomes: how the read of one object ended, and why it gave no value.

use std::{sync::Arc, time::Duration};

use super::advice;
use crate::{
    cloud::{Cause, Failure},
    credentials::NoSession,
    error::{Error, Errors},
    identity::Identity,
    spc::{objects::Object, source::Source},
    value::{Fetched, Value},
};

pub(super) type Outcome = Result<Arc<Value>, ReadError>;

/// How the read of one object ended; memory may know that there is none without an error.
#[derive(Debug)]
pub struct ReadOutcome {
    pub origin: Origin,
    pub value: Fetched,
    /// It does not exist, which an optional object is forgiven for.
    pub missing: bool,
    /// The cloud said no, and did not only fail to answer.
    pub refused: bool,
    /// It was asked for with a session of the mount's own login.
    pub asked: bool,
    /// It failed since too many ask.
    pub throttled: bool,
    /// Also why there is only a last value.
    pub error: Option<Error>,
}

impl ReadOutcome {
    /// Whether the object is there, or may be left out.
    pub(super) fn serves(&self, object: &Object) -> bool {
        self.error.is_none() || self.is_stale() || self.missing && object.optional
    }

    fn is_stale(&self) -> bool {
        matches!(self.origin, Origin::Grace(_) | Origin::Stale(_))
    }

    pub(super) fn nothing(origin: Origin) -> Self {
        let (missing, refused, asked, throttled) = (false, false, false, false);
        Self { origin, value: None, missing, refused, asked, throttled, error: None }
    }

    pub(super) fn failed(error: Error, refused: bool) -> Self {
        Self { refused, error: Some(error), ..Self::nothing(Origin::Cloud) }
    }

    pub(super) fn from_memory(value: Fetched) -> Self {
        Self { missing: value.is_none(), value, ..Self::nothing(Origin::Memory) }
    }

    /// `own`: read by the mount's own login.
    pub(super) fn of(
        origin: Origin,
        outcome: &Outcome,
        own: bool,
        error: impl FnOnce(&ReadError) -> Error,
    ) -> Self {
        match outcome {
            Ok(value) => Self { value: Some(value.clone()), asked: own, ..Self::nothing(origin) },
            Err(failed) => Self {
                origin,
                value: None,
                throttled: failed.is_throttled(),
                missing: failed.is_missing(),
                refused: failed.is_refusal(),
                asked: own && matches!(failed, ReadError::Failed(_)),
                error: Some(error(failed)),
            },
        }
    }
}

/// Where a mount's values came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Cloud,
    Memory,
    /// Memory too, since the cloud did not answer; with the value's age.
    Grace(Duration),
    /// Memory too, since the cloud throttles; with the value's age.
    Stale(Duration),
}

impl Origin {
    pub fn name(self) -> &'static str {
        match self {
            Origin::Cloud => "cloud",
            Origin::Memory => "memory",
            Origin::Grace(_) => "grace",
            Origin::Stale(_) => "stale",
        }
    }

    /// Of a whole mount: one stale value makes it stale, and else one that was read makes it one of the
    /// cloud.
    pub fn of(ends: &[ReadOutcome]) -> Option<Self> {
        let origins = || ends.iter().map(|end| end.origin);
        let stale = |origin: &Origin| matches!(origin, Origin::Grace(_) | Origin::Stale(_));
        origins()
            .find(stale)
            .or_else(|| origins().find(|origin| *origin == Origin::Cloud))
            .or(origins().next())
    }
}

/// The values, if every object has one or may be left out; else all that failed.
pub fn require_all(objects: &[Object], ends: &[ReadOutcome]) -> Result<Vec<Fetched>, Errors> {
    let failed = objects.iter().zip(ends).filter(|(object, end)| !end.serves(object));
    let failed = failed.filter_map(|(_, end)| end.error.clone());
    let values = || ends.iter().map(|end| end.value.clone()).collect();
    Errors::of(failed.collect()).map_or_else(|| Ok(values()), Err)
}

/// Why a read gave no value.
#[derive(Clone, Debug)]
pub(super) enum ReadError {
    Failed(Failure),
    /// There was no session to ask with.
    NoSession(NoSession),
    /// By a fault of ours.
    Lost(Error),
}

impl ReadError {
    /// Whether it does not exist: what `optional` forgives.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, ReadError::Failed(failure) if failure.cause.is_missing())
    }

    pub(super) fn is_throttled(&self) -> bool {
        match self {
            ReadError::Failed(failure) => failure.cause == Cause::Throttled,
            ReadError::NoSession(failed) => failed.throttled,
            ReadError::Lost(_) => false,
        }
    }

    pub(super) fn is_refusal(&self) -> bool {
        match self {
            ReadError::Failed(failure) => failure.cause.is_refusal(),
            ReadError::NoSession(failed) => failed.refusal,
            ReadError::Lost(_) => false,
        }
    }

    /// Whether only the caller's deadline passed.
    pub(super) fn is_late(&self) -> bool {
        match self {
            ReadError::Failed(failure) => failure.late,
            ReadError::NoSession(failed) => failed.late,
            ReadError::Lost(_) => false,
        }
    }

    /// KMS has one code for a secret and for a version of it that do not exist. Where a version was
    /// asked for, it is not certain that the secret is what is missing.
    pub(super) fn of_version(mut self, source: &Source) -> Self {
        if let ReadError::Failed(failure) = &mut self
            && failure.cause == Cause::NotFound
            && source.facts().version_in_words().is_some()
        {
            failure.cause = Cause::NoVersion;
        }
        self
    }

    /// `alone`: no other object of the mount was denied.
    pub(super) fn error(&self, object: &Object, identity: &Identity, alone: bool) -> Error {
        match self {
            ReadError::Lost(error) => error.clone().subject(&object.label),
            ReadError::NoSession(NoSession { error, .. }) => {
                let error = match object.read.cross_account_role {
                    None => identity.with_hint(Error::clone(error)),
                    Some(_) => Error::clone(error),
                };
                let about = match &*error.subject {
                    "" => object.label.clone(),
                    subject => format!("{}, {subject}", object.label),
                };
                error.subject(about)
            }
            ReadError::Failed(failure) => {
                let hint = advice::hint(failure.cause, object, identity, alone);
                failure.error(&object.label, hint)
            }
        }
    }
}

pub(super) fn is_denied(outcome: &Outcome) -> bool {
    matches!(outcome, Err(ReadError::Failed(failure)) if failure.cause == Cause::Denied)
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        ReadError::Failed(failure)
    }
}
