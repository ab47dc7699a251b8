//! Rejects a task that failed permanently: keeps it for a resubmission, commits the failure and notifies it.

use serde_json::{Value, json};
use shared_schema::keys::OutputKeys;
use shared_schema::notification::{Failure, Timings};
use shared_schema::printable::printable;
use shared_schema::{ErrorCode, Task, TaskId, keys, message};

use super::commit::{Completion, Outcome};
use super::committed::next;
use super::journal::FailedAttempt;
use super::read::{Assignment, UnreadableCause};
use super::report;
use super::results::Results;
use crate::cloud::Delivery;
use crate::error::TaskError;

/// A failure that no further attempt will change.
#[derive(Debug)]
pub(crate) struct Rejection<'a> {
    /// Why.
    pub error: &'a TaskError,
    /// The task, if it is known; otherwise the message is kept as it is.
    pub task: Option<&'a Task>,
    /// How many attempts were made.
    pub attempts: u32,
    /// Why the earlier ones failed, as far as it is known.
    pub causes: &'a [FailedAttempt],
    /// The `.out` file of such a failure, in the format of its runtime's predecessor.
    pub report: fn(&TaskId, &TaskError, u32) -> Value,
}

impl Rejection<'_> {
    /// The failure as notification and `.out` file carry it, with the class of the node at fault.
    fn failure(&self) -> Failure {
        let failure = self.error.failure(self.attempts);
        let node = failure.node_id.as_ref().and_then(|id| self.task?.content.get(id));
        let class_type = node.and_then(|node| Some(printable(node.get("class_type")?.as_str()?)));
        Failure { class_type, ..failure }
    }
}

impl Results {
    /// Stores the failure of a task under the first of these keys that belong to no other task, and notifies it; if it is
    /// committed already, that result is notified.
    pub(crate) async fn reject(
        &self,
        delivery: &Delivery,
        assignment: &Assignment,
        mut keys: OutputKeys,
        rejection: &Rejection<'_>,
    ) -> Result<Completion, TaskError> {
        let Rejection { error, attempts, causes, report: describe, .. } = *rejection;
        let failure = rejection.failure();
        let outcome = match error {
            TaskError { is_canceled: true, .. } => Outcome::Canceled(failure),
            TaskError { is_expired: true, .. } => Outcome::Expired(failure),
            _ => Outcome::Failed(failure),
        };
        let timings = Timings { queue_ms: delivery.queue_ms(), ..Timings::default() };

        if !error.is_canceled {
            self.keep_failed(delivery, assignment, rejection).await?;
        }
        let mut report = describe(&assignment.id, error, attempts);
        report["attempts"] = json!(causes);
        let report = report::bounded(report);
        let stored = loop {
            let stored = Completion::new(self, assignment, &keys, outcome.clone(), timings);
            match self.commit(assignment, &keys, &report, stored).await? {
                Some(stored) => break stored,
                None => keys = next(&keys),
            }
        };
        self.conclude(assignment, &stored, None).await?;
        Ok(stored)
    }

    /// Keeps the task where an operator finds it: `task` is what the front door takes, so that it can be submitted again.
    async fn keep_failed(
        &self,
        delivery: &Delivery,
        assignment: &Assignment,
        rejection: &Rejection<'_>,
    ) -> Result<(), TaskError> {
        let unread = || message::unwrap(&delivery.body).map_or(Value::Null, |unwrapped| unwrapped.message);
        let kept = json!({
            "task": rejection.task.map_or_else(unread, |task| json!(task)),
            "error": rejection.failure(),
            "attempts": rejection.causes,
            "submission": assignment.submission,
            "message_id": delivery.message_id,
            "receive_count": delivery.receive_count,
        });
        self.put(&keys::failed(&assignment.submission), kept.to_string().into(), "application/json", None)
            .await
    }

    /// Keeps an unreadable body, with the cause, for an operator.
    pub(crate) async fn keep_unreadable(
        &self,
        delivery: &Delivery,
        cause: UnreadableCause,
    ) -> Result<String, TaskError> {
        let key = keys::unreadable(&delivery.message_id);
        let kept = json!({
            "code": ErrorCode::UnreadableMessage,
            "message": cause.to_string(),
            "message_id": delivery.message_id,
            "receive_count": delivery.receive_count,
            "body": delivery.body,
        });
        self.put(&key, kept.to_string().into(), "application/json", None).await?;
        Ok(keys::s3_uri(self.store.bucket(), &key))
    }
}
