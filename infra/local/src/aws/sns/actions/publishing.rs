//! Publishing.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::aws::protocol::{Call, ServiceError};
use crate::aws::sns::Sns;
use crate::aws::sns::publication::Draft;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Publish {
    topic_arn: String,
    #[serde(flatten)]
    draft: Draft,
}

pub(super) fn publish(sns: &Sns, call: &Call, delivers_twice: bool) -> Result<Value, ServiceError> {
    let input: Publish = call.input()?;
    let topic = sns.directory().topic(&input.topic_arn)?.clone();
    let publication = input.draft.check(&topic, call.trace_header.clone())?;
    sns.fan_out(&input.topic_arn, &publication);
    if delivers_twice {
        sns.fan_out(&input.topic_arn, &publication);
    }
    Ok(json!({"MessageId": publication.id.to_string()}))
}
