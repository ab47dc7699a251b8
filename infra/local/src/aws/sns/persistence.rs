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

/// The file, if topics are kept.
#[derive(Debug, Default)]
pub(super) struct Kept(pub(super) Option<PathBuf>);

#[derive(Default, Serialize, Deserialize)]
struct Document {
    topics: Vec<Topic>,
    subscriptions: Vec<KeptSubscription>,
}

#[derive(Serialize, Deserialize)]
struct KeptSubscription {
    arn: String,
    topic_arn: String,
    protocol: String,
    endpoint: String,
    settings: BTreeMap<String, String>,
    token: Option<String>,
}

impl Kept {
    /// Writes what there is.
    pub(super) fn write(&self, directory: &Directory) -> Result<(), ServiceError> {
        let Some(path) = &self.0 else { return Ok(()) };
        let kept = |subscription: &Subscription| KeptSubscription {
            arn: subscription.arn.clone(),
            topic_arn: subscription.topic_arn.clone(),
            protocol: subscription.protocol.name().to_owned(),
            endpoint: subscription.endpoint.clone(),
            settings: subscription.settings.texts().clone(),
            token: subscription.token.clone(),
        };
        let document = Document {
            topics: directory.topics.values().cloned().collect(),
            subscriptions: directory.subscriptions.values().map(kept).collect(),
        };
        disk::write(path, &document)
            .map_err(|error| ServiceError::internal(format!("{} cannot be written: {error}", path.display())))
    }

    /// Reads what there was.
    pub(super) fn read(&self) -> io::Result<Directory> {
        let document = match &self.0 {
            Some(path) => disk::read::<Document>(path)?.unwrap_or_default(),
            None => Document::default(),
        };
        let topics = document.topics.into_iter().map(|topic| (topic.arn.clone(), topic)).collect();
        let subscriptions = document.subscriptions.into_iter().map(|kept| {
            let subscription = Subscription {
                arn: kept.arn.clone(),
                topic_arn: kept.topic_arn,
                protocol: Protocol::parse(&kept.protocol)?,
                endpoint: kept.endpoint,
                settings: SubscriptionSettings::from_attributes(kept.settings)?,
                token: kept.token,
                is_restored: true,
            };
            Ok((kept.arn, subscription))
        });
        let subscriptions: Result<_, ServiceError> = subscriptions.collect();
        Ok(Directory { topics, subscriptions: subscriptions.map_err(io::Error::other)? })
    }
}
