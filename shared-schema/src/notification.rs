//! What the completion topic carries: a superset of what the predecessors' subscribers parse. Fields are only ever added.

mod email;
mod publication;
mod shorten;
mod warning;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use publication::Publication;
pub use warning::{Warning, WarningCode};

use crate::{ErrorCode, RuntimeName, Submission, TaskId, Violation};

/// The terminal state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// The runtime did what was asked.
    Succeeded,
    /// It did not, and will not.
    Failed,
    /// Somebody canceled it.
    Canceled,
    /// It was not done by its deadline.
    Expired,
}

impl TaskStatus {
    /// The status as the notification writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        }
    }
}

/// The completion notification: exactly one terminal state per submission, at least one notification of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// The runtime that worked on it.
    pub runtime: RuntimeName,
    /// The caller's id, with the JSON type it came with.
    pub id: TaskId,
    /// Whether it succeeded.
    pub result: bool,
    /// `completed` or `failed`: the words of the predecessors.
    pub status: String,
    /// The `s3://` address of every stored file, in order.
    pub image_url: Vec<String>,
    /// The `s3://` address of the `.out` file.
    pub output_url: String,
    /// The caller's context, unchanged; `{}` when there was none.
    pub context: Value,
    /// The terminal state, in more detail than `result`.
    pub task_status: TaskStatus,
    /// Every stored file, with a URL that can be opened without credentials for a while.
    pub outputs: Vec<Output>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// What the caller of a successful task should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// The same for every repetition of this notification.
    pub notification_id: Uuid,
    /// The identity of the POST that brought the task.
    pub submission: Submission,
    /// The durations of the stages of the last attempt.
    pub timings: Timings,
    /// The trace of the task, as 32 hexadecimal digits; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// What was left out so that it fits a message, as paths of fields; the `.out` file has it, unless it is too
    /// large for that file, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortened: Vec<String>,
}

/// One stored file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Where it is.
    pub s3_uri: String,
    /// A presigned URL for it; absent when none could be signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Until when the URL works (RFC 3339): the earlier of its own expiry and that of the credentials that signed it. An hour
    /// for temporary credentials whose expiry is unknown; such a URL may work for longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_expires_at: Option<String>,
    /// The media type, from the bytes.
    pub content_type: String,
    /// The size in bytes.
    pub bytes: u64,
    /// The width in pixels, for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u64>,
    /// The height in pixels, for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
}

/// Why a task failed, in the words of the notification and the `.out` file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stable code.
    pub code: ErrorCode,
    /// What a person should know and do.
    pub message: String,
    /// The JSON Pointer of the field at fault, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The node of the workflow at fault, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// The class of that node, if the workflow has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_type: Option<String>,
    /// What is wrong with the task, when it breaks the contract.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
    /// How many attempts were made.
    pub attempts: u32,
}

/// How long the parts of an attempt took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timings {
    /// From the first sending of the message to its receipt.
    pub queue_ms: u64,
    /// Fetching inputs and planning the run.
    pub prepare_ms: u64,
    /// The runtime's own work.
    pub run_ms: u64,
    /// Uploading the results.
    pub store_ms: u64,
}

/// The id of a submission's terminal notification: the same however often, and by whichever worker, it is sent.
pub fn notification_id(submission: &Submission) -> Uuid {
    let digest =
        Sha256::new().chain_update("darkroom notification ").chain_update(submission.as_str()).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::new_v8(bytes)
}

/// Published while the task runs, when the deployment asks for it (`EXP_CALLBACK_WHEN_RUNNING`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningNotification {
    /// The runtime that works on it.
    pub runtime: RuntimeName,
    /// The caller's id.
    pub id: TaskId,
    /// Always `running`.
    pub status: String,
    /// The caller's context.
    pub context: Value,
    /// The identity of the POST that brought the task.
    pub submission: Submission,
    /// The trace of the task, as 32 hexadecimal digits; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// What was left out so that it fits a message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortened: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_id_depends_on_the_submission_only() {
        let one = Submission::parse("one").unwrap();
        assert_eq!(notification_id(&one), notification_id(&one.clone()));
        assert_ne!(notification_id(&one), notification_id(&Submission::parse("two").unwrap()));
    }
}
