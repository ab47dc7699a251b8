//! What Lambda hands a function that a queue feeds, as far as it is read here, and what the function answers ("Using
//! Lambda with Amazon SQS" in the AWS Lambda developer guide).

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::cloud::Delivery;

/// A batch of messages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SqsEvent {
    /// The messages, of one queue.
    #[serde(rename = "Records")]
    pub records: Vec<Record>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The id that SQS gave it. It keeps the id when it moves to a dead-letter queue.
    pub message_id: String,
    /// The body: an SNS envelope, or the published JSON itself.
    pub body: String,
    /// Its attributes in SQS.
    #[serde(default)]
    pub attributes: Attributes,
    /// The queue that the function reads.
    #[serde(rename = "eventSourceARN")]
    pub event_source_arn: String,
}

/// Attributes of a message in SQS: numbers are texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Attributes {
    /// How often it was received, from the queue that it died in as well as from here.
    pub approximate_receive_count: Option<String>,
    /// When it was first sent, in milliseconds since 1970.
    pub sent_timestamp: Option<String>,
    /// The queue that gave it up. A message that could not be delivered to any queue has none.
    pub dead_letter_queue_source_arn: Option<String>,
    /// The X-Ray trace header.
    #[serde(rename = "AWSTraceHeader")]
    pub trace_header: Option<String>,
}

/// The answer: which messages are to be redelivered. All others are deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// The messages that could not be processed.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// A message that is to be redelivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// Its id.
    pub item_identifier: String,
}

impl Record {
    /// How often workers received it: every time but the one that brought it here. `None` if no queue gave it up, so
    /// that no worker ever saw it.
    pub fn received_by_workers(&self) -> Option<u32> {
        self.attributes.dead_letter_queue_source_arn.as_ref()?;
        Some(self.receive_count().saturating_sub(1))
    }

    /// The message as the worker's steps know it. It has no handle: Lambda deletes it.
    pub fn delivery(&self) -> Delivery {
        let sent_ms: Option<u64> =
            self.attributes.sent_timestamp.as_deref().and_then(|text| text.parse().ok());
        Delivery {
            body: self.body.clone(),
            receipt_handle: String::new(),
            asked: Instant::now(),
            received_at: SystemTime::now(),
            message_id: self.message_id.clone(),
            receive_count: self.receive_count(),
            sent_at: sent_ms.map(|ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms)),
            trace_header: self.attributes.trace_header.clone(),
        }
    }

    fn receive_count(&self) -> u32 {
        let count = self.attributes.approximate_receive_count.as_deref();
        count.and_then(|text| text.parse().ok()).unwrap_or(1)
    }
}
