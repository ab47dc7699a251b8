//! The record of a task in DynamoDB, where tasks are recorded. It follows the `.out` file, which is the commit.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use shared_schema::ErrorCode;
use task_records::finish::Final;
use task_records::run::Start;
use task_records::time::timestamp;
use task_records::{FailedAttempt, RecordError, Records};

use super::commit::Completion;
use super::read::Assignment;
use super::results::{RETRY_TIMEOUT, Results};
use super::{Attempt, AttemptError};
use crate::error::TaskError;
use crate::retry;

/// How long a record is waited for while the turn in the runtime is held.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the record of a released task is waited for: the next attempt does not depend on it.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

impl Attempt<'_> {
    /// Marks the task as running. A canceled task does not run. Without an answer it is not known whether the task is canceled:
    /// then it is released.
    pub(super) async fn record_start(&self) -> Result<(), AttemptError> {
        let Some(records) = &self.worker.cloud.records else { return Ok(()) };
        let id = self.assignment.submission.as_str();
        let attempt = self.journal.charged(&self.leased.delivery);
        let starting = retry::until_timeout(START_TIMEOUT, is_retryable, || {
            records.start(id, attempt, SystemTime::now())
        });
        match self.leased.lease.hold(starting).await? {
            Ok(Start::Started | Start::Unrecorded) => Ok(()),
            Ok(Start::Canceled) => Err(TaskError::canceled().into()),
            Ok(Start::Finished(status)) => {
                tracing::warn!(status = status.as_str(), "the record is final, and there is no `.out` file");
                Ok(())
            }
            Err(error) => {
                tracing::warn!(error.code = %error.code, "the record cannot be updated, releasing the task");
                Err(AttemptError::GivenBack("record_unavailable"))
            }
        }
    }

    /// Marks the task as queued again, after that failure, if the attempt failed. Best effort: the next attempt marks it as running.
    pub(super) async fn record_release(&self, failure: Option<ErrorCode>) {
        let Some(records) = &self.worker.cloud.records else { return };
        let attempt = self.journal.charged(&self.leased.delivery);
        let failed = failure.map(|code| FailedAttempt { attempt, code, at: timestamp(SystemTime::now()) });
        let requeuing = records.requeue(self.assignment.submission.as_str(), failed.as_ref());
        match tokio::time::timeout(RELEASE_TIMEOUT, requeuing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error.code = %error.code, "the record of a released task was not updated");
            }
            Err(_) => tracing::warn!("updating the record of a released task timed out"),
        }
    }
}

impl Results {
    /// Stores the terminal state of a committed task in its record, then notifies it: so a client that is notified finds the
    /// terminal state. Both are repeated with a redelivery.
    pub(crate) async fn conclude(
        &self,
        assignment: &Assignment,
        completion: &Completion,
        reported: Option<&Value>,
    ) -> Result<(), TaskError> {
        if let Some(records) = &self.records {
            finish(records, completion, reported).await?;
        }
        self.notify(assignment, completion).await
    }
}

async fn finish(
    records: &Records,
    Completion { notification }: &Completion,
    reported: Option<&Value>,
) -> Result<(), TaskError> {
    let result = Final { notification, reported };
    let id = notification.submission.as_str();
    retry::until_timeout(RETRY_TIMEOUT, is_retryable, || records.finish(id, result, SystemTime::now()))
        .await
        .map_err(|error| TaskError::new(ErrorCode::RecordUnavailable, error.to_string()))
}

fn is_retryable(error: &RecordError) -> bool {
    error.is_retryable
}
