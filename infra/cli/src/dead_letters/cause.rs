//! Why a message died: what workers recorded in its journal, or what SNS and SQS know.

use serde::Deserialize;
use shared_schema::keys;
use shared_schema::message::Unreadable;

use super::aws::{Clients, Error};
use super::queues::Held;

/// The last known cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) code: String,
    pub(super) message: String,
}

impl Cause {
    fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }

    pub(super) fn unreadable(why: &Unreadable) -> Self {
        Self::new("unreadable_message", why.to_string())
    }
}

/// The journal of a message's attempts, which the worker writes (`worker/src/steps/journal.rs`), as far as it is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Journal {
    attempts: Vec<Failure>,
    final_failure: Option<Failure>,
}

#[derive(Debug, Deserialize)]
struct Failure {
    code: String,
    message: String,
}

/// The cause of a message that can be read.
pub(super) async fn of(
    clients: &Clients,
    bucket: Option<&str>,
    held: &Held,
    receive_count: u32,
) -> Result<Cause, Error> {
    let message_id = held.message.message_id.as_deref().unwrap_or_default();
    if let Some(bucket) = bucket
        && let Some(Failure { code, message }) = last_failure(clients, bucket, message_id).await?
    {
        return Ok(Cause { code, message });
    }
    // SNS adds these to what it could not deliver (SNS developer guide, "dead-letter queues").
    let attribute = |name: &str| held.message.message_attributes.as_ref()?.get(name)?.string_value.clone();
    if let Some(code) = attribute("ErrorCode") {
        let message = attribute("ErrorMessage").unwrap_or_default();
        return Ok(Cause::new("undelivered", format!("SNS could not deliver it: {code} {message}")));
    }
    let message =
        format!("it was received {receive_count} times, and no worker recorded why it did not complete");
    Ok(Cause::new("dead_lettered", message))
}

/// The last failure in the journal: none if there is no journal, or if it is not understood.
async fn last_failure(clients: &Clients, bucket: &str, message_id: &str) -> Result<Option<Failure>, Error> {
    let read = clients.s3.get_object().bucket(bucket).key(keys::attempts(message_id)).send().await;
    let object = match read {
        Ok(object) => object,
        Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => {
            return Ok(None);
        }
        Err(error) => return Err(Error::of("a cause cannot be read", error)),
    };
    let Ok(bytes) = object.body.collect().await else { return Ok(None) };
    let journal: Journal = serde_json::from_slice(&bytes.into_bytes()).unwrap_or_default();
    Ok(journal.final_failure.or(journal.attempts.into_iter().next_back()))
}
