//! Permission: whether an object may be read, found out without reading it.

use std::time::Duration;

use crate::{
    doctor::{check::Check, line::Line},
    error::Error,
};

const CHECK: Check = Check::Permission;
/// What KMS says of a dry run that would have succeeded, and of others (KMS API, `GetSecretValue`: `DryRun`).
pub(crate) const WOULD_SUCCEED: &str = "DryRunOperationError";
const WOULD_BE_DENIED: &str = "AccessDeniedError";
const WOULD_BE_REFUSED: &str = "ValidationError";

#[derive(Debug)]
pub(crate) struct Seen {
    /// Type and name.
    pub(crate) object: String,
    pub(crate) host: String,
    /// A statement that would allow it.
    pub(crate) statement: String,
    /// Whether it was a dry run of KMS; else OOS was asked without decryption.
    pub(crate) dry_run: bool,
    pub(crate) took: Option<Duration>,
    pub(crate) answer: Answer,
}

#[derive(Debug)]
pub(crate) enum Answer {
    NotTried(String),
    /// There was none.
    Failed(Error),
    Received {
        status: u16,
        code: Option<String>,
        request: Option<String>,
        /// What a mount would say of it; `None` after a success.
        error: Option<Error>,
        denied: bool,
    },
}

pub(crate) fn judge(seen: &Seen) -> Line {
    let Seen { object, host, statement, .. } = seen;
    let line = match &seen.answer {
        Answer::NotTried(why) => Line::skipped(CHECK, object, why),
        Answer::Failed(error) => Line::of_error(CHECK, object, error),
        Answer::Received { status, code, request, error, denied } => {
            let code = code.as_deref().unwrap_or_default();
            let allow = || format!("allow it in a policy of the role: {statement}");
            let line = match (code, error) {
                (WOULD_SUCCEED, _) => Line::ok(CHECK, object, format!("may be read at {host} (dry run)")),
                (_, None) if seen.dry_run => {
                    Line::ok(CHECK, object, format!("may be read at {host}"))
                        .note("the host did not make a dry run of it; what it answered was dropped unread")
                }
                (_, None) => Line::ok(CHECK, object, format!("may be looked up at {host}"))
                    .note("its value was not asked for: whether kms:GetSecretValue is allowed shows at the mount"),
                (WOULD_BE_DENIED, _) => {
                    Line::broken(CHECK, object, format!("may not be read at {host}: {code}"), allow())
                }
                (WOULD_BE_REFUSED, _) => Line::broken(
                    CHECK,
                    object,
                    format!("cannot be read at {host}: {code} (HTTP {status})"),
                    "it does not exist there, or has no such version: check name, region and version",
                ),
                (_, Some(error)) if *denied => {
                    let line = Line::of_error(CHECK, object, error);
                    Line { fix: allow(), ..line }
                }
                (_, Some(error)) => {
                    let line = Line::of_error(CHECK, object, error);
                    let fix = "check name, region and version";
                    if line.fix.is_empty() { Line { fix: fix.to_owned(), ..line } } else { line }
                }
            };
            line.request(request.as_deref())
        }
    };
    match seen.took {
        Some(took) => line.took(took),
        None => line,
    }
}
