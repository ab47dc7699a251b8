//! The commit of a task: its `.out` file, which holds the runtime's report and the notification.
//!
//! Once it is written the task is completed, even if this worker crashes. It is written once: a second delivery, after a
//! redelivery, a duplicate or a lost answer, finds it and notifies its content. If it is another task's, the next keys
//! are used (`committed` checks whose it is).

use std::time::Instant;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared_schema::ErrorCode;
use shared_schema::keys::{OutputKeys, s3_uri};
use shared_schema::notification::{
    Failure, Notification, Output, TaskStatus, Timings, Warning, notification_id,
};

use super::committed::{Found, next};
use super::read::Assignment;
use super::report;
use super::results::{RETRY_TIMEOUT, Results};
use super::{Attempt, AttemptError};
use crate::cloud::CloudError;
use crate::error::TaskError;
use crate::health::Stage;
use crate::retry;
use crate::runtimes::RunOutput;
use crate::spans;

/// The most bytes of JSON that the notification in an `.out` file has: the context of the largest request (6 MB, AWS
/// Lambda quotas), or some 20,000 files. Together with the report it stays below what is read back.
const MAX_NOTIFICATION_BYTES: usize = 8 * 1024 * 1024;

/// The result of a task, as it is notified. URLs are signed when it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Completion {
    /// The notification, without presigned URLs.
    pub notification: Notification,
}

/// The result of a task.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// It succeeded with these files and warnings.
    Succeeded(Vec<Output>, Vec<Warning>),
    /// It failed permanently.
    Failed(Failure),
    /// It was not done by its deadline.
    Expired(Failure),
    /// Its owner canceled it.
    Canceled(Failure),
}

impl Completion {
    pub(super) fn new(
        results: &Results,
        assignment: &Assignment,
        keys: &OutputKeys,
        outcome: Outcome,
        timings: Timings,
    ) -> Self {
        let (task_status, outputs, warnings, error) = match outcome {
            Outcome::Succeeded(outputs, warnings) => (TaskStatus::Succeeded, outputs, warnings, None),
            Outcome::Failed(failure) => (TaskStatus::Failed, Vec::new(), Vec::new(), Some(failure)),
            Outcome::Expired(failure) => (TaskStatus::Expired, Vec::new(), Vec::new(), Some(failure)),
            Outcome::Canceled(failure) => (TaskStatus::Canceled, Vec::new(), Vec::new(), Some(failure)),
        };
        let result = task_status == TaskStatus::Succeeded;
        let notification = Notification {
            runtime: results.runtime.clone(),
            id: assignment.id.clone(),
            result,
            status: if result { "completed" } else { "failed" }.to_owned(),
            image_url: outputs.iter().map(|output| output.s3_uri.clone()).collect(),
            output_url: s3_uri(results.store.bucket(), &keys.out()),
            context: assignment.context.clone(),
            task_status,
            outputs,
            error,
            warnings,
            notification_id: notification_id(&assignment.submission),
            submission: assignment.submission.clone(),
            timings,
            trace_id: assignment.trace_id.clone(),
            shortened: Vec::new(),
        };
        // What is notified now must be what a redelivery reads back.
        Self { notification: notification.within(MAX_NOTIFICATION_BYTES) }
    }
}

impl Results {
    /// Writes the `.out` file of these keys, unless there is one; returns the end that counts, which is the first that was
    /// written. `None` if the key belongs to another task: then nothing is written. The report is a bounded one.
    pub(super) async fn commit(
        &self,
        assignment: &Assignment,
        keys: &OutputKeys,
        report: &Value,
        stored: Completion,
    ) -> Result<Option<Completion>, TaskError> {
        let span = spans::COMMIT.start();
        span.set("aws.s3.bucket", self.store.bucket().to_owned());
        span.set("aws.s3.key", keys.out());
        let committed = self.write_out(assignment, keys, report, stored).await;
        span.result(&committed, TaskError::code_text);
        committed
    }

    async fn write_out(
        &self,
        assignment: &Assignment,
        keys: &OutputKeys,
        report: &Value,
        stored: Completion,
    ) -> Result<Option<Completion>, TaskError> {
        let out = Out { report, notification: &stored.notification };
        let text = serde_json::to_vec(&out).map_err(|error| not_stored(error.to_string()))?;
        let (key, text) = (keys.out(), Bytes::from(text));
        let is_retryable = |error: &CloudError| error.is_retryable;
        let write = || self.store.put_new(&key, text.clone(), "application/json");
        match retry::until_timeout(RETRY_TIMEOUT, is_retryable, write).await {
            Ok(()) => Ok(Some(stored)),
            Err(error) if error.exists() => match self.read_back(&key, assignment).await {
                Ok(Found::Own(first)) => {
                    tracing::info!("already committed by another delivery");
                    Ok(Some(*first))
                }
                Ok(Found::Foreign) => Ok(None),
                // Who may not read cannot know, and with 64 bits of hash it was this very worker.
                Err(error) if error.is_denied() => Ok(Some(stored)),
                Ok(Found::Nothing) => Err(not_stored("the `.out` file was there, and is gone")),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(not_stored(error.to_string())),
        }
    }
}

/// The `.out` file.
#[derive(Serialize)]
struct Out<'a> {
    #[serde(flatten)]
    report: &'a Value,
    notification: &'a Notification,
}

fn not_stored(message: impl Into<String>) -> TaskError {
    TaskError::new(ErrorCode::StorageUnavailable, message)
}

impl Attempt<'_> {
    /// Stores the files of a run and commits it, under the first keys that belong to no other task.
    pub(super) async fn store_and_commit(
        &self,
        mut keys: OutputKeys,
        output: RunOutput,
        timings: &mut Timings,
    ) -> Result<Completion, AttemptError> {
        let Self { worker, assignment, .. } = self;
        let results = &worker.results;
        let RunOutput { files, report, warnings, .. } = output;
        let report = report::bounded(report);
        loop {
            let clock = Instant::now();
            let outputs = self.hold(results.store_files(&keys, &files)).await?;
            timings.store_ms = self.passed(Stage::Store, clock);

            let clock = Instant::now();
            let outcome = Outcome::Succeeded(outputs, warnings.clone());
            let stored = Completion::new(results, assignment, &keys, outcome, *timings);
            let committing = results.commit(assignment, &keys, &report, stored);
            let committed = self.hold(committing).await?;
            self.passed(Stage::Commit, clock);
            match committed {
                Some(stored) => return Ok(stored),
                None => keys = next(&keys),
            }
        }
    }
}
