//! `audit holds`: which values a pod had been handed at a time.
//!
//! A record tells when a value was handed out and when the next mount of the same class was. It does not tell when
//! a pod ended, what a process kept in memory, or of what a mount's files were before the first line.

use std::collections::BTreeMap;

use indexmap::IndexSet;

use super::{
    Span,
    alerts::Alert,
    names::{Names, Number, Pod},
};
use crate::{names::Glob, records::Record};

/// A pod as it is asked for: NAMESPACE/NAME, NAME or uid, each of which may be a pattern.
#[derive(Debug)]
pub(crate) struct Wanted(Glob);

impl Wanted {
    pub(crate) fn new(text: &str) -> Self {
        Self(Glob::new(text))
    }

    pub(crate) fn is(&self, namespace: &str, pod: &str, uid: &str) -> bool {
        self.0.matches(pod)
            || (!uid.is_empty() && self.0.matches(uid))
            || self.0.matches(&format!("{namespace}/{pod}"))
    }
}

/// From one time to another, which may be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// What is handed out, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Item {
    class: Number,
    via: Number,
    resource: Number,
    version: Number,
    identity: Number,
}

/// One item of one mount.
#[derive(Clone, Copy, Debug)]
struct Handed {
    at: i64,
    mount: u64,
    pod: Number,
    item: Number,
}

/// A pod, and all its records.
type Seen = (Number, Pod, Span);

/// All that was handed to the pods asked for: 24 bytes for each value of each mount.
#[derive(Debug)]
pub(crate) struct Holds {
    wanted: Wanted,
    names: Names,
    items: IndexSet<Item>,
    handed: Vec<Handed>,
    /// All records of each pod, also of mounts that failed.
    seen: BTreeMap<Number, Span>,
    sorted: bool,
}

/// Which mount a value is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// The last of its class before that time, or one since.
    Latest,
    /// An earlier one; the last had another version, or not this object.
    Earlier,
    /// One of the sync controller, which does not say of which SecretSync.
    Sync,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Latest => "latest",
            State::Earlier => "earlier",
            State::Sync => "sync",
        }
    }
}

/// One value that a pod had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    pub(crate) secret: &'a str,
    pub(crate) version: &'a str,
    pub(crate) class: &'a str,
    pub(crate) via: &'a str,
    pub(crate) identity: &'a str,
    pub(crate) role: &'a str,
    pub(crate) access_key_id: &'a str,
    pub(crate) state: State,
    /// First and last handed out, until then.
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// Handed out again, after that.
    pub(crate) again: Option<i64>,
    /// When a mount of the same class first left it out again.
    pub(crate) until: Option<i64>,
}

/// What one pod had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) pod: &'a str,
    pub(crate) uid: &'a str,
    pub(crate) service_account: &'a str,
    pub(crate) node: &'a str,
    pub(crate) records: Span,
    /// Another pod of its name has records from then on.
    pub(crate) next_of_name: Option<i64>,
    pub(crate) values: Vec<Value<'a>>,
}

/// A pod of the same name that had records before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Earlier<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) pod: &'a str,
    pub(crate) uid: &'a str,
    pub(crate) records: Span,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) held: Vec<Held<'a>>,
    pub(crate) earlier: Vec<Earlier<'a>>,
    /// Pods whose first record is of a later time.
    pub(crate) later: usize,
}

