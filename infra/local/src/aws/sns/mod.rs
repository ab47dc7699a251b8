//! Simple Notification Service: standard topics, and their subscribers: SQS queues and HTTP endpoints.

mod actions;
mod delivery;
mod envelope;
mod error;
mod filter_policy;
mod http_delivery;
mod persistence;
mod publication;
mod signature;
mod subscription;
mod texts;
mod topic;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use self::delivery::Delivery;
use self::http_delivery::HttpDelivery;
use self::persistence::Storage;
use self::publication::Publication;
pub(super) use self::signature::{CERTIFICATE_PATH, certificate};
use self::subscription::Subscription;
pub(super) use self::texts::Texts;
use self::topic::Topic;
use super::protocol::{Call, ServiceError};
use super::sqs::Sqs;

/// All topics and subscriptions of the account.
pub(super) struct Sns {
    directory: Mutex<Directory>,
    delivery: Delivery,
    storage: Storage,
}

/// By ARN.
#[derive(Default)]
struct Directory {
    topics: BTreeMap<String, Topic>,
    subscriptions: BTreeMap<String, Subscription>,
}

impl Sns {
    /// `address` is our own, for the URLs in documents. Topics and subscriptions are persisted in `file`, if there is one.
    pub(super) fn new(
        sqs: Arc<Sqs>,
        address: SocketAddr,
        file: Option<PathBuf>,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let http = HttpDelivery::new(stop)?;
        let delivery = Delivery { sqs, http, base_url: format!("http://{address}") };
        let storage = Storage(file);
        let directory = storage.read().context("topics cannot be restored")?;
        Ok(Self { directory: Mutex::new(directory), delivery, storage })
    }

    /// Runs one call of the API. What it publishes is delivered twice if a fault requires it.
    pub(super) async fn call(&self, call: &Call, delivers_twice: bool) -> Result<Value, ServiceError> {
        let answer = actions::run(self, call, delivers_twice)?;
        let reads = ["Publish", "List", "Get"];
        if !reads.iter().any(|verb| call.action.starts_with(verb)) {
            self.storage.write(&self.directory())?;
        }
        Ok(answer)
    }

    /// Waits for HTTP deliveries in progress.
    pub(super) async fn finish_deliveries(&self) {
        self.delivery.http.finish().await;
    }

    /// Delivers to every subscription of the topic that accepts the message.
    fn fan_out(&self, topic_arn: &str, publication: &Publication) {
        let subscribers: Vec<Subscription> = self
            .directory()
            .of_topic(topic_arn)
            .filter(|subscription| subscription.accepts(publication))
            .cloned()
            .collect();
        tracing::debug!(topic = topic_arn, message_id = %publication.id, subscribers = subscribers.len(), "published");
        for subscription in subscribers {
            self.delivery.deliver(publication, subscription);
        }
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Directory {
    fn topic(&mut self, arn: &str) -> Result<&mut Topic, ServiceError> {
        self.topics.get_mut(arn).ok_or_else(error::topic_not_found)
    }

    fn subscription(&mut self, arn: &str) -> Result<&mut Subscription, ServiceError> {
        self.subscriptions.get_mut(arn).ok_or_else(error::subscription_not_found)
    }

    fn of_topic<'a>(&'a self, topic_arn: &'a str) -> impl Iterator<Item = &'a Subscription> {
        self.subscriptions.values().filter(move |subscription| subscription.topic_arn == topic_arn)
    }
}
