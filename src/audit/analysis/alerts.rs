//! Alerts: sessions in pods (`kubectl exec`, `attach`, `debug`), as the API server's audit log tells of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

/// One request for a session. A text is empty where the log does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Alert {
    /// The API server's `auditID`.
    pub(crate) id: String,
    /// `exec`, `attach` or `ephemeralcontainers`.
    pub(crate) what: String,
    pub(crate) user: String,
    pub(crate) source_ip: String,
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) uid: String,
    pub(crate) container: String,
    /// When the request came in; microseconds since 1970.
    pub(crate) start: i64,
    /// When the session was over, if the alert has it.
    pub(crate) end: Option<i64>,
    /// The HTTP status, if the alert has it.
    pub(crate) code: Option<u16>,
}

impl Alert {
    /// The API server said no, so that nobody was in the pod.
    pub(crate) fn is_refused(&self) -> bool {
        self.code.is_some_and(|code| code >= 400)
    }
}

/// All alerts of a log. An audit log has every request once for each of its stages.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    /// Lines that are not empty.
    pub(crate) lines: u64,
    /// Events of other requests.
    pub(crate) others: u64,
    by_id: BTreeMap<String, Alert>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    kind: String,
    #[serde(rename = "auditID")]
    audit_id: String,
    #[serde(default)]
    stage: String,
    #[serde(default, rename = "requestURI")]
    request_uri: String,
    object_ref: Option<Object>,
    #[serde(default)]
    user: User,
    impersonated_user: Option<User>,
    #[serde(default, rename = "sourceIPs")]
    source_ips: Vec<String>,
    request_received_timestamp: String,
    #[serde(default)]
    stage_timestamp: String,
    response_status: Option<Status>,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    uid: String,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize)]
struct Status {
    code: Option<u16>,
}

impl Alerts {
    /// What is wrong with the line, if it is no event of an API server's audit log.
    pub(crate) fn add(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        self.lines += 1;
        let event: Event = serde_json::from_slice(line)
            .map_err(|_| "is no event of the API server's audit log (audit.k8s.io), one a line")?;
        if event.kind != "Event" {
            return Err("is no event of the API server's audit log (audit.k8s.io), one a line");
        }
        let micros = |text: &str| text.parse().ok().map(Timestamp::as_microsecond);
        let start = micros(&event.request_received_timestamp)
            .ok_or("has a requestReceivedTimestamp that is no time")?;
        let session = ["exec", "attach", "ephemeralcontainers"];
        let object = event
            .object_ref
            .filter(|of| of.resource == "pods" && session.contains(&&*of.subresource));
        let Some(object) = object else {
            self.others += 1;
            return Ok(());
        };
        let alert = self.by_id.entry(event.audit_id.clone()).or_default();
        let set = |old: &mut String, new: String| {
            if !new.is_empty() {
                *old = new;
            }
        };
        set(&mut alert.id, event.audit_id);
        set(&mut alert.what, object.subresource);
        set(&mut alert.namespace, object.namespace);
        set(&mut alert.pod, object.name);
        set(&mut alert.uid, object.uid);
        let container = container(&event.request_uri).unwrap_or_default();
        set(&mut alert.container, container.to_owned());
        let user = match event.impersonated_user {
            Some(other) => format!("{} as {}", event.user.username, other.username),
            None => event.user.username,
        };
        set(&mut alert.user, user);
        set(&mut alert.source_ip, event.source_ips.into_iter().next().unwrap_or_default());
        alert.start = start;
        if event.stage == "ResponseComplete" {
            alert.end = micros(&event.stage_timestamp).or(alert.end);
        }
        alert.code = event.response_status.and_then(|status| status.code).or(alert.code);
        Ok(())
    }

    /// By time.
    pub(crate) fn all(self) -> Vec<Alert> {
        let mut all: Vec<Alert> = self.by_id.into_values().collect();
        all.sort_by(|a, b| (a.start, &a.id).cmp(&(b.start, &b.id)));
        all
    }
}

/// Of a request's URI only this: the command that is in it too can hold what somebody typed.
fn container(uri: &str) -> Option<&str> {
    let (_, query) = uri.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("container="))
}

#[cfg(test)]
pub(super) mod tests;
