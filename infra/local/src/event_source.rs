//! What Lambda does for a function that a queue feeds: messages become an event, and what the answer does not report as
//! failed is deleted (AWS Lambda developer guide, "Using Lambda with Amazon SQS", with `ReportBatchItemFailures`).

use anyhow::Context;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::aws::REGION;
use crate::provision::{self, Clients};

/// The most messages that one call receives or deletes (SQS quotas).
const BATCH: i32 = 10;

/// The side of a queue that a function sees.
#[derive(Debug)]
pub struct EventSource {
    sqs: aws_sdk_sqs::Client,
    queue_url: String,
    queue_arn: String,
    hidden_seconds: u32,
}

impl EventSource {
    /// The longest that SQS waits for a message, in seconds.
    pub const LONGEST_POLL_SECONDS: u32 = 20;

    /// The queue at `queue_url`. What the function has not ended comes back `hidden_seconds` after it was received.
    pub async fn new(clients: &Clients, queue_url: &str, hidden_seconds: u32) -> Result<Self, Error> {
        let queue_arn = provision::queue_arn(clients, queue_url).await?;
        Ok(Self { sqs: clients.sqs.clone(), queue_url: queue_url.to_owned(), queue_arn, hidden_seconds })
    }

    /// Waits so long for messages, and takes up to ten.
    pub async fn receive(&self, wait_seconds: u32) -> Result<Vec<Message>, Error> {
        let call = self.sqs.receive_message().queue_url(&self.queue_url).max_number_of_messages(BATCH);
        let received = call
            .wait_time_seconds(wait_seconds.cast_signed())
            .visibility_timeout(self.hidden_seconds.cast_signed())
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await
            .context("the event source cannot receive")?;
        Ok(received.messages.unwrap_or_default())
    }

    /// The event that the function gets for these messages.
    pub fn event(&self, messages: &[Message]) -> Value {
        let record = |message: &Message| {
            let attributes: Map<String, Value> = message
                .attributes
                .iter()
                .flatten()
                .map(|(name, value)| (name.as_str().to_owned(), json!(value)))
                .collect();
            json!({
                "messageId": message.message_id,
                "receiptHandle": message.receipt_handle,
                "body": message.body,
                "attributes": attributes,
                "messageAttributes": {},
                "md5OfBody": message.md5_of_body,
                "eventSource": "aws:sqs",
                "eventSourceARN": self.queue_arn,
                "awsRegion": REGION,
            })
        };
        json!({ "Records": messages.iter().map(record).collect::<Vec<Value>>() })
    }

    /// Deletes the messages that the function has ended, by its answer.
    pub async fn settle(&self, messages: &[Message], answer: &Value) -> Result<(), Error> {
        let failures = answer["batchItemFailures"].as_array().context("the answer names no failures")?;
        let failed: Vec<&str> =
            failures.iter().filter_map(|failure| failure["itemIdentifier"].as_str()).collect();
        let ended = messages
            .iter()
            .filter(|message| !message.message_id.as_deref().is_some_and(|id| failed.contains(&id)))
            .enumerate()
            .map(|(n, message)| {
                let handle = message.receipt_handle.as_deref().unwrap_or_default();
                DeleteMessageBatchRequestEntry::builder().id(n.to_string()).receipt_handle(handle).build()
            })
            .collect::<Result<Vec<_>, _>>()
            .context("the event source has a message without a receipt handle")?;
        if !ended.is_empty() {
            let call = self.sqs.delete_message_batch().queue_url(&self.queue_url).set_entries(Some(ended));
            call.send().await.context("the event source cannot delete")?;
        }
        Ok(())
    }
}
