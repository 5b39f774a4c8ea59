//! The tasks of a world's provider: none may be left behind.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::world::World;

/// How many there are once none has come or gone for so long.
pub async fn settled(world: &World, unchanged: Duration) -> usize {
    let steady = async {
        loop {
            let before = world.tasks().await;
            sleep(unchanged).await;
            if world.tasks().await == before {
                return before;
            }
        }
    };
    timeout(Duration::from_secs(20), steady).await.expect("tasks come and go")
}

/// Waits until there are no more than so many.
pub async fn end(world: &World, most: usize, within: Duration, what: &str) {
    let end = Instant::now() + within;
    loop {
        let alive = world.tasks().await;
        if alive <= most {
            return;
        }
        assert!(Instant::now() < end, "{what}: {alive} tasks, of {most}");
        // A peer has a hundred connections a second.
        sleep(Duration::from_millis(25)).await;
    }
}
