//! Context: what holds for all objects of a mount.

use super::file::{FileMode, PathTranslation};
use crate::{endpoint::Endpoints, names::Region};

#[derive(Debug)]
pub struct Context<'a> {
    pub endpoints: &'a Endpoints,
    pub region: &'a Region,
    pub translation: PathTranslation,
    /// For objects without `filePermission`.
    pub mode: FileMode,
}
