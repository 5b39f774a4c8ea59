//! A ServiceAccount as it is written: its annotations, which name its RAM role.

use super::value::{At, Pair};

#[derive(Debug)]
pub struct ServiceAccount {
    pub annotations: Vec<Pair>,
}

impl ServiceAccount {
    pub(super) fn of(at: At<'_>) -> Self {
        let annotations = at.path(&["metadata", "annotations"]);
        Self { annotations: annotations.map_or(vec![], At::pairs) }
    }
}
