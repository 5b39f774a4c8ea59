//! Value: what the cloud holds for one object.

use std::sync::Arc;

use crate::secret::Secret;

/// A secret's bytes and what the cloud calls their version.
#[derive(Debug)]
pub struct Value {
    pub bytes: Secret<Vec<u8>>,
    pub version: String,
    /// When the cloud will replace it by itself, where it says so.
    pub rotates_at: Option<jiff::Timestamp>,
    /// The cloud's id of the request that brought it; empty if it gave none.
    pub request_id: String,
}

/// `None` for an optional object that does not exist.
pub type Fetched = Option<Arc<Value>>;
