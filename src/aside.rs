//! Work of more than a moment, such as a megabyte of YAML or two thousand expressions: done beside the
//! threads that serve, one piece at a time, so that what one pod asks for does not hold up another.

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::Semaphore,
    task::block_in_place,
    time::{Instant, timeout_at},
};

use crate::error::{Class, Error};

/// What less than this makes is done at once: a millisecond's work.
const LARGE_BYTES: usize = 16 << 10;

#[derive(Debug)]
pub struct Aside(Semaphore);

impl Default for Aside {
    fn default() -> Self {
        Self(Semaphore::new(1))
    }
}

impl Aside {
    /// Does the work, which goes through about so many bytes, when its turn comes.
    pub async fn run<T>(
        &self,
        bytes: usize,
        deadline: Instant,
        work: impl FnOnce() -> T,
    ) -> Result<T, Error> {
        if bytes < LARGE_BYTES {
            return Ok(work());
        }
        let Ok(Ok(_place)) = timeout_at(deadline, self.0.acquire()).await else {
            let what = "other mounts with as much to work out took all of the mount's time";
            return Err(Error::new(Class::Internal, what).fix("it is tried again"));
        };
        Ok(match Handle::current().runtime_flavor() {
            RuntimeFlavor::MultiThread => block_in_place(work),
            _ => work(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn large_work_waits_for_its_turn_and_small_work_does_not() {
        let aside = Aside::default();
        let soon = || Instant::now() + Duration::from_secs(1);
        assert_eq!(aside.run(LARGE_BYTES, soon(), || 1).await, Ok(1));
        let place = aside.0.acquire().await.unwrap();
        assert_eq!(aside.run(LARGE_BYTES - 1, soon(), || 2).await, Ok(2));
        let waited = aside.run(LARGE_BYTES, soon(), || 3).await;
        assert_eq!(waited.unwrap_err().class, Class::Internal);
        drop(place);
        assert_eq!(aside.run(LARGE_BYTES, soon(), || 4).await, Ok(4));
    }
}
