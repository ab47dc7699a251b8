//! Exponential backoff with jitter.

use std::time::Duration;

use tokio::time::Instant;

/// The wait before the n-th retry (n from 1): `first` doubled each time, at most `max`, less up to a quarter of itself
/// so that workers that failed together do not try together.
pub fn backoff(n: u32, first: Duration, max: Duration) -> Duration {
    let doubled = first.saturating_mul(2u32.saturating_pow(n.saturating_sub(1)));
    doubled.min(max).mul_f64(1.0 - 0.25 * fastrand::f64())
}

/// Retries until the call succeeds, fails permanently, or `timeout` is over; then returns the last error.
///
/// For calls that come after a run: giving up early would throw the GPU's work away, so it pays to wait.
pub async fn until_timeout<T, E, F>(
    timeout: Duration,
    is_retryable: impl Fn(&E) -> bool,
    mut call: impl FnMut() -> F,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let deadline = Instant::now() + timeout;
    let mut tries = 0;
    loop {
        match call().await {
            Err(error) if is_retryable(&error) => {
                tries += 1;
                let wait = backoff(tries, Duration::from_millis(250), Duration::from_secs(10));
                if Instant::now() + wait > deadline {
                    return Err(error);
                }
                tokio::time::sleep(wait).await;
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_up_to_its_bound() {
        let wait = |n| backoff(n, Duration::from_secs(1), Duration::from_secs(8));
        assert!(wait(1) <= Duration::from_secs(1));
        assert!(wait(3) >= Duration::from_secs(3) && wait(3) <= Duration::from_secs(4));
        assert!(wait(40) <= Duration::from_secs(8));
    }

    #[tokio::test]
    async fn what_is_not_worth_a_retry_is_returned_at_once() {
        let mut calls = 0;
        let result: Result<(), &str> = until_timeout(
            Duration::from_secs(60),
            |error| *error != "final",
            || {
                calls += 1;
                std::future::ready(if calls < 2 { Err("passing") } else { Err("final") })
            },
        )
        .await;
        assert_eq!((result, calls), (Err("final"), 2));
    }
}
