//! Login: whether the identity gets a RAM session.

use std::time::Duration;

use super::{issuer::trust, token::Claims};
use crate::{
    doctor::{check::Check, line::Line},
    error::Error,
    names::OidcProviderArn,
};

const CHECK: Check = Check::Login;

#[derive(Debug)]
pub(crate) enum Seen {
    /// It was not tried, and why.
    NotTried(String),
    Refused(Error),
    /// Keys that need no session.
    Keys {
        who: String,
    },
    Session {
        who: String,
        request: String,
        took: Duration,
    },
}

pub(crate) fn judge(
    identity: &str,
    seen: &Seen,
    claims: Option<&Claims>,
    provider: Option<&OidcProviderArn>,
) -> Line {
    match seen {
        Seen::NotTried(why) => Line::skipped(CHECK, identity, why),
        Seen::Keys { who } => Line::ok(CHECK, identity, format!("{who} signs calls itself")),
        Seen::Session { who, request, took } => {
            let line = Line::ok(CHECK, identity, format!("{who}: a session was given"));
            line.request(Some(request)).took(*took)
        }
        Seen::Refused(error) => {
            let line = Line::of_error(CHECK, identity, error);
            let of_trust =
                error.code.as_deref().is_some_and(|code| code.starts_with("AuthenticationFail"));
            match claims.filter(|_| of_trust) {
                Some(claims) => trust(line, claims, provider),
                None => line,
            }
        }
    }
}
