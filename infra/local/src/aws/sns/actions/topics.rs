//! Actions on topics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::nothing;
use crate::aws::protocol::ServiceError;
use crate::aws::sns::topic::Topic;
use crate::aws::sns::{Sns, error};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateTopic {
    name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

pub(super) fn create(sns: &Sns, input: CreateTopic) -> Result<Value, ServiceError> {
    let tags = input.tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    let topic = Topic::new(&input.name, input.attributes, tags)?;
    let arn = topic.arn.clone();
    let mut directory = sns.directory();
    let existing = directory.topics.entry(arn.clone()).or_insert_with(|| topic.clone());
    let agrees = topic.attributes.iter().all(|(name, value)| existing.attributes.get(name) == Some(value));
    if !agrees {
        return Err(error::invalid_parameter(
            "Attributes Reason: Topic already exists with different attributes",
        ));
    }
    Ok(json!({"TopicArn": arn}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OneTopic {
    pub(super) topic_arn: String,
}

/// Takes the subscriptions away too. Deleting what is not there succeeds.
pub(super) fn delete(sns: &Sns, input: &OneTopic) -> Result<Value, ServiceError> {
    let mut directory = sns.directory();
    directory.topics.remove(&input.topic_arn);
    directory.subscriptions.retain(|_, subscription| subscription.topic_arn != input.topic_arn);
    Ok(nothing())
}

pub(super) fn list(sns: &Sns) -> Result<Value, ServiceError> {
    let topics: Vec<Value> = sns.directory().topics.keys().map(|arn| json!({"TopicArn": arn})).collect();
    Ok(json!({"Topics": topics}))
}

pub(super) fn attributes(sns: &Sns, input: &OneTopic) -> Result<Value, ServiceError> {
    let mut directory = sns.directory();
    let mut attributes = directory.topic(&input.topic_arn)?.attributes.clone();
    let (confirmed, pending): (Vec<_>, Vec<_>) =
        directory.of_topic(&input.topic_arn).partition(|subscription| subscription.is_confirmed());
    attributes.extend(
        [
            ("TopicArn", input.topic_arn.clone()),
            ("Owner", crate::aws::ACCOUNT.to_owned()),
            ("SubscriptionsConfirmed", confirmed.len().to_string()),
            ("SubscriptionsPending", pending.len().to_string()),
            ("SubscriptionsDeleted", "0".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    Ok(json!({"Attributes": attributes}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetTopicAttributes {
    topic_arn: String,
    attribute_name: String,
    #[serde(default)]
    attribute_value: String,
}

pub(super) fn set_attribute(sns: &Sns, input: SetTopicAttributes) -> Result<Value, ServiceError> {
    sns.directory().topic(&input.topic_arn)?.set(&input.attribute_name, input.attribute_value)?;
    Ok(nothing())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagResource {
    resource_arn: String,
    tags: Vec<Tag>,
}

pub(super) fn tag(sns: &Sns, input: TagResource) -> Result<Value, ServiceError> {
    let added = input.tags.into_iter().map(|tag| (tag.key, tag.value));
    sns.directory().topic(&input.resource_arn)?.tags.extend(added);
    Ok(nothing())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UntagResource {
    resource_arn: String,
    tag_keys: Vec<String>,
}

pub(super) fn untag(sns: &Sns, input: &UntagResource) -> Result<Value, ServiceError> {
    sns.directory().topic(&input.resource_arn)?.tags.retain(|key, _| !input.tag_keys.contains(key));
    Ok(nothing())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OneResource {
    resource_arn: String,
}

pub(super) fn tags(sns: &Sns, input: &OneResource) -> Result<Value, ServiceError> {
    let tags = sns.directory().topic(&input.resource_arn)?.tags.clone();
    let tags: Vec<Tag> = tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
    Ok(json!({"Tags": tags}))
}
