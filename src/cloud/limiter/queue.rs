//! Queue: calls that wait, by priority. Those that gave up are skipped.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

use tokio::sync::oneshot;

use super::{Permit, Priority};
use crate::{api::Api, cloud::Failure, login::Caller};

/// A call that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) api: Api,
    pub(super) caller: Caller,
    pub(super) give: oneshot::Sender<Result<Permit, Arc<Failure>>>,
}

/// Which calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    All,
    /// Those of pods that have what they need.
    Refreshes,
}

impl Among {
    fn range(self) -> (Bound<Priority>, Bound<Priority>) {
        let from = match self {
            Among::All => Bound::Unbounded,
            Among::Refreshes => Bound::Excluded(Priority::LAST_OF_NEW_PODS),
        };
        (from, Bound::Unbounded)
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue(BTreeMap<Priority, VecDeque<Waiter>>);

impl Queue {
    pub(super) fn push(&mut self, priority: Priority, waiter: Waiter) {
        self.0.entry(priority).or_default().push_back(waiter);
    }

    pub(super) fn first(&mut self, among: Among) -> Option<(Priority, &Waiter)> {
        let range = among.range();
        while let Some((&priority, waiters)) = self.0.range_mut(range).next() {
            match waiters.front() {
                Some(waiter) if waiter.give.is_closed() => drop(waiters.pop_front()),
                Some(_) => break,
                None => drop(self.0.remove(&priority)),
            }
        }
        let (priority, waiters) = self.0.range(range).next()?;
        Some((*priority, waiters.front()?))
    }

    /// The first of this priority.
    pub(super) fn pop(&mut self, priority: Priority) -> Option<Waiter> {
        self.0.get_mut(&priority)?.pop_front()
    }

    pub(super) fn is_empty(&mut self) -> bool {
        self.first(Among::All).is_none()
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Waiter> + use<> {
        std::mem::take(&mut self.0).into_values().flatten()
    }
}
