//! One message in a queue, and its form in a response.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::aws::message_attributes::{self, MessageAttributes};

/// The message of a sender.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewMessage {
    pub(crate) body: String,
    pub(crate) attributes: MessageAttributes,
    /// The system attribute `AWSTraceHeader`, which does not count towards the size.
    pub(crate) trace_header: Option<String>,
    /// The delivery delay; `None` means that of the queue.
    pub(crate) delay: Option<Duration>,
}

impl NewMessage {
    /// Bytes that count towards the queue's limit.
    pub(crate) fn size(&self) -> usize {
        self.body.len() + message_attributes::size(&self.attributes)
    }
}

/// A message while its queue holds it.
#[derive(Debug, Clone)]
pub(super) struct StoredMessage {
    pub(super) id: Uuid,
    pub(super) content: NewMessage,
    pub(super) sent_at: SystemTime,
    pub(super) first_received_at: Option<SystemTime>,
    /// The sum over all queues that the message was in.
    pub(super) receive_count: u32,
    /// The message cannot be received before.
    pub(super) available_at: Instant,
    /// The latest receipt, if the message was received from this queue.
    pub(super) receipt: Option<Receipt>,
    /// ARN of the queue that the message was moved from.
    pub(super) dead_letter_source: Option<String>,
}

/// One receive: its handle can delete the message until the message is received again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Receipt {
    pub(super) nonce: Uuid,
    pub(super) received_at: Instant,
}

impl StoredMessage {
    pub(super) fn new(content: NewMessage, delay: Duration) -> Self {
        Self {
            id: Uuid::new_v4(),
            content,
            sent_at: SystemTime::now(),
            first_received_at: None,
            receive_count: 0,
            available_at: Instant::now() + delay,
            receipt: None,
            dead_letter_source: None,
        }
    }

    pub(super) fn is_in_flight(&self, now: Instant) -> bool {
        self.receipt.is_some() && self.available_at > now
    }

    pub(super) fn is_delayed(&self, now: Instant) -> bool {
        self.receipt.is_none() && self.available_at > now
    }

    /// Delivers the message, with the visibility timeout `visibility`.
    pub(super) fn receive(&mut self, now: Instant, visibility: Duration) -> Received {
        let receipt = Receipt { nonce: Uuid::new_v4(), received_at: now };
        self.receipt = Some(receipt);
        self.available_at = now + visibility;
        self.receive_count += 1;
        let first_received_at = *self.first_received_at.get_or_insert_with(SystemTime::now);
        Received {
            id: self.id,
            handle: ReceiptHandle { message: self.id, nonce: receipt.nonce }.encode(),
            content: self.content.clone(),
            system_attributes: self.system_attributes(first_received_at),
        }
    }

    fn system_attributes(&self, first_received_at: SystemTime) -> Vec<(&'static str, String)> {
        let mut attributes = vec![
            ("ApproximateFirstReceiveTimestamp", epoch_millis(first_received_at)),
            ("ApproximateReceiveCount", self.receive_count.to_string()),
            ("SenderId", crate::aws::ACCOUNT.to_owned()),
            ("SentTimestamp", epoch_millis(self.sent_at)),
        ];
        attributes.extend(self.content.trace_header.clone().map(|value| ("AWSTraceHeader", value)));
        attributes.extend(self.dead_letter_source.clone().map(|value| ("DeadLetterQueueSourceArn", value)));
        attributes
    }
}

fn epoch_millis(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis().to_string()
}

/// One delivery of a message.
#[derive(Debug)]
pub(super) struct Received {
    id: Uuid,
    handle: String,
    content: NewMessage,
    system_attributes: Vec<(&'static str, String)>,
}

impl Received {
    /// The message as `ReceiveMessage` returns it, with the requested attributes.
    pub(super) fn into_output(self, system_names: &[String], attribute_names: &[String]) -> Value {
        let wanted =
            |name: &str| system_names.iter().any(|requested| requested == "All" || requested == name);
        let system: Map<String, Value> = self
            .system_attributes
            .into_iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        let mut attributes = self.content.attributes;
        attributes.retain(|name, _| attribute_names.iter().any(|pattern| covers(pattern, name)));

        let mut message = json!({
            "MessageId": self.id.to_string(),
            "ReceiptHandle": self.handle,
            "MD5OfBody": message_attributes::md5_of_text(&self.content.body),
            "Body": self.content.body,
        });
        if !system.is_empty() {
            message["Attributes"] = Value::Object(system);
        }
        if let Some(digest) = message_attributes::md5(&attributes) {
            message["MD5OfMessageAttributes"] = json!(digest);
            message["MessageAttributes"] = json!(attributes);
        }
        message
    }
}

/// `All`, `.*`, `prefix.*` or a name.
fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix(".*") {
        Some(prefix) => prefix.is_empty() || name == prefix || name.starts_with(&format!("{prefix}.")),
        None => pattern == "All" || pattern == name,
    }
}

/// A decoded receipt handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReceiptHandle {
    pub(super) message: Uuid,
    pub(super) nonce: Uuid,
}

impl ReceiptHandle {
    fn encode(self) -> String {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(self.message.as_bytes());
        bytes[16..].copy_from_slice(self.nonce.as_bytes());
        URL_SAFE_NO_PAD.encode_to_string(bytes)
    }

    /// `None` for a text that is no receipt handle.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode_to_vec(text).ok()?;
        let (message, nonce) = bytes.split_at_checked(16)?;
        Some(Self { message: Uuid::from_slice(message).ok()?, nonce: Uuid::from_slice(nonce).ok()? })
    }
}
