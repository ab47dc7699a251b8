//! The lease on a delivery: extends its visibility timeout while its task is processed.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::{CloudError, Delivery, Queue};

/// The longest that SQS hides a message after a receipt, however often it is extended: 12 hours (SQS developer guide,
/// "Visibility timeout").
pub const MAX_HIDDEN: Duration = Duration::from_hours(12);

/// How long to wait after an extension that failed.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The lease is gone: another worker may have the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease is lost")]
pub struct LeaseLost;

/// The lease on one delivery. Dropping it stops the extension and nothing else: the message reappears when its
/// visibility timeout is over.
#[derive(Debug)]
pub struct Lease {
    lost: CancellationToken,
    not_extended: CancellationToken,
    _keeper: AbortOnDropHandle<()>,
}

impl Lease {
    /// Extends the visibility of a delivery, which was received with the same `timeout`, until the lease is dropped or
    /// lost. `extended` is called with the end of the visibility timeout, now and after each extension.
    pub fn keep(
        queue: Queue,
        delivery: &Delivery,
        timeout: Duration,
        extended: impl Fn(SystemTime) + Send + 'static,
    ) -> Self {
        let (lost, not_extended) = (CancellationToken::new(), CancellationToken::new());
        let handle = delivery.receipt_handle.clone();
        let (received, confirmed) = (delivery.received(), delivery.asked);
        let term = Term { received, confirmed, hidden: timeout, timeout };
        let call = async move |hidden| queue.extend(&handle, hidden).await;
        let keeper = keep(term, lost.clone(), not_extended.clone(), call, extended).in_current_span();
        Self { lost, not_extended, _keeper: AbortOnDropHandle::new(tokio::spawn(keeper)) }
    }

    /// Stops the extensions, one that is under way included: the lease is lost when the last one is over.
    pub fn stop_extending(&self) {
        self.not_extended.cancel();
    }

    /// Does something for which the lease is needed: it is cancelled, with this error, when the lease is lost.
    pub async fn hold<T>(&self, work: impl Future<Output = T>) -> Result<T, LeaseLost> {
        self.lost.run_until_cancelled(work).await.ok_or(LeaseLost)
    }

    /// Cancelled when the lease is lost: another worker may have the message.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }
}

/// Asks the queue whether a delivery that the previous process received is still leased, by hiding it for another
/// `timeout`. Returns it as hidden from then on; `None` if the queue refuses, does not answer before `until`, or cannot hide the
/// message for so long any more.
///
/// `until` must be in the lease that the queue confirmed last: a handle whose lease may be over is never used.
pub async fn confirmed(
    queue: &Queue,
    delivery: &Delivery,
    timeout: Duration,
    until: SystemTime,
) -> Option<Delivery> {
    let received = delivery.received();
    loop {
        let left = until.duration_since(SystemTime::now()).ok().filter(|left| !left.is_zero())?;
        let asked = Instant::now();
        if asked - received + timeout > MAX_HIDDEN {
            return None;
        }
        let call = queue.extend(&delivery.receipt_handle, timeout);
        match tokio::time::timeout(left.min(timeout / 3), call).await {
            Ok(Ok(())) => return Some(Delivery { asked, ..delivery.clone() }),
            Ok(Err(error)) if !error.is_retryable => {
                tracing::warn!(error.code = %error.code, "lease refused");
                return None;
            }
            Ok(Err(error)) => {
                tracing::warn!(error.code = %error.code, "confirming the lease failed, retrying");
            }
            Err(_) => tracing::warn!(timed_out = true, "confirming the lease failed, retrying"),
        }
        sleep(TRY_AGAIN_AFTER).await;
    }
}

/// What is known of how long the message stays hidden. All of it is reckoned from when a call was sent, not from when
/// it was answered: the message was hidden then or later, so it reappears no sooner than this.
#[derive(Debug, Clone, Copy)]
struct Term {
    received: Instant,
    confirmed: Instant,
    /// From `confirmed` on.
    hidden: Duration,
    timeout: Duration,
}

impl Term {
    fn renewal(&self) -> Instant {
        self.confirmed + self.hidden / 3
    }

