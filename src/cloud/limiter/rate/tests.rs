use tokio::time::{advance, sleep_until};

use super::*;

/// Calls a second that go through in so many seconds, of as many as may.
async fn speed(rate: &mut Rate, seconds: u32) -> f64 {
    let end = Instant::now() + Duration::from_secs(u64::from(seconds));
    let mut calls = 0;
    while rate.next(Priority::default(), Instant::now()) < end && calls < 100_000 {
        sleep_until(rate.next(Priority::default(), Instant::now())).await;
        rate.begin(Priority::default(), Instant::now());
        calls += 1;
    }
    f64::from(calls) / f64::from(seconds)
}

async fn after_calls(a_second: f64) -> Rate {
    let mut rate = Rate::of_host();
    for _ in 0..(a_second * 60.0) as usize {
        rate.begin(Priority::default(), Instant::now());
        advance(Duration::from_secs_f64(1.0 / a_second)).await;
    }
    rate
}

fn throttle(rate: &mut Rate) {
    rate.throttled(Instant::now(), Instant::now());
}

#[tokio::test(start_paused = true)]
async fn rate_without_throttling_is_unlimited() {
    let mut rate = after_calls(20.0).await;
    assert!(speed(&mut rate, 1).await > 1000.0);
}

#[tokio::test(start_paused = true)]
async fn single_throttled_call_pauses_for_a_moment() {
    for a_second in [0.1, 20.0] {
        let mut rate = after_calls(a_second).await;
        throttle(&mut rate);
        let begun = Instant::now();
        assert!(speed(&mut rate, 1).await > 1000.0);
        assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn second_throttled_call_of_a_minute_slows_and_the_rate_soon_grows_again() {
    let mut rate = after_calls(20.0).await;
    throttle(&mut rate);
    advance(Duration::from_secs(1)).await;
    throttle(&mut rate);
    let slow = speed(&mut rate, 1).await;
    assert!((8.0..20.0).contains(&slow), "{slow}");
    advance(Duration::from_secs(10)).await;
    let fast = speed(&mut rate, 1).await;
    assert!(fast > 40.0, "{fast}");
}

#[tokio::test(start_paused = true)]
async fn lasting_shortage_slows_the_growth_too() {
    let mut rate = after_calls(20.0).await;
    for _ in 0..12 {
        throttle(&mut rate);
        advance(Duration::from_secs(2)).await;
    }
    let slow = speed(&mut rate, 10).await;
    assert!(slow < 5.0, "{slow}");
    advance(Duration::from_secs(240)).await;
    let fast = speed(&mut rate, 5).await;
    assert!(fast > 100.0, "{fast}");
}

fn refresh_of(age_s: u64) -> Priority {
    Priority::of(0, 0, Some(Instant::now() - Duration::from_secs(age_s)))
}

#[tokio::test(start_paused = true)]
async fn refresh_waits_the_less_the_older_the_values_are() {
    advance(Duration::from_secs(7200)).await;
    let mut rate = after_calls(20.0).await;
    throttle(&mut rate);
    throttle(&mut rate);
    let now = Instant::now();
    let waits = |age_s| rate.next(refresh_of(age_s), now) - now;
    let of_new_pods = rate.next(Priority::default(), now) - now;
    assert_eq!(waits(60), waits(420));
    assert!(waits(840) < waits(420).mul_f64(0.26), "{:?} {:?}", waits(840), waits(420));
    assert_eq!(waits(7000), of_new_pods * LEAST_GAPS);
}

#[tokio::test(start_paused = true)]
async fn refreshes_and_new_pods_do_not_put_off_each_other() {
    advance(Duration::from_secs(60)).await;
    let mut rate = after_calls(20.0).await;
    throttle(&mut rate);
    throttle(&mut rate);
    let of_new_pod = rate.next(Priority::default(), Instant::now());
    rate.begin(refresh_of(60), Instant::now());
    assert!(rate.next(Priority::default(), Instant::now()) <= of_new_pod);
    let of_refresh = rate.next(refresh_of(60), Instant::now());
    for _ in 0..100 {
        advance(Duration::from_millis(100)).await;
        rate.begin(Priority::default(), Instant::now());
    }
    // By a gap that differs by chance, and not by the ten seconds.
    assert!(rate.next(refresh_of(60), Instant::now()) < of_refresh + Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn always_throttled_rate_keeps_its_floor() {
    let mut rate = after_calls(0.1).await;
    for _ in 0..40 {
        throttle(&mut rate);
    }
    assert!(rate.is_always_throttled());
    let often = speed(&mut rate, 35).await;
    assert!((0.02..0.3).contains(&often), "{often}");
    let mut rate = Rate::of_caller();
    for _ in 0..40 {
        throttle(&mut rate);
    }
    let often = speed(&mut rate, 10).await;
    assert!((0.3..3.0).contains(&often), "{often}");
}
