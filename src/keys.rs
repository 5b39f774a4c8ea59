//! Access keys, long-lived or of a session.

use std::fmt;

use crate::{secret::Secret, text::identifier};

/// What a request is signed with.
pub struct Keys {
    pub id: String,
    pub secret: Secret<String>,
    /// Present with a session of STS.
    pub token: Option<Secret<String>>,
}

impl Keys {
    /// Whether a text is the id of an access key: their secrets do not begin so.
    pub fn is_id(text: &str) -> bool {
        text.starts_with("LTAI")
    }

    /// Whether id and secret took each other's place: the secret would go to the cloud in clear.
    pub fn swapped(&self) -> bool {
        Self::is_id(self.secret.expose()) && !Self::is_id(&self.id)
    }

    /// The id, if it looks like one of Alibaba Cloud's: the author of a Secret can confuse its entries.
    pub fn shown_id(&self) -> Option<&str> {
        identifier(&self.id).filter(|id| Self::is_id(id) || id.starts_with("STS."))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("id", &self.shown_id()).finish_non_exhaustive()
    }
}