fn place(number: Number) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Holds {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            names: Names::default(),
            items: IndexSet::new(),
            handed: Vec::new(),
            seen: BTreeMap::new(),
            sorted: true,
        }
    }

    pub(crate) fn add(&mut self, record: &Record<'_>) {
        if record.pod.is_empty() || !self.wanted.is(&record.namespace, &record.pod, &record.uid) {
            return;
        }
        let pod = self.names.pod(record);
        self.seen.entry(pod).or_default().add(record.at);
        if !record.is_handed_out() {
            return;
        }
        let item = Item {
            class: self.names.text(&record.class),
            via: self.names.text(&record.via),
            resource: self.names.text(record.subject()),
            version: self.names.text(&record.version),
            identity: self.names.identity(record),
        };
        let item = Number::try_from(self.items.insert_full(item).0).unwrap_or(Number::MAX);
        self.handed.push(Handed { at: record.at, mount: record.mount(), pod, item });
        self.sorted = false;
    }

    /// Puts a pod's mounts of one class together, by time. A mount's time is that of its last line.
    pub(crate) fn sort(&mut self) {
        if std::mem::replace(&mut self.sorted, true) {
            return;
        }
        let items = &self.items;
        let class = |handed: &Handed| {
            items.get_index(place(handed.item)).map(|item| (item.class, item.via))
        };
        self.handed.sort_unstable_by(|a, b| {
            (a.pod, class(a), a.mount, a.at).cmp(&(b.pod, class(b), b.mount, b.at))
        });
        let same =
            |a: &Handed, b: &Handed| (a.pod, a.mount, class(a)) == (b.pod, b.mount, class(b));
        for mount in self.handed.chunk_by_mut(same) {
            let end = mount.last().map_or(0, |handed| handed.at);
            mount.iter_mut().for_each(|handed| handed.at = end);
        }
        self.handed.sort_unstable_by(|a, b| {
            (a.pod, class(a), a.at, a.mount, a.item).cmp(&(b.pod, class(b), b.at, b.mount, b.item))
        });
    }

    /// What pods that the filter takes had at that time. `sort` comes before.
    pub(crate) fn at(&self, moment: Moment, of: impl Fn(&str, &str, &str) -> bool) -> Answer<'_> {
        let mut answer = Answer::default();
        let mut by_name: BTreeMap<(&str, &str), Vec<Seen>> = BTreeMap::new();
        for (number, pod) in self.names.pods() {
            let (namespace, name) = (self.names.of(pod.namespace), self.names.of(pod.name));
            let seen = self.seen.get(&number).copied();
            if let Some(seen) = seen.filter(|_| of(namespace, name, self.names.of(pod.uid))) {
                by_name.entry((namespace, name)).or_default().push((number, pod, seen));
            }
        }
        for ((namespace, name), mut pods) in by_name {
            pods.sort_by_key(|(number, _, seen)| (seen.first, *number));
            let begun = pods.partition_point(|(.., seen)| seen.first <= moment.to);
            answer.later += pods.len() - begun;
            // Those that another of the same name had followed by then.
            let current =
                pods.partition_point(|(.., seen)| seen.first <= moment.from).saturating_sub(1);
            let current_uid = pods.get(current).map(|(_, pod, _)| pod.uid);
            for (at, (number, pod, records)) in pods.iter().take(begun).enumerate() {
                let (uid, records) = (self.names.of(pod.uid), *records);
                let mut after = pods.iter().skip(at + 1);
                if at < current && Some(pod.uid) != current_uid {
                    answer.earlier.push(Earlier { namespace, pod: name, uid, records });
                    continue;
                }
                answer.held.push(Held {
                    namespace,
                    pod: name,
                    uid,
                    service_account: self.names.of(pod.service_account),
                    node: self.names.of(pod.node),
                    records,
                    next_of_name: after
                        .find(|(_, other, _)| other.uid != pod.uid)
                        .map(|(.., seen)| seen.first),
                    values: self.values(*number, moment),
                });
            }
        }
        answer
    }

    /// The same for a session in a pod.
    pub(crate) fn during(&self, alert: &Alert) -> Answer<'_> {
        let moment = Moment { from: alert.start, to: alert.end.unwrap_or(alert.start) };
        self.at(moment, |namespace, pod, uid| {
            let same = namespace == alert.namespace && pod == alert.pod;
            same && (alert.uid.is_empty() || alert.uid == uid)
        })
    }

    pub(crate) fn takes(&self, alert: &Alert) -> bool {
        self.wanted.is(&alert.namespace, &alert.pod, &alert.uid)
    }

    fn item(&self, handed: &Handed) -> Option<&Item> {
        self.items.get_index(place(handed.item))
    }

    fn values(&self, pod: Number, moment: Moment) -> Vec<Value<'_>> {
        let from = self.handed.partition_point(|handed| handed.pod < pod);
        let to = self.handed.partition_point(|handed| handed.pod <= pod);
        let of_pod = self.handed.get(from..to).unwrap_or_default();
        let class = |handed: &Handed| self.item(handed).map(|item| (item.class, item.via));
        let classes = of_pod.chunk_by(|a, b| class(a) == class(b));
        let mut values: Vec<Value<'_>> =
            classes.flat_map(|of_class| self.of_class(of_class, moment)).collect();
        values.sort_by(|a, b| {
            (a.state, a.secret, a.class, a.first, a.version)
                .cmp(&(b.state, b.secret, b.class, b.first, b.version))
        });
        values
    }

    /// `handed` are a pod's mounts of one class.
    fn of_class(&self, handed: &[Handed], moment: Moment) -> Vec<Value<'_>> {
        let mounts: Vec<&[Handed]> =
            handed.chunk_by(|a, b| (a.at, a.mount) == (b.at, b.mount)).collect();
        let time = |mount: &[Handed]| mount.first().map_or(i64::MAX, |handed| handed.at);
        let begun = mounts.partition_point(|mount| time(mount) <= moment.from);
        let ended = mounts.partition_point(|mount| time(mount) <= moment.to);
        // Of each item, the first and the last of these mounts that had it.
        let mut had: BTreeMap<Number, (usize, usize)> = BTreeMap::new();
        for (at, mount) in mounts.iter().enumerate().take(ended) {
            for one in *mount {
                had.entry(one.item).or_insert((at, at)).1 = at;
            }
        }
        let time_of = |at: usize| mounts.get(at).map(|mount| time(mount));
        let values = had.into_iter().filter_map(|(number, (first, last))| {
            let item = self.items.get_index(place(number))?;
            let identity = self.names.identity_of(item.identity);
            let has = |mount: &&[Handed]| mount.iter().any(|one| one.item == number);
            let after = mounts.iter().skip(last + 1);
            let without = after.clone().find(|mount| !has(mount)).map(|mount| time(mount));
            let later = mounts.iter().skip(ended);
            let via = self.names.of(item.via);
            let (state, until) = match via {
                "sync" => (State::Sync, None),
                _ if last + 1 >= begun => (State::Latest, without),
                _ => (State::Earlier, without),
            };
            Some(Value {
                secret: self.names.of(item.resource),
                version: self.names.of(item.version),
                class: self.names.of(item.class),
                via,
                identity: self.names.of(identity.mode),
                role: self.names.of(identity.role),
                access_key_id: self.names.of(identity.key),
                state,
                first: time_of(first)?,
                last: time_of(last)?,
                again: later.clone().find(|mount| has(mount)).map(|mount| time(mount)),
                until,
            })
        });
        values.collect()
    }
}

#[cfg(test)]
mod tests;
