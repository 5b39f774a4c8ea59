//! Memory that mounts hold while they are answered, beside the cache of values. What is small is not
//! counted, so that ordinary mounts never wait; what is large has a budget, shared in turns between
//! namespaces. A mount that waits for one budget holds those before it and none after it, so that no
//! two mounts can wait for each other.

use tokio::time::Instant;

use crate::{
    error::{Error, Reason},
    limits,
    turns::{Turn, Turns},
};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Of a request that is not counted. The driver's own share of one is some 4 KiB, with tokens.
const SMALL_REQUEST: usize = 256 * KIB;
/// Of requests that are read: a message is held twice while it is decoded.
const REQUESTS: usize = 4 * MIB;

/// Of a volume's attributes from which on their objects are counted.
const SMALL_ATTRIBUTES: usize = 16 * KIB;
/// Measured: 97 KiB of paths take 3.2 MiB when they are compiled.
const OBJECTS_OF_TEXT: usize = 33;
const OBJECTS: usize = 8 * MIB;

/// Reads of a mount whose values are not counted.
const FEW_READS: usize = 16;
/// Of pods that may have to wait for the cloud.
const NEW_VALUES: usize = 12 * MIB;
/// Of pods that have been served before. These never wait for the former, which may wait for the cloud
/// as long as a mount may take: a running pod is served stale values in the meantime.
const KEPT_VALUES: usize = 8 * MIB;

/// Of an answer that is not counted.
const SMALL_ANSWER: usize = 256 * KIB;
/// The largest answer and a part of another: each is held twice while it is encoded.
const ANSWERS: usize = 5 * MIB;
const ANSWERS_OF_ONE: usize = 4 * MIB;

#[derive(Debug)]
pub struct Memory {
    objects: Turns,
    new_values: Turns,
    kept_values: Turns,
    answers: Turns,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            objects: Turns::new(OBJECTS, OBJECTS / 2),
            new_values: Turns::new(NEW_VALUES, NEW_VALUES / 2),
            kept_values: Turns::new(KEPT_VALUES, KEPT_VALUES / 2),
            answers: Turns::new(ANSWERS, ANSWERS_OF_ONE),
        }
    }
}

/// Large requests, before anything is known of whose they are.
pub fn requests() -> Turns {
    Turns::new(REQUESTS, REQUESTS)
}

/// Whether a request of so many bytes needs a turn to be read.
pub fn is_large_request(bytes: usize) -> bool {
    bytes > SMALL_REQUEST
}

impl Memory {
    /// For the objects that volume attributes of so many bytes may be parsed into.
    pub async fn objects(
        &self,
        namespace: &str,
        attributes: usize,
        deadline: Instant,
    ) -> Result<Option<Turn>, Error> {
        let bytes = attributes.saturating_mul(OBJECTS_OF_TEXT);
        let bytes = if attributes >= SMALL_ATTRIBUTES { bytes } else { 0 };
        take(&self.objects, namespace, bytes, deadline, "long lists of objects").await
    }

    /// For the values of so many secrets and parameters, `kept` from an earlier mount or not.
    pub async fn values(
        &self,
        namespace: &str,
        reads: usize,
        kept: impl FnOnce() -> bool,
        deadline: Instant,
    ) -> Result<Option<Turn>, Error> {
        if reads <= FEW_READS {
            return Ok(None);
        }
        let turns = if kept() { &self.kept_values } else { &self.new_values };
        take(turns, namespace, reads.saturating_mul(limits::SECRET_VALUE), deadline, "many secrets")
            .await
    }

    /// For files of about so many bytes, until the driver has them.
    pub async fn answer(
        &self,
        namespace: &str,
        bytes: usize,
        deadline: Instant,
    ) -> Result<Option<Turn>, Error> {
        let bytes = if bytes > SMALL_ANSWER { bytes } else { 0 };
        take(&self.answers, namespace, bytes, deadline, "large files").await
    }
}

async fn take(
    turns: &Turns,
    namespace: &str,
    bytes: usize,
    deadline: Instant,
    of: &str,
) -> Result<Option<Turn>, Error> {
    if bytes == 0 {
        return Ok(None);
    }
    match turns.take(namespace, bytes, deadline).await {
        Some(turn) => Ok(Some(turn)),
        None => {
            let what = format!("other mounts of {of} took all of the mount's time");
            Err(Error::new(Reason::OutOfTime, what)
                .hint("it is tried again; if it lasts, mount fewer or smaller objects in a volume"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn ordinary_mounts_take_no_turn() {
        let memory = Memory::default();
        assert!(memory.objects("shop", SMALL_ATTRIBUTES - 1, soon()).await.unwrap().is_none());
        assert!(memory.values("shop", FEW_READS, || false, soon()).await.unwrap().is_none());
        assert!(memory.answer("shop", SMALL_ANSWER, soon()).await.unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_namespace_leaves_room_to_others() {
        let memory = Memory::default();
        let held = memory.values("shop", 500, || false, soon()).await.unwrap();
        let late = memory.values("shop", 500, || false, soon()).await.unwrap_err().to_string();
        assert!(late.contains("other mounts of many secrets took all"), "{late}");
        assert!(memory.values("other", 500, || false, soon()).await.unwrap().is_some());
        // Nor is a running pod kept waiting by new ones.
        assert!(memory.values("shop", 500, || true, soon()).await.unwrap().is_some());
        drop(held);
        assert!(memory.values("shop", 500, || false, soon()).await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn two_of_the_largest_answers_are_not_made_at_once() {
        let memory = Memory::default();
        let held = memory.answer("shop", 4 * MIB, soon()).await.unwrap();
        assert!(memory.answer("other", 4 * MIB, soon()).await.is_err());
        assert!(memory.answer("other", MIB, soon()).await.is_ok());
        drop(held);
        assert!(memory.answer("other", 4 * MIB, soon()).await.is_ok());
    }
}
