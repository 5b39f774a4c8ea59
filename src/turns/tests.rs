use std::time::Duration;

use tokio::{sync::mpsc, task::JoinHandle};

use super::*;

/// Each takes so much, tells who it is, and keeps it for a second.
fn waits(
    turns: &Turns,
    told: &mpsc::UnboundedSender<&'static str>,
    who: &'static str,
    amount: usize,
) -> JoinHandle<()> {
    let (turns, told) = (turns.clone(), told.clone());
    tokio::spawn(async move {
        let hour = Instant::now() + Duration::from_secs(3600);
        let _turn = turns.take(who, amount, hour).await.unwrap();
        told.send(who).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    })
}

async fn order(turns: &Turns, all: &[(&'static str, usize)]) -> String {
    let (tell, mut told) = mpsc::unbounded_channel();
    for (who, amount) in all {
        drop(waits(turns, &tell, who, *amount));
        tokio::task::yield_now().await;
    }
    drop(tell);
    let mut order = String::new();
    while let Some(who) = told.recv().await {
        order.push_str(who);
    }
    order
}

#[tokio::test(start_paused = true)]
async fn namespaces_are_served_in_rotation() {
    let turns = Turns::new(1, 1);
    let many = [("a", 1), ("a", 1), ("a", 1), ("a", 1), ("b", 1), ("c", 1), ("b", 1)];
    assert_eq!(order(&turns, &many).await, "aabcaba");
}

#[tokio::test(start_paused = true)]
async fn namespace_has_no_more_than_its_share_at_once() {
    let turns = Turns::new(2, 1);
    let many = [("a", 1), ("a", 1), ("a", 1), ("b", 1), ("b", 1)];
    // A place is left for b, however many of a wait.
    assert_eq!(order(&turns, &many).await, "ababa");
    let soon = Instant::now() + Duration::from_secs(1);
    let held = turns.take("a", 1, soon).await.unwrap();
    assert!(turns.take("a", 1, soon).await.is_none());
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn large_amount_is_not_kept_out_by_small_ones() {
    let turns = Turns::new(4, 3);
    let many = [("a", 2), ("b", 3), ("c", 1), ("c", 1), ("a", 9)];
    assert_eq!(order(&turns, &many).await, "abcac");
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_serves_the_next() {
    let turns = Turns::new(4, 4);
    let soon = || Instant::now() + Duration::from_secs(1);
    let mut held = turns.take("a", 4, soon()).await.unwrap();
    held.keep(9);
    assert!(turns.take("b", 1, soon()).await.is_none());
    held.keep(1);
    let other = turns.take("b", 3, soon()).await.unwrap();
    assert!(turns.take("a", 1, soon()).await.is_none());
    drop((held, other));
    assert_eq!(lock(&turns.0).free, 4);
}

#[tokio::test(start_paused = true)]
async fn who_gave_up_leaves_nothing_behind() {
    let turns = Turns::new(1, 1);
    let soon = || Instant::now() + Duration::from_secs(1);
    let held = turns.take("a", 1, soon()).await.unwrap();
    assert!(turns.take("b", 1, soon()).await.is_none());
    drop(held);
    drop(turns.take("c", 1, soon()).await.unwrap());
    let state = lock(&turns.0);
    assert_eq!((state.free, state.held.len(), state.waiting.len()), (1, 0, 0));
}
