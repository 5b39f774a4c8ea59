//! What had to hold, and whether it did.

use crate::{Fault, page::Page};

#[derive(Default)]
pub(crate) struct Checks(Vec<(String, bool)>);

impl Checks {
    pub(crate) fn that(&mut self, what: &str, holds: bool) {
        self.0.push((what.to_owned(), holds));
    }

    pub(crate) fn all_held(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|(_, held)| *held)
    }

    pub(crate) fn report(&self, page: &Page) -> Result<(), Fault> {
        page.heading("What was checked")?;
        self.0.iter().try_for_each(|(what, held)| page.check(what, *held))
    }
}
