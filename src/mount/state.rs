//! Mount state: what a running provider can be asked about itself. Numbers and hosts: no name of a secret,
//! no value.

use serde::Serialize;

use super::Provider;
use crate::fetch::FetchState;

#[derive(Debug, Serialize)]
pub struct State {
    /// Of this program.
    pub version: &'static str,
    pub mounts_in_flight: i64,
    #[serde(flatten)]
    pub fetch: FetchState,
    /// Lists of objects that were parsed, and their bytes.
    pub parsed_lists: usize,
    pub parsed_bytes: usize,
    /// Failures of volumes that repeat.
    pub failures: usize,
    /// Whether there is an audit record.
    pub audit: bool,
}

impl Provider {
    pub fn state(&self) -> State {
        let (parsed_lists, parsed_bytes) = self.objects.size();
        State {
            version: env!("CARGO_PKG_VERSION"),
            mounts_in_flight: self.observers.metrics.mounts_now(),
            fetch: self.fetcher.state(),
            parsed_lists,
            parsed_bytes,
            failures: self.observers.events.count(),
            audit: self.observers.audit.is_on(),
        }
    }
}
