//! What a line holds. `docs/audit.md` has the table of these fields, and a test holds it to them.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::hash::Hash;
use crate::text::{cut, shown};

/// Raised when a field changes its meaning or goes; new fields do not raise it.
const SCHEMA: u32 = 1;

/// Names have limits of their own; this is for what has none, such as what the cloud calls a version.
const LONGEST_TEXT: usize = 1024;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Event {
    /// One object of a mount, read or not.
    Read,
    /// A mount that failed for another reason than a read.
    #[default]
    Refusal,
}

/// What holds for a mount: who asked, as whom. A text is empty where there is nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The same for all records of one mount.
    pub mount: String,
    pub namespace: String,
    pub pod: String,
    pub uid: String,
    pub service_account: String,
    pub secret_provider_class: String,
    /// "driver" or "sync".
    pub via: &'static str,
    pub identity: &'static str,
    /// What the SecretProviderClass asks for.
    pub identity_requested: &'static str,
    /// "secretproviderclass", "operator-default" or "auto".
    pub identity_chosen_by: &'static str,
    pub role: String,
    pub session: String,
    /// Of a long-lived key, where no role was assumed.
    pub access_key_id: String,
}

/// One object's read, or a refused mount.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Record {
    #[serde(skip)]
    pub event: Event,
    #[serde(skip)]
    pub time: Timestamp,
    /// Held once for all records of a mount, which may be five hundred.
    #[serde(flatten)]
    pub asked: Arc<Asked>,
    pub object: String,
    pub object_type: &'static str,
    pub resource: String,
    pub version: String,
    pub endpoint: String,
    /// "cloud", "memory", "grace" or "stale".
    pub source: &'static str,
    pub outcome: &'static str,
    pub code: String,
    pub request_id: String,
    /// Whether the mount as a whole succeeded.
    pub mounted: bool,
    pub reason: String,
}

impl Asked {
    fn texts(&mut self) -> [&mut String; 9] {
        [
            &mut self.mount,
            &mut self.namespace,
            &mut self.pod,
            &mut self.uid,
            &mut self.service_account,
            &mut self.secret_provider_class,
            &mut self.role,
            &mut self.session,
            &mut self.access_key_id,
        ]
    }

    /// Bounds and escapes every text, wherever it came from.
    pub fn clean(mut self) -> Self {
        self.texts().into_iter().for_each(clean);
        self
    }
}

impl Record {
    /// Bounds and escapes every text of its own.
    fn clean(&mut self) {
        for text in [
            &mut self.object,
            &mut self.resource,
            &mut self.version,
            &mut self.endpoint,
            &mut self.code,
            &mut self.request_id,
            &mut self.reason,
        ] {
            clean(text);
        }
    }
}

fn clean(text: &mut String) {
    let bounded = cut(text, LONGEST_TEXT);
    if bounded.len() < text.len() || shown(bounded) != bounded {
        *text = cut(&shown(bounded), LONGEST_TEXT).to_owned();
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Body {
    Record(Box<Record>),
    /// The first line of a process.
    Start {
        program: &'static str,
        chained_by: &'static str,
        /// Whether it is the first line of its file.
        first: bool,
        /// Bytes of a broken last line that were cut off before it.
        torn: u64,
    },
    /// The first line of a process in a file that it did not start in, or after a line that another
    /// process never finished.
    Continue {
        chained_by: &'static str,
        first: bool,
        torn: u64,
        /// The line that stands before it, which may be another process's.
        after: Hash,
    },
    /// Records that could not be written.
    Lost {
        lost: u64,
    },
    /// The last line of a process that ended in order.
    Stop {},
}

impl Body {
    pub(super) fn of(mut record: Record) -> Self {
        record.clean();
        Body::Record(Box::new(record))
    }

    fn event(&self) -> &'static str {
        match self {
            Body::Record(record) => match record.event {
                Event::Read => "read",
                Event::Refusal => "refusal",
            },
            Body::Start { .. } => "start",
            Body::Continue { .. } => "continue",
            Body::Lost { .. } => "lost",
            Body::Stop {} => "stop",
        }
    }
}

#[derive(Serialize)]
pub(super) struct Line<'a> {
    schema: u32,
    event: &'static str,
    time: String,
    node: &'a str,
    run: &'a str,
    seq: u64,
    #[serde(flatten)]
    body: &'a Body,
    prev: Hash,
}

impl<'a> Line<'a> {
    pub(super) fn of(node: &'a str, run: &'a str, seq: u64, body: &'a Body, prev: Hash) -> Self {
        let time = match body {
            Body::Record(record) => record.time,
            _ => Timestamp::now(),
        };
        // Always as many digits, so that times sort as texts.
        let time = time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        Self { schema: SCHEMA, event: body.event(), time, node, run, seq, body, prev }
    }
}
