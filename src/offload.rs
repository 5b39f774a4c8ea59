//! Offload: work of more than a millisecond, such as a megabyte of YAML or two thousand expressions, is
//! moved off the thread that serves. Two pieces run at once, and one of each namespace, so that one pod's
//! work does not delay another's mount.

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::block_in_place,
    time::Instant,
};

use crate::{
    error::{Error, Reason},
    turns::{Turn, Turns},
};

/// What less than this makes is done at once: a millisecond's work.
const LARGE_BYTES: usize = 16 << 10;
const AT_ONCE: usize = 2;

/// Whether work that goes through about so many bytes needs a place.
pub fn is_large(bytes: usize) -> bool {
    bytes >= LARGE_BYTES
}

#[derive(Debug)]
pub struct Offload(Turns);

impl Default for Offload {
    fn default() -> Self {
        Self(Turns::new(AT_ONCE, 1))
    }
}

impl Offload {
    /// A place for the namespace's work, which goes through about so many bytes, when its turn comes;
    /// `None` for what needs no place.
    pub async fn acquire(
        &self,
        namespace: &str,
        bytes: usize,
        deadline: Instant,
    ) -> Result<Option<Turn>, Error> {
        if !is_large(bytes) {
            return Ok(None);
        }
        match self.0.take(namespace, 1, deadline).await {
            Some(turn) => Ok(Some(turn)),
            None => {
                let what = "other mounts with as much to work out took all of the mount's time";
                Err(Error::new(Reason::OutOfTime, what).hint("it is tried again"))
            }
        }
    }
}

/// Does the work: beside the thread that serves, if it has a place.
pub fn run<T>(place: Option<&Turn>, work: impl FnOnce() -> T) -> T {
    match (place, Handle::current().runtime_flavor()) {
        (Some(_), RuntimeFlavor::MultiThread) => block_in_place(work),
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test(start_paused = true)]
    async fn large_work_waits_for_its_turn_and_small_work_does_not() {
        let offload = Offload::default();
        let soon = || Instant::now() + Duration::from_secs(1);
        let place = offload.acquire("a", LARGE_BYTES, soon()).await.unwrap();
        assert_eq!(run(place.as_ref(), || 1), 1);
        assert!(offload.acquire("a", LARGE_BYTES - 1, soon()).await.unwrap().is_none());
        let waited = offload.acquire("a", LARGE_BYTES, soon()).await;
        assert_eq!(waited.unwrap_err().kind(), ErrorKind::Internal);
        // Another namespace has a place of its own.
        assert!(offload.acquire("b", LARGE_BYTES, soon()).await.unwrap().is_some());
        drop(place);
        assert!(offload.acquire("a", LARGE_BYTES, soon()).await.unwrap().is_some());
    }
}
