//! What kubelet makes of a mount that fails again and again. It writes an Event for each message it
//! has not seen and counts those it has, so a failure that repeats is told in the words of its first
//! time, with the request id of then. The log has each request's own.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use tokio::time::Instant;

use crate::{error::Errors, flight::lock};

/// How long the API server keeps an Event (kube-apiserver: `--event-ttl`).
const EVENT_LIFETIME: Duration = Duration::from_secs(3600);

/// Far beyond the pods of a node; a volume that is gone for good is never heard of again.
const MOST: usize = 1024;

/// The failures that were told, by the volume's path.
#[derive(Debug, Default)]
pub struct Events(Mutex<HashMap<String, Told>>);

#[derive(Debug)]
struct Told {
    at: Instant,
    errors: Errors,
}

impl Events {
    /// What to say of this failure.
    pub fn failed(&self, volume: String, errors: Errors) -> Errors {
        let mut told = lock(&self.0);
        let now = Instant::now();
        if let Some(before) = told.get(&volume)
            && now.duration_since(before.at) < EVENT_LIFETIME
            && before.errors.say_the_same(&errors)
        {
            return before.errors.clone();
        }
        if told.len() >= MOST
            && let Some(oldest) =
                told.iter().min_by_key(|(_, told)| told.at).map(|(v, _)| v.clone())
        {
            told.remove(&oldest);
        }
        told.insert(volume, Told { at: now, errors: errors.clone() });
        errors
    }

    pub fn mounted(&self, volume: &str) {
        lock(&self.0).remove(volume);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Class, Error};

    fn failure(what: &str, request: &str) -> Errors {
        let error = Error::new(Class::Denied, what).about("object 1");
        Error { request: Some(request.into()), ..error }.into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_repeats_keeps_its_words_for_as_long_as_its_event_lives() {
        let events = Events::default();
        let said = |volume: &str, what, request| {
            events.failed(volume.to_owned(), failure(what, request)).message()
        };
        let first = said("a", "no", "1");
        assert_eq!(said("a", "no", "2"), first);
        assert_ne!(said("b", "no", "3"), first);
        assert_ne!(said("a", "throttled", "4"), first);
        assert_ne!(said("a", "no", "5"), first);
        events.mounted("a");
        assert!(said("a", "no", "6").contains("request 6"));
        tokio::time::advance(EVENT_LIFETIME).await;
        assert!(said("a", "no", "7").contains("request 7"));
    }

    #[test]
    fn volumes_that_are_gone_are_forgotten() {
        let events = Events::default();
        for n in 0..2 * MOST {
            events.failed(n.to_string(), failure("no", "1"));
        }
        assert_eq!(lock(&events.0).len(), MOST);
    }
}
