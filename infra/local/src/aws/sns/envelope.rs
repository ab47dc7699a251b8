//! The JSON documents that subscribers receive.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;
use uuid::Uuid;

use super::publication::Publication;
use super::signature::{self, SignatureVersion};
use super::subscription::Subscription;

/// A `Notification` with the message in its `Message`.
pub(super) fn notification(publication: &Publication, subscription: &Subscription, base_url: &str) -> Value {
    let mut envelope = json!({
        "Type": "Notification",
        "MessageId": publication.id.to_string(),
        "TopicArn": subscription.topic_arn,
    });
    if let Some(subject) = &publication.subject {
        envelope["Subject"] = json!(subject);
    }
    envelope["Message"] = json!(publication.texts.of(subscription.protocol.name()));
    envelope["Timestamp"] = json!(timestamp(publication.published_at));
    sign(&mut envelope, publication.signature_version, base_url);
    let arn = utf8_percent_encode(&subscription.arn, NON_ALPHANUMERIC);
    envelope["UnsubscribeURL"] = json!(format!("{base_url}/?Action=Unsubscribe&SubscriptionArn={arn}"));
    if !publication.attributes.is_empty() {
        let attributes = publication.attributes.iter().map(|(name, attribute)| {
            let value = attribute.string_value.as_ref().or(attribute.binary_value.as_ref());
            (name.clone(), json!({"Type": attribute.data_type, "Value": value}))
        });
        envelope["MessageAttributes"] = Value::Object(attributes.collect::<Map<_, _>>());
    }
    envelope
}

/// The document that requests an HTTP endpoint to confirm its subscription.
pub(super) fn confirmation(
    id: Uuid,
    subscription: &Subscription,
    token: &str,
    signature_version: SignatureVersion,
    base_url: &str,
) -> Value {
    let topic_arn = &subscription.topic_arn;
    let escaped_arn = utf8_percent_encode(topic_arn, NON_ALPHANUMERIC);
    let mut envelope = json!({
        "Type": "SubscriptionConfirmation",
        "MessageId": id.to_string(),
        "Token": token,
        "TopicArn": topic_arn,
        "Message": format!(
            "You have chosen to subscribe to the topic {topic_arn}.\n\
             To confirm the subscription, visit the SubscribeURL included in this message."
        ),
        "SubscribeURL": format!("{base_url}/?Action=ConfirmSubscription&TopicArn={escaped_arn}&Token={token}"),
        "Timestamp": timestamp(OffsetDateTime::now_utc()),
    });
    sign(&mut envelope, signature_version, base_url);
    envelope
}

fn sign(envelope: &mut Value, version: SignatureVersion, base_url: &str) {
    let signature = signature::sign(envelope, version);
    envelope["SignatureVersion"] = json!(version.name());
    envelope["Signature"] = json!(signature);
    envelope["SigningCertURL"] = json!(format!("{base_url}{}", signature::CERTIFICATE_PATH));
}

/// ISO 8601 with milliseconds.
fn timestamp(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    time.format(format).unwrap_or_default()
}
