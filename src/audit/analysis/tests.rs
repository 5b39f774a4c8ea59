//! Records of a few lines each, and what is said of them.

use serde_json::{Value, json};

use super::{
    Span,
    access::Accesses,
    coverage::{Coverage, Filter},
};
use crate::records::{self, Record};

/// A line as the writer makes it, of what matters here.
#[derive(Clone)]
pub(super) struct Line(pub(super) Value);

pub(super) fn resource(object: &str) -> String {
    format!("acs:kms:cn-hangzhou:1234567890123456:secret/{object}")
}

/// Microseconds of a second of the day that all these records are of.
pub(super) fn at(second: u32) -> i64 {
    let text = time(second);
    text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

pub(super) fn time(second: u32) -> String {
    format!("2026-11-23T09:{:02}:{:02}.000000Z", second / 60, second % 60)
}

impl Line {
    /// A value that pod `shop/web-1` was handed.
    pub(super) fn read(second: u32, mount: u64, object: &str, version: &str) -> Self {
        Self(json!({
            "schema": 1, "event": "read", "time": time(second), "node": "node-a", "run": "one",
            "seq": 0, "mount": format!("{mount:016x}"), "namespace": "shop", "pod": "web-1",
            "uid": "uid-1", "service_account": "web", "secret_provider_class": "checkout",
            "via": "driver", "identity": "pod", "identity_chosen_by": "operator-default",
            "role": "acs:ram::1234567890123456:role/web", "access_key_id": "", "object": object,
            "resource": resource(object), "version": version, "endpoint": "kms", "source": "cloud",
            "outcome": "OK", "code": "", "mounted": true, "reason": "",
        }))
    }

    /// A mount that was refused before any read.
    pub(super) fn refusal(second: u32, mount: u64, outcome: &str) -> Self {
        let line = Self::read(second, mount, "", "").with("event", "refusal").with("resource", "");
        line.with("outcome", outcome).with("mounted", false).with("endpoint", "").with("source", "")
    }

    pub(super) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0[field] = value.into();
        self
    }

    pub(super) fn pod(self, pod: &str, uid: &str) -> Self {
        self.with("pod", pod).with("uid", uid)
    }

    /// The cloud said no, and so the mount failed.
    pub(super) fn denied(self) -> Self {
        let line = self.with("outcome", "PERMISSION_DENIED").with("mounted", false);
        line.with("code", "Forbidden.NoPermission").with("reason", "no rights")
    }
}

/// As one file, numbered.
pub(super) fn text(lines: &[Line]) -> String {
    let numbered = (1..).zip(lines).map(|(seq, line)| match line.0["seq"] == 0 {
        true => line.clone().with("seq", seq),
        false => line.clone(),
    });
    numbered.map(|line| format!("{}\n", line.0)).collect()
}

pub(super) fn read(text: &str, filter: Filter, mut take: impl FnMut(&Record<'_>)) -> Coverage {
    let mut coverage = Coverage::new(filter);
    for (number, line) in (1..).zip(text.lines()) {
        let Some(line) = records::parse(line.as_bytes()) else { continue };
        if let Some(record) = coverage.take("audit.log", number, line) {
            take(&record);
        }
    }
    coverage
}

pub(super) fn all(lines: &[Line], take: impl FnMut(&Record<'_>)) {
    assert!(read(&text(lines), Filter::default(), take).is_whole());
}

pub(super) fn accesses(lines: &[Line]) -> Accesses {
    let mut accesses = Accesses::default();
    all(lines, |record| accesses.add(record));
    accesses
}

pub(super) fn span(times: u64, first: u32, last: u32) -> Span {
    Span { times, first: at(first), last: at(last) }
}
