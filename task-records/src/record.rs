//! The record of one submission.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared_schema::notification::TaskStatus;
use shared_schema::{ErrorCode, RuntimeName, TaskType};

use crate::Owner;

/// The state of a task. Only `Queued` and `Running` change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It waits in the queue of its runtime, for the first or for another attempt.
    Queued,
    /// A worker has submitted it to the runtime.
    Running,
    /// The results are stored.
    Succeeded,
    /// It failed permanently.
    Failed,
    /// It did not start before its `start_by`.
    Expired,
    /// Its owner canceled it.
    Canceled,
}

impl Status {
    /// All states, in the order of a task's life.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Expired, Self::Canceled];

    /// The state as records and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Canceled => "canceled",
        }
    }

    /// The state with that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether it does not change any more.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

impl From<TaskStatus> for Status {
    fn from(status: TaskStatus) -> Self {
        match status {
            TaskStatus::Succeeded => Self::Succeeded,
            TaskStatus::Failed => Self::Failed,
            TaskStatus::Canceled => Self::Canceled,
            TaskStatus::Expired => Self::Expired,
        }
    }
}

/// The progress of a run, as far as the runtime reports it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The share that is done, from 0 to 1.
    pub fraction: f64,
    /// The sampling step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// How many steps there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// The id of the node of the workflow that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// An attempt that failed, and that another one followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// Its number, from 1.
    pub attempt: u32,
    /// Why it failed.
    pub code: ErrorCode,
    /// When its message was released.
    pub at: String,
}

/// The record of one submission. Fields that are JSON texts are bounded: see [`crate::finish::MAX_TEXT_BYTES`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The id of the submission, which is the id of the task in `v1`.
    pub id: String,
    /// The owner.
    pub owner: Owner,
    /// When it was submitted.
    pub created: String,
    /// When the record is deleted, in seconds since 1970.
    pub expires: u64,
    /// The API that it was submitted through: `v1alpha1`, `v1alpha2`, `v1` or `comfy-v2`.
    pub api: String,
    /// The caller's name for the task, as JSON.
    pub name: String,
    /// The runtime.
    pub runtime: RuntimeName,
    /// The task type.
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// The prefix of the keys of its files.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// How many nodes the workflow has, where the task is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u32>,
    /// The caller's labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// When it must have started, as the caller wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_by: Option<String>,
    /// The state.
    pub status: Status,
    /// Whether its message has been published.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub published: bool,
    /// The owner again while the task is unfinished and tasks are counted for a quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<Owner>,
    /// When the last attempt started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// When it reached its terminal state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
    /// The number of the current or last attempt, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The attempts that failed before the current or last one: at most as many as a task may have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_attempts: Vec<FailedAttempt>,
    /// The progress of the current attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// When its owner requested to cancel it while it was running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_requested: Option<String>,
    /// The id of the task that this one retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<String>,
    /// The id of the task that retries this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried_as: Option<String>,
    /// The trace of the task, as 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The address of the `.out` file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out: Option<String>,
    /// The stored files without URLs, as JSON. Absent if they are too many for a record: the `.out` file has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<String>,
    /// The failure, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The warnings, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<String>,
    /// The durations of the stages, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timings: Option<String>,
    /// The seed and the parameters that the runtime reported, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_states_are_those_of_serde() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
    }
}
