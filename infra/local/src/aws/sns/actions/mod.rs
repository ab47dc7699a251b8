//! The actions of the API: reading their parameters, running them, writing their answers.

mod publishing;
mod subscriptions;
mod topics;

use serde_json::{Value, json};

use super::Sns;
use crate::aws::protocol::{Call, ServiceError};

pub(super) fn run(sns: &Sns, call: &Call, delivers_twice: bool) -> Result<Value, ServiceError> {
    match call.action.as_str() {
        "CreateTopic" => topics::create(sns, call.input()?),
        "ListTopics" => topics::list(sns),
        "SetTopicAttributes" => topics::set_attribute(sns, call.input()?),
        "Subscribe" => subscriptions::subscribe(sns, call.input()?),
        "ConfirmSubscription" => subscriptions::confirm(sns, &call.input()?),
        "Unsubscribe" => subscriptions::unsubscribe(sns, &call.input()?),
        "ListSubscriptionsByTopic" => subscriptions::list_by_topic(sns, &call.input()?),
        "GetSubscriptionAttributes" => subscriptions::attributes(sns, &call.input()?),
        "Publish" => publishing::publish(sns, call, delivers_twice),
        other => Err(ServiceError::unknown_action(other)),
    }
}

/// The response of an action without output.
fn no_output() -> Value {
    json!({})
}
