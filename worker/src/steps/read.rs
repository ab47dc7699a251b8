//! Parses a delivery into an assignment: its sender, the keys of its files, and the task, which is validated later.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;
use shared_schema::keys::OutputKeys;
use shared_schema::message::{self, Unreadable};
use shared_schema::{ClaimCheck, Contract, ErrorCode, Submission, Task, TaskId, TaskType};

use crate::cloud::Delivery;
use crate::error::TaskError;
use crate::spans;

/// What a delivery holds.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// It has a sender, who is notified of the result.
    Assigned(Box<Assignment>),
    /// It has none; the body is kept, with the cause.
    Unreadable(UnreadableCause),
}

/// Why nothing can be done with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnreadableCause {
    /// It holds no message.
    #[error(transparent)]
    NoMessage(#[from] Unreadable),
    /// It holds a message, but nothing that could name its files.
    #[error("the message has no usable id")]
    NoId,
}

/// A message with a sender who is notified of the result.
#[derive(Debug)]
pub(crate) struct Assignment {
    /// The caller's id.
    pub id: TaskId,
    /// The caller's context, `{}` when there was none.
    pub context: Value,
    /// The task type, if the message names one that exists.
    pub task_type: Option<TaskType>,
    /// The identity of the work.
    pub submission: Submission,
    /// Its trace, if there is one.
    pub trace_id: Option<String>,
    /// Where its files go.
    pub keys: OutputKeys,
    /// The task as it was published.
    pub payload: Payload,
}

/// Where the task of an assignment is.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    /// In the message.
    Inline(Value),
    /// In the bucket, since it was too large for a message.
    ClaimCheck(ClaimCheck),
}

/// Parses a delivery. The task itself is not validated yet.
pub(crate) fn parse(delivery: &Delivery) -> Parsed {
    match assignment(delivery) {
        Ok(assignment) => Parsed::Assigned(Box::new(assignment)),
        Err(cause) => Parsed::Unreadable(cause),
    }
}

fn assignment(delivery: &Delivery) -> Result<Assignment, UnreadableCause> {
    let unwrapped = message::unwrap(&delivery.body)?;
    let sender = message::sender(&unwrapped.message).ok_or(UnreadableCause::NoId)?;
    let submission =
        message::submission(&unwrapped.message, unwrapped.sns_message_id.as_deref(), &delivery.message_id)
            .ok_or(UnreadableCause::NoId)?;
    Ok(Assignment {
        keys: OutputKeys::new(&sender.prefix, &sender.id, &submission),
        context: sender.context.unwrap_or_else(|| Value::Object(serde_json::Map::new())),
        id: sender.id,
        task_type: sender.task_type,
        submission,
        trace_id: spans::of(delivery).map(|trace| trace.trace_id()),
        payload: match ClaimCheck::in_message(&unwrapped.message) {
            Some(check) => Payload::ClaimCheck(check),
            None => Payload::Inline(unwrapped.message),
        },
    })
}

/// The task of a submission as it was published, if it keeps to the contract and the runtime takes its type.
pub(super) fn accept(
    task: Value,
    submission: &Submission,
    contract: &Contract,
    accepted: &[TaskType],
) -> Result<Arc<Task>, TaskError> {
    let mut task = contract.message(task).map_err(TaskError::invalid)?;
    task.metadata.submission = Some(submission.clone());
    if accepted.contains(&task.metadata.tasktype) {
        Ok(Arc::new(task))
    } else {
        Err(unsupported(&task, accepted))
    }
}

fn unsupported(task: &Task, accepted: &[TaskType]) -> TaskError {
    let accepted: Vec<&str> = accepted.iter().map(|task_type| task_type.as_str()).collect();
    let message =
        format!("this runtime does not take `{}`, only {}", task.metadata.tasktype, accepted.join(", "));
    TaskError::new(ErrorCode::UnsupportedTaskType, message).at_field("/metadata/tasktype")
}

impl Delivery {
    /// How long it waited in the queue, in milliseconds; 0 if clocks disagree.
    pub(crate) fn queue_ms(&self) -> u64 {
        let waited = self.sent_at.and_then(|sent| SystemTime::now().duration_since(sent).ok());
        waited.map_or(0, super::attempt::millis)
    }
}
