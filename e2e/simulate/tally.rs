//! What is seen of the pods from outside.

use std::{
    collections::BTreeMap,
    mem::take,
    sync::{Arc, Mutex},
    time::Duration,
};

use provider::sync::lock;

use crate::account::Account;

/// What a pod's volume holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    pub(crate) version: u64,
    /// When the cloud told the oldest of it, and the newest, in milliseconds.
    pub(crate) told: u64,
    pub(crate) newest: u64,
}

#[derive(Debug)]
pub(crate) struct Tally {
    account: Arc<Account>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    counting: bool,
    mounted: Vec<Option<Content>>,
    /// What a pod must hold to have caught up: not told before this, and of this version.
    mark: (u64, u64),
    caught: Vec<bool>,
    /// How long after the mark each pod caught up, in seconds.
    pub(crate) caught_after: Vec<f64>,
    /// How long after the mark the cloud gave each pod the last of what it caught up with.
    pub(crate) given_after: Vec<f64>,
    /// How long each new pod waited for its first mount, in seconds.
    pub(crate) waited: Vec<f64>,
    /// Ages of what pods held, at each look, in seconds.
    pub(crate) ages: Vec<f64>,
    pub(crate) mounts: u64,
    pub(crate) failed: u64,
    pub(crate) failed_first: u64,
    pub(crate) reasons: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn new(account: Arc<Account>, pods: usize) -> Self {
        let seen = Seen { mounted: vec![None; pods], caught: vec![true; pods], ..Seen::default() };
        Self { account, seen: Mutex::new(seen) }
    }

    /// From now on it counts.
    pub(crate) fn count(&self) {
        lock(&self.seen).counting = true;
    }

    /// From now on all pods have something to catch up with.
    pub(crate) fn mark(&self) {
        let mut seen = lock(&self.seen);
        seen.mark = (self.now(), self.account.version());
        seen.caught.fill(false);
        seen.caught_after.clear();
        seen.given_after.clear();
    }

    pub(crate) fn look(&self) {
        let now = self.now();
        let mut seen = lock(&self.seen);
        let Seen { mounted, ages, .. } = &mut *seen;
        let age = |content: &Content| seconds(now.saturating_sub(content.told));
        ages.extend(mounted.iter().flatten().map(age));
    }

    pub(crate) fn began(&self, pod: usize) {
        if let Some(content) = lock(&self.seen).mounted.get_mut(pod) {
            *content = None;
        }
    }

    /// Whether it did start.
    pub(crate) fn started(
        &self,
        pod: usize,
        content: Result<Content, String>,
        after: Duration,
    ) -> bool {
        let well = content.is_ok();
        let mut seen = lock(&self.seen);
        if seen.counting {
            seen.failed_first += u64::from(!well);
            if well {
                seen.waited.push(after.as_secs_f64());
            }
        }
        seen.mounts(self.now(), pod, content);
        well
    }

    pub(crate) fn republished(&self, pod: usize, content: Result<Content, String>) {
        lock(&self.seen).mounts(self.now(), pod, content);
    }

    pub(crate) fn left(&self) -> usize {
        lock(&self.seen).caught.iter().filter(|caught| !**caught).count()
    }

    /// What was seen so far; from now on it counts anew.
    pub(crate) fn taken(&self) -> Seen {
        let mut seen = lock(&self.seen);
        let (mounted, caught) = (take(&mut seen.mounted), take(&mut seen.caught));
        let Seen { counting, mark, .. } = *seen;
        let anew = Seen { counting, mounted, mark, caught, ..Seen::default() };
        std::mem::replace(&mut seen, anew)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.account.now().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Seen {
    fn mounts(&mut self, now: u64, pod: usize, content: Result<Content, String>) {
        self.mounts += u64::from(self.counting);
        match content {
            Ok(content) => {
                if let Some(mounted) = self.mounted.get_mut(pod) {
                    *mounted = Some(content);
                }
                let (told, version) = self.mark;
                if let Some(caught) = self.caught.get_mut(pod)
                    && !*caught
                    && content.told >= told
                    && content.version >= version
                {
                    *caught = true;
                    self.caught_after.push(seconds(now.saturating_sub(told)));
                    self.given_after.push(seconds(content.newest.saturating_sub(told)));
                }
            }
            Err(reason) if self.counting => {
                self.failed += 1;
                *self.reasons.entry(reason).or_default() += 1;
            }
            Err(_) => {}
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "days in milliseconds fit")]
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}
