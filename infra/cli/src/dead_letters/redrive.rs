//! Sends messages back to the queues that they died in.
//!
//! A message is sent, then deleted: between the two it is twice there, which is one task all the same, since both have its submission.

use aws_sdk_sqs::types::{
    MessageSystemAttributeName, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
};
use serde_json::json;

use super::aws::{Clients, Error};
use super::letter::Letter;
use super::queues::{self, Held};
use crate::error::Error as CommandError;
use crate::output;

/// What SNS adds to a message that it could not deliver.
const OF_SNS: [&str; 3] = ["ErrorCode", "ErrorMessage", "RequestID"];

pub(super) async fn all(
    clients: &Clients,
    matching: Vec<(Held, Letter)>,
    json: bool,
) -> Result<(), CommandError> {
    let (mut redriven, mut skipped) = (Vec::new(), Vec::new());
    for (held, letter) in matching {
        if let Some(url) = &letter.destination_url {
            redrive(clients, &held, url).await?;
            redriven.push(letter);
        } else {
            queues::release(clients, &held).await?;
            skipped.push(letter);
        }
    }
    if json {
        output::json(&json!({ "redriven": redriven, "skipped": skipped }))?;
    } else {
        for letter in &redriven {
            let (id, queue) = (letter.id.as_deref(), letter.destination.as_deref());
            output::line(&format!("{}  {}", id.unwrap_or(&letter.message_id), queue.unwrap_or_default()))?;
        }
    }
    match skipped.len() {
        0 => Ok(()),
        n => Err(CommandError::SomeFailed(format!("no queue is known for {n} messages, which stay"))),
    }
}

async fn redrive(clients: &Clients, held: &Held, queue_url: &str) -> Result<(), Error> {
    let Held { queue_url: dead_letter_url, message } = held;
    let mut call = clients.sqs.send_message().queue_url(queue_url).set_message_body(message.body.clone());
    for (name, value) in message.message_attributes.iter().flatten() {
        if !OF_SNS.contains(&name.as_str()) {
            call = call.message_attributes(name, value.clone());
        }
    }
    if let Some(trace) = held.attribute(&MessageSystemAttributeName::AwsTraceHeader) {
        let value = MessageSystemAttributeValue::builder().data_type("String").string_value(trace).build();
        if let Ok(value) = value {
            call = call.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, value);
        }
    }
    call.send().await.map_err(|error| Error::of("a message cannot be sent", error))?;
    let delete = clients.sqs.delete_message().queue_url(dead_letter_url);
    let deleted = delete.set_receipt_handle(message.receipt_handle.clone()).send().await;
    deleted
        .map(drop)
        .map_err(|error| Error::of("a redriven message cannot be deleted; it is redriven again", error))
}