    /// Early enough that pending calls are over when another worker gets the message.
    fn loss(&self) -> Instant {
        self.confirmed + self.hidden.mul_f64(0.9)
    }

    /// For how long the message may be hidden from `now` on; nothing when SQS's limit is near.
    fn extension(&self, now: Instant) -> Option<Duration> {
        let left = MAX_HIDDEN.saturating_sub(now - self.received + Duration::from_secs(5));
        let hidden = self.timeout.min(Duration::from_secs(left.as_secs()));
        (now + hidden > self.confirmed + self.hidden).then_some(hidden)
    }

    /// When the message becomes visible, by the wall clock, which other processes share.
    fn end(&self) -> SystemTime {
        SystemTime::now() + (self.confirmed + self.hidden).saturating_duration_since(Instant::now())
    }
}

/// Extends three times per timeout. A call may take a third of the timeout; one that hangs leaves time for another.
async fn keep(
    mut term: Term,
    lost: CancellationToken,
    not_extended: CancellationToken,
    extend: impl AsyncFn(Duration) -> Result<(), CloudError>,
    extended: impl Fn(SystemTime),
) {
    extended(term.end());
    while let Ok(renewed) =
        timeout_at(term.loss(), not_extended.run_until_cancelled(renew(term, &extend))).await
    {
        match renewed {
            Some(Ok(next)) => term = next,
            None => {
                sleep_until(term.loss()).await;
                break;
            }
            Some(Err(error)) => {
                tracing::error!(error.code = %error.code, "lease refused");
                break;
            }
        }
        extended(term.end());
    }
    tracing::error!("lease lost");
    lost.cancel();
}

/// The next term. Never completes when no further extension is possible; fails on a permanent error of the queue.
async fn renew(
    term: Term,
    extend: &impl AsyncFn(Duration) -> Result<(), CloudError>,
) -> Result<Term, CloudError> {
    sleep_until(term.renewal()).await;
    loop {
        let asked = Instant::now();
        let Some(hidden) = term.extension(asked) else {
            tracing::warn!("the message has reached the maximum visibility timeout of 12 hours");
            std::future::pending::<()>().await;
            continue;
        };
        match timeout(term.timeout / 3, extend(hidden)).await {
            Ok(Ok(())) => return Ok(Term { confirmed: asked, hidden, ..term }),
            Ok(Err(error)) if !error.is_retryable => return Err(error),
            Ok(Err(error)) => {
                tracing::warn!(error.code = %error.code, "extending the lease failed, retrying");
            }
            Err(_) => tracing::warn!(timed_out = true, "extending the lease failed, retrying"),
        }
        sleep(TRY_AGAIN_AFTER).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(timeout: Duration) -> Term {
        let now = Instant::now();
        Term { received: now, confirmed: now, hidden: timeout, timeout }
    }

    /// The term after an extension that was asked for that long after the receipt.
    fn extended(term: Term, after: Duration) -> Option<Term> {
        let asked = term.received + after;
        term.extension(asked).map(|hidden| Term { confirmed: asked, hidden, ..term })
    }

    #[test]
    fn a_lease_is_lost_before_the_message_comes_back() {
        let term = term(Duration::from_secs(60));
        assert_eq!(term.renewal() - term.received, Duration::from_secs(20));
        assert_eq!(term.loss() - term.received, Duration::from_secs(54));
    }

    #[test]
    fn an_extension_counts_from_when_it_was_asked_for() {
        let term = extended(term(Duration::from_secs(60)), Duration::from_secs(25)).unwrap();
        assert_eq!(term.loss() - term.received, Duration::from_secs(25 + 54));
    }

    #[test]
    fn no_message_is_hidden_for_more_than_twelve_hours() {
        let mut last = term(Duration::from_hours(1));
        while let Some(next) = extended(last, last.renewal() - last.received) {
            last = next;
        }
        let end = last.confirmed + last.hidden - last.received;
        assert!(end <= MAX_HIDDEN && end > MAX_HIDDEN - Duration::from_mins(1), "{end:?}");
        assert!(last.loss() < last.received + MAX_HIDDEN);
    }
}
