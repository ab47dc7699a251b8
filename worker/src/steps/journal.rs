//! The journal of a message's attempts, which distinguishes attempts from deliveries.
//!
//! SQS counts deliveries, whatever their outcome. Releasing a task because the worker stops is no attempt, so
//! these are counted here, and charged attempts = deliveries − give-backs. A worker that is killed leaves no entry: its
//! attempt is charged. The journal is read only from the second delivery on, and written only when something went wrong.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared_schema::{ErrorCode, keys};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::final_failure::FinalFailure;
use crate::cloud::store::ReadError;
use crate::cloud::{Delivery, Store};
use crate::error::TaskError;
use crate::retry;

/// The largest journal that is read.
const MAX_BYTES: u64 = 1024 * 1024;

/// The largest journal that is written as a whole.
const MAX_WRITTEN_BYTES: usize = 256 * 1024;

/// The longest message of a failure in a journal, in bytes: a queue hands out a message some twenty times.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;

/// How long reading is tried. Without the journal the attempt is made all the same.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the journal may delay the release of a message: other workers should receive it within a second.
const WRITE_TIMEOUT: Duration = Duration::from_millis(700);

/// The earlier deliveries of a message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Journal {
    /// Deliveries that were released without an attempt.
    pub given_back: u32,
    /// Those among them whose run met a broken runtime, or one that could not be checked afterwards.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub broken: u32,
    /// The attempts that recorded a failure.
    pub attempts: Vec<FailedAttempt>,
    /// The final failure of the task, if it was not stored and notified at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_failure: Option<FinalFailure>,
    /// Whether there may be a journal that could not be read: its counts are not these, and it is not written over.
    #[serde(skip)]
    pub is_unknown: bool,
}

/// Why one attempt failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FailedAttempt {
    /// Which of the charged attempts it was, from 1.
    pub attempt: u32,
    /// The stable code.
    pub code: ErrorCode,
    /// What a person should know.
    pub message: String,
    /// When it finished (RFC 3339).
    pub at: String,
}

