//! Analysis: what the lines of an audit record say together. Each question takes one record at a time, and keeps
//! what it needs of it.

pub(crate) mod access;
pub(crate) mod alerts;
pub(crate) mod coverage;
pub(crate) mod holds;
pub(crate) mod kpi;
pub(crate) mod lag;
pub(crate) mod names;
pub(crate) mod report;
pub(crate) mod who;

/// How often, and between which times, in microseconds since 1970. The order of what is added does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) times: u64,
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl Span {
    pub(crate) fn add(&mut self, at: i64) {
        self.merge(Span { times: 1, first: at, last: at });
    }

    pub(crate) fn merge(&mut self, other: Span) {
        if other.times == 0 {
            return;
        }
        if self.times == 0 {
            *self = other;
            return;
        }
        self.times += other.times;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }

    pub(crate) fn first(&self) -> Option<i64> {
        (self.times > 0).then_some(self.first)
    }

    pub(crate) fn last(&self) -> Option<i64> {
        (self.times > 0).then_some(self.last)
    }
}

#[cfg(test)]
mod tests;
