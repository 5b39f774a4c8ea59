//! What a call came to when it did not succeed. The cloud's message is read for a few known facts
//! and never passed on: whatever answers may echo what it was sent.

use std::{borrow::Cow, sync::Arc, time::Duration};

use hyper::HeaderMap;
use serde::Deserialize;

use super::{
    Api, Call,
    cause::{Cause, Full},
    codes::{self, Known},
    reach,
};
use crate::{
    endpoint::{self, Endpoint, Service},
    error::Error,
    http::{Answer, Broken, Untrusted},
    text::identifier,
};

#[derive(Clone, Debug)]
pub struct Failure {
    pub api: Api,
    pub host: Arc<str>,
    pub cause: Cause,
    /// Where the cloud answered.
    pub response: Option<Box<ErrorResponse>>,
    pub retry_after: Option<Duration>,
    pub attempts: u32,
    /// The caller's time was up: with more of it the call would have gone on.
    pub late: bool,
}

/// What an answer says, as far as it can be passed on.
#[derive(Clone, Debug)]
pub struct ErrorResponse {
    pub status: u16,
    pub code: Option<String>,
    known: Option<&'static Known>,
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
            response: None,
            retry_after: None,
            attempts: 1,
            late: false,
        }
    }

    /// An answer with another status than 200.
    pub fn refused(call: &Call<'_>, answer: &Answer) -> Self {
        // Not every body is JSON: gateways answer HTML, old KMS instances protobuf.
        let body: Refusal = serde_json::from_slice(answer.body.expose()).unwrap_or_default();
        let header_id = answer.headers.get("x-acs-request-id").and_then(|id| id.to_str().ok());
        let own_id = body.request_id.as_deref().or(header_id).and_then(identifier);
        let request_id = own_id.or(body.lower_request_id.as_deref().and_then(identifier));
        let service = call.api.service();
        let known = |code: &str| codes::find(service, code);
        // Others on the way answer JSON with codes too. A known code that says no is the service's
        // only with a request id, and one that is not known only in the service's exact form.
        let code = body.code.as_deref().or(body.lower_code.as_deref()).and_then(identifier);
        let code = code.filter(|code| match known(code) {
            Some(known) => request_id.is_some() || !known.cause.is_refusal(),
            None => body.code.is_some() && own_id.is_some_and(is_uuid),
        });
        let temporary = call.keys.is_some_and(|keys| keys.token.is_some());
        let instance = endpoint::is_kms_instance(call.endpoint.host());
        let cause = match (answer.status, code) {
            (400..500, code) if instance && is_old_instance(code, answer) => Cause::OldInstance,
            (status, Some(code)) => codes::cause(service, status, code, temporary),
            (429, None) => Cause::Throttled,
            (500.., None) => Cause::Server,
            (_, None) => Cause::OnTheWay,
        };
        // Whatever else a foreign answer holds means nothing.
        let code = code.filter(|_| cause != Cause::OnTheWay);
        let message = body.message.as_deref().or(body.lower_message.as_deref());
        let message = message.filter(|_| code.is_some()).unwrap_or_default();
        let response = ErrorResponse {
            status: answer.status,
            code: code.map(str::to_owned),
            known: code.and_then(known),
            request_id: request_id.map(str::to_owned),
            denied: body.denied.filter(|_| code.is_some()).and_then(|detail| detail.shown()),
            fact: fact(message),
        };
        Self {
            response: Some(Box::new(response)),
            retry_after: retry_after(&answer.headers),
            ..Self::new(call.api, call.endpoint, cause)
        }
    }

    pub fn code(&self) -> Option<&str> {
        self.response.as_ref()?.code.as_deref()
    }

    /// One word of a bounded set, for metrics and logs.
    pub fn label(&self) -> &'static str {
        let known = self.response.as_ref().and_then(|response| response.known);
        match (self.cause, known) {
            (Cause::Broken(Broken::Certificate(_)), _) => "untrusted_certificate",
            (Cause::Broken(Broken::Connection(_)), _) => "unreachable",
            (Cause::Broken(Broken::TooLarge), _) => "too_large",
            (Cause::Garbled, _) => "garbled",
            (Cause::NoPlace(_), _) => "no_place",
            (Cause::OnTheWay, _) => "not_the_service",
            (Cause::TimedOut, _) => "timeout",
            (_, Some(known)) => known.code,
            (Cause::Throttled, None) => "throttled",
            (_, None) => "other",
        }
    }

    /// The failure in a mount's error, with `hint` for what only the caller knows how to fix.
    pub fn error(&self, subject: impl Into<String>, hint: impl Into<String>) -> Error {
        let own = self.hint();
        let hint = if own.is_empty() { hint.into() } else { own.into_owned() };
        let request =
            self.response.as_ref().and_then(|response| response.request_id.clone().map(Into::into));
        let (detail, code) = (self.detail().into(), self.code().map(Into::into));
        let (attempts, host) = (self.attempts, Some(self.host.clone()));
        Error {
            detail,
            attempts,
            code,
            request,
            host,
            ..Error::new(self.cause.reason(), self.message())
        }
        .subject(subject)
        .hint(hint)
    }

    /// Whether nobody answered, or only a gateway's or the service's own fault did.
    pub fn is_unanswered(&self) -> bool {
        matches!(
            self.cause,
            Cause::Broken(Broken::Connection(_) | Broken::Certificate(_))
                | Cause::Server
                | Cause::TimedOut
        )
    }

    /// For other calls that wait for the same host: without the id of a request that is not theirs.
    pub(super) fn for_others(&self) -> Self {
        let response = self.response.as_deref().map(|response| {
            let (status, code, known, fact) =
                (response.status, response.code.clone(), response.known, None);
            Box::new(ErrorResponse { status, code, known, request_id: None, denied: None, fact })
        });
        Self { response, host: self.host.clone(), ..*self }
    }

    /// The same, of a call that was not made since the host is down.
    pub(super) fn of_another(&self, api: Api, endpoint: &Endpoint) -> Self {
        Self { api, host: endpoint.shared_host(), ..self.for_others() }
    }

    pub(super) fn message(&self) -> String {
        let service = self.api.service().name();
        let why: Cow<'_, str> = match (self.cause, self.code()) {
            (Cause::Broken(Broken::Connection(error)), _) => error.reason().into(),
            (Cause::Broken(Broken::Certificate(why)), _) => match why {
                Untrusted::Expired => "its certificate has expired",
                Untrusted::NotYetValid => "its certificate is not valid yet",
                Untrusted::UnknownIssuer => "its certificate is of an issuer that is not trusted",
                Untrusted::OtherName => "its certificate is another host's",
                Untrusted::Otherwise => "its certificate is not trusted",
            }
            .into(),
            (Cause::Broken(Broken::TooLarge), _) => "the answer is larger than 1 MiB".into(),
            (Cause::Garbled, _) => "the answer lacks what it must hold".into(),
            (Cause::NoPlace(Full::Service(most)), _) => {
                format!("no free place among the {most} calls to {service} allowed at once").into()
            }
            (Cause::NoPlace(Full::Host(most)), _) => format!(
                "no free place among the {most} calls that this host is sent at once, since it \
                 was overloaded"
            )
            .into(),
            (Cause::NoPlace(Full::Named(most)), _) => format!(
                "no free place among the {most} calls allowed at once to hosts of {service} that \
                 SecretProviderClasses name"
            )
            .into(),
            (Cause::OldInstance, _) => {
                "the KMS instance's image is too old for this operation".into()
            }
            (Cause::OnTheWay, _) => {
                format!("something on the way answered in place of {service}").into()
            }
            (Cause::Throttled, None) if self.response.is_some() => {
                format!("throttled by {service} or by something on the way").into()
            }
            (Cause::Throttled, _) => format!("throttled by {service}").into(),
            (Cause::TimedOut, _) => "no answer in time".into(),
            (Cause::Unsendable, _) => "a parameter cannot be sent".into(),
            (_, Some(code)) => code.into(),
            (_, None) => "an error without a code".into(),
        };
        [self.api.name(), " at ", &self.host, ": ", &why].concat()
    }

    fn detail(&self) -> String {
        let mut facts = Vec::new();
        if let Some(response) = &self.response {
            // Elsewhere the code is the failure's name.
            if self.cause == Cause::Throttled {
                facts.extend(response.code.clone());
            }
            facts.push(format!("HTTP {}", response.status));
            facts.extend(response.denied.clone());
        }
        facts.join(", ")
    }

    /// What to do, where it does not depend on who asked for what.
    fn hint(&self) -> Cow<'static, str> {
        let response = self.response.as_ref();
        match response.and_then(|response| response.fact) {
            Some(Fact::NeedsDecrypt) => {
                return "allow kms:Decrypt on the secret's encryption key".into();
            }
            Some(Fact::NoSuchOidcProvider) => {
                return "the operator must set --oidc-provider-arn to the cluster's registered \
                        OIDC provider"
                    .into();
            }
            None => {}
        }
        let known = response.and_then(|response| response.known).map_or("", |known| known.hint);
        match self.cause {
            // What is said of a code is not said of an answer that only bears its name.
            Cause::Throttled if response.is_some_and(|response| response.code.is_none()) => format!(
                "a proxy or gateway between the node and {} limits calls, or the account's quota is \
                 used up: raise --refresh-interval; the mount is tried again",
                self.host
            )
            .into(),
            Cause::Throttled => self.throttled_hint().into(),
            Cause::Server | Cause::Garbled | Cause::NonceUsed => "the mount is tried again".into(),
            _ if !known.is_empty() => known.into(),
            Cause::Broken(Broken::Certificate(why)) => certificate_hint(why).into(),
            Cause::Broken(Broken::TooLarge) => {
                "no secret is as large: check what answers at this host".into()
            }
            Cause::Broken(Broken::Connection(error)) => reach::hint(&self.host, Some(error)),
            Cause::TimedOut => reach::hint(&self.host, None),
            Cause::Clock => "set the node's clock right".into(),
            Cause::NoPlace(Full::Service(_)) => match self.api.service() {
                Service::Kms => {
                    "the mount is tried again; if this stays, raise \
                                 --max-concurrent-kms-secret-pulls"
                }
                Service::Oos => {
                    "the mount is tried again; if this stays, raise \
                                 --max-concurrent-oos-secret-pulls"
                }
                Service::Sts => "the mount is tried again",
            }
            .into(),
            Cause::NoPlace(Full::Host(_) | Full::Named(_)) => "the mount is tried again".into(),
            Cause::OnTheWay => format!(
                "a proxy, firewall or gateway between the node and {} must let the call through; \
                 the mount is tried again",
                self.host
            )
            .into(),
            Cause::OldInstance => "upgrade the instance to version 3.0 or later, or leave \
                                   kmsEndpoint out to read at the shared gateway"
                .into(),
            Cause::UnknownApi => "the endpoint does not offer this operation".into(),
            Cause::Unusable => "the code's meaning is in Alibaba Cloud's error center".into(),
            _ => "".into(),
        }
    }

    fn throttled_hint(&self) -> &'static str {
        match self.api.service() {
            Service::Sts => {
                "the account's quota of logins is used up: set --share=service-account, or have \
                 the quota raised; the mount is tried again"
            }
            Service::Kms => {
                "the account's quota is used up: raise --refresh-interval, set \
                 --share=service-account or --kms-batch=auto, or have the quota raised; the mount \
                 is tried again"
            }
            Service::Oos => {
                "the account's quota is used up: raise --refresh-interval, set \
                 --share=service-account, or have the quota raised; the mount is tried again"
            }
        }
    }
}

