//! Rotation lag, as far as a record shows it: how long after the first pod that was handed a new version another
//! pod was. When the secret itself was changed no record says, so that the true lag is at least this.

use std::collections::{HashMap, HashSet};

use super::{access::Accesses, names::Number};

/// One pod's one object. Two pods of the same secret have nothing to do with each other but that.
type Stream = (Number, Number, Number, Number);

/// A version in a stream.
#[derive(Clone, Copy)]
struct Step {
    version: Number,
    first: i64,
    last: i64,
    mounts: (u64, u64),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lag {
    /// New versions of a secret to which a pod moved.
    pub(crate) rotations: usize,
    /// Microseconds, one for each pod and object that moved, the shortest first.
    pub(crate) moves: Vec<u64>,
    /// Pods and objects that were handed an older version after another pod had moved on, and never the newer.
    pub(crate) behind: usize,
}

impl Lag {
    pub(crate) fn of(accesses: &Accesses) -> Self {
        let mut streams: HashMap<Stream, Vec<Step>> = HashMap::new();
        let mut seen: HashMap<(Number, Number), i64> = HashMap::new();
        for (key, tally) in accesses.reads.iter().filter(|(_, tally)| tally.handed.times > 0) {
            let (first, last) = (tally.handed.first, tally.handed.last);
            let step = Step { version: key.version, first, last, mounts: tally.mounts };
            streams.entry((key.resource, key.pod, key.class, key.via)).or_default().push(step);
            let earliest = seen.entry((key.resource, key.version)).or_insert(first);
            *earliest = first.min(*earliest);
        }
        let seen_of =
            |resource, version| seen.get(&(resource, version)).copied().unwrap_or(i64::MAX);
        let mut rotations = HashSet::new();
        // Of an older version, when a newer one was first handed out, and which.
        let mut newer: HashMap<(Number, Number), (i64, Number)> = HashMap::new();
        let mut moves = Vec::new();
        for ((resource, ..), steps) in &mut streams {
            steps.sort_by_key(|step| (step.first, step.version));
            for pair in steps.windows(2) {
                let [old, new] = pair else { continue };
                // Both at once: the class asks for a version beside the current one.
                let together = old.last >= new.first || old.mounts.1 == new.mounts.0;
                if together || old.version == new.version {
                    continue;
                }
                let since = seen_of(*resource, new.version);
                moves.push(new.first.abs_diff(since));
                rotations.insert((*resource, new.version));
                let at = newer.entry((*resource, old.version)).or_insert((since, new.version));
                *at = (*at).min((since, new.version));
            }
        }
        moves.sort_unstable();
        let is_behind = |(resource, steps): (Number, &Vec<Step>)| {
            let Some(latest) = steps.iter().max_by_key(|step| step.last) else { return false };
            newer.get(&(resource, latest.version)).is_some_and(|(since, version)| {
                latest.last > *since && steps.iter().all(|step| step.version != *version)
            })
        };
        let behind =
            streams.iter().filter(|((resource, ..), steps)| is_behind((*resource, steps))).count();
        Self { rotations: rotations.len(), moves, behind }
    }

    /// Microseconds within which so many of a hundred moved, by the nearest rank.
    pub(crate) fn percentile(&self, of_a_hundred: usize) -> Option<u64> {
        let rank = (self.moves.len() * of_a_hundred).div_ceil(100);
        self.moves.get(rank.saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests;
