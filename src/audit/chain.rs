//! The chain: a line holds the hash of the line before it, and its own, which covers all the rest.

use aws_lc_rs::{digest, hmac};

use super::{
    hash::Hash,
    record::{Body, Line},
};
use crate::secret::Secret;

#[derive(Debug)]
pub(crate) enum Digest {
    Sha256,
    HmacSha256(Box<hmac::Key>),
}

impl Digest {
    pub(crate) fn new(key: Option<&Secret<Vec<u8>>>) -> Self {
        key.map_or(Digest::Sha256, |key| {
            Digest::HmacSha256(Box::new(hmac::Key::new(hmac::HMAC_SHA256, key.expose())))
        })
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Digest::Sha256 => "sha256",
            Digest::HmacSha256(_) => "hmac-sha256",
        }
    }

    pub(super) fn of_text(&self, text: &str) -> Hash {
        let bytes = text.as_bytes();
        let mut hash = [0; 32];
        match self {
            Digest::Sha256 => {
                hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
            }
            Digest::HmacSha256(key) => hash.copy_from_slice(hmac::sign(key, bytes).as_ref()),
        }
        Hash(hash)
    }
}

const HASH: &str = ",\"hash\":\"";
const END: &str = "\"}";

/// A line's content, and the hash that it says it has.
pub(super) fn parts(line: &str) -> Option<(&str, Hash)> {
    let rest = line.strip_suffix(END)?;
    let (content, hash) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
    Some((content.strip_suffix(HASH)?, Hash::parse(hash)?))
}

/// Whether the hash is the content's.
pub(super) fn fits(digest: &Digest, content: &str, hash: Hash) -> bool {
    digest.of_text(content) == hash
}

/// The end of a chain, to which lines can be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    pub(super) seq: u64,
    pub(super) hash: Hash,
}

/// The lines of one process.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) digest: Digest,
    pub(super) run: String,
    pub(super) node: String,
}

impl Chain {
    pub(super) fn new(digest: Digest, node: String) -> Result<Self, String> {
        let run = super::id().ok_or("no randomness to name a run by")?;
        Ok(Self { digest, run, node })
    }

    /// Adds one line to `out` and moves `tip` onto it.
    pub(super) fn add(&self, out: &mut Vec<u8>, tip: &mut Tip, body: &Body) -> Result<(), String> {
        let seq = tip.seq + 1;
        let line = Line::of(&self.node, &self.run, seq, body, tip.hash);
        let unwritten = |error| format!("a record is not JSON: {error}");
        let mut text = serde_json::to_string(&line).map_err(unwritten)?;
        text.pop();
        let hash = self.digest.of_text(&text);
        out.extend_from_slice(format!("{text}{HASH}{hash}{END}\n").as_bytes());
        *tip = Tip { seq, hash };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_has_one_text() {
        let hash = Digest::Sha256.of_text("abc");
        assert_eq!(
            hash.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(Hash::parse(&hash.to_string()), Some(hash));
        assert_eq!(Hash::parse(&hash.to_string().to_uppercase()), None);
        assert_eq!(Hash::parse("ba"), None);
        let key = Secret::new(b"a key of thirty-two bytes or more".to_vec());
        assert_ne!(Digest::new(Some(&key)).of_text("abc"), hash);
    }

    /// What a reader without this program computes: the line's bytes before `,"hash":`.
    #[test]
    fn a_line_s_hash_covers_all_before_it() {
        let chain = Chain::new(Digest::Sha256, "node-1".to_owned()).unwrap();
        let (mut out, mut tip) = (Vec::new(), Tip { seq: 0, hash: Hash::NONE });
        chain.add(&mut out, &mut tip, &Body::Lost { lost: 3 }).unwrap();
        let line = String::from_utf8(out).unwrap();
        let (content, hash) = parts(line.trim_end()).unwrap();
        assert_eq!((tip.seq, tip.hash), (1, hash));
        assert!(fits(&chain.digest, content, hash));
        assert!(line.starts_with("{\"schema\":1,\"event\":\"lost\",\"time\":\""), "{line}");
        assert!(content.ends_with(&format!("\"lost\":3,\"prev\":\"{}\"", Hash::NONE)), "{line}");
        assert!(parts(&line).is_none(), "with its newline it is not the line");
    }
}
