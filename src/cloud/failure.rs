//! What a call came to when it did not succeed. The cloud's message is read for a few known facts
//! and never passed on: whatever answers may echo what it was sent.

use std::{sync::Arc, time::Duration};

use hyper::HeaderMap;
use serde::Deserialize;

use super::{Api, Call, endpoint::Endpoint};
use crate::{
    error::{Class, Error, identifier},
    http::{Answer, Broken},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No connection, or one that broke.
    Broken(Broken),
    /// The clock here and there differ by too much.
    Clock,
    /// The identity may not do this.
    Denied,
    /// An answer that is not what the operation answers.
    Garbled,
    /// A parameter is wrong.
    Invalid,
    /// No place among the calls allowed at once came free in time.
    NoPlace,
    NonceUsed,
    NotFound,
    /// The cloud's own trouble.
    Server,
    /// The session is expired or was taken back; a new one may do.
    SessionRefused,
    Throttled,
    TimedOut,
    /// The keys or the token do not prove anyone.
    Unauthenticated,
    /// The operation does not exist at this endpoint.
    UnknownApi,
    /// A value that cannot be put into a request.
    Unsendable,
    /// An encryption key or KMS instance is gone or off.
    Unusable,
}

#[derive(Clone, Debug)]
pub struct Failure {
    pub api: Api,
    pub host: Arc<str>,
    pub cause: Cause,
    /// Where the cloud answered.
    pub told: Option<Box<Told>>,
    pub retry_after: Option<Duration>,
    pub attempts: u32,
}

/// What an answer says, as far as it can be passed on.
#[derive(Clone, Debug)]
pub struct Told {
    pub status: u16,
    pub code: Option<String>,
    pub request_id: Option<String>,
    /// The action that was denied, by what kind of policy.
    pub denied: Option<String>,
    pub fact: Option<Fact>,
}

/// What a known message says beyond its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    NeedsDecrypt,
    NoSuchOidcProvider,
}

impl Failure {
    pub fn new(api: Api, endpoint: &Endpoint, cause: Cause) -> Self {
        Self {
            api,
            host: endpoint.shared_host(),
            cause,
            told: None,
            retry_after: None,
            attempts: 1,
        }
    }

    /// An answer with another status than 200.
    pub fn refused(call: &Call<'_>, answer: &Answer) -> Self {
        // Not every body is JSON: gateways answer HTML, old KMS instances protobuf.
        let body: Refusal = serde_json::from_slice(answer.body.expose()).unwrap_or_default();
        let code = body.code.as_deref().and_then(identifier);
        let temporary = call.keys.is_some_and(|keys| keys.token.is_some());
        let message = body.message.as_deref().unwrap_or_default();
        let header_id = answer.headers.get("x-acs-request-id").and_then(|id| id.to_str().ok());
        let request_id = body.request_id.as_deref().or(header_id).and_then(identifier);
        let told = Told {
            status: answer.status,
            code: code.map(str::to_owned),
            request_id: request_id.map(str::to_owned),
            denied: body.denied.and_then(|detail| detail.told()),
            fact: fact(message),
        };
        let cause = cause(answer.status, code.unwrap_or_default(), temporary);
        Self {
            told: Some(Box::new(told)),
            retry_after: retry_after(&answer.headers),
            ..Self::new(call.api, call.endpoint, cause)
        }
    }

    pub fn code(&self) -> Option<&str> {
        self.told.as_ref()?.code.as_deref()
    }

    /// Whether asking again later can help.
    pub fn passes(&self) -> bool {
        matches!(
            self.cause,
            Cause::Broken(Broken::Connection(_))
                | Cause::Garbled
                | Cause::Server
                | Cause::Throttled
                | Cause::TimedOut
        )
    }

