//! Whether a task is committed: an `.out` file at one of its keys, if it is its own.
//!
//! An `.out` file is a task's own only if its notification names the task's submission and id. Whatever else has the key
//! (the file of another submission or of a predecessor, something that is no JSON) belongs to another task: it is neither
//! reported nor overwritten, and the task goes on to its next keys. Every delivery, in the worker and in the dead-letter
//! function, takes the same keys in the same order, so each finds what another has stored.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use shared_schema::keys::OutputKeys;
use shared_schema::{ErrorCode, Submission, TaskId};

use super::commit::Completion;
use super::read::Assignment;
use super::results::{RETRY_TIMEOUT, Results};
use crate::cloud::CloudError;
use crate::cloud::store::ReadError;
use crate::error::TaskError;
use crate::retry;

/// The most bytes of an `.out` file that are read back. What this version writes is smaller (`report`, `commit`); of the
/// files of earlier ones, which had no limit, the last part has the notification.
const MAX_OUT_BYTES: u64 = 16 * 1024 * 1024;

/// What is known of the end of a task.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CommitState {
    /// It was stored before, by this or another delivery of the same work.
    Committed(Box<Completion>),
    /// It is not committed. These keys do not belong to another task.
    Open(OutputKeys),
}

/// How a committed result is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// Before a run, retried for this long: a failed lookup counts as not committed.
    BestEffort(Duration),
    /// The answer is certain, or an error.
    Strict,
}

/// What is at the key of an `.out` file.
#[derive(Debug)]
pub(super) enum Found {
    /// The end of the task.
    Own(Box<Completion>),
    /// The file of another task.
    Foreign,
    /// Nothing, as far as the role can know.
    Nothing,
}

/// Why an `.out` file could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutError {
    /// The call failed.
    #[error("the `.out` file cannot be read: {0}")]
    Read(#[from] ReadError),
    /// It is the task's own, but this version does not know its form.
    #[error("the `.out` file was written by a later version")]
    NotUnderstood,
}

impl OutError {
    /// Whether the role may not read.
    pub(super) fn is_denied(&self) -> bool {
        matches!(self, Self::Read(ReadError::Cloud(error)) if error.is_denied())
    }
}

impl From<OutError> for TaskError {
    fn from(error: OutError) -> Self {
        Self::new(ErrorCode::StorageUnavailable, error.to_string())
    }
}

impl Results {
    /// The end of a task, or the keys that its files may have. `came_back`: the message was delivered before, so perhaps
    /// to an earlier version, which used other keys.
    pub(crate) async fn find_committed(
        &self,
        assignment: &Assignment,
        lookup: Lookup,
        came_back: bool,
    ) -> Result<CommitState, TaskError> {
        let mut keys = assignment.keys.clone();
        loop {
            match self.found(&keys.out(), assignment, lookup).await? {
                Found::Own(stored) => return Ok(CommitState::Committed(stored)),
                Found::Foreign => keys = next(&keys),
                Found::Nothing => break,
            }
        }
        if came_back && let Found::Own(stored) = self.found(&keys.former_out(), assignment, lookup).await? {
            return Ok(CommitState::Committed(stored));
        }
        Ok(CommitState::Open(keys))
    }

    async fn found(&self, key: &str, assignment: &Assignment, lookup: Lookup) -> Result<Found, TaskError> {
        let found = match lookup {
            Lookup::Strict => self.read_once(key, assignment).await,
            Lookup::BestEffort(patience) if self.may_exist(key, patience).await => {
                match self.read_back(key, assignment).await {
                    Err(error) if error.is_denied() => Ok(Found::Nothing),
                    found => found,
                }
            }
            Lookup::BestEffort(_) => Ok(Found::Nothing),
        };
        Ok(found?)
    }

