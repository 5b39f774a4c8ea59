//! The digest of a list of parts: what sessions, values and lists of objects are kept under.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

pub type Digest = [u8; 32];

pub struct Parts(Context);

impl Parts {
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// With its length, so that no two lists of parts read the same.
    pub fn part(&mut self, part: &str) {
        self.0.update(&part.len().to_le_bytes());
        self.0.update(part.as_bytes());
    }

    pub fn digest(self) -> Digest {
        bytes(self.0)
    }
}

/// Of one digest under another.
pub fn joined(first: &Digest, second: &Digest) -> Digest {
    let mut digest = Context::new(&SHA256);
    digest.update(first);
    digest.update(second);
    bytes(digest)
}

/// SHA-256 of these bytes, as anyone calculates it.
pub fn sha256(bytes: &[u8]) -> Digest {
    let mut digest = Context::new(&SHA256);
    digest.update(bytes);
    self::bytes(digest)
}

fn bytes(digest: Context) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.finish().as_ref());
    bytes
}

impl Default for Parts {
    fn default() -> Self {
        Self::new()
    }
}

/// Not even how much it has been fed.
impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &[&str]) -> Digest {
        let mut parts = Parts::new();
        list.iter().for_each(|part| parts.part(part));
        parts.digest()
    }

    #[test]
    fn no_two_lists_of_parts_read_the_same() {
        let lists: [&[&str]; 6] =
            [&["ab"], &["a", "b"], &["b", "a"], &["ab", ""], &["", "ab"], &[]];
        let digests: std::collections::BTreeSet<_> = lists.into_iter().map(of).collect();
        assert_eq!(digests.len(), lists.len());
        assert_eq!(of(lists[1]), of(lists[1]));
    }

    #[test]
    fn its_name_is_all_that_it_shows() {
        let mut parts = Parts::new();
        parts.part("planted");
        assert_eq!(format!("{parts:?}"), "Parts");
    }

    #[test]
    fn order_counts_where_digests_are_joined() {
        let (a, b) = (of(&["a"]), of(&["b"]));
        assert_ne!(joined(&a, &b), joined(&b, &a));
    }
}
