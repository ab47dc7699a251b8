//! Actions on topics.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::no_output;
use crate::aws::protocol::ServiceError;
use crate::aws::sns::topic::Topic;
use crate::aws::sns::{Sns, error};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateTopic {
    name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

pub(super) fn create(sns: &Sns, input: CreateTopic) -> Result<Value, ServiceError> {
    let topic = Topic::new(&input.name, input.attributes)?;
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

pub(super) fn list(sns: &Sns) -> Result<Value, ServiceError> {
    let topics: Vec<Value> = sns.directory().topics.keys().map(|arn| json!({"TopicArn": arn})).collect();
    Ok(json!({"Topics": topics}))
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
    Ok(no_output())
}
