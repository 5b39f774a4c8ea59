//! Retry: asks again after a pause, where asking again can help. Who asks decides whether it can.

use std::{ops::ControlFlow, time::Duration};

use tokio::time::sleep;

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// Of what stands close by and has no quota, such as the metadata service.
const NEARBY_ATTEMPTS: u32 = 3;

/// Calls `attempt` with its number, from 1 on, until it breaks with an outcome. Where it continues, it is
/// called again after a pause, which may be zero, with the state that it left.
pub async fn retry<S, T, F>(mut state: S, attempt: impl Fn(S, u32) -> F) -> T
where
    F: Future<Output = ControlFlow<T, (S, Duration)>>,
{
    let mut attempts = 1;
    loop {
        let pause = match attempt(state, attempts).await {
            ControlFlow::Break(outcome) => return outcome,
            ControlFlow::Continue(next) => {
                state = next.0;
                next.1
            }
        };
        if !pause.is_zero() {
            sleep(pause).await;
        }
        attempts += 1;
    }
}

/// Asks what stands close by, three times at most. `helps`: whether asking again after this answer can.
pub async fn retry_nearby<T, F: Future<Output = T>>(
    ask: impl Fn() -> F,
    helps: impl Fn(&T) -> bool,
) -> T {
    let (ask, helps) = (&ask, &helps);
    retry((), |(), attempts| async move {
        let answer = ask().await;
        if attempts == NEARBY_ATTEMPTS || !helps(&answer) {
            return ControlFlow::Break(answer);
        }
        ControlFlow::Continue(((), backoff(attempts)))
    })
    .await
}

/// Full jitter: between nothing and the exponential step.
pub fn backoff(attempts: u32) -> Duration {
    let step = FIRST_BACKOFF.saturating_mul(1 << attempts.min(10)).min(LONGEST_BACKOFF);
    step.mul_f64(random_fraction())
}

/// Whether an HTTP status may be another one soon.
pub fn is_transient(status: u16) -> bool {
    status == 429 || status >= 500
}

/// Uniform in 0..1.
pub fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    // Failing to get randomness would abort elsewhere first; half a step is a fair answer.
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use tokio::time::Instant;

    use super::*;

    #[test]
    fn backoff_grows_up_to_five_seconds() {
        let longest = |attempts| (0..200).map(|_| backoff(attempts)).max().unwrap();
        let bounds = [(1, 200), (2, 400), (5, 3200), (6, 5000), (7, 5000), (u32::MAX, 5000)];
        for (attempts, most) in bounds {
            let (longest, most) = (longest(attempts), Duration::from_millis(most));
            // The longest of so many is hardly ever shorter than that.
            assert!(longest <= most && longest > most / 2, "{attempts}: {longest:?}");
        }
    }

    #[test]
    fn statuses_of_an_overload_are_transient() {
        for status in [429, 500, 503, 599] {
            assert!(is_transient(status), "{status}");
        }
        for status in [200, 400, 403, 404, 428, 430, 499] {
            assert!(!is_transient(status), "{status}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_counted_and_pauses_waited_for() {
        let begun = Instant::now();
        let outcome = retry("", |state, attempt| async move {
            match attempt {
                1 => ControlFlow::Continue(("one", Duration::ZERO)),
                2 => ControlFlow::Continue(("two", Duration::from_secs(3))),
                last => ControlFlow::Break((state, last)),
            }
        });
        assert_eq!(outcome.await, ("two", 3));
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
    }

    /// The answer, and how often was asked.
    async fn asked_nearby(helps: impl Fn(&usize) -> bool) -> (usize, usize) {
        let asked = AtomicUsize::new(0);
        let answer = retry_nearby(async || asked.fetch_add(1, Relaxed) + 1, helps).await;
        (answer, asked.load(Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_nearby_is_asked_three_times_at_most() {
        assert_eq!(asked_nearby(|_| true).await, (3, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_nearby_is_asked_no_more_than_helps() {
        assert_eq!(asked_nearby(|_| false).await, (1, 1));
        assert_eq!(asked_nearby(|answer| *answer < 2).await, (2, 2));
    }
}