    /// One word of a bounded set, for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self.cause {
            Cause::Broken(Broken::Certificate) => "untrusted_certificate",
            Cause::Broken(Broken::Connection(_)) => "unreachable",
            Cause::Garbled => "garbled",
            Cause::NoPlace => "no_place",
            Cause::TimedOut => "timeout",
            _ => {
                let code = self.code().unwrap_or_default();
                KNOWN_CODES.iter().find(|known| **known == code).copied().unwrap_or("other")
            }
        }
    }

    /// The failure in a mount's error, with `fix` for what only the caller knows how to mend.
    pub fn error(&self, subject: impl Into<String>, fix: impl Into<String>) -> Error {
        let own = self.own_fix();
        let fix = if own.is_empty() { fix.into() } else { own.to_owned() };
        let request = self.told.as_ref().and_then(|told| told.request_id.clone().map(Into::into));
        let (detail, code) = (self.detail().into(), self.code().map(Into::into));
        let (attempts, host) = (self.attempts, Some(self.host.clone()));
        Error { detail, attempts, code, request, host, ..Error::new(self.class(), self.what()) }
            .about(subject)
            .fix(fix)
    }

    pub fn class(&self) -> Class {
        match self.cause {
            Cause::Denied => Class::Denied,
            Cause::Invalid | Cause::Unsendable => Class::Invalid,
            Cause::NotFound => Class::NotFound,
            Cause::SessionRefused | Cause::Unauthenticated => Class::Unauthenticated,
            Cause::Broken(Broken::Certificate)
            | Cause::Clock
            | Cause::UnknownApi
            | Cause::Unusable => Class::Unusable,
            Cause::Broken(Broken::Connection(_))
            | Cause::Garbled
            | Cause::NoPlace
            | Cause::NonceUsed
            | Cause::Server
            | Cause::Throttled
            | Cause::TimedOut => Class::Internal,
        }
    }

    /// Whether nobody answered, or only a gateway's or the service's own trouble did.
    pub fn is_unanswered(&self) -> bool {
        matches!(self.cause, Cause::Broken(_) | Cause::Server | Cause::TimedOut)
    }

    pub(super) fn what(&self) -> String {
        let why = match (self.cause, self.code()) {
            (Cause::Broken(Broken::Connection(reason)), _) => reason,
            (Cause::Broken(Broken::Certificate), _) => "its certificate is not trusted",
            (Cause::Garbled, _) if self.told.is_none() => "the answer lacks what it must hold",
            (Cause::NoPlace, _) => "no free place among the calls allowed at once",
            (Cause::TimedOut, _) => "no answer in time",
            (Cause::Unsendable, _) => "a parameter cannot be sent",
            (_, Some(code)) => code,
            (_, None) => "refused without an error code",
        };
        [self.api.name(), " at ", &self.host, ": ", why].concat()
    }

    fn detail(&self) -> String {
        let mut facts = Vec::new();
        if let Some(told) = &self.told {
            facts.push(format!("HTTP {}", told.status));
            facts.extend(told.denied.clone());
        }
        facts.join(", ")
    }

    fn own_fix(&self) -> &'static str {
        match (self.cause, self.told.as_ref().and_then(|told| told.fact)) {
            (_, Some(Fact::NeedsDecrypt)) => "allow kms:Decrypt on the secret's encryption key",
            (_, Some(Fact::NoSuchOidcProvider)) => {
                "the operator must set --oidc-provider-arn to the cluster's registered OIDC \
                 provider"
            }
            (Cause::Broken(Broken::Certificate), _) => {
                "give the host's CA with --ca-file (KMS instances: --kms-ca-file)"
            }
            (Cause::Broken(_) | Cause::TimedOut, _) => {
                "check DNS, routes and --public-endpoints; the mount is tried again"
            }
            (Cause::Clock, _) => "set the node's clock right",
            (Cause::NoPlace | Cause::Server | Cause::Throttled | Cause::Garbled, _) => {
                "the mount is tried again"
            }
            (Cause::UnknownApi, _) => "the endpoint does not offer this operation",
            (Cause::Unusable, _) => "check the secret's KMS instance and encryption key",
            _ => "",
        }
    }
}

fn cause(status: u16, code: &str, temporary_keys: bool) -> Cause {
    let throttled = code.starts_with("Throttling") || code.ends_with(".Throttling");
    match (status, code) {
        (429, _) => Cause::Throttled,
        _ if throttled => Cause::Throttled,
        (_, "InternalError" | "InternalFailure") => Cause::Server,
        (_, code) if code.starts_with("ServiceUnavailable") => Cause::Server,
        (500.., _) => Cause::Server,
        (_, "SignatureNonceUsed") => Cause::NonceUsed,
        (_, "IllegalTimestamp") => Cause::Clock,
        (_, code) if code.starts_with("InvalidTimeStamp") => Cause::Clock,
        (_, code) if code.starts_with("InvalidSecurityToken") => Cause::SessionRefused,
        // KMS documents that an expired session can show up as this.
        (_, "InvalidAccessKeyId.NotFound") if temporary_keys => Cause::SessionRefused,
        (_, "SignatureDoesNotMatch" | "IncompleteSignature" | "MissingSecurityToken") => {
            Cause::Unauthenticated
        }
        (_, code) if code.starts_with("InvalidAccessKeyId") => Cause::Unauthenticated,
        (_, "UnsupportedOperation") => Cause::UnknownApi,
        (_, code) if code.starts_with("InvalidAction") => Cause::UnknownApi,
        (_, "Forbidden.KeyNotFound") => Cause::Unusable,
        (_, code) if code.starts_with("Forbidden.DKMSInstance") => Cause::Unusable,
        (_, code) if code.starts_with("Forbidden.InDebt") => Cause::Unusable,
        // A page of something on the way says nothing about the secret.
        (404, "") => Cause::Garbled,
        (404, _) => Cause::NotFound,
        (_, code) if code.starts_with("EntityNotExist") => Cause::NotFound,
        (401, _) => Cause::Unauthenticated,
        (403, _) => Cause::Denied,
        (400..=499, _) => Cause::Invalid,
        _ => Cause::Garbled,
    }
}

fn fact(message: &str) -> Option<Fact> {
    if message.contains("No such OIDC Provider") {
        return Some(Fact::NoSuchOidcProvider);
    }
    message.contains("operation for key-").then_some(Fact::NeedsDecrypt)
}

