//! The dead-letter queues of a deployment, and the messages that are held while they are looked at.

use std::collections::HashSet;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};

use super::aws::{Clients, Error};

/// The most messages of one call (SQS quotas).
const BATCH: i32 = 10;
/// How long a message is hidden, in seconds: longer than listing takes.
const HIDDEN_SECONDS: i32 = 120;
/// A long poll asks all servers of SQS; a short one can miss messages.
const POLL_SECONDS: i32 = 1;

/// The queues of a deployment, as their URLs.
#[derive(Debug)]
pub(super) struct Queues(Vec<String>);

/// A received message, and the URL of its queue.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) queue_url: String,
    pub(super) message: Message,
}

impl Held {
    pub(super) fn queue(&self) -> &str {
        name(&self.queue_url)
    }

    pub(super) fn attribute(&self, name: &MessageSystemAttributeName) -> Option<&str> {
        Some(self.message.attributes.as_ref()?.get(name)?.as_str())
    }
}

/// The name of a queue from its URL or its ARN.
pub(super) fn name(address: &str) -> &str {
    address.rsplit(['/', ':']).next().unwrap_or(address)
}

impl Queues {
    pub(super) async fn of(clients: &Clients, deployment: &str) -> Result<Self, Error> {
        let listed = clients.sqs.list_queues().queue_name_prefix(format!("{deployment}-")).send().await;
        let listed = listed.map_err(|error| Error::of("the queues cannot be listed", error))?;
        Ok(Self(listed.queue_urls.unwrap_or_default()))
    }

    /// The URL of the queue of that name.
    pub(super) fn url(&self, queue: &str) -> Option<&str> {
        self.0.iter().map(String::as_str).find(|url| name(url) == queue)
    }

    /// The names that CDK gives: each runtime has one, and so has the topic.
    fn dead_letter_queues(&self) -> impl Iterator<Item = &String> {
        self.0.iter().filter(|url| url.ends_with("-dlq") || url.ends_with("-undelivered"))
    }

    /// Receives the messages of all dead-letter queues, up to `limit`.
    pub(super) async fn receive(&self, clients: &Clients, limit: usize) -> Result<Vec<Held>, Error> {
        let mut held = Vec::new();
        let mut ids = HashSet::new();
        for url in self.dead_letter_queues() {
            while held.len() < limit {
                let call = clients.sqs.receive_message().queue_url(url).max_number_of_messages(BATCH);
                let call = call.visibility_timeout(HIDDEN_SECONDS).wait_time_seconds(POLL_SECONDS);
                let call = call.message_system_attribute_names(MessageSystemAttributeName::All);
                let received = call.message_attribute_names("All").send().await;
                let received = received.map_err(|error| Error::of("messages cannot be received", error))?;
                let messages = received.messages.unwrap_or_default();
                if messages.is_empty() {
                    break;
                }
                for message in messages {
                    // At least once: the same message can come twice.
                    let is_new = ids.insert(message.message_id.clone());
                    held.extend(is_new.then(|| Held { queue_url: url.clone(), message }));
                }
            }
        }
        Ok(held)
    }
}

/// Makes a message visible again.
pub(super) async fn release(clients: &Clients, held: &Held) -> Result<(), Error> {
    let call = clients.sqs.change_message_visibility().queue_url(&held.queue_url).visibility_timeout(0);
    let released = call.set_receipt_handle(held.message.receipt_handle.clone()).send().await;
    released.map(drop).map_err(|error| Error::of("a message cannot be released", error))
}
