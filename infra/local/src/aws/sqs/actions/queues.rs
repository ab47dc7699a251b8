//! Actions on queues as a whole.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::no_output;
use crate::aws::ACCOUNT;
use crate::aws::protocol::{Call, ServiceError};
use crate::aws::sqs::Sqs;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

pub(super) fn create(sqs: &Sqs, call: &Call) -> Result<Value, ServiceError> {
    let input: CreateQueue = call.input()?;
    sqs.create(&input.queue_name, &input.attributes)?;
    Ok(json!({"QueueUrl": queue_url(call, &input.queue_name)}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OneQueue {
    queue_url: String,
}

pub(super) fn delete(sqs: &Sqs, input: OneQueue) -> Result<Value, ServiceError> {
    let queue = sqs.by_url(&input.queue_url)?;
    sqs.delete(&queue.name)?;
    Ok(no_output())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListQueues {
    #[serde(default)]
    queue_name_prefix: String,
}

pub(super) fn list(sqs: &Sqs, call: &Call) -> Result<Value, ServiceError> {
    let input: ListQueues = call.input()?;
    let names = sqs.all().into_iter().map(|queue| queue.name.clone());
    let urls: Vec<String> = names
        .filter(|name| name.starts_with(&input.queue_name_prefix))
        .map(|name| queue_url(call, &name))
        .collect();
    Ok(json!({"QueueUrls": urls}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueUrl {
    queue_name: String,
}

pub(super) fn url(sqs: &Sqs, call: &Call) -> Result<Value, ServiceError> {
    let input: GetQueueUrl = call.input()?;
    let queue = sqs.by_name(&input.queue_name)?;
    Ok(json!({"QueueUrl": queue_url(call, &queue.name)}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

pub(super) fn attributes(sqs: &Sqs, input: GetQueueAttributes) -> Result<Value, ServiceError> {
    let mut attributes = sqs.by_url(&input.queue_url)?.attributes();
    let everything = input.attribute_names.iter().any(|name| name == "All");
    attributes.retain(|name, _| everything || input.attribute_names.contains(name));
    Ok(json!({"Attributes": attributes}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetQueueAttributes {
    queue_url: String,
    attributes: BTreeMap<String, String>,
}

pub(super) fn set_attributes(sqs: &Sqs, input: SetQueueAttributes) -> Result<Value, ServiceError> {
    sqs.by_url(&input.queue_url)?.set(&input.attributes)?;
    Ok(no_output())
}

/// Built from the address by which the client reached us, so that it works for this client.
fn queue_url(call: &Call, name: &str) -> String {
    format!("{}/{ACCOUNT}/{name}", call.base_url)
}
