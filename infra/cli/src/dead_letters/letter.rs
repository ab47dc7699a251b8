//! A message of a dead-letter queue, as it is shown: whose task it is, why it died, and where it can go.

use aws_sdk_sqs::types::MessageSystemAttributeName as Attribute;
use serde::Serialize;
use serde_json::Value;
use shared_schema::message;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::aws::{Clients, Error};
use super::cause::{self, Cause};
use super::queues::{Held, Queues, name};

/// The shape of `--json`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Letter {
    pub(super) queue: String,
    pub(super) message_id: String,
    /// The runtime that the message names.
    pub(super) runtime: Option<String>,
    /// The caller's id of the task.
    pub(super) id: Option<String>,
    /// The id of the task in `v1`.
    pub(super) submission: Option<String>,
    pub(super) sent_at: Option<String>,
    /// How often it was received, by listings too.
    pub(super) receive_count: u32,
    /// The code of the last known cause.
    pub(super) code: String,
    pub(super) cause: String,
    /// The queue for a redrive, if there is one.
    pub(super) destination: Option<String>,
    #[serde(skip)]
    pub(super) destination_url: Option<String>,
}

impl Letter {
    pub(super) async fn of(
        clients: &Clients,
        queues: &Queues,
        bucket: Option<&str>,
        held: &Held,
    ) -> Result<Self, Error> {
        let body = held.message.body.as_deref().unwrap_or_default();
        let task = message::unwrap(body);
        let text = |field: &str| match &task.as_ref().ok()?.message["metadata"][field] {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        };
        let runtime = text("runtime");
        let receive_count =
            held.attribute(&Attribute::ApproximateReceiveCount).and_then(|count| count.parse().ok());
        let receive_count = receive_count.unwrap_or_default();
        let Cause { code, message } = match task {
            Err(unreadable) => Cause::unreadable(&unreadable),
            Ok(_) => cause::of(clients, bucket, held, receive_count).await?,
        };
        let source = held.attribute(&Attribute::DeadLetterQueueSourceArn).map(|arn| name(arn).to_owned());
        let destination = source.or_else(|| own_queue(held.queue(), runtime.as_deref()));
        let destination_url = destination.as_deref().and_then(|queue| queues.url(queue)).map(str::to_owned);
        Ok(Self {
            queue: held.queue().to_owned(),
            message_id: held.message.message_id.clone().unwrap_or_default(),
            id: text("id"),
            submission: text("submission"),
            sent_at: held.attribute(&Attribute::SentTimestamp).and_then(timestamp),
            receive_count,
            code,
            cause: message,
            destination: destination.filter(|_| destination_url.is_some()),
            destination_url,
            runtime,
        })
    }

    /// A row of the list.
    pub(super) fn row(&self) -> Vec<String> {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let cause = format!("{}: {}", self.code, self.cause);
        vec![
            self.queue.clone(),
            text(&self.runtime),
            text(&self.id),
            text(&self.sent_at),
            self.receive_count.to_string(),
            cause,
        ]
    }
}

/// The queue that a message never reached: by its dead-letter queue, or by the runtime that it names.
fn own_queue(dead_letter_queue: &str, runtime: Option<&str>) -> Option<String> {
    if let Some(queue) = dead_letter_queue.strip_suffix("-dlq") {
        return Some(queue.to_owned());
    }
    let deployment = dead_letter_queue.strip_suffix("-undelivered")?;
    Some(format!("{deployment}-{}", runtime?))
}

/// Milliseconds since 1970 as RFC 3339.
fn timestamp(ms: &str) -> Option<String> {
    let ms: i128 = ms.parse().ok()?;
    OffsetDateTime::from_unix_timestamp_nanos(ms * 1_000_000).ok()?.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_was_not_delivered_goes_to_the_queue_of_its_runtime() {
        assert_eq!(own_queue("darkroom-sdruntime-dlq", None).as_deref(), Some("darkroom-sdruntime"));
        assert_eq!(own_queue("darkroom-undelivered", Some("comfyui")).as_deref(), Some("darkroom-comfyui"));
        assert_eq!(own_queue("darkroom-undelivered", None), None);
        assert_eq!(timestamp("1767225600000").as_deref(), Some("2026-01-01T00:00:00Z"));
    }
}
