//! Volumes: when each was last mounted with fresh values, and since when it has been failing. What metrics
//! say of SecretProviderClasses is made of it, bounded in number.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Mutex,
    time::Duration,
};

use tokio::time::Instant;

use crate::{digest::Digest, sync::lock};

/// Far beyond the volumes of a node. Those beyond are not followed.
const MOST_VOLUMES: usize = 4096;
/// Those beyond are counted together.
const MOST_CLASSES: usize = 100;
/// A volume that is not asked for is gone, or is not refreshed at all. Kubelet comes back to one that fails
/// within 122 s, and to others every 72 s or at the driver's rotation interval.
const GONE_AFTER: Duration = Duration::from_secs(600);
/// The same, for a driver with a longer interval.
const MISSED: u32 = 3;

/// A SecretProviderClass.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ClassName {
    pub(super) namespace: String,
    pub(super) name: String,
}

/// How a mount left its volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    Fresh,
    /// The pod has files, with old values.
    Stale,
    Failed,
}

/// A volume whose mounts fail in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    /// The first of these failures.
    pub since: Instant,
    pub times: u32,
    /// The pod has files that an earlier mount brought.
    pub has_files: bool,
}

/// What metrics say of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClassState {
    /// Of the volume that has waited longest.
    pub(super) age: Duration,
    pub(super) behind: i64,
}

#[derive(Debug, Default)]
pub struct Volumes(Mutex<Followed>);

#[derive(Debug, Default)]
struct Followed {
    volumes: HashMap<Digest, Volume>,
    /// Classes with a name of their own: those that came first, for as long as they have volumes.
    named: BTreeSet<ClassName>,
}

#[derive(Debug)]
struct Volume {
    class: ClassName,
    asked: Instant,
    /// Between its last two mounts.
    gap: Duration,
    /// Its last mount with fresh values, or else its first.
    fresh: Instant,
    last: Refreshed,
    has_files: bool,
    failing: Option<(Instant, u32)>,
}

impl Volume {
    fn is_gone(&self, now: Instant) -> bool {
        now.duration_since(self.asked) > GONE_AFTER.max(self.gap * MISSED)
    }
}

impl Volumes {
    /// A mount ended. `class`: its namespace and name. Says since when the volume has been failing, if it does.
    pub fn ended(&self, volume: Digest, class: (&str, &str), how: Refreshed) -> Option<Failing> {
        let now = Instant::now();
        let mut followed = lock(&self.0);
        let Followed { volumes, named } = &mut *followed;
        if volumes.len() >= MOST_VOLUMES && !volumes.contains_key(&volume) {
            forget(volumes, named, now);
            if volumes.len() >= MOST_VOLUMES {
                return None;
            }
        }
        let known = volumes.entry(volume).or_insert_with(|| Volume {
            class: ClassName { namespace: class.0.to_owned(), name: class.1.to_owned() },
            asked: now,
            gap: Duration::ZERO,
            fresh: now,
            last: how,
            has_files: false,
            failing: None,
        });
        if named.len() < MOST_CLASSES && !named.contains(&known.class) {
            named.insert(known.class.clone());
        }
        known.gap = now.duration_since(known.asked);
        known.asked = now;
        known.last = how;
        if how == Refreshed::Failed {
            let (since, times) = known.failing.map_or((now, 1), |(since, n)| (since, n + 1));
            known.failing = Some((since, times));
            return Some(Failing { since, times, has_files: known.has_files });
        }
        known.has_files = true;
        known.failing = None;
        if how == Refreshed::Fresh {
            known.fresh = now;
        }
        None
    }

    /// By class, `None` for all that have no name of their own. Classes without volumes are forgotten.
    pub(super) fn classes(&self) -> BTreeMap<Option<ClassName>, ClassState> {
        let now = Instant::now();
        let mut followed = lock(&self.0);
        let Followed { volumes, named } = &mut *followed;
        forget(volumes, named, now);
        let mut classes: BTreeMap<Option<ClassName>, ClassState> = BTreeMap::new();
        for volume in volumes.values() {
            let name = named.get(&volume.class).cloned();
            let class = classes.entry(name).or_default();
            class.age = class.age.max(now.duration_since(volume.fresh));
            class.behind += i64::from(volume.last != Refreshed::Fresh);
        }
        classes
    }
}

