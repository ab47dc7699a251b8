//! Why a request is not accepted: the only errors that are meant for callers.

use shared_schema::Violation;

use task_records::RecordError;

use crate::problem::ProblemCode;

/// Why a request is not accepted. Its text is the `detail` of the answer, so it names no topic, role or library.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The body is not the JSON that is accepted. The violation gives the reason.
    #[error("{}", .0.message)]
    InvalidBody(Violation),
    /// The body is JSON, but breaks the contract.
    #[error("the task breaks the contract; `violations` names each rule, where it is broken and what to do")]
    InvalidTask(Vec<Violation>),
    /// The body is larger than is read.
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// The task is valid, but the topic does not take a message of its size.
    #[error(
        "the task makes a message of {bytes} bytes, and {limit} is the most; \
         give large images as `https` or `s3` URLs"
    )]
    TaskTooLarge {
        /// The size of the message with its attribute, in bytes.
        bytes: usize,
        /// The most that is published, in bytes.
        limit: usize,
    },
    /// A header or a parameter of the query is invalid.
    #[error("{name} {message}")]
    InvalidParameter {
        /// Its name.
        name: &'static str,
        /// What it must be.
        message: String,
    },
    /// The deployment has no task records.
    #[error("this deployment has no task records, which `v1` needs; set RECORD_TABLE, or use `/v1alpha2`")]
    RecordsDisabled,
    /// The table of records could not be read or written.
    #[error("the task records are not available; send the request again later")]
    RecordsUnavailable,
    /// The caller has no task of that id.
    #[error("you have no task with this id, or its record has expired")]
    TaskNotFound,
    /// The idempotency key came with a different request before.
    #[error("this Idempotency-Key was used for a different request; use a new key for a new task")]
    IdempotencyKeyReused,
    /// A request with the same idempotency key is being processed.
    #[error("a request with this Idempotency-Key is being processed; send it again later")]
    IdempotencyKeyInUse,
    /// The caller has as many unfinished tasks as it may have.
    #[error("you have {limit} unfinished tasks, the most that are allowed; wait until some have finished")]
    TooManyTasks {
        /// The quota.
        limit: u32,
    },
    /// The workflow refers to assets that the caller does not have.
    #[error("you have no assets with these ids, or they are texts: {}", .0.join(", "))]
    MissingAsset(Vec<String>),
    /// The task cannot be submitted again.
    #[error("{0}")]
    NotRetryable(&'static str),
    /// There is nothing at that path.
    #[error("there is nothing at this path; tasks go to `/v1/tasks`, `/v1alpha2` or `/v1alpha1`")]
    NotFound,
    /// The path exists, but takes other methods.
    #[error("this path does not take that method; `Allow` names those it takes")]
    MethodNotAllowed,
    /// The message could not be published. The cause is ours, and is in the log.
    #[error("the task could not be queued, and was not accepted; send it again later")]
    PublishUnavailable,
    /// The same, and it is certain that the message was not published.
    #[error("the task could not be queued, and was not accepted; send it again later")]
    NotPublished,
}

impl ApiError {
    /// The stable code.
    pub fn code(&self) -> ProblemCode {
        match self {
            Self::InvalidBody(_) => ProblemCode::InvalidBody,
            Self::InvalidTask(_) => ProblemCode::InvalidTask,
            Self::BodyTooLarge { .. } => ProblemCode::BodyTooLarge,
            Self::TaskTooLarge { .. } => ProblemCode::TaskTooLarge,
            Self::InvalidParameter { .. } => ProblemCode::InvalidParameter,
            Self::RecordsDisabled => ProblemCode::RecordsDisabled,
            Self::RecordsUnavailable => ProblemCode::RecordsUnavailable,
            Self::TaskNotFound => ProblemCode::TaskNotFound,
            Self::IdempotencyKeyReused => ProblemCode::IdempotencyKeyReused,
            Self::IdempotencyKeyInUse => ProblemCode::IdempotencyKeyInUse,
            Self::TooManyTasks { .. } => ProblemCode::TooManyTasks,
            Self::MissingAsset(_) => ProblemCode::MissingAsset,
            Self::NotRetryable(_) => ProblemCode::NotRetryable,
            Self::NotFound => ProblemCode::NotFound,
            Self::MethodNotAllowed => ProblemCode::MethodNotAllowed,
            Self::PublishUnavailable | Self::NotPublished => ProblemCode::PublishUnavailable,
        }
    }

    /// What is wrong with the body, if that is the cause.
    pub fn violations(&self) -> &[Violation] {
        match self {
            Self::InvalidBody(violation) => std::slice::from_ref(violation),
            Self::InvalidTask(violations) => violations,
            _ => &[],
        }
    }
}

impl From<RecordError> for ApiError {
    fn from(error: RecordError) -> Self {
        tracing::error!(error.code = error.code, action = error.action, "task records not available");
        Self::RecordsUnavailable
    }
}
