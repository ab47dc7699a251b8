//! Delivery of a publication to its subscribers.

use std::sync::Arc;

use uuid::Uuid;

use super::envelope;
use super::http_delivery::{HttpDelivery, Post};
use super::publication::Publication;
use super::signature::SignatureVersion;
use super::subscription::{Protocol, Subscription};
use crate::aws::message_attributes::{MessageAttribute, MessageAttributes};
use crate::aws::sqs::{NewMessage, Sqs};

/// The limit of SQS; a raw delivery with more fails ("Amazon SNS raw message delivery").
const SQS_ATTRIBUTE_LIMIT: usize = 10;

/// Delivers to queues at once, to HTTP endpoints in the background.
#[derive(Clone)]
pub(super) struct Delivery {
    pub(super) sqs: Arc<Sqs>,
    pub(super) http: HttpDelivery,
    /// The base of `UnsubscribeURL` and `SubscribeURL`.
    pub(super) base_url: String,
}

impl Delivery {
    /// Delivers the message to one subscriber.
    pub(super) fn deliver(&self, publication: &Publication, subscription: Subscription) {
        match subscription.protocol {
            Protocol::Sqs => self.deliver_to_queue(publication, &subscription),
            Protocol::Http | Protocol::Https => self.deliver_by_http(publication.clone(), subscription),
        }
    }

    fn deliver_to_queue(&self, publication: &Publication, subscription: &Subscription) {
        let message = self.queue_message(publication, subscription);
        let outcome = if message.attributes.len() > SQS_ATTRIBUTE_LIMIT {
            Err("a queue accepts at most 10 message attributes".to_owned())
        } else {
            self.sqs.deliver(&subscription.endpoint, message.clone()).map_err(|error| error.to_string())
        };
        if let Err(reason) = outcome {
            self.dead_letter(message, subscription, &reason);
        }
    }

    fn queue_message(&self, publication: &Publication, subscription: &Subscription) -> NewMessage {
        let is_raw = subscription.settings.is_raw;
        NewMessage {
            body: self.body(publication, subscription),
            attributes: if is_raw { publication.attributes.clone() } else { MessageAttributes::new() },
            trace_header: publication.trace_header.clone(),
            delay: None,
        }
    }

    fn body(&self, publication: &Publication, subscription: &Subscription) -> String {
        if subscription.settings.is_raw {
            publication.texts.of(subscription.protocol.name()).to_owned()
        } else {
            envelope::notification(publication, subscription, &self.base_url).to_string()
        }
    }

    fn deliver_by_http(&self, publication: Publication, subscription: Subscription) {
        let post = Post {
            url: subscription.endpoint.clone(),
            message_type: "Notification",
            message_id: publication.id,
            topic_arn: subscription.topic_arn.clone(),
            subscription_arn: Some(subscription.arn.clone()),
            is_raw: subscription.settings.is_raw,
            body: self.body(&publication, &subscription),
        };
        let delivery = self.clone();
        self.http.send(post, move |reason| {
            let message = delivery.queue_message(&publication, &subscription);
            delivery.dead_letter(message, &subscription, &reason);
        });
    }

    /// Sends a confirmation request to an HTTP endpoint.
    pub(super) fn request_confirmation(
        &self,
        subscription: &Subscription,
        token: &str,
        signature_version: SignatureVersion,
    ) {
        let message_id = Uuid::new_v4();
        let post = Post {
            url: subscription.endpoint.clone(),
            message_type: "SubscriptionConfirmation",
            message_id,
            topic_arn: subscription.topic_arn.clone(),
            subscription_arn: None,
            is_raw: false,
            body: envelope::confirmation(message_id, subscription, token, signature_version, &self.base_url)
                .to_string(),
        };
        self.http.send(post, |_| ());
    }

    /// Moves a message that could not be delivered to the subscription's dead-letter queue, if it has one.
    fn dead_letter(&self, message: NewMessage, subscription: &Subscription, reason: &str) {
        tracing::warn!(subscription = subscription.arn, reason, "a notification could not be delivered");
        let Some(queue_arn) = &subscription.settings.dead_letter_arn else { return };
        let cause = [("ErrorCode", "DeliveryFailed"), ("ErrorMessage", reason)];
        let cause = cause.map(|(name, value)| (name.to_owned(), MessageAttribute::text(value)));
        let attributes = message.attributes.into_iter().chain(cause).collect();
        if let Err(error) = self.sqs.deliver(queue_arn, NewMessage { attributes, ..message }) {
            tracing::error!(subscription = subscription.arn, %error, "a notification was lost: its dead-letter queue failed");
        }
    }
}
