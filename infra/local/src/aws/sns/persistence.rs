//! Topics and subscriptions on disk, in one file: they are few and change seldom.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Directory;
use super::subscription::{Protocol, Subscription, SubscriptionSettings};
use super::topic::Topic;
use crate::aws::disk;
use crate::aws::protocol::ServiceError;

/// The file, if topics are persisted.
#[derive(Debug, Default)]
pub(super) struct Storage(pub(super) Option<PathBuf>);

#[derive(Default, Serialize, Deserialize)]
struct Document {
    topics: Vec<Topic>,
    subscriptions: Vec<PersistedSubscription>,
}

#[derive(Serialize, Deserialize)]
struct PersistedSubscription {
    arn: String,
    topic_arn: String,
    protocol: String,
    endpoint: String,
    settings: BTreeMap<String, String>,
    token: Option<String>,
}

impl Storage {
    /// Writes all topics and subscriptions.
    pub(super) fn write(&self, directory: &Directory) -> Result<(), ServiceError> {
        let Some(path) = &self.0 else { return Ok(()) };
        let persisted = |subscription: &Subscription| PersistedSubscription {
            arn: subscription.arn.clone(),
            topic_arn: subscription.topic_arn.clone(),
            protocol: subscription.protocol.name().to_owned(),
            endpoint: subscription.endpoint.clone(),
            settings: subscription.settings.texts().clone(),
            token: subscription.token.clone(),
        };
        let document = Document {
            topics: directory.topics.values().cloned().collect(),
            subscriptions: directory.subscriptions.values().map(persisted).collect(),
        };
        disk::write(path, &document)
            .map_err(|error| ServiceError::internal(format!("{} cannot be written: {error}", path.display())))
    }

    /// Reads the topics and subscriptions of an earlier process.
    pub(super) fn read(&self) -> io::Result<Directory> {
        let document = match &self.0 {
            Some(path) => disk::read::<Document>(path)?.unwrap_or_default(),
            None => Document::default(),
        };
        let topics = document.topics.into_iter().map(|topic| (topic.arn.clone(), topic)).collect();
        let subscriptions = document.subscriptions.into_iter().map(|persisted| {
            let subscription = Subscription {
                arn: persisted.arn.clone(),
                topic_arn: persisted.topic_arn,
                protocol: Protocol::parse(&persisted.protocol)?,
                endpoint: persisted.endpoint,
                settings: SubscriptionSettings::from_attributes(persisted.settings)?,
                token: persisted.token,
                is_restored: true,
            };
            Ok((persisted.arn, subscription))
        });
        let subscriptions: Result<_, ServiceError> = subscriptions.collect();
        Ok(Directory { topics, subscriptions: subscriptions.map_err(io::Error::other)? })
    }
}
