//! The SQS queue: receive, extend, release, delete.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};

use super::CloudError;

const SQS: &str = "sqs";

/// The longest long poll (Amazon SQS API reference, `ReceiveMessage`).
pub const MAX_WAIT: Duration = Duration::from_secs(20);

/// How long SQS may take to answer beyond the long poll, in all tries that the SDK makes together.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);

/// One SQS queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

/// One delivery of a message. A message can be delivered more than once; each delivery has its own handle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The body: an SNS envelope, or the published JSON itself.
    pub body: String,
    /// What extends, releases and deletes this delivery.
    pub receipt_handle: String,
    /// When it was requested: it has been invisible since then, or since a little later.
    #[serde(skip, default = "Instant::now")]
    pub asked: Instant,
    /// The same by the clock that other processes know: SQS hides a message for 12 hours from here, at most.
    #[serde(default = "SystemTime::now")]
    pub received_at: SystemTime,
    /// The id that SQS gave the message.
    pub message_id: String,
    /// How often it has been delivered, this time included.
    pub receive_count: u32,
    /// When it was sent to the queue.
    pub sent_at: Option<SystemTime>,
    /// The X-Ray trace header that came with it (`AWSTraceHeader`).
    pub trace_header: Option<String>,
}

impl Queue {
    /// The queue at `url`.
    pub fn new(sdk: &SdkConfig, url: &str) -> Self {
        Self { client: Client::new(sdk), url: url.to_owned() }
    }

    /// The last part of the URL.
    pub fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// Waits up to `wait` (at most [`MAX_WAIT`]) for a message, and hides it for `visibility`. Without an answer after
    /// [`RESPONSE_TIMEOUT`] more, it fails.
    ///
    /// Dropping the future may leave a message hidden that was just received; it reappears after `visibility`.
    pub async fn receive(
        &self,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Option<Delivery>, CloudError> {
        let asked = Instant::now();
        let call = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(1)
            .wait_time_seconds(seconds(wait))
            .visibility_timeout(seconds(visibility))
            .message_system_attribute_names(MessageSystemAttributeName::All);
        let answer = timeout(wait + RESPONSE_TIMEOUT, call.send()).await.map_err(|_| no_answer())?;
        let answer = answer.map_err(|error| CloudError::new(SQS, "receive", &error))?;
        let message = answer.messages.unwrap_or_default().into_iter().next();
        Ok(message.map(|message| Delivery::new(message, asked)))
    }

    /// Hides a delivery for `visibility` from now on.
    pub async fn extend(&self, receipt_handle: &str, visibility: Duration) -> Result<(), CloudError> {
        self.change_visibility("extend", receipt_handle, visibility).await
    }

    /// Releases a delivery: it becomes visible to any worker after `delay` (at once for zero).
    pub async fn release(&self, receipt_handle: &str, delay: Duration) -> Result<(), CloudError> {
        self.change_visibility("release", receipt_handle, delay).await
    }

    /// Deletes the message: its task is completed.
    pub async fn delete(&self, receipt_handle: &str) -> Result<(), CloudError> {
        let call = self.client.delete_message().queue_url(&self.url).receipt_handle(receipt_handle);
        call.send().await.map(drop).map_err(|error| CloudError::new(SQS, "delete", &error))
    }

    async fn change_visibility(
        &self,
        action: &'static str,
        receipt_handle: &str,
        visibility: Duration,
    ) -> Result<(), CloudError> {
        self.client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(seconds(visibility))
            .send()
            .await
            .map(drop)
            .map_err(|error| CloudError::new(SQS, action, &error))
    }
}

impl Delivery {
    /// The same, without what it carries.
    pub fn without_body(&self) -> Self {
        let Self {
            receipt_handle, asked, received_at, message_id, receive_count, sent_at, trace_header, ..
        } = self;
        Self {
            body: String::new(),
            receipt_handle: receipt_handle.clone(),
            asked: *asked,
            received_at: *received_at,
            message_id: message_id.clone(),
            receive_count: *receive_count,
            sent_at: *sent_at,
            trace_header: trace_header.clone(),
        }
    }

    /// When it was received, perhaps by the previous process.
    pub fn received(&self) -> Instant {
        let ago = SystemTime::now().duration_since(self.received_at).unwrap_or_default();
        Instant::now().checked_sub(ago).map_or(self.asked, |received| received.min(self.asked))
    }

    fn new(message: Message, asked: Instant) -> Self {
        let attribute = |name: MessageSystemAttributeName| message.attributes.as_ref()?.get(&name).cloned();
        let sent_ms: Option<u64> =
            attribute(MessageSystemAttributeName::SentTimestamp).and_then(|text| text.parse().ok());
        let count = attribute(MessageSystemAttributeName::ApproximateReceiveCount);
        Self {
            asked,
            received_at: SystemTime::now().checked_sub(asked.elapsed()).unwrap_or_else(SystemTime::now),
            receive_count: count.and_then(|text| text.parse().ok()).unwrap_or(1),
            sent_at: sent_ms.map(|ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms)),
            trace_header: attribute(MessageSystemAttributeName::AwsTraceHeader),
            body: message.body.unwrap_or_default(),
            receipt_handle: message.receipt_handle.unwrap_or_default(),
            message_id: message.message_id.unwrap_or_default(),
        }
    }
}

fn no_answer() -> CloudError {
    CloudError { service: SQS, action: "receive", code: "timeout".to_owned(), is_retryable: true }
}

/// Whole seconds, rounded up, as SQS takes them.
fn seconds(duration: Duration) -> i32 {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(whole).unwrap_or(i32::MAX)
}