    /// Whether an object of that key is known to exist.
    async fn may_exist(&self, key: &str, patience: Duration) -> bool {
        let is_retryable = |error: &CloudError| error.is_retryable;
        match retry::until_timeout(patience, is_retryable, || self.store.has(key)).await {
            Ok(exists) => exists,
            // A predecessor's role may not read, and S3 answers so for every task: the work is done, as the predecessor
            // did it.
            Err(error) if error.is_denied() => false,
            Err(error) => {
                tracing::warn!(error.code = %error.code, "looking up committed results failed");
                false
            }
        }
    }

    /// The content of an object that is known to exist, with retries: another run could not change it.
    pub(super) async fn read_back(&self, key: &str, assignment: &Assignment) -> Result<Found, OutError> {
        let is_retryable =
            |error: &OutError| matches!(error, OutError::Read(ReadError::Cloud(error)) if error.is_retryable);
        retry::until_timeout(RETRY_TIMEOUT, is_retryable, || self.read_once(key, assignment)).await
    }

    async fn read_once(&self, key: &str, assignment: &Assignment) -> Result<Found, OutError> {
        let out = match self.store.read(self.store.bucket(), key, MAX_OUT_BYTES).await {
            Err(ReadError::TooLarge(_)) => {
                self.store.read_end(key, MAX_OUT_BYTES).await.map(|end| last_notification(&end))
            }
            out => out,
        };
        match out {
            Ok(bytes) if is_own(&bytes, assignment) => {
                let stored = serde_json::from_slice(&bytes).map_err(|_| OutError::NotUnderstood)?;
                Ok(Found::Own(Box::new(stored)))
            }
            Ok(_) => Ok(Found::Foreign),
            Err(ReadError::Cloud(error)) if error.is_not_found() => Ok(Found::Nothing),
            Err(error) => Err(error.into()),
        }
    }
}

/// The keys after those that belong to another task.
pub(super) fn next(keys: &OutputKeys) -> OutputKeys {
    tracing::warn!(key = keys.out(), "this key belongs to another task, using the next one");
    keys.next()
}

/// An `.out` file with nothing but its notification, which is the last field, from the end of a file that is too large;
/// nothing if that is no end of an `.out` file.
fn last_notification(end: &[u8]) -> Bytes {
    const FIELD: &[u8] = b"\"notification\":";
    let Some(inside) = end.strip_suffix(b"}") else { return Bytes::new() };
    // Within a text the quotes would be escaped, and no other object is followed by the end of the file alone.
    let places = (0..inside.len()).rev().filter(|at| inside[*at..].starts_with(FIELD));
    let is_json = |at: &usize| serde_json::from_slice::<IgnoredAny>(&inside[at + FIELD.len()..]).is_ok();
    let Some(at) = places.into_iter().find(is_json) else { return Bytes::new() };
    [b"{", &end[at..]].concat().into()
}

/// Whether an `.out` file is the task's. Only its owner is read: what a later version adds does not make it another's.
fn is_own(out: &[u8], assignment: &Assignment) -> bool {
    #[derive(Deserialize)]
    struct Out {
        notification: Owner,
    }
    #[derive(Deserialize)]
    struct Owner {
        submission: Submission,
        id: TaskId,
    }
    serde_json::from_slice(out).is_ok_and(|Out { notification: Owner { submission, id } }| {
        submission == assignment.submission && id == assignment.id
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notification_is_found_at_the_end_of_a_file_and_nowhere_else() {
        let found = |end: &str| String::from_utf8(last_notification(end.as_bytes()).to_vec()).unwrap();
        for (end, notification) in [
            (r#"xx","b":[1]},"notification":{"id":1}}"#, r#"{"notification":{"id":1}}"#),
            // A context or a runtime that says the same word.
            (
                r#""notification":{"context":{"notification":{"id":2}},"id":1}}"#,
                r#"{"notification":{"context":{"notification":{"id":2}},"id":1}}"#,
            ),
            (r#""a":{"notification":{"id":2}}}"#, ""),
            (r#""text":"\"notification\":{\"id\":2}"}"#, ""),
            (r#""notification":{"id":1}"#, ""),
            ("", ""),
        ] {
            assert_eq!(found(end), notification, "{end}");
        }
    }
}
