//! What the cloud held, and who might read it, at every moment.

use std::{collections::HashMap, sync::Mutex};

use tokio::time::Instant;

/// From the moment at which it could first have been so, to the last.
#[derive(Clone, Copy, Debug)]
struct Period {
    from: Instant,
    to: Option<Instant>,
}

#[derive(Default)]
pub(super) struct History(Mutex<Periods>);

#[derive(Default)]
struct Periods {
    values: HashMap<String, Vec<(String, Period)>>,
    grants: HashMap<String, Vec<Period>>,
    changes: usize,
}

impl History {
    /// A value became current between `before` and now.
    pub(super) fn rotated(&self, object: &str, value: String, before: Instant) {
        let mut periods = self.0.lock().unwrap();
        periods.changes += 1;
        let values = periods.values.entry(object.to_owned()).or_default();
        if let Some((_, last)) = values.last_mut() {
            last.to = Some(Instant::now());
        }
        values.push((value, Period { from: before, to: None }));
    }

    /// How many values it had.
    pub(super) fn values(&self, object: &str) -> usize {
        self.0.lock().unwrap().values.get(object).map_or(0, Vec::len)
    }

    /// A role got its permissions between `before` and now.
    pub(super) fn granted(&self, role: &str, before: Instant) {
        let mut periods = self.0.lock().unwrap();
        periods.changes += 1;
        let grants = periods.grants.entry(role.to_owned()).or_default();
        if grants.last().is_none_or(|last| last.to.is_some()) {
            grants.push(Period { from: before, to: None });
        }
    }

    /// A role has lost its permissions by now.
    pub(super) fn revoked(&self, role: &str) {
        let mut periods = self.0.lock().unwrap();
        periods.changes += 1;
        if let Some(last) = periods.grants.get_mut(role).and_then(|grants| grants.last_mut()) {
            last.to.get_or_insert_with(Instant::now);
        }
    }

    pub(super) fn changes(&self) -> usize {
        self.0.lock().unwrap().changes
    }

    /// Whether the role had its permissions at any time from `since` to now.
    pub(super) fn was_granted(&self, role: &str, since: Instant) -> bool {
        let periods = self.0.lock().unwrap();
        periods.grants[role].iter().any(|grant| grant.to.is_none_or(|to| to >= since))
    }

    /// Whether there was a moment from `since` to now at which the value was current and the role
    /// might read it.
    pub(super) fn could_read(
        &self,
        object: &str,
        value: &str,
        role: &str,
        since: Instant,
    ) -> Result<(), String> {
        let periods = self.0.lock().unwrap();
        let known = periods.values[object].iter().find(|(held, _)| held == value);
        let Some((_, current)) = known else {
            return Err(format!("{value} was never its value"));
        };
        let now = Instant::now();
        let both = |grant: &Period| {
            let from = since.max(current.from).max(grant.from);
            let to = current.to.unwrap_or(now).min(grant.to.unwrap_or(now));
            from <= to
        };
        if periods.grants[role].iter().any(both) {
            return Ok(());
        }
        let ago = |at: Option<Instant>| at.map(|at| now.duration_since(at));
        Err(format!(
            "{value} was current from {:?} to {:?} ago, and at no time since {:?} ago was it so while \
             role {role} might read it",
            ago(Some(current.from)),
            ago(current.to),
            ago(Some(since)),
        ))
    }
}
