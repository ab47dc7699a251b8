//! Publishing, one message or up to ten.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::aws::protocol::{Call, ServiceError};
use crate::aws::sns::publication::{Draft, Publication};
use crate::aws::sns::{Sns, error};

/// The most bytes of all messages of a batch together, whatever the topic allows.
const BATCH_BYTES: usize = 262_144;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Publish {
    #[serde(alias = "TargetArn")]
    topic_arn: Option<String>,
    #[serde(flatten)]
    draft: Draft,
}

pub(super) fn publish(sns: &Sns, call: &Call, delivers_twice: bool) -> Result<Value, ServiceError> {
    let input: Publish = call.input()?;
    let topic_arn = input.topic_arn.ok_or_else(|| {
        error::invalid_parameter("TopicArn or TargetArn Reason: no value for required parameter")
    })?;
    let publication = check(sns, call, &topic_arn, input.draft)?;
    sns.fan_out(&topic_arn, &publication);
    if delivers_twice {
        sns.fan_out(&topic_arn, &publication);
    }
    Ok(json!({"MessageId": publication.id.to_string()}))
}

fn check(sns: &Sns, call: &Call, topic_arn: &str, draft: Draft) -> Result<Publication, ServiceError> {
    let size_limit = sns.directory().topic(topic_arn)?.maximum_message_size();
    draft.check(size_limit, call.trace_header.clone())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PublishBatch {
    topic_arn: String,
    #[serde(default)]
    publish_batch_request_entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "Id")]
    id: String,
    #[serde(flatten)]
    draft: Draft,
}

pub(super) fn publish_batch(sns: &Sns, call: &Call) -> Result<Value, ServiceError> {
    let input: PublishBatch = call.input()?;
    sns.directory().topic(&input.topic_arn)?;
    check_batch(&input.publish_batch_request_entries)?;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for Entry { id, draft } in input.publish_batch_request_entries {
        match check(sns, call, &input.topic_arn, draft) {
            Ok(publication) => {
                sns.fan_out(&input.topic_arn, &publication);
                successful.push(json!({"Id": id, "MessageId": publication.id.to_string()}));
            }
            Err(error) => failed.push(json!({
                "Id": id,
                "Code": error.query_code,
                "Message": error.message,
                "SenderFault": error.status.is_client_error(),
            })),
        }
    }
    Ok(json!({"Successful": successful, "Failed": failed}))
}

fn check_batch(entries: &[Entry]) -> Result<(), ServiceError> {
    if entries.is_empty() {
        return Err(error::empty_batch());
    }
    if entries.len() > 10 {
        return Err(error::too_many_entries());
    }
    let is_id = |id: &str| {
        (1..=80).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if !entries.iter().all(|entry| is_id(&entry.id)) {
        return Err(error::invalid_batch_id());
    }
    let ids: HashSet<&String> = entries.iter().map(|entry| &entry.id).collect();
    if ids.len() < entries.len() {
        return Err(error::ids_not_distinct());
    }
    if entries.iter().map(|entry| entry.draft.size()).sum::<usize>() > BATCH_BYTES {
        return Err(error::batch_too_long());
    }
    Ok(())
}