fn forget(volumes: &mut HashMap<Digest, Volume>, named: &mut BTreeSet<ClassName>, now: Instant) {
    volumes.retain(|_, volume| !volume.is_gone(now));
    let left: BTreeSet<_> = volumes.values().map(|volume| &volume.class).collect();
    named.retain(|class| left.contains(class));
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn class(name: &str) -> ClassName {
        ClassName { namespace: "shop".to_owned(), name: name.to_owned() }
    }

    fn ended(volumes: &Volumes, volume: Digest, class: &str, how: Refreshed) -> Option<Failing> {
        volumes.ended(volume, ("shop", class), how)
    }

    fn volume(n: usize) -> Digest {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&n.to_le_bytes());
        digest
    }

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn class_is_as_old_as_the_volume_that_waited_longest() {
        let volumes = Volumes::default();
        let state = || volumes.classes().get(&Some(class("c"))).copied();
        assert_eq!(state(), None);
        ended(&volumes, volume(1), "c", Refreshed::Fresh);
        ended(&volumes, volume(2), "c", Refreshed::Fresh);
        advance(secs(60)).await;
        ended(&volumes, volume(1), "c", Refreshed::Fresh);
        ended(&volumes, volume(2), "c", Refreshed::Stale);
        assert_eq!(state(), Some(ClassState { age: secs(60), behind: 1 }));
        advance(secs(60)).await;
        ended(&volumes, volume(2), "c", Refreshed::Failed);
        assert_eq!(state(), Some(ClassState { age: secs(120), behind: 1 }));
        ended(&volumes, volume(2), "c", Refreshed::Fresh);
        assert_eq!(state(), Some(ClassState { age: secs(60), behind: 0 }));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_are_counted_from_their_first() {
        let volumes = Volumes::default();
        let ended = |how| ended(&volumes, volume(1), "c", how);
        let since = Instant::now();
        assert_eq!(
            ended(Refreshed::Failed),
            Some(Failing { since, times: 1, has_files: false }),
            "a pod that never had files"
        );
        assert_eq!(ended(Refreshed::Stale), None);
        advance(secs(10)).await;
        let since = Instant::now();
        ended(Refreshed::Failed);
        advance(secs(10)).await;
        let failing = Failing { since, times: 2, has_files: true };
        assert_eq!(ended(Refreshed::Failed), Some(failing));
    }

    #[tokio::test(start_paused = true)]
    async fn class_goes_with_its_last_volume_and_waits_for_a_slow_driver() {
        let volumes = Volumes::default();
        let names = || volumes.classes().into_keys().flatten().map(|c| c.name).collect::<Vec<_>>();
        ended(&volumes, volume(1), "quick", Refreshed::Fresh);
        ended(&volumes, volume(2), "slow", Refreshed::Fresh);
        advance(secs(3600)).await;
        ended(&volumes, volume(1), "quick", Refreshed::Fresh);
        ended(&volumes, volume(1), "quick", Refreshed::Fresh);
        ended(&volumes, volume(2), "slow", Refreshed::Fresh);
        advance(GONE_AFTER).await;
        assert_eq!(names(), ["quick", "slow"]);
        advance(secs(1)).await;
        assert_eq!(names(), ["slow"]);
        advance(secs(3 * 3600)).await;
        assert!(names().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn classes_beyond_the_bound_are_one_and_take_places_that_come_free() {
        let volumes = Volumes::default();
        for n in 0..MOST_CLASSES + 2 {
            ended(&volumes, volume(n), &format!("c{n}"), Refreshed::Failed);
        }
        let classes = volumes.classes();
        assert_eq!(classes.len(), MOST_CLASSES + 1);
        assert_eq!(classes.get(&None).unwrap().behind, 2);
        advance(GONE_AFTER + secs(1)).await;
        assert!(volumes.classes().is_empty());
        ended(&volumes, volume(MOST_VOLUMES), "late", Refreshed::Fresh);
        assert!(volumes.classes().contains_key(&Some(class("late"))));
        for n in 0..MOST_VOLUMES + 1 {
            ended(&volumes, volume(n), "many", Refreshed::Failed);
        }
        assert_eq!(lock(&volumes.0).volumes.len(), MOST_VOLUMES);
    }
}
