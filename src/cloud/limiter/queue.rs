//! Queue: calls that wait, by priority. Those that gave up are skipped.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use tokio::sync::oneshot;

use super::{Caller, Permit, Priority};
use crate::cloud::{Api, Failure};

/// A call that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) api: Api,
    pub(super) caller: Caller,
    pub(super) give: oneshot::Sender<Result<Permit, Arc<Failure>>>,
}

#[derive(Debug, Default)]
pub(super) struct Queue(BTreeMap<Priority, VecDeque<Waiter>>);

impl Queue {
    pub(super) fn push(&mut self, priority: Priority, waiter: Waiter) {
        self.0.entry(priority).or_default().push_back(waiter);
    }

    pub(super) fn first(&mut self) -> Option<(Priority, &Waiter)> {
        while let Some(mut entry) = self.0.first_entry() {
            match entry.get().front() {
                Some(waiter) if waiter.give.is_closed() => drop(entry.get_mut().pop_front()),
                Some(_) => break,
                None => drop(entry.remove()),
            }
        }
        let (priority, waiters) = self.0.first_key_value()?;
        Some((*priority, waiters.front()?))
    }

    pub(super) fn pop(&mut self) -> Option<Waiter> {
        self.0.first_entry()?.get_mut().pop_front()
    }

    pub(super) fn is_empty(&mut self) -> bool {
        self.first().is_none()
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Waiter> + use<> {
        std::mem::take(&mut self.0).into_values().flatten()
    }
}
