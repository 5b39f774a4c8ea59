//! Records: the lines of an audit record, as they are read again. The chain is not looked at here.

use std::{borrow::Cow, fmt};

use jiff::Timestamp;
use serde::{Deserialize, de::IgnoredAny};

/// The meaning of the fields that is known here; `docs/audit.md` has it.
const SCHEMA: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Event {
    Read,
    Refusal,
    Start,
    Continue,
    Lost,
    Stop,
    #[serde(other)]
    Unknown,
}

/// One line. A text is empty where the line has nothing to say.
#[derive(Debug, Deserialize)]
pub(crate) struct Record<'a> {
    schema: u32,
    pub(crate) event: Event,
    #[serde(borrow)]
    pub(crate) time: Cow<'a, str>,
    /// The same in microseconds since 1970.
    #[serde(skip)]
    pub(crate) at: i64,
    #[serde(borrow)]
    pub(crate) node: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) run: Cow<'a, str>,
    pub(crate) seq: u64,
    #[serde(borrow, default)]
    mount: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) namespace: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) pod: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) uid: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) service_account: Cow<'a, str>,
    #[serde(borrow, default, rename = "secret_provider_class")]
    pub(crate) class: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) via: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) identity: Cow<'a, str>,
    #[serde(borrow, default, rename = "identity_chosen_by")]
    pub(crate) chosen_by: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) role: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) access_key_id: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) object: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) resource: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) version: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) endpoint: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) source: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) outcome: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) code: Cow<'a, str>,
    #[serde(default)]
    pub(crate) mounted: bool,
    #[serde(borrow, default)]
    pub(crate) reason: Cow<'a, str>,
    #[serde(default)]
    pub(crate) lost: u64,
}

/// Why a line is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    TooLong,
    NoJson,
    Fields,
    Schema(u32),
    Event,
    Time,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::TooLong => f.write_str("longer than a line of an audit record can be"),
            Broken::NoJson => f.write_str("is no JSON object: cut off, or no line of an audit record"),
            Broken::Fields => {
                f.write_str("is no line of an audit record: a field is missing, twice there, or of another type")
            }
            Broken::Schema(schema) => write!(
                f,
                "is of schema {schema}, and {SCHEMA} is known here: use the version that wrote it"
            ),
            Broken::Event => f.write_str("is of an event that is not known here"),
            Broken::Time => f.write_str("has a time that is none"),
        }
    }
}

/// `None` for an empty line.
pub(crate) fn parse(line: &[u8]) -> Option<Result<Record<'_>, Broken>> {
    let line = line.trim_ascii();
    (!line.is_empty()).then(|| record(line))
}

fn record(line: &[u8]) -> Result<Record<'_>, Broken> {
    #[derive(Deserialize)]
    struct Head {
        schema: u32,
    }
    // A list of the fields in their order would be taken for one too.
    if !line.starts_with(b"{") {
        return Err(Broken::NoJson);
    }
    let mut record: Record<'_> = serde_json::from_slice(line).map_err(|_| {
        if serde_json::from_slice::<IgnoredAny>(line).is_err() {
            return Broken::NoJson;
        }
        match serde_json::from_slice::<Head>(line) {
            Ok(Head { schema }) if schema != SCHEMA => Broken::Schema(schema),
            _ => Broken::Fields,
        }
    })?;
    if record.schema != SCHEMA {
        return Err(Broken::Schema(record.schema));
    }
    match record.event {
        Event::Unknown => return Err(Broken::Event),
        Event::Read | Event::Refusal if record.mount.is_empty() || record.outcome.is_empty() => {
            return Err(Broken::Fields);
        }
        _ => {}
    }
    let time: Timestamp = record.time.parse().map_err(|_| Broken::Time)?;
    record.at = time.as_microsecond();
    Ok(record)
}

impl Record<'_> {
    /// Whether it is about a mount, and not about the record itself.
    pub(crate) fn is_of_a_mount(&self) -> bool {
        matches!(self.event, Event::Read | Event::Refusal)
    }

    /// A read to which the cloud did not say no. That there is no such secret, only those hear who may read it.
    pub(crate) fn is_granted(&self) -> bool {
        self.event == Event::Read && matches!(&*self.outcome, "OK" | "MISSING")
    }

    /// A value of a mount that succeeded.
    pub(crate) fn is_handed_out(&self) -> bool {
        self.event == Event::Read && self.outcome == "OK" && self.mounted
    }

    pub(crate) fn is_stale(&self) -> bool {
        matches!(&*self.source, "stale" | "grace")
    }

    /// Tells its mount from others. The writer makes it of 64 bits; of another text enough is kept.
    pub(crate) fn mount(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        u64::from_str_radix(&self.mount, 16).unwrap_or_else(|_| {
            let mut hasher = DefaultHasher::new();
            self.mount.hash(&mut hasher);
            hasher.finish()
        })
    }

    /// What was read, as a policy names it.
    pub(crate) fn subject(&self) -> &str {
        if self.resource.is_empty() { &self.object } else { &self.resource }
    }
}

#[cfg(test)]
mod tests;
