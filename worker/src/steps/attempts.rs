//! The journal of a message's attempts, which tells an attempt from a delivery.
//!
//! SQS counts deliveries, whatever became of them. Giving a task back because the worker stops is no attempt at it, so
//! these are counted here, and charged attempts = deliveries − give-backs. A worker that is killed leaves no entry: its
//! attempt is charged. The journal is read only from the second delivery on, and written only when something went wrong.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared_schema::{ErrorCode, keys};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Worker;
use crate::cloud::store::ReadError;
use crate::cloud::{Delivery, Store};
use crate::error::TaskError;

/// The largest journal that is read.
const MAX_BYTES: u64 = 256 * 1024;

/// How long the journal may hold up a message that is given back: others should see it within a second.
const PATIENCE: Duration = Duration::from_millis(700);

/// What happened to a message on its earlier deliveries.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Journal {
    /// Deliveries that were given back without an attempt.
    pub given_back: u32,
    /// Those among them whose run met a broken runtime, or one that could not be checked afterwards.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub broken: u32,
    /// The attempts that failed and could say why.
    pub attempts: Vec<FailedAttempt>,
}

/// Why one attempt failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// Which of the charged attempts it was, from 1.
    pub attempt: u32,
    /// The stable code.
    pub code: ErrorCode,
    /// What a person should know.
    pub message: String,
    /// When it ended (RFC 3339).
    pub at: String,
}

/// Journals of sound runtimes look as those of earlier versions.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Journal {
    /// The journal of the message with that id; an empty one if there is none, or none that can be read.
    pub(crate) async fn read(store: &Store, message_id: &str) -> Self {
        match store.read(store.bucket(), &keys::attempts(message_id), MAX_BYTES).await {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(ReadError::Cloud(error)) if error.is_not_found() || error.is_denied() => Self::default(),
            Err(error) => {
                tracing::warn!(%error, "the journal of attempts cannot be read, every delivery counts as an attempt");
                Self::default()
            }
        }
    }

    /// The number of the attempt that this delivery is, from 1.
    pub fn charged(&self, delivery: &Delivery) -> u32 {
        delivery.receive_count.saturating_sub(self.given_back).max(1)
    }

    /// The same, with one more failed attempt.
    pub fn with_failure(mut self, attempt: u32, error: &TaskError) -> Self {
        let at = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let (code, message) = (error.code, error.message.clone());
        self.attempts.push(FailedAttempt { attempt, code, message, at });
        self
    }
}

impl Worker {
    /// What happened before. Without permission to read, every delivery counts as an attempt.
    pub(crate) async fn journal(&self, delivery: &Delivery) -> Journal {
        if delivery.receive_count <= 1 {
            return Journal::default();
        }
        Journal::read(&self.cloud.store, &delivery.message_id).await
    }

    /// Writes down that this delivery was no attempt.
    pub(crate) async fn record_give_back(&self, delivery: &Delivery, journal: &Journal) {
        let journal = Journal { given_back: journal.given_back + 1, ..journal.clone() };
        if tokio::time::timeout(PATIENCE, self.write(delivery, &journal)).await.is_err() {
            tracing::warn!(
                "the journal of attempts is not written in time, the give-back counts as an attempt"
            );
        }
    }

    /// Writes down that the runtime was broken in this attempt, or may have been, so that it does not count.
    pub(super) async fn record_broken(&self, delivery: &Delivery, journal: &Journal, error: &TaskError) {
        let mut journal = journal.clone().with_failure(journal.charged(delivery), error);
        journal.given_back += 1;
        journal.broken += 1;
        self.write(delivery, &journal).await;
    }

    /// Writes down why this attempt failed.
    pub(super) async fn record_failure(&self, delivery: &Delivery, journal: &Journal, error: &TaskError) {
        let journal = journal.clone().with_failure(journal.charged(delivery), error);
        self.write(delivery, &journal).await;
    }

    async fn write(&self, delivery: &Delivery, journal: &Journal) {
        let Ok(json) = serde_json::to_vec(journal) else { return };
        let key = keys::attempts(&delivery.message_id);
        if let Err(error) = self.cloud.store.put(&key, json.into(), "application/json", None).await {
            tracing::warn!(error.code = %error.code, "the journal of attempts was not written");
        }
    }
}
