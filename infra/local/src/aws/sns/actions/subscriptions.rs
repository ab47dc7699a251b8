//! Actions on subscriptions.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::no_output;
use super::topics::OneTopic;
use crate::aws::ACCOUNT;
use crate::aws::protocol::{ServiceError, flag};
use crate::aws::sns::subscription::{Protocol, Subscription, SubscriptionSettings};
use crate::aws::sns::{Sns, error};

const PENDING: &str = "pending confirmation";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Subscribe {
    topic_arn: String,
    protocol: String,
    #[serde(default)]
    endpoint: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "flag")]
    return_subscription_arn: bool,
}

/// Subscribing the same endpoint again returns the existing subscription; the confirmation of a pending one is sent again.
pub(super) fn subscribe(sns: &Sns, input: Subscribe) -> Result<Value, ServiceError> {
    let settings = SubscriptionSettings::from_attributes(input.attributes)?;
    let protocol = Protocol::parse(&input.protocol)?;
    let mut directory = sns.directory();
    let signature_version = directory.topic(&input.topic_arn)?.signature_version();
    let existing = directory
        .of_topic(&input.topic_arn)
        .find(|subscription| subscription.protocol == protocol && subscription.endpoint == input.endpoint);
    let subscription = match existing {
        // A restored subscription gets the settings of the new call.
        Some(existing) if existing.settings == settings || existing.is_restored => {
            Subscription { settings, is_restored: false, ..existing.clone() }
        }
        Some(_) => {
            return Err(error::invalid_parameter(
                "Attributes Reason: Subscription already exists with different attributes",
            ));
        }
        None => Subscription::new(&input.topic_arn, protocol, input.endpoint, settings)?,
    };
    directory.subscriptions.insert(subscription.arn.clone(), subscription.clone());
    drop(directory);
    if let Some(token) = &subscription.token {
        sns.delivery.request_confirmation(&subscription, token, signature_version);
    }
    let shows_arn = subscription.is_confirmed() || input.return_subscription_arn;
    Ok(json!({"SubscriptionArn": if shows_arn { &subscription.arn } else { PENDING }}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ConfirmSubscription {
    topic_arn: String,
    token: String,
}

pub(super) fn confirm(sns: &Sns, input: &ConfirmSubscription) -> Result<Value, ServiceError> {
    let mut directory = sns.directory();
    directory.topic(&input.topic_arn)?;
    let subscription = directory
        .subscriptions
        .values_mut()
        .find(|subscription| {
            subscription.topic_arn == input.topic_arn && subscription.token.as_ref() == Some(&input.token)
        })
        .ok_or_else(|| error::invalid_parameter("Token"))?;
    subscription.token = None;
    Ok(json!({"SubscriptionArn": subscription.arn}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OneSubscription {
    subscription_arn: String,
}

/// Deleting a subscription that does not exist succeeds.
pub(super) fn unsubscribe(sns: &Sns, input: &OneSubscription) -> Result<Value, ServiceError> {
    sns.directory().subscriptions.remove(&input.subscription_arn);
    Ok(no_output())
}

pub(super) fn list_by_topic(sns: &Sns, input: &OneTopic) -> Result<Value, ServiceError> {
    let mut directory = sns.directory();
    directory.topic(&input.topic_arn)?;
    let subscriptions: Vec<Value> = directory.of_topic(&input.topic_arn).map(summary).collect();
    Ok(json!({"Subscriptions": subscriptions}))
}

fn summary(subscription: &Subscription) -> Value {
    json!({
        "SubscriptionArn": if subscription.is_confirmed() { &subscription.arn } else { "PendingConfirmation" },
        "Owner": ACCOUNT,
        "Protocol": subscription.protocol.name(),
        "Endpoint": subscription.endpoint,
        "TopicArn": subscription.topic_arn,
    })
}

pub(super) fn attributes(sns: &Sns, input: &OneSubscription) -> Result<Value, ServiceError> {
    Ok(json!({"Attributes": sns.directory().subscription(&input.subscription_arn)?.attributes()}))
}
