//! Journal: what was asked, by whom, and how it ended. Never a secret.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::state::sync::lock;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    pub sequence: u64,
    pub time: String,
    /// `sts`, `kms`, `oos`, `metadata` or `kubernetes`.
    pub service: String,
    pub action: String,
    pub host: String,
    /// Secret, parameter, role or ServiceAccount names asked for.
    pub objects: Vec<String>,
    /// Who signed it, once the signature held.
    pub principal: Option<PrincipalRecord>,
    /// `sub` of the token given to AssumeRoleWithOIDC, once the token held.
    pub oidc_subject: Option<String>,
    /// HTTP status; 0 when no answer was given.
    pub status: u16,
    /// Error code, or the name of the fault that ended it; empty on success.
    pub code: String,
    pub request_id: String,
    /// Number of the TLS connection it came over; none over plain HTTP.
    pub tls_connection: Option<u64>,
    pub protocol: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrincipalRecord {
    pub account: String,
    /// ARN of the user, or of the role behind the session.
    pub arn: String,
    pub session_name: Option<String>,
    pub access_key_id: String,
}

const KEPT: usize = 100_000;

#[derive(Debug, Default)]
pub(crate) struct Journal {
    records: Mutex<(u64, Vec<RequestRecord>)>,
    print: AtomicBool,
}

impl Journal {
    pub(crate) fn print_to_stdout(&self, print: bool) {
        self.print.store(print, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, mut record: RequestRecord) {
        let mut records = lock(&self.records);
        records.0 += 1;
        record.sequence = records.0;
        if self.print.load(Ordering::Relaxed) {
            crate::state::stdout::line(&record.to_string());
        }
        if records.1.len() >= KEPT {
            records.1.drain(..KEPT / 10);
        }
        records.1.push(record);
    }

    pub(crate) fn list(&self) -> Vec<RequestRecord> {
        lock(&self.records).1.clone()
    }

    pub(crate) fn clear(&self) {
        lock(&self.records).1.clear();
    }
}

impl fmt::Display for RequestRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, time, service, action, status, host, .. } = self;
        write!(f, "#{sequence} {time} {status} {service} {action}")?;
        if !self.objects.is_empty() {
            write!(f, " {}", self.objects.join(","))?;
        }
        if !self.code.is_empty() {
            write!(f, " -> {}", self.code)?;
        }
        if let Some(principal) = &self.principal {
            write!(f, " by {}", principal.arn)?;
            if let Some(session) = &principal.session_name {
                write!(f, "/{session}")?;
            }
        }
        if let Some(subject) = &self.oidc_subject {
            write!(f, " for {subject}")?;
        }
        write!(f, " at {host}")?;
        match self.tls_connection {
            Some(number) => write!(f, " ({}, tls {number})", self.protocol)?,
            None => write!(f, " ({})", self.protocol)?,
        }
        write!(f, " {}", self.request_id)
    }
}
