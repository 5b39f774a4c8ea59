//! Bundle: what support needs to see of a set-up, without a secret: the report, versions, the configuration, and
//! what a running provider says of itself.

use serde::Serialize;
use serde_json::Value;

#[derive(Debug, Serialize)]
pub(crate) struct Bundle {
    pub(crate) schema: u32,
    /// When it was made.
    pub(crate) made_at: String,
    pub(crate) version: &'static str,
    pub(crate) system: System,
    pub(crate) configuration: Vec<Setting>,
    pub(crate) report: Value,
    /// Of the provider that runs here: `/debug/state`, or why there is none.
    pub(crate) debug_state: Value,
    /// `/metrics`, or why there are none.
    pub(crate) metrics: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct System {
    pub(crate) kernel: String,
    pub(crate) architecture: &'static str,
    pub(crate) resolv_conf: String,
}

/// A flag that is given, wherever.
#[derive(Debug, Serialize)]
pub(crate) struct Setting {
    pub(crate) flag: String,
    pub(crate) value: String,
    pub(crate) given_by: String,
}

impl Bundle {
    pub(crate) fn render(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}