/// When the cloud says when: `Retry-After` in seconds, `x-acs-retry-after` in milliseconds,
/// `TimeLeft` in milliseconds within the rate limit headers.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let number = |text: &str| text.trim().parse::<u64>().ok();
    if let Some(ms) = text("x-acs-retry-after").and_then(number) {
        return Some(Duration::from_millis(ms));
    }
    if let Some(seconds) = text("retry-after").and_then(number) {
        return Some(Duration::from_secs(seconds));
    }
    ["x-ratelimit-user-api", "x-ratelimit-user"].into_iter().find_map(|name| {
        let rest = text(name)?.split_once("TimeLeft:")?.1;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        number(digits).map(Duration::from_millis)
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    #[serde(rename = "Code", alias = "code")]
    code: Option<String>,
    #[serde(rename = "Message", alias = "message")]
    message: Option<String>,
    #[serde(rename = "RequestId", alias = "requestId")]
    request_id: Option<String>,
    #[serde(rename = "AccessDeniedDetail")]
    denied: Option<Detail>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Detail {
    auth_action: Option<String>,
    no_permission_type: Option<String>,
    policy_type: Option<String>,
}

impl Detail {
    fn told(&self) -> Option<String> {
        let parts = [&self.auth_action, &self.no_permission_type, &self.policy_type];
        let told: Vec<&str> =
            parts.into_iter().flatten().filter_map(|part| identifier(part)).collect();
        (!told.is_empty()).then(|| told.join(" "))
    }
}

/// The codes that metrics tell apart (alibaba-cloud-api: STS, KMS and OOS errors); sorted.
const KNOWN_CODES: [&str; 30] = [
    "AuthenticationFail.NoPermission",
    "AuthenticationFail.OIDCToken.AudienceNotMatch",
    "AuthenticationFail.OIDCToken.Expired",
    "AuthenticationFail.OIDCToken.Invalid",
    "AuthenticationFail.OIDCToken.InvalidSignature",
    "AuthenticationFail.OIDCToken.IssuerNotMatch",
    "EntityNotExist.Role",
    "EntityNotExists.Parameter",
    "Forbidden.DKMSInstanceNotFound",
    "Forbidden.DKMSInstanceStateInvalid",
    "Forbidden.KeyNotFound",
    "Forbidden.NoPermission",
    "Forbidden.ResourceNotFound",
    "IllegalTimestamp",
    "InternalError",
    "InternalFailure",
    "InvalidAccessKeyId.Inactive",
    "InvalidAccessKeyId.NotFound",
    "InvalidParameter",
    "InvalidSecurityToken.Expired",
    "InvalidSecurityToken.Malformed",
    "InvalidSecurityToken.MismatchWithAccessKey",
    "NoPermission",
    "Rejected.Throttling",
    "ServiceUnavailableTemporary",
    "SignatureDoesNotMatch",
    "SignatureNonceUsed",
    "Throttling",
    "Throttling.User",
    "UnsupportedOperation",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_status_and_code() {
        for (status, code, expected) in [
            (429, "", Cause::Throttled),
            (400, "Throttling.User", Cause::Throttled),
            (403, "Rejected.Throttling", Cause::Throttled),
            (500, "", Cause::Server),
            (503, "ServiceUnavailableTemporary", Cause::Server),
            (404, "InvalidAccessKeyId.NotFound", Cause::SessionRefused),
            (403, "InvalidSecurityToken.Expired", Cause::SessionRefused),
            (400, "SignatureNonceUsed", Cause::NonceUsed),
            (400, "InvalidTimeStamp.Expired", Cause::Clock),
            (404, "Forbidden.ResourceNotFound", Cause::NotFound),
            (404, "Forbidden.KeyNotFound", Cause::Unusable),
            (404, "", Cause::Garbled),
            (404, "InvalidAction.NotFound", Cause::UnknownApi),
            (403, "Forbidden.NoPermission", Cause::Denied),
            (401, "AuthenticationFail.NoPermission", Cause::Unauthenticated),
            (400, "InvalidParameter", Cause::Invalid),
            (302, "", Cause::Garbled),
        ] {
            assert_eq!(cause(status, code, true), expected, "{status} {code}");
        }
        assert_eq!(cause(404, "InvalidAccessKeyId.NotFound", false), Cause::Unauthenticated);
    }

    #[test]
    fn the_cloud_says_when() {
        let after = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(after("retry-after", "2"), Some(Duration::from_secs(2)));
        assert_eq!(after("x-acs-retry-after", "250"), Some(Duration::from_millis(250)));
        assert_eq!(
            after("x-ratelimit-user-api", "Remain:0,TimeLeft:300,Limit:1"),
            Some(Duration::from_millis(300))
        );
        assert_eq!(after("retry-after", "Wed, 21 Oct"), None);
    }

    #[test]
    fn known_codes_are_sorted_and_unique() {
        assert!(KNOWN_CODES.is_sorted());
    }
}
