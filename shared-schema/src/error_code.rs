//! The closed list of stable error codes. One code is the metric label, the log field and what the user sees.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether doing the same again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same task would fail the same way: the failure is final at once.
    Never,
    /// The cause may pass: the task goes back to the queue until its attempts are used up.
    Later,
}

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $text:literal, $retry:ident, $advice:literal;)+) => {
        /// Why a task failed, or could not be worked on this time.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $variant,)+
        }

        impl ErrorCode {
            /// All of them, in the order of the table in this crate's README.
            pub const ALL: &'static [ErrorCode] = &[$(Self::$variant),+];

            /// The code as text.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Whether it is worth a retry.
            pub fn retry(self) -> Retry {
                match self { $(Self::$variant => Retry::$retry,)+ }
            }

            /// What a person can do about a task that failed with it.
            pub fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)+ }
            }
        }
    };
}

error_codes! {
    /// The message is no task: not JSON, or without an id that could name its files.
    UnreadableMessage = "unreadable_message", Never,
        "look at the copy under _darkroom/unreadable/; fix the sender";
    /// The task breaks the contract; the error lists the violations.
    InvalidTask = "invalid_task", Never,
        "correct each violation; it names field, rule and remedy";
    /// The task is of a type that this worker's runtime does not take.
    UnsupportedTaskType = "unsupported_task_type", Never,
        "send it to a runtime that does";
    /// An input may not be fetched: scheme, address, bucket or file name is not allowed.
    InputRefused = "input_refused", Never,
        "use a public https URL, an allowed bucket, or a data URI";
    /// An input does not exist, or its server refuses it.
    InputNotFound = "input_not_found", Never,
        "check the URL and its expiry";
    /// An input could not be fetched this time: no connection, a timeout, a server error.
    InputUnavailable = "input_unavailable", Later,
        "send it again; if it persists, check the server";
    /// An input is larger than allowed.
    InputTooLarge = "input_too_large", Never,
        "send a smaller one, or enlarge it less";
    /// An input is not an image (or, where the field takes them, a video or audio file).
    InputNotMedia = "input_not_media", Never,
        "check what the URL answers";
    /// The runtime does not have the model asked for.
    ModelNotFound = "model_not_found", Never,
        "check its name, or add it to the model bucket";
    /// The runtime did not load the model, or ran another one.
    ModelMismatch = "model_mismatch", Later,
        "send it again; if it persists, check the model file";
    /// The runtime refused the request as invalid.
    RuntimeRejected = "runtime_rejected", Never,
        "see the message; correct the content";
    /// The runtime failed while it worked on the task.
    RuntimeFailed = "runtime_failed", Never,
        "see the message and the .out file";
    /// The runtime ran out of (GPU) memory.
    OutOfMemory = "out_of_memory", Later,
        "request fewer or smaller images, or use a larger GPU";
    /// The runtime's process is broken and can do no further work until it is restarted. Not charged to the task, unless it
    /// broke in several attempts at the same task: then the failure is final.
    RuntimeBroken = "runtime_broken", Later,
        "look at the runtime's log: if other tasks succeeded, this task breaks runtimes; if not, the GPU or its node is defective";
    /// The runtime cannot be reached, or the connection broke in mid-run.
    RuntimeUnavailable = "runtime_unavailable", Later,
        "send it again; if it persists, look at the runtime's log";
    /// The runtime answered something that is no answer.
    RuntimeBadAnswer = "runtime_bad_answer", Later,
        "send it again; if it persists, look at proxies in front of the runtime";
    /// The runtime no longer knows the job that it had accepted.
    JobLost = "job_lost", Later,
        "send it again";
    /// The runtime made no progress for longer than it may, and was interrupted.
    RuntimeStuck = "runtime_stuck", Later,
        "send it again; if it persists, look at the runtime's log";
    /// The run was interrupted by somebody else than this worker.
    Interrupted = "interrupted", Later,
        "send it again";
    /// The run took longer than allowed.
    RunTimeout = "run_timeout", Never,
        "request less, or raise RUN_TIMEOUT_SECONDS";
    /// The runtime reported success and returned nothing.
    NoOutput = "no_output", Never,
        "check that the workflow saves something with nodes that show it, such as SaveImage; the message names other nodes";
    /// The results could not be stored in S3.
    StorageUnavailable = "storage_unavailable", Later,
        "check the worker's role and the bucket";
    /// The completion notification could not be published.
    NotificationUnavailable = "notification_unavailable", Later,
        "check the worker's role and the topic";
    /// The record of the task could not be read or updated.
    RecordUnavailable = "record_unavailable", Later,
        "check the table and the worker's role; the task is retried";
    /// The owner of the task canceled it.
    Canceled = "canceled", Never,
        "send it again if it is wanted after all";
    /// The task was not begun by its `start_by`.
    DeadlinePassed = "deadline_passed", Never,
        "send it again with a later deadline; add workers";
    /// The task is too large for a message and lies in S3, where it could not be read this time.
    PayloadUnavailable = "payload_unavailable", Later,
        "send it again; if it persists, check the worker's role";
    /// The task is too large for a message, and what lies in S3 for it is gone, or is not what was sent.
    PayloadMissing = "payload_missing", Never,
        "send it again";
    /// Every worker that received the task exited without a response: killed, or out of memory.
    WorkerDied = "worker_died", Never,
        "request less; look at the pod's last state";
    /// The message died inside SQS or SNS: it was received too often, or could not be delivered.
    DeadLettered = "dead_lettered", Never,
        "send it again; the body is stored under _darkroom/failed/";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_lists_every_code_with_its_retry_and_advice() {
        let readme = include_str!("../README.md").replace('`', "");
        for code in ErrorCode::ALL {
            let retry = match code.retry() {
                Retry::Never => "no",
                Retry::Later => "yes",
            };
            let advice = code.advice();
            let is_row = |line: &str| {
                line.starts_with(&format!("| {code} | {retry} |")) && line.ends_with(&format!("| {advice} |"))
            };
            assert!(readme.lines().any(is_row), "{code} ({retry}, {advice}) is not in the table");
        }
    }
}
