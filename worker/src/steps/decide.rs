//! What follows an attempt: the message is deleted, released for a retry, or the failure is final: then it is stored and
//! notified, and the message deleted.

use std::time::Duration;

use shared_schema::ErrorCode;

use super::ack::AckAction;
use super::blame::{Blame, MAX_BROKEN, too_many_broken};
use super::journal::Journal;
use super::read::UnreadableCause;
use super::reject::Rejection;
use super::{Attempt, AttemptError, LeasedMessage};
use crate::cloud::Lease;
use crate::error::TaskError;
use crate::worker::Worker;

impl Attempt<'_> {
    /// Fails if no attempt is left: the task has failed permanently before, or it was received more often than it may and its
    /// last attempt recorded no failure.
    pub(super) fn check_attempts(&self) -> Result<(), AttemptError> {
        if let Some(last) = &self.journal.final_failure {
            return Err(AttemptError::FailedBefore(last.error(), last.failure.attempts));
        }
        let attempts = self.journal.charged(&self.leased.delivery) - 1;
        if self.journal.is_unknown || attempts < self.worker.config.max_attempts {
            return Ok(());
        }
        let message =
            "every worker that received the task died without recording a failure, killed or out of memory";
        Err(AttemptError::FailedBefore(TaskError::new(ErrorCode::WorkerDied, message), attempts))
    }

    /// What to do with the message after that result.
    pub(super) async fn decide(&self, result: Result<(), AttemptError>) -> AckAction {
        let Self { worker, leased, .. } = self;
        match result {
            Ok(()) => AckAction::Delete,
            Err(AttemptError::LeaseLost) => AckAction::Abandon,
            Err(AttemptError::GivenBack(reason)) => {
                leased.lease.hold(self.give_back(reason)).await.unwrap_or(AckAction::Abandon)
            }
            Err(AttemptError::Failed(error)) if error.is_canceled => {
                let attempts = self.journal.charged(&leased.delivery);
                let rejecting = Box::pin(self.reject(self.journal, &error, attempts));
                worker.until_deadline(&leased.lease, rejecting).await
            }
            Err(AttemptError::Failed(error)) => {
                worker.until_deadline(&leased.lease, Box::pin(self.retry_or_reject(&error))).await
            }
            Err(AttemptError::FailedBefore(error, attempts)) => {
                let rejecting = Box::pin(self.reject(self.journal, &error, attempts));
                worker.until_deadline(&leased.lease, rejecting).await
            }
        }
    }

    /// Releases a message whose task was not attempted.
    async fn give_back(&self, reason: &'static str) -> AckAction {
        let Self { worker, leased, .. } = self;
        self.record_release(None).await;
        tracing::info!(reason, "releasing the task");
        worker.health.metrics().given_back(reason);
        // An adopted run may have killed the previous process: then the attempt is charged.
        if !leased.adopted.as_ref().is_some_and(|adopted| adopted.is_attempt) {
            self.journal.record_give_back(&worker.cloud.store, &leased.delivery).await;
        }
        AckAction::Release(Duration::ZERO)
    }

    /// After a failed attempt: another one, or the final failure.
    async fn retry_or_reject(&self, error: &TaskError) -> AckAction {
        let Self { worker, leased, .. } = self;
        let delivery = &leased.delivery;
        let (store, metrics) = (&worker.cloud.store, worker.health.metrics());
        let journal = &self.journal.reread(store, delivery).await;
        let attempt = journal.charged(delivery);
        // Unknown attempts are not used up; the dead-letter queue bounds them.
        let is_left = journal.is_unknown || attempt < worker.config.max_attempts;
        let is_retried = |error: &TaskError| error.is_retryable() && is_left;
        let broken_too_often;
        let error = match self.blame(error, is_retried(error)).await {
            Blame::Stopping => return self.give_back("shutdown").await,
            Blame::LeaseLost => return AckAction::Abandon,
            blame @ (Blame::Runtime | Blame::Unknown) if journal.broken + 1 < MAX_BROKEN => {
                if blame == Blame::Runtime {
                    tracing::warn!(error.code = %ErrorCode::RuntimeBroken, error.message = %self.loggable(error), "the runtime is broken, the task will be retried");
                    metrics.retried(ErrorCode::RuntimeBroken);
                } else {
                    tracing::warn!(error.code = %error.code, error.message = %self.loggable(error), "the runtime cannot be checked, the task will be retried");
                    metrics.given_back("runtime_gone");
                }
                journal.record_broken(store, delivery, error).await;
                self.record_release(Some(error.code)).await;
                return AckAction::retry_after(journal.broken + 1);
            }
            Blame::Task | Blame::Unknown => error,
            Blame::Runtime => {
                broken_too_often = too_many_broken(error);
                &broken_too_often
            }
        };
        if is_retried(error) {
            tracing::warn!(error.code = %error.code, error.message = %self.loggable(error), attempt, "attempt failed, will be retried");
            leased.traced.failed(error.code.as_str());
            metrics.retried(error.code);
            journal.record_failure(store, delivery, error).await;
            self.record_release(Some(error.code)).await;
            return AckAction::retry_after(attempt);
        }
        let broken = if error.code == ErrorCode::RuntimeBroken { journal.broken } else { 0 };
        self.reject(journal, error, attempt + broken).await
    }

    /// Stores and notifies a final failure, after so many attempts.
    async fn reject(&self, journal: &Journal, error: &TaskError, attempts: u32) -> AckAction {
        let Self { worker, leased: LeasedMessage { delivery, .. }, assignment, .. } = self;
        let retry = AckAction::retry_after(journal.charged(delivery));
        // An earlier delivery may have committed the task and failed to notify it.
        let keys = match self.renotify_if_committed(Duration::ZERO).await {
            Ok(Some(keys)) => keys,
            Ok(None) => return AckAction::Delete,
            Err(AttemptError::LeaseLost) => return AckAction::Abandon,
            Err(_) => {
                tracing::error!(error.code = %error.code, "the committed result could not be notified, will be retried");
                return retry;
            }
        };
        // If storing or notifying fails, the next delivery continues here.
        if journal.final_failure.is_none() {
            journal.record_final_failure(&worker.cloud.store, delivery, error, attempts).await;
        }
        let report = worker.config.runtime_type.failure_report;
        let task = self.task.as_deref();
        let rejection = Rejection { error, task, attempts, causes: &journal.attempts, report };
        match worker.results.reject(delivery, assignment, keys, &rejection).await {
            Ok(completion) => {
                self.count(&completion);
                tracing::warn!(error.code = %error.code, error.message = %self.loggable(error), attempts, "task failed");
                AckAction::Delete
            }
            Err(error) => {
                tracing::error!(error.code = %error.code, "failure could not be stored or notified, will be retried");
                retry
            }
        }
    }
}

impl Worker {
    /// What is decided. If the lease is lost meanwhile, the delivery is abandoned; shortly before the grace period is over, it
    /// is released as it is.
    async fn until_deadline(&self, lease: &Lease, deciding: impl Future<Output = AckAction>) -> AckAction {
        tokio::select! {
            biased;
            action = lease.hold(deciding) => action.unwrap_or(AckAction::Abandon),
            () = self.shutdown_deadline() => AckAction::Release(Duration::ZERO),
        }
    }

    /// Keeps an unreadable message in the bucket and deletes it from the queue, which would deliver it again and again.
    pub(super) async fn keep_unreadable(&self, leased: LeasedMessage, cause: UnreadableCause) {
        let delivery = &leased.delivery;
        let keeping = async {
            match self.results.keep_unreadable(delivery, cause).await {
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
        let action = self.until_deadline(&leased.lease, keeping).await;
        self.acknowledge(leased, action).await;
    }
}
