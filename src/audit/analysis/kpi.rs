//! `audit kpi`: numbers of mounts and reads.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    access::Accesses,
    lag::Lag,
    names::{Names, Number},
};
use crate::{
    ram::{
        compare::{Existing, TooMuch, unused},
        usage::Usage,
    },
    records::{Event, Record},
    spc::mode::Mode,
};

/// What all records of one mount say together.
#[derive(Clone, Copy, Debug, Default)]
struct Mount {
    identity: Number,
    chosen_by: Number,
    /// The first that was none of a success.
    outcome: Option<Number>,
    failed: bool,
    /// The cloud, or STS, said no.
    denied_by_cloud: bool,
    /// The provider did, before it asked any host.
    denied_here: bool,
    stale: bool,
}

/// Grows with mounts: some 60 bytes each.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    names: Names,
    mounts: HashMap<u64, Mount>,
    /// Values handed out, by where they came from.
    sources: BTreeMap<String, u64>,
    refused_reads: u64,
    pub(crate) accesses: Accesses,
}

#[derive(Debug, Default)]
pub(crate) struct Kpi {
    pub(crate) mounts: u64,
    pub(crate) succeeded: u64,
    /// By mode, empty where none was allowed.
    pub(crate) by_identity: BTreeMap<String, u64>,
    /// By an identity that many pods have.
    pub(crate) shared: u64,
    pub(crate) by_choice: BTreeMap<String, u64>,
    pub(crate) by_outcome: BTreeMap<String, u64>,
    pub(crate) denied_by_cloud: u64,
    pub(crate) denied_here: u64,
    pub(crate) denied: u64,
    /// Mounts that succeeded with a stale value.
    pub(crate) stale_mounts: u64,
    pub(crate) handed: u64,
    pub(crate) sources: BTreeMap<String, u64>,
    pub(crate) stale: u64,
    pub(crate) refused_reads: u64,
    pub(crate) secrets: u64,
    pub(crate) pods: u64,
    pub(crate) lag: Lag,
    /// `None` where no policy was given.
    pub(crate) unused: Option<Vec<(String, String, String)>>,
}

impl Counts {
    pub(crate) fn add(&mut self, record: &Record<'_>) {
        let (identity, chosen_by) =
            (self.names.text(&record.identity), self.names.text(&record.chosen_by));
        let outcome = self.names.text(&record.outcome);
        let mount = self.mounts.entry(record.mount()).or_default();
        (mount.identity, mount.chosen_by) = (identity, chosen_by);
        mount.failed |= record.event == Event::Refusal || !record.mounted;
        if !record.is_granted() {
            mount.outcome.get_or_insert(outcome);
            if matches!(&*record.outcome, "PERMISSION_DENIED" | "UNAUTHENTICATED") {
                let here = record.endpoint.is_empty();
                mount.denied_here |= here;
                mount.denied_by_cloud |= !here;
            }
            self.refused_reads += u64::from(record.event == Event::Read);
        }
        if record.is_handed_out() {
            mount.stale |= record.is_stale();
            match self.sources.get_mut(&*record.source) {
                Some(count) => *count += 1,
                None => _ = self.sources.insert(record.source.clone().into_owned(), 1),
            }
        }
        self.accesses.add(record);
    }

    pub(crate) fn kpi(&self) -> Kpi {
        let mut kpi = Kpi::default();
        let count = |of: &mut BTreeMap<String, u64>, name: Number| {
            *of.entry(self.names.of(name).to_owned()).or_default() += 1;
        };
        for mount in self.mounts.values() {
            kpi.mounts += 1;
            kpi.succeeded += u64::from(!mount.failed);
            count(&mut kpi.by_identity, mount.identity);
            count(&mut kpi.by_choice, mount.chosen_by);
            let mode = Mode::parse(self.names.of(mount.identity));
            kpi.shared += u64::from(mode.is_some_and(Mode::is_shared));
            if mount.failed
                && let Some(outcome) = mount.outcome
            {
                count(&mut kpi.by_outcome, outcome);
            }
            kpi.denied_by_cloud += u64::from(mount.denied_by_cloud);
            kpi.denied_here += u64::from(mount.denied_here);
            kpi.denied += u64::from(mount.denied_here || mount.denied_by_cloud);
            kpi.stale_mounts += u64::from(mount.stale);
        }
        let handed = self.accesses.reads.iter().filter(|(_, tally)| tally.handed.times > 0);
        let (mut secrets, mut pods) = (BTreeSet::new(), BTreeSet::new());
        for (key, tally) in handed {
            kpi.handed += tally.handed.times;
            kpi.stale += tally.stale;
            secrets.insert(key.resource);
            pods.insert(key.pod);
        }
        let number = |of: usize| u64::try_from(of).unwrap_or(u64::MAX);
        (kpi.secrets, kpi.pods) = (number(secrets.len()), number(pods.len()));
        kpi.sources = self.sources.clone();
        kpi.refused_reads = self.refused_reads;
        kpi.lag = Lag::of(&self.accesses);
        kpi
    }
}

/// Grants of policies that no read of these roles used: where each is from, its action and resource.
pub(crate) fn never_used(
    policies: &[Existing],
    usage: &Usage,
    role: Option<&str>,
) -> Vec<(String, String, String)> {
    let of_role = |arn: &str| {
        role.is_none_or(|role| {
            arn == role || arn.split_once(":role/").is_some_and(|(_, name)| name == role)
        })
    };
    let used = usage.permissions(of_role);
    let each = unused(policies, &used).into_iter();
    each.map(|TooMuch { from, action, resource, .. }| (from, action, resource)).collect()
}

#[cfg(test)]
mod tests;
