//! How a delivery ends: done (the message is deleted), retry (it is given back), or rejected (its failure is stored and
//! notified, then it is deleted).

use std::time::Duration;

use shared_schema::ErrorCode;

use super::ack::AckAction;
use super::blame::{self, Blame, MAX_BROKEN};
use super::journal::Journal;
use super::read::UnreadableCause;
use super::reject::Rejection;
use super::{AttemptError, LeasedMessage, Work, Worker};
use crate::cloud::{Delivery, Lease};
use crate::error::TaskError;

impl Worker {
    /// Fails if no attempt is left: the task has failed for good before, or it was taken more often than it may and its last
    /// attempt could not say why it ended.
    pub(super) fn check_attempts(&self, delivery: &Delivery, journal: &Journal) -> Result<(), AttemptError> {
        if let Some(last) = &journal.final_failure {
            return Err(AttemptError::FailedBefore(last.error(), last.failure.attempts));
        }
        let attempts = journal.charged(delivery) - 1;
        if journal.is_unknown || attempts < self.config.max_attempts {
            return Ok(());
        }
        let message = "every worker that took the task ended without a word, killed or out of memory";
        Err(AttemptError::FailedBefore(TaskError::new(ErrorCode::WorkerDied, message), attempts))
    }

    /// What is decided. A lease that is lost meanwhile abandons the delivery; when the grace period is almost over, it is given
    /// back as it is.
    pub(super) async fn decided(
        &self,
        lease: &Lease,
        deciding: impl Future<Output = AckAction>,
    ) -> AckAction {
        tokio::select! {
            biased;
            ending = lease.hold(deciding) => ending.unwrap_or(AckAction::Abandon),
            () = self.out_of_time() => AckAction::Release(Duration::ZERO),
        }
    }

    /// What becomes of a task that was not attempted.
    pub(super) async fn give_back(&self, work: &Work<'_>, reason: &'static str) -> AckAction {
        tracing::info!(reason, "giving the task back");
        self.health.metrics().given_back(reason);
        // The process before this one may have died of it.
        if !work.taken.begun.as_ref().is_some_and(|begun| begun.is_attempt) {
            self.record_give_back(&work.taken.delivery, work.journal).await;
        }
        AckAction::Release(Duration::ZERO)
    }

    /// What becomes of a failed attempt: another one, or the end.
    pub(super) async fn decide(&self, work: &Work<'_>, error: &TaskError) -> AckAction {
        let Work { taken: LeasedMessage { delivery, .. }, .. } = work;
        let journal = &self.reread(delivery, work.journal).await;
        let attempt = journal.charged(delivery);
        // Unknown attempts are not used up; the dead-letter queue bounds them.
        let is_left = journal.is_unknown || attempt < self.config.max_attempts;
        let is_retried = |error: &TaskError| error.is_retryable() && is_left;
        let broke;
        let error = match blame::attribute(self, work, error, is_retried(error)).await {
            Blame::Stopping => return self.give_back(work, "shutdown").await,
            Blame::LeaseLost => return AckAction::Abandon,
            blame @ (Blame::Runtime | Blame::Unknown) if journal.broken + 1 < MAX_BROKEN => {
                if blame == Blame::Runtime {
                    tracing::warn!(error.code = %ErrorCode::RuntimeBroken, error.message = %error.message, "the runtime is broken, the task will be run again");
                    self.health.metrics().retried(ErrorCode::RuntimeBroken);
                } else {
                    tracing::warn!(error.code = %error.code, error.message = %error.message, "the runtime cannot be checked, the task will be run again");
                    self.health.metrics().given_back("runtime_gone");
                }
                self.record_broken(delivery, journal, error).await;
                return AckAction::retry_after(journal.broken + 1);
            }
            Blame::Task | Blame::Unknown => error,
            Blame::Runtime => {
                broke = blame::too_many_broken(error);
                &broke
            }
        };
        if is_retried(error) {
            tracing::warn!(error.code = %error.code, error.message = %error.message, attempt, "attempt failed, will be retried");
            self.health.metrics().retried(error.code);
            self.record_failure(delivery, journal, error).await;
            return AckAction::retry_after(attempt);
        }
        let broken = if error.code == ErrorCode::RuntimeBroken { journal.broken } else { 0 };
        self.reject(work, journal, error, attempt + broken).await
    }

    /// Ends a task that has failed for good, after so many attempts.
    pub(super) async fn reject(
        &self,
        work: &Work<'_>,
        journal: &Journal,
        error: &TaskError,
        attempts: u32,
    ) -> AckAction {
        let Work { taken: LeasedMessage { delivery, .. }, assignment, .. } = work;
        let retried = AckAction::retry_after(journal.charged(delivery));
        // Perhaps all that failed was to tell of its end.
        let keys = match self.renotify_if_committed(work, Duration::ZERO).await {
            Ok(Some(keys)) => keys,
            Ok(None) => return AckAction::Delete,
            Err(AttemptError::LeaseLost) => return AckAction::Abandon,
            Err(_) => {
                tracing::error!(error.code = %error.code, "the end of the task could not be told, will be retried");
                return retried;
            }
        };
        // If its end does not get through, the next delivery goes on here.
        if journal.final_failure.is_none() {
            self.record_final_failure(delivery, journal, error, attempts).await;
        }
        let causes = &journal.attempts;
        let report = self.config.runtime_type.failure_report;
        let task = work.task.as_deref().ok();
        let rejection = Rejection { error, task, attempts, causes, report };
        match self.results.reject(delivery, assignment, keys, &rejection).await {
            Ok(stored) => {
                self.count(&stored);
                tracing::warn!(error.code = %error.code, error.message = %error.message, attempts, "task failed");
                AckAction::Delete
            }
            Err(error) => {
                tracing::error!(error.code = %error.code, "failure could not be stored or notified, will be retried");
                retried
            }
        }
    }

    /// Keeps what cannot be read and deletes it from the queue, where it would come back for ever.
    pub(super) async fn keep_unreadable(
        &self,
        LeasedMessage { delivery, lease, .. }: LeasedMessage,
        cause: UnreadableCause,
    ) {
        let keeping = async {
            match self.results.keep_unreadable(&delivery, cause).await {
                Ok(kept_at) => {
                    tracing::error!(
                        error.code = %ErrorCode::UnreadableMessage,
                        kept_at,
                        %cause,
                        "message cannot be read, kept for an operator"
                    );
                    AckAction::Delete
                }
                Err(error) => {
                    tracing::error!(error.code = %error.code, "unreadable message could not be kept, will be retried");
                    AckAction::retry_after(delivery.receive_count)
                }
            }
        };
        let ending = self.decided(&lease, keeping).await;
        self.end(&delivery, lease, ending).await;
    }
}
