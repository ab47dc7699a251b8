//! The commit of a task: its `.out` file, which holds what the runtime said and what the notification will say.
//!
//! Once it is written the task has ended, whatever becomes of this worker. It is written once: whoever comes second, after a
//! redelivery, a duplicate or a lost answer, finds it there and tells what it says.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use shared_schema::keys::s3_uri;
use shared_schema::notification::{
    Failure, Notification, Output, TaskStatus, Timings, Warning, notification_id,
};

use super::read::Assignment;
use super::results::{PATIENCE, Results};
use crate::cloud::CloudError;
use crate::cloud::store::ReadError;
use crate::error::TaskError;
use crate::retry;

/// The largest `.out` file that is read back.
const MAX_OUT_BYTES: u64 = 16 * 1024 * 1024;

/// A task whose end is decided: what the notification says. URLs are signed when it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// The notification, without presigned URLs.
    pub notification: Notification,
}

/// How a task ended, before it is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It left these files, and the caller should know this.
    Succeeded(Vec<Output>, Vec<Warning>),
    /// It failed for good.
    Failed(Failure),
    /// It was not done by its deadline.
    Expired(Failure),
}

impl Stored {
    pub(super) fn new(
        results: &Results,
        assignment: &Assignment,
        outcome: Outcome,
        timings: Timings,
    ) -> Self {
        let (task_status, outputs, warnings, error) = match outcome {
            Outcome::Succeeded(outputs, warnings) => (TaskStatus::Succeeded, outputs, warnings, None),
            Outcome::Failed(failure) => (TaskStatus::Failed, Vec::new(), Vec::new(), Some(failure)),
            Outcome::Expired(failure) => (TaskStatus::Expired, Vec::new(), Vec::new(), Some(failure)),
        };
        let result = task_status == TaskStatus::Succeeded;
        let notification = Notification {
            runtime: results.runtime.clone(),
            id: assignment.id.clone(),
            result,
            status: if result { "completed" } else { "failed" }.to_owned(),
            image_url: outputs.iter().map(|output| output.s3_uri.clone()).collect(),
            output_url: s3_uri(results.store.bucket(), &assignment.keys.out()),
            context: assignment.context.clone(),
            task_status,
            outputs,
            error,
            warnings,
            notification_id: notification_id(&assignment.submission),
            submission: assignment.submission.clone(),
            timings,
            shortened: Vec::new(),
        };
        Self { notification }
    }
}

impl Results {
    /// The end that was stored before, by this or another delivery of the same work. Looks for it with this patience.
    pub(super) async fn committed(&self, assignment: &Assignment, patience: Duration) -> Option<Stored> {
        let (key, is_retryable) = (assignment.keys.out(), |error: &CloudError| error.is_retryable);
        match retry::persist(patience, is_retryable, || self.store.has(&key)).await {
            Ok(true) => {
                let ended = self.read_back(assignment).await;
                ended
                    .inspect_err(|error| tracing::warn!(%error, "results exist but cannot be read"))
                    .ok()
                    .flatten()
            }
            Ok(false) => None,
            // A predecessor's role may not read, and says so of every task: the work is done, as the predecessor did it.
            Err(error) if error.is_denied() => None,
            Err(error) => {
                tracing::warn!(error.code = %error.code, "cannot tell whether results exist");
                None
            }
        }
    }

    /// Writes the `.out` file, unless there is one; returns the end that counts, which is the first that was written.
    pub(super) async fn commit(
        &self,
        assignment: &Assignment,
        mut report: Value,
        stored: Stored,
    ) -> Result<Stored, TaskError> {
        if let Value::Object(report) = &mut report {
            report.insert("notification".to_owned(), json!(stored.notification));
        }
        let (key, text) = (assignment.keys.out(), bytes::Bytes::from(report.to_string()));
        let is_retryable = |error: &CloudError| error.is_retryable;
        let write = || self.store.put_new(&key, text.clone(), "application/json");
        match retry::persist(PATIENCE, is_retryable, write).await {
            Ok(()) => Ok(stored),
            Err(error) if error.exists() => {
                tracing::info!("an end was stored before, it counts");
                match self.read_back(assignment).await {
                    Ok(first) => Ok(first.unwrap_or(stored)),
                    // Who may not read cannot know, and most often it was this very worker.
                    Err(ReadError::Cloud(error)) if error.is_denied() => Ok(stored),
                    Err(error) => Err(TaskError::new(ErrorCode::StorageUnavailable, error.to_string())),
                }
            }
            Err(error) => Err(TaskError::new(ErrorCode::StorageUnavailable, error.to_string())),
        }
    }

    /// The end that is known to be stored, read with patience: another run could not change it.
    async fn read_back(&self, assignment: &Assignment) -> Result<Option<Stored>, ReadError> {
        let is_retryable = |error: &ReadError| matches!(error, ReadError::Cloud(error) if error.is_retryable);
        retry::persist(PATIENCE, is_retryable, || self.ended(assignment)).await
    }

    /// The end that was stored before, for whoever would rather wait than guess.
    pub(crate) async fn ended(&self, assignment: &Assignment) -> Result<Option<Stored>, ReadError> {
        match self.store.read(self.store.bucket(), &assignment.keys.out(), MAX_OUT_BYTES).await {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(ReadError::Cloud(error)) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
