//! The tasks of the runtime that a test runs on, its world's among them: none may be left behind.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

fn alive() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// How many there are once none has come or gone for so long.
pub async fn settled(unchanged: Duration) -> usize {
    let steady = async {
        loop {
            let before = alive();
            sleep(unchanged).await;
            if alive() == before {
                return before;
            }
        }
    };
    timeout(Duration::from_secs(20), steady).await.expect("tasks come and go")
}

/// Waits until there are no more than so many.
pub async fn end(most: usize, within: Duration, what: &str) {
    let end = Instant::now() + within;
    while alive() > most {
        assert!(Instant::now() < end, "{what}: {} tasks, of {most}", alive());
        sleep(Duration::from_millis(5)).await;
    }
}
