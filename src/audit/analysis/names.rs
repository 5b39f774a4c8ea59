//! Names: texts, pods and identities, each kept once and known by a number: a record has few of them, many times.

use indexmap::IndexSet;

use crate::records::Record;

pub(crate) type Number = u32;

/// As the record has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pod {
    pub(crate) namespace: Number,
    pub(crate) name: Number,
    pub(crate) uid: Number,
    pub(crate) service_account: Number,
    pub(crate) node: Number,
}

/// As whom the cloud was asked. All empty: none was allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub(crate) mode: Number,
    pub(crate) role: Number,
    pub(crate) key: Number,
}

#[derive(Debug, Default)]
pub(crate) struct Names {
    texts: IndexSet<Box<str>>,
    pods: IndexSet<Pod>,
    identities: IndexSet<Identity>,
}

/// No record has four thousand million names.
fn number(at: usize) -> Number {
    Number::try_from(at).unwrap_or(Number::MAX)
}

fn place(number: Number) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

const NOBODY: Pod = Pod {
    namespace: Number::MAX,
    name: Number::MAX,
    uid: Number::MAX,
    service_account: Number::MAX,
    node: Number::MAX,
};

const NO_IDENTITY: Identity = Identity { mode: Number::MAX, role: Number::MAX, key: Number::MAX };

impl Names {
    pub(crate) fn text(&mut self, text: &str) -> Number {
        let found = self.texts.get_index_of(text);
        number(found.unwrap_or_else(|| self.texts.insert_full(text.into()).0))
    }

    /// Empty for a number that was never given.
    pub(crate) fn of(&self, text: Number) -> &str {
        self.texts.get_index(place(text)).map_or("", |text| text)
    }

    pub(crate) fn pod(&mut self, record: &Record<'_>) -> Number {
        let pod = Pod {
            namespace: self.text(&record.namespace),
            name: self.text(&record.pod),
            uid: self.text(&record.uid),
            service_account: self.text(&record.service_account),
            node: self.text(&record.node),
        };
        number(self.pods.insert_full(pod).0)
    }

    pub(crate) fn pod_of(&self, pod: Number) -> Pod {
        self.pods.get_index(place(pod)).copied().unwrap_or(NOBODY)
    }

    pub(crate) fn identity(&mut self, record: &Record<'_>) -> Number {
        let identity = Identity {
            mode: self.text(&record.identity),
            role: self.text(&record.role),
            key: self.text(&record.access_key_id),
        };
        number(self.identities.insert_full(identity).0)
    }

    pub(crate) fn identity_of(&self, identity: Number) -> Identity {
        self.identities.get_index(place(identity)).copied().unwrap_or(NO_IDENTITY)
    }

    pub(crate) fn pods(&self) -> impl Iterator<Item = (Number, Pod)> {
        self.pods.iter().enumerate().map(|(at, pod)| (number(at), *pod))
    }
}
