//! When a request is sent again, and how long to wait before: what the server asks for, or growing pauses with jitter.

use std::time::{Duration, Instant};

use super::error::{Error, Refusal};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// The repetitions of one request, until a deadline.
#[derive(Debug)]
pub(super) struct Repeats {
    deadline: Instant,
    pause: Duration,
}

impl Repeats {
    pub(super) fn new(deadline: Instant) -> Self {
        Self { deadline, pause: FIRST_PAUSE }
    }

    /// The pause before the next repetition. None if it cannot help, or would be after the deadline.
    pub(super) fn next(&mut self, error: &Error, retry_after: Option<u64>) -> Option<Duration> {
        if !can_help(error) {
            return None;
        }
        // Clients that failed together do not come back together.
        let own = self.pause.mul_f64(1.0 - 0.25 * fastrand::f64());
        self.pause = (self.pause * 2).min(MAX_PAUSE);
        let pause = retry_after.map_or(own, Duration::from_secs);
        Instant::now().checked_add(pause).filter(|at| *at <= self.deadline).map(|_| pause)
    }
}

/// Whether the same request can have another response later: no response, an overloaded or broken server, a throttle, or a request
/// with the same idempotency key that is still being processed.
fn can_help(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } => true,
        Error::Refused(Refusal { status, code, .. }) => {
            matches!(status, 429 | 500 | 502 | 503 | 504) || code == "idempotency_key_in_use"
        }
        Error::NotUnderstood(_) | Error::InvalidKey | Error::Client(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> Error {
        Error::Refused(Refusal { status, code: code.to_owned(), ..Refusal::default() })
    }

    #[test]
    fn only_what_can_change_is_repeated() {
        let mut repeats = Repeats::new(Instant::now() + Duration::from_secs(600));
        for (status, code) in
            [(503, "publish_unavailable"), (429, "too_many_tasks"), (409, "idempotency_key_in_use")]
        {
            assert!(repeats.next(&refused(status, code), None).is_some(), "{code}");
        }
        for (status, code) in
            [(400, "invalid_task"), (409, "not_retryable"), (501, "records_disabled"), (403, "forbidden")]
        {
            assert_eq!(repeats.next(&refused(status, code), None), None, "{code}");
        }
    }

    #[test]
    fn pauses_grow_and_the_server_decides_them_until_the_deadline() {
        let mut repeats = Repeats::new(Instant::now() + Duration::from_secs(30));
        let busy = refused(503, "records_unavailable");
        let first = repeats.next(&busy, None).unwrap();
        assert!(first <= FIRST_PAUSE && repeats.next(&busy, None).unwrap() > first);
        assert_eq!(repeats.next(&busy, Some(7)), Some(Duration::from_secs(7)));
        assert_eq!(repeats.next(&busy, Some(60)), None, "it would be too late");
        assert_eq!(repeats.next(&busy, Some(u64::MAX)), None);
    }
}