/// A text in at most [`MAX_MESSAGE_BYTES`] bytes.
pub(super) fn shortened(text: &str) -> String {
    if text.len() <= MAX_MESSAGE_BYTES {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(MAX_MESSAGE_BYTES - '…'.len_utf8());
    format!("{}…", &text[..end])
}

/// Journals without broken runtimes have the same form as those of earlier versions.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Journal {
    /// The journal of the message with that id, read with patience: an empty one if there is none, or if the role may not
    /// read; an unknown one if it cannot be read or understood.
    pub(crate) async fn read(store: &Store, message_id: &str) -> Self {
        let key = keys::attempts(message_id);
        let is_retryable = |error: &ReadError| matches!(error, ReadError::Cloud(error) if error.is_retryable);
        let read = || store.read(store.bucket(), &key, MAX_BYTES);
        let why = match timeout(READ_TIMEOUT, retry::until_timeout(READ_TIMEOUT, is_retryable, read)).await {
            Ok(Ok(bytes)) => match serde_json::from_slice(&bytes) {
                Ok(journal) => return journal,
                Err(_) => "it is not understood".to_owned(),
            },
            Ok(Err(ReadError::Cloud(error))) if error.is_not_found() || error.is_denied() => {
                return Self::default();
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(why, "reading the journal of attempts failed, the number of attempts is unknown");
        Self::unknown()
    }

    fn unknown() -> Self {
        Self { is_unknown: true, ..Self::default() }
    }

    /// The number of the attempt that this delivery is, from 1; of an unknown journal, the highest that it can be.
    pub(crate) fn charged(&self, delivery: &Delivery) -> u32 {
        delivery.receive_count.saturating_sub(self.given_back).max(1)
    }

    /// The same, with one more failed attempt.
    pub(crate) fn with_failure(mut self, attempt: u32, error: &TaskError) -> Self {
        let at = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let (code, message) = (error.code, shortened(&error.message));
        self.attempts.push(FailedAttempt { attempt, code, message, at });
        self
    }

    /// As it is stored. A journal that would be too large has only its counts.
    fn json(&self) -> serde_json::Result<Vec<u8>> {
        let whole = serde_json::to_vec(self)?;
        if whole.len() <= MAX_WRITTEN_BYTES {
            return Ok(whole);
        }
        serde_json::to_vec(&Self { attempts: Vec::new(), final_failure: None, ..self.clone() })
    }
}

impl Journal {
    /// The journal of a delivery: empty for a first delivery. Without permission to read, every delivery counts as an
    /// attempt. A shutdown does not wait for it.
    pub(crate) async fn of(store: &Store, delivery: &Delivery, stopping: &CancellationToken) -> Self {
        if delivery.receive_count <= 1 {
            return Self::default();
        }
        let reading = Box::pin(Self::read(store, &delivery.message_id));
        stopping.run_until_cancelled(reading).await.unwrap_or_else(Self::unknown)
    }

    /// The same journal, read once more if it is unknown.
    pub(super) async fn reread(&self, store: &Store, delivery: &Delivery) -> Self {
        if self.is_unknown { Box::pin(Self::read(store, &delivery.message_id)).await } else { self.clone() }
    }

    /// Records that this delivery was no attempt.
    pub(crate) async fn record_give_back(&self, store: &Store, delivery: &Delivery) {
        let recording = async {
            let journal = self.reread(store, delivery).await;
            Self { given_back: journal.given_back + 1, ..journal }.write(store, delivery).await;
        };
        if timeout(WRITE_TIMEOUT, recording).await.is_err() {
            tracing::warn!("writing the journal of attempts timed out, the release counts as an attempt");
        }
    }

    /// Records that the runtime was broken in this attempt, or may have been, so that it does not count.
    pub(super) async fn record_broken(&self, store: &Store, delivery: &Delivery, error: &TaskError) {
        let mut journal = self.clone().with_failure(self.charged(delivery), error);
        journal.given_back += 1;
        journal.broken += 1;
        journal.write(store, delivery).await;
    }

    /// Records why this attempt failed.
    pub(super) async fn record_failure(&self, store: &Store, delivery: &Delivery, error: &TaskError) {
        self.clone().with_failure(self.charged(delivery), error).write(store, delivery).await;
    }

    /// Records the final failure of the task.
    pub(super) async fn record_final_failure(
        &self,
        store: &Store,
        delivery: &Delivery,
        error: &TaskError,
        attempts: u32,
    ) {
        let final_failure = Some(FinalFailure::new(error, attempts));
        Self { final_failure, ..self.clone() }.write(store, delivery).await;
    }

    async fn write(&self, store: &Store, delivery: &Delivery) {
        if self.is_unknown {
            tracing::warn!("the journal of attempts is unknown, so it is not overwritten");
            return;
        }
        let Ok(json) = self.json() else { return };
        let key = keys::attempts(&delivery.message_id);
        if let Err(error) = store.put(&key, json.into(), "application/json", None).await {
            tracing::warn!(error.code = %error.code, "writing the journal of attempts failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written_and_read(journal: &Journal) -> Journal {
        serde_json::from_slice(&journal.json().unwrap()).unwrap()
    }

    #[test]
    fn a_journal_can_be_read_again_whatever_runtimes_say() {
        let long = TaskError::new(ErrorCode::RuntimeFailed, "\"é".repeat(1_000_000));
        let mut journal = Journal { given_back: 5, broken: 2, ..Journal::default() };
        for attempt in 1..=20 {
            journal = journal.with_failure(attempt, &long);
        }
        assert_eq!(written_and_read(&journal), journal, "twenty deliveries fit");
        for attempt in 21..=100 {
            journal = journal.with_failure(attempt, &long);
        }
        assert_eq!(written_and_read(&journal), Journal { given_back: 5, broken: 2, ..Journal::default() });
    }

    #[test]
    fn journals_of_earlier_versions_are_read() {
        let journal: Journal = serde_json::from_str(r#"{"given_back":1,"attempts":[]}"#).unwrap();
        assert_eq!(journal, Journal { given_back: 1, ..Journal::default() });
        assert_eq!(journal.json().unwrap(), br#"{"given_back":1,"attempts":[]}"#);
    }
}