fn certificate_hint(why: Untrusted) -> &'static str {
    match why {
        Untrusted::Expired => {
            "check the node's clock; if it is right, the host's certificate has to be renewed"
        }
        Untrusted::NotYetValid => "set the node's clock right",
        Untrusted::OtherName => {
            "another host answers at this address: check DNS, --resolve and proxies on the way"
        }
        Untrusted::UnknownIssuer | Untrusted::Otherwise => {
            "give the host's CA with --ca-file (KMS instances: --kms-ca-file), unless a proxy on \
             the way opens TLS"
        }
    }
}

/// Its error is protobuf, of which these texts can be read.
fn is_old_instance(code: Option<&str>, answer: &Answer) -> bool {
    let body = answer.body.expose();
    let says = |text: &[u8]| body.windows(text.len()).any(|part| part == text);
    matches!(code, None | Some("MissingParameter")) && says(b"MissingParameter") && says(b"x-kms-")
}

/// Code and request id of an answer, whoever gave it.
pub(super) fn named(answer: &Answer) -> (Option<String>, Option<String>) {
    let body: Refusal = serde_json::from_slice(answer.body.expose()).unwrap_or_default();
    let header_id = answer.headers.get("x-acs-request-id").and_then(|id| id.to_str().ok());
    let own = |text: Option<&str>| text.and_then(identifier).map(str::to_owned);
    let id = body.request_id.as_deref().or(body.lower_request_id.as_deref()).or(header_id);
    (own(body.code.as_deref().or(body.lower_code.as_deref())), own(id))
}

