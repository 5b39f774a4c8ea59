//! Certificate check: a connection, and the chain that the host showed.

use std::time::Duration;

use jiff::Timestamp;

use super::token::span;
use crate::doctor::{certificate::Certificate, check::Check, line::Line};

const CHECK: Check = Check::Certificate;
/// Public CAs have certificates renewed a month ahead.
const SOON: i64 = 14 * 86_400;

#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) peer: String,
    pub(crate) version: String,
    /// The host's own first.
    pub(crate) chain: Vec<Certificate>,
    pub(crate) distrust: Option<Distrust>,
    /// Subjects of the operator's CAs that the host is held to.
    pub(crate) own: Vec<String>,
    /// The flag that names these.
    pub(crate) flag: &'static str,
    pub(crate) took: Duration,
}

/// Why a chain is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distrust {
    Expired,
    NotYetValid,
    UnknownIssuer,
    OtherName,
    Otherwise,
}

pub(crate) fn judge(host: &str, shown: &Shown, now: Timestamp) -> Line {
    let Shown { chain, flag, .. } = shown;
    let leaf = chain.first();
    let issuer = chain.last().map_or("nobody", |last| last.issuer.as_str());
    let named = leaf.map_or("unreadable", |leaf| leaf.subject.as_str());
    let line = match shown.distrust {
        Some(Distrust::UnknownIssuer) => Line::broken(
            CHECK,
            host,
            format!("its certificate is issued by {issuer}, which is not trusted"),
            format!(
                "give that CA's certificate with {flag}, if the CA is yours; else something on the way opens TLS, or \
                 another host answers at {}",
                shown.peer
            ),
        ),
        Some(Distrust::Expired) => Line::broken(
            CHECK,
            host,
            expiry(chain, now),
            "check the clock here; if it is right, the host's certificate has to be renewed",
        ),
        Some(Distrust::NotYetValid) => Line::broken(
            CHECK,
            host,
            "its certificate is not valid yet by the clock here",
            "set the node's clock right",
        ),
        Some(Distrust::OtherName) => Line::broken(
            CHECK,
            host,
            format!("its certificate is another host's: {named}"),
            format!(
                "another host answers at {}: check DNS, --resolve and proxies on the way",
                shown.peer
            ),
        ),
        Some(Distrust::Otherwise) if shown.own.iter().any(|subject| subject == issuer) => {
            Line::broken(
                CHECK,
                host,
                format!("its certificate is not signed by the CA {issuer} that is trusted here"),
                format!(
                    "{flag} has a CA of this name with another key: give the one that issued the certificate"
                ),
            )
        }
        Some(Distrust::Otherwise) => Line::broken(
            CHECK,
            host,
            format!("its certificate, issued by {issuer}, is not trusted"),
            format!("check {flag} and what answers at {}", shown.peer),
        ),
        None => trusted(host, shown, now),
    };
    let line = chain.iter().fold(line, |line, one| {
        line.note(format!("{}, issued by {}, until {}", one.subject, one.issuer, one.not_after))
    });
    line.took(shown.took)
}

fn trusted(host: &str, shown: &Shown, now: Timestamp) -> Line {
    let Shown { chain, own, flag, version, peer, .. } = shown;
    let ends = chain.iter().map(|one| one.not_after).min();
    let left = ends.map_or(i64::MAX, |ends| ends.as_second() - now.as_second());
    let issuer = chain.last().map_or("", |last| last.issuer.as_str());
    // A host may send the CA itself, too.
    let private = own.iter().find(|subject| {
        *subject == issuer
            || chain.iter().any(|one| one.subject == **subject || one.issuer == **subject)
    });
    let by = match private {
        Some(subject) => format!("the private CA {subject} ({flag})"),
        None => format!("{issuer}, a CA of the system or built in"),
    };
    let seen = format!("{version} with {peer}; a chain of {}, trusted by {by}", chain.len());
    if left < SOON {
        let what = format!("{seen}; one expires in {}", span(left));
        return Line::warn(CHECK, host, what, "have it renewed before it expires");
    }
    Line::ok(CHECK, host, seen)
}

fn expiry(chain: &[Certificate], now: Timestamp) -> String {
    let ended = chain.iter().find(|one| one.not_after < now);
    ended.map_or_else(
        || "its certificate has expired".to_owned(),
        |one| format!("the certificate of {} expired at {}", one.subject, one.not_after),
    )
}
