//! STS: AssumeRoleWithOIDC and AssumeRole. The token travels in the form body, so that no URL and
//! no access log on the way ever has it.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::{NoSession, Session};
use crate::{
    api::Api,
    cloud::{Call, Cause, Cloud, Failure, limiter::Priority, sign::percent_encode},
    endpoint::Endpoint,
    keys::Keys,
    login::Caller,
    names::{OidcProviderArn, RoleArn},
    secret::Secret,
    text::identifier,
};

pub(super) struct WithOidc<'a> {
    pub(super) role: &'a RoleArn,
    pub(super) provider: &'a OidcProviderArn,
    pub(super) token: &'a Secret<String>,
    pub(super) name: &'a str,
    pub(super) lifetime: &'a Duration,
    pub(super) caller: Caller,
    pub(super) priority: Priority,
}

pub(super) struct Assume<'a> {
    pub(super) role: &'a RoleArn,
    pub(super) name: &'a str,
    pub(super) lifetime: &'a Duration,
    pub(super) caller: Caller,
    pub(super) priority: Priority,
}

/// Hears what went wrong so far, for those who stop waiting before it is over.
pub(super) type OnError<'a> = &'a (dyn Fn(NoSession) + Sync);

/// Shaped like the official Go client's call: operation in the query, the rest in the form.
pub(super) async fn assume_role_with_oidc(
    cloud: &Cloud,
    sts: &Endpoint,
    request: &WithOidc<'_>,
    deadline: Instant,
    on_error: OnError<'_>,
) -> Result<Session, NoSession> {
    let api = Api::AssumeRoleWithOidc;
    let seconds = request.lifetime.as_secs().to_string();
    let form = form(&[
        ("DurationSeconds", &seconds),
        ("OIDCProviderArn", request.provider.as_str()),
        ("OIDCToken", request.token.expose()),
        ("RoleArn", request.role.as_str()),
        ("RoleSessionName", request.name),
    ]);
    let timestamp = format!("{:.0}", jiff::Timestamp::now());
    let query = vec![
        ("Action", api.name()),
        ("Format", "JSON"),
        ("Timestamp", &timestamp),
        ("Version", "2015-04-01"),
    ];
    let report = |failure: &Failure| on_error(no_session(failure, request.role));
    let call = Call {
        api,
        endpoint: sts,
        query,
        form: Some(form),
        keys: None,
        caller: request.caller,
        priority: request.priority,
        on_error: Some(&report),
        sent: None,
    };
    session(cloud, &call, *request.lifetime, deadline)
        .await
        .map_err(|failure| no_session(&failure, request.role))
}

pub(super) async fn assume_role(
    cloud: &Cloud,
    sts: &Endpoint,
    keys: &Keys,
    request: &Assume<'_>,
    deadline: Instant,
    on_error: OnError<'_>,
) -> Result<Session, Failure> {
    let seconds = request.lifetime.as_secs().to_string();
    let query = vec![
        ("DurationSeconds", seconds.as_str()),
        ("RoleArn", request.role.as_str()),
        ("RoleSessionName", request.name),
    ];
    let report = |failure: &Failure| on_error(no_session(failure, request.role));
    let call = Call {
        api: Api::AssumeRole,
        endpoint: sts,
        query,
        form: None,
        keys: Some(keys),
        caller: request.caller,
        priority: request.priority,
        on_error: Some(&report),
        sent: None,
    };
    session(cloud, &call, *request.lifetime, deadline).await
}

/// A failure in the words of a mount's error. What only the mount knows about trust is added there.
pub(super) fn no_session(failure: &Failure, role: &RoleArn) -> NoSession {
    let hint = match failure.cause {
        Cause::Denied => {
            "the caller needs sts:AssumeRole on the role, and the role's trust policy must name \
             the caller"
        }
        Cause::Invalid => "check the role's ARN, --role-session-name and --role-session-expiration",
        _ => "",
    };
    NoSession {
        error: Box::new(failure.error(format!("role {role}"), hint)),
        refusal: failure.cause.is_refusal(),
        late: failure.late,
        throttled: failure.cause == Cause::Throttled,
    }
}

async fn session(
    cloud: &Cloud,
    call: &Call<'_>,
    asked: Duration,
    deadline: Instant,
) -> Result<Session, Failure> {
    let body = cloud.call(call, deadline).await?;
    serde_json::from_slice::<Answer>(body.expose())
        .ok()
        .and_then(|Answer { credentials, request_id }| {
            let id = request_id.as_deref().and_then(identifier).unwrap_or_default();
            Some(Session { request_id: id.into(), ..credentials.session(asked)? })
        })
        .ok_or_else(|| Failure::new(call.api, call.endpoint, Cause::Garbled))
}

fn form(fields: &[(&str, &str)]) -> Secret<String> {
    // Room for all of it at once: a buffer that grew would leave copies behind.
    let longest: usize = fields.iter().map(|(k, v)| k.len() + 3 * v.len() + 2).sum();
    let mut form = String::with_capacity(longest);
    for (name, value) in fields {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        percent_encode(&mut form, value);
    }
    Secret::new(form)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    credentials: RawSession,
    request_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RawSession {
    access_key_id: String,
    access_key_secret: Secret<String>,
    security_token: Secret<String>,
    expiration: String,
}

impl RawSession {
    /// A clock that is behind must not make a session look longer than what was asked for.
    pub(super) fn session(self, longest: Duration) -> Option<Session> {
        let expires: jiff::Timestamp = self.expiration.parse().ok()?;
        let left = expires.duration_since(jiff::Timestamp::now());
        let left = Duration::try_from(left).ok()?.min(longest);
        let whole = [&self.access_key_id, self.access_key_secret.expose()];
        if left.is_zero()
            || whole.iter().any(|part| part.is_empty())
            || self.security_token.expose().is_empty()
        {
            return None;
        }
        let keys = Keys {
            id: self.access_key_id,
            secret: self.access_key_secret,
            token: Some(self.security_token),
        };
        Some(Session::new(keys, left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The token would be in what it grew out of.
    #[test]
    fn a_form_has_room_for_all_of_it_from_the_start() {
        let form = form(&[("OIDCToken", &"/".repeat(2_000)), ("RoleArn", &":".repeat(40))]);
        let form = form.expose();
        assert!(form.starts_with("OIDCToken=%2F%2F") && form.contains("%2F&RoleArn=%3A"));
        assert_eq!(form.capacity(), form.len() + 1, "all but the first have a \"&\"");
    }
}