/// How the services count their requests.
fn is_uuid(id: &str) -> bool {
    let lengths = id.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && id.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
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

/// Some products write the names of these small.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    #[serde(rename = "Code")]
    code: Option<String>,
    #[serde(rename = "code")]
    lower_code: Option<String>,
    #[serde(rename = "Message")]
    message: Option<String>,
    #[serde(rename = "message")]
    lower_message: Option<String>,
    #[serde(rename = "RequestId")]
    request_id: Option<String>,
    #[serde(rename = "requestId")]
    lower_request_id: Option<String>,
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
    fn shown(&self) -> Option<String> {
        let parts = [&self.auth_action, &self.no_permission_type, &self.policy_type];
        let given: Vec<&str> =
            parts.into_iter().flatten().filter_map(|part| identifier(part)).collect();
        (!given.is_empty()).then(|| given.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `--outage-grace` serves stale values after these.
    #[test]
    fn what_is_no_answer_of_the_service_is_no_refusal() {
        for cause in [
            Cause::Broken(Broken::Certificate(Untrusted::Expired)),
            Cause::Broken(Broken::TooLarge),
            Cause::Clock,
            Cause::OnTheWay,
            Cause::UnknownApi,
        ] {
            assert!(!cause.is_refusal(), "{cause:?}");
        }
        for cause in [Cause::Denied, Cause::NotFound, Cause::NoRole, Cause::Unusable] {
            assert!(cause.is_refusal(), "{cause:?}");
        }
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
}
