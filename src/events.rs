//! What kubelet makes of a mount that fails again and again. It writes an Event for each message it
//! has not seen and counts those it has, so a failure that repeats is reported in the words of its
//! first time, with the request id of then. The log has each request's own.

use std::sync::Mutex;

use tokio::time::Instant;

use crate::{digest::Digest, fair_cache::FairCache, limits, sync::lock};

/// Far beyond the pods of a node, with about 1 KiB for each; a volume that is gone for good is never
/// heard of again.
const MOST: usize = 1024;

/// The messages of failures, by volume and cause: a volume that fails in two ways by turns has two Events,
/// and one that fails in many takes no other's place.
#[derive(Debug)]
pub struct Events(Mutex<FairCache<Digest, Digest, Reported>>);

impl Default for Events {
    fn default() -> Self {
        Self(Mutex::new(FairCache::new(MOST)))
    }
}

#[derive(Debug)]
struct Reported {
    at: Instant,
    message: String,
}

impl Events {
    /// The message for this failure: of its first time, where that was not long ago. `cause` is the
    /// digest of all that makes it another failure, so that none is reported with another's facts.
    pub fn failed(&self, volume: Digest, cause: Digest, message: String) -> String {
        let mut reported = lock(&self.0);
        let now = Instant::now();
        if let Some(before) = reported.get(&volume, &cause)
            && now.duration_since(before.at) < limits::EVENT_LIFETIME
        {
            return before.message.clone();
        }
        reported.insert(volume, cause, Reported { at: now, message: message.clone() }, 1);
        message
    }

    /// How many failures are remembered.
    pub fn count(&self) -> usize {
        lock(&self.0).len()
    }

    /// What it failed with before is over.
    pub fn mounted(&self, volume: Digest) {
        lock(&self.0).remove_owner(&volume);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Digest = [1; 32];
    const B: Digest = [2; 32];
    const DENIED: Digest = [7; 32];
    const THROTTLED: Digest = [8; 32];

    #[tokio::test(start_paused = true)]
    async fn failure_that_repeats_keeps_its_message_for_as_long_as_its_event_lives() {
        let events = Events::default();
        let said = |volume, cause, message: &str| events.failed(volume, cause, message.to_owned());
        assert_eq!(said(A, DENIED, "request 1"), "request 1");
        assert_eq!(said(A, DENIED, "request 2"), "request 1");
        assert_eq!(said(B, DENIED, "request 3"), "request 3");
        assert_eq!(said(A, THROTTLED, "request 4"), "request 4");
        // Two failures by turns are two Events.
        assert_eq!(said(A, DENIED, "request 5"), "request 1");
        assert_eq!(said(A, THROTTLED, "request 6"), "request 4");
        events.mounted(A);
        assert_eq!(said(A, DENIED, "request 7"), "request 7");
        assert_eq!(said(A, THROTTLED, "request 8"), "request 8");
        assert_eq!(said(B, DENIED, "request 9"), "request 3");
        tokio::time::advance(limits::EVENT_LIFETIME).await;
        assert_eq!(said(A, DENIED, "request 10"), "request 10");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_beyond_the_bound_replace_others() {
        let events = Events::default();
        let volume = |n: usize| {
            let mut volume = [0; 32];
            volume[..8].copy_from_slice(&n.to_le_bytes());
            volume
        };
        for n in 0..2 * MOST {
            events.failed(volume(n), DENIED, String::new());
            tokio::time::advance(std::time::Duration::from_millis(1)).await;
        }
        let reported = lock(&events.0);
        assert_eq!(reported.len(), MOST);
        assert!(reported.peek(&volume(2 * MOST - 1), &DENIED).is_some());
    }
}
