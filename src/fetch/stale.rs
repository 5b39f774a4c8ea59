//! Stale values: served while the cloud throttles or does not answer, in place of what cannot be read.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{Fetcher, Origin, ReadOutcome, Reads};
use crate::{
    cloud::{Cause, Failure},
    identity::Identity,
    login::KeyedLogin,
    spc::objects::Object,
    value::Fetched,
    value_cache::{Key, Stale},
};

/// How long a refresh behind a mount that was served stale may wait for its turn.
const REFRESH_LIMIT: Duration = Duration::from_secs(240);
/// How often a mount that has stale values looks whether its reads are held back.
const FIRST_LOOK: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) fn refreshed_by() -> Instant {
    Instant::now() + REFRESH_LIMIT
}

impl Fetcher {
    /// Whether a read of the mount would wait since a host throttles who reads.
    pub(super) fn is_throttled(&self, own: &KeyedLogin, reads: &Reads<'_>) -> bool {
        let (cloud, sessions) = (&self.shared.cloud, &self.shared.sessions);
        let pairs = reads.objects.iter().zip(&reads.logins);
        !sessions.hold(own) && sessions.is_throttled(own)
            || pairs.into_iter().any(|(object, login)| {
                let service = object.read.source.facts().api().service();
                cloud.is_throttling(service, &object.read.endpoint, &login.caller())
            })
    }

    /// What the mount is served while the cloud throttles, if it is whole.
    pub(super) fn while_throttled(
        &self,
        identity: &Identity,
        reads: &Reads<'_>,
        proved: bool,
    ) -> Option<Vec<ReadOutcome>> {
        let throttled = |object: &Object| {
            let (api, endpoint) = (object.read.source.facts().api(), &object.read.endpoint);
            let error = Failure::new(api, endpoint, Cause::Throttled).error(&object.label, "");
            ReadOutcome { throttled: true, ..ReadOutcome::failed(identity.named_in(error), false) }
        };
        let mut ends: Vec<ReadOutcome> = reads.objects.iter().map(throttled).collect();
        self.fall_back(reads.objects, reads.keys, &mut ends, proved).then_some(ends)
    }

    /// The same, as soon as reads that were begun turn out to be held back.
    pub(super) async fn once_throttled(
        &self,
        identity: &Identity,
        reads: &Reads<'_>,
        proved: bool,
    ) -> Vec<ReadOutcome> {
        // A read that is quick is not looked at.
        let mut pause = FIRST_LOOK;
        loop {
            sleep(pause).await;
            pause = LOOK_EVERY;
            if self.is_throttled(&identity.login, reads)
                && let Some(ends) = self.while_throttled(identity, reads, proved)
            {
                return ends;
            }
        }
    }

    /// Serves stale values in place of what cannot be read, if that makes the mount whole: in
    /// an outage, where the operator wants it, and while the cloud throttles. A refusal of any object
    /// stands. `proved`: STS took the mount's own login, which those to other accounts begin with.
    pub(super) fn fall_back(
        &self,
        objects: &[Object],
        keys: &[Key],
        ends: &mut [ReadOutcome],
        proved: bool,
    ) -> bool {
        let mut last = Vec::new();
        let mut opened: HashMap<&Key, (Fetched, Duration)> = HashMap::new();
        for (at, ((object, key), end)) in objects.iter().zip(keys).zip(&*ends).enumerate() {
            let Some(error) = end.error.clone().filter(|_| !end.serves(object)) else { continue };
            if end.refused {
                return false;
            }
            let why = if end.throttled { Stale::Throttled } else { Stale::Unanswered };
            // One copy, under however many names the mount wants it.
            let (value, age) = match opened.entry(key) {
                Entry::Occupied(same) => same.get().clone(),
                Entry::Vacant(place) => {
                    let last = self.shared.values.get_stale(key, end.asked || proved, why);
                    let Some(last) = last else { return false };
                    place.insert(last).clone()
                }
            };
            let missing = value.is_none();
            if missing && !object.optional {
                return false;
            }
            let origin = match why {
                Stale::Throttled => Origin::Stale(age),
                Stale::Unanswered => Origin::Grace(age),
            };
            let (asked, error) = (end.asked, Some(error));
            last.push((
                at,
                ReadOutcome { value, missing, asked, error, ..ReadOutcome::nothing(origin) },
            ));
        }
        for (at, end) in last {
            if let Some(place) = ends.get_mut(at) {
                *place = end;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
