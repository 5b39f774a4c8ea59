//! Misbehaviour on demand: which requests it hits, how often and what it does.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::state::policy::like;
use crate::state::sync::lock;

/// A rule that makes matching requests go wrong. Unset matchers match everything; `host` and
/// `object` take `*` and `?`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// `sts`, `kms`, `oos`, `metadata` or `kubernetes`.
    pub service: Option<String>,
    pub action: Option<String>,
    pub host: Option<String>,
    pub object: Option<String>,
    /// Name or ARN of the caller's role, or of the role asked for in AssumeRole.
    pub role: Option<String>,
    pub account: Option<String>,
    /// How many matching requests it hits before it wears off; for ever when unset.
    pub times: Option<u32>,
    /// Hit only every n-th matching request.
    pub every: Option<u32>,
    pub effect: FaultEffect,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultEffect {
    /// Answer normally, later.
    Latency {
        ms: u64,
    },
    Error {
        status: u16,
        code: String,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// Accept the request and never answer.
    Hang,
    /// Reset the connection instead of answering.
    Reset,
    /// Reset the connection after so many bytes of the answer's body.
    ResetAfter {
        bytes: usize,
    },
    /// Announce the whole body, send half of it and close.
    Truncate,
    /// 200 with a body that is not JSON.
    Garbage,
    Html {
        status: u16,
    },
    Empty {
        status: u16,
    },
    /// JSON with exactly this body, as others on the way word theirs.
    Body {
        status: u16,
        body: String,
    },
    /// The binary error an old KMS instance answers with.
    Protobuf {
        status: u16,
    },
    /// 200 with a well-formed body of so many MiB.
    Huge {
        mib: usize,
    },
    /// 200 with JSON that lacks the members the caller needs.
    WrongSchema,
    /// An error whose message repeats the caller's security or OIDC token.
    Echo {
        status: u16,
        code: String,
    },
}

impl Default for FaultEffect {
    fn default() -> Self {
        Self::Error {
            status: 503,
            code: "ServiceUnavailableTemporary".to_owned(),
            message: None,
            headers: BTreeMap::new(),
        }
    }
}

impl FaultEffect {
    /// 429 with the code and message KMS uses.
    pub fn throttling() -> Self {
        Self::Error {
            status: 429,
            code: "Rejected.Throttling".to_owned(),
            message: Some("QPS Limit Exceeded".to_owned()),
            headers: BTreeMap::new(),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "Latency",
            Self::Error { .. } => "Error",
            Self::Hang => "Hang",
            Self::Reset => "Reset",
            Self::ResetAfter { .. } => "ResetAfter",
            Self::Truncate => "Truncate",
            Self::Garbage => "Garbage",
            Self::Html { .. } => "Html",
            Self::Empty { .. } => "Empty",
            Self::Body { .. } => "Body",
            Self::Protobuf { .. } => "Protobuf",
            Self::Huge { .. } => "Huge",
            Self::WrongSchema => "WrongSchema",
            Self::Echo { .. } => "Echo",
        }
    }
}

/// What of a request the rules look at.
#[derive(Debug, Default)]
pub(crate) struct Subject<'a> {
    pub(crate) service: &'a str,
    pub(crate) action: &'a str,
    pub(crate) host: &'a str,
    pub(crate) objects: &'a [String],
    pub(crate) roles: Vec<&'a str>,
    pub(crate) account: Option<&'a str>,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Mutex<Armed>,
}

#[derive(Debug, Default)]
struct Armed {
    next_id: u64,
    latency: Duration,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    id: u64,
    fault: Fault,
    seen: u32,
    hit: u32,
}

/// What to do to one request: wait, and then perhaps fail.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) latency: Duration,
    pub(crate) effect: Option<FaultEffect>,
}

impl Faults {
    pub(crate) fn add(&self, fault: Fault) -> u64 {
        let mut armed = lock(&self.armed);
        armed.next_id += 1;
        let id = armed.next_id;
        armed.rules.push(Rule { id, fault, seen: 0, hit: 0 });
        id
    }

    /// Clears one rule, or all of them and the latency.
    pub(crate) fn clear(&self, id: Option<u64>) {
        let mut armed = lock(&self.armed);
        match id {
            Some(id) => armed.rules.retain(|rule| rule.id != id),
            None => {
                armed.rules.clear();
                armed.latency = Duration::ZERO;
            }
        }
    }

    pub(crate) fn set_latency(&self, latency: Duration) {
        lock(&self.armed).latency = latency;
    }

    pub(crate) fn list(&self) -> Vec<(u64, Fault, u32)> {
        let armed = lock(&self.armed);
        armed.rules.iter().map(|rule| (rule.id, rule.fault.clone(), rule.hit)).collect()
    }

    /// Counts the request against every rule it matches; the first that is no latency decides.
    pub(crate) fn plan(&self, subject: &Subject<'_>) -> Plan {
        let mut armed = lock(&self.armed);
        let mut plan = Plan { latency: armed.latency, effect: None };
        for rule in &mut armed.rules {
            let latency = matches!(rule.fault.effect, FaultEffect::Latency { .. });
            if (!latency && plan.effect.is_some())
                || !rule.fault.matches(subject)
                || !rule.strikes()
            {
                continue;
            }
            match &rule.fault.effect {
                FaultEffect::Latency { ms } => plan.latency += Duration::from_millis(*ms),
                effect => plan.effect = Some(effect.clone()),
            }
        }
        plan
    }
}

impl Rule {
    fn strikes(&mut self) -> bool {
        self.seen += 1;
        let due = self.fault.every.is_none_or(|every| self.seen.is_multiple_of(every.max(1)));
        let left = self.fault.times.is_none_or(|times| self.hit < times);
        if due && left {
            self.hit += 1;
        }
        due && left
    }
}

impl Fault {
    fn matches(&self, subject: &Subject<'_>) -> bool {
        let is = |wanted: &Option<String>, actual: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(actual))
        };
        is(&self.service, subject.service)
            && is(&self.action, subject.action)
            && self.host.as_ref().is_none_or(|pattern| like(pattern, subject.host))
            && self
                .object
                .as_ref()
                .is_none_or(|pattern| subject.objects.iter().any(|object| like(pattern, object)))
            && self.role.as_ref().is_none_or(|wanted| {
                subject
                    .roles
                    .iter()
                    .any(|role| role == wanted || crate::state::arn::name(role) == wanted)
            })
            && self.account.as_ref().is_none_or(|wanted| subject.account == Some(wanted.as_str()))
    }
}
