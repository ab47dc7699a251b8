//! Fetches the task of an assignment that only refers to it, because it was too large for a message.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use shared_schema::{ClaimCheck, ErrorCode, Task, message};

use super::AttemptError;
use super::read::{Assignment, Payload, accept};
use crate::cloud::store::ReadError;
use crate::error::TaskError;
use crate::worker::Worker;

impl Worker {
    /// The task of an assignment, validated. If it is stored in the bucket it is fetched, and the assignment gets the whole
    /// context, which the message may have left out. A shutdown cancels this.
    pub(super) async fn load(&self, assignment: &mut Assignment) -> Result<Arc<Task>, AttemptError> {
        self.unless_stopping(self.fetch_and_validate(assignment)).await
    }

    async fn fetch_and_validate(&self, assignment: &mut Assignment) -> Result<Arc<Task>, TaskError> {
        let task = match &assignment.payload {
            Payload::Inline(task) => task.clone(),
            Payload::ClaimCheck(check) => {
                let object = self.claim(check).await?;
                let stored = verified(&object, check, assignment)?;
                if let Some(context) = message::sender(&stored).and_then(|sender| sender.context) {
                    assignment.context = context;
                }
                stored
            }
        };
        let accepted = &self.config.runtime_type.task_types();
        accept(task, &assignment.submission, &self.contract, accepted)
    }

    async fn claim(&self, check: &ClaimCheck) -> Result<Bytes, TaskError> {
        let store = &self.cloud.store;
        store.read(store.bucket(), &check.key, check.bytes).await.map_err(|error| match error {
            ReadError::TooLarge(_) => not_what_was_sent(check),
            ReadError::Cloud(error) if error.is_not_found() => {
                let message = format!("the task is too large for a message, and {} is gone", check.key);
                TaskError::new(ErrorCode::PayloadMissing, message)
            }
            // Without `s3:ListBucket` S3 does not distinguish the two.
            ReadError::Cloud(error) if error.is_denied() => {
                let message = format!(
                    "the task is too large for a message, and {} is gone or the worker's role lacks `s3:GetObject` \
                     on it",
                    check.key
                );
                TaskError::new(ErrorCode::PayloadUnavailable, message)
            }
            ReadError::Cloud(error) => {
                let message = format!("the task is too large for a message, and could not be read: {error}");
                TaskError::new(ErrorCode::PayloadUnavailable, message)
            }
        })
    }
}

/// What was stored, if it is what the front door has stored for this submission.
fn verified(object: &[u8], check: &ClaimCheck, assignment: &Assignment) -> Result<Value, TaskError> {
    let stored: Option<Value> = check.fits(object).then(|| serde_json::from_slice(object).ok()).flatten();
    let submission = Some(assignment.submission.as_str());
    stored
        .filter(|stored| stored.pointer("/metadata/submission").and_then(Value::as_str) == submission)
        .ok_or_else(|| not_what_was_sent(check))
}

fn not_what_was_sent(check: &ClaimCheck) -> TaskError {
    let message = format!("the task is too large for a message, and {} is not what was sent", check.key);
    TaskError::new(ErrorCode::PayloadMissing, message)
}
