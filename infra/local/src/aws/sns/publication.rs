//! One published message, checked.

use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::error;
use super::signature::SignatureVersion;
use super::texts::Texts;
use super::topic::Topic;
use crate::aws::message_attributes::{self, MessageAttributes};
use crate::aws::protocol::ServiceError;

/// The message of a `Publish`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Draft {
    #[serde(default)]
    message: String,
    #[serde(default)]
    message_structure: Option<String>,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    message_attributes: MessageAttributes,
}

/// A message on its way to subscribers.
#[derive(Debug, Clone)]
pub(super) struct Publication {
    pub(super) id: Uuid,
    pub(super) published_at: OffsetDateTime,
    pub(super) texts: Texts,
    pub(super) subject: Option<String>,
    pub(super) attributes: MessageAttributes,
    /// The topic's.
    pub(super) signature_version: SignatureVersion,
    /// The `X-Amzn-Trace-Id` header of the call.
    pub(super) trace_header: Option<String>,
}

impl Draft {
    /// Bytes that count towards the limit: all texts of a structure with their escapes, and the attributes.
    fn size(&self) -> usize {
        self.message.len() + message_attributes::size(&self.message_attributes)
    }

    pub(super) fn check(
        self,
        topic: &Topic,
        trace_header: Option<String>,
    ) -> Result<Publication, ServiceError> {
        if self.message.is_empty() {
            return Err(error::invalid_parameter("Empty message"));
        }
        if self.size() > topic.maximum_message_size() {
            return Err(error::message_too_long());
        }
        let is_subject = |subject: &str| {
            (1..=100).contains(&subject.chars().count()) && !subject.chars().any(char::is_control)
        };
        if self.subject.as_deref().is_some_and(|subject| !is_subject(subject)) {
            return Err(error::invalid_parameter("Subject"));
        }
        for (name, attribute) in &self.message_attributes {
            attribute.check(name).map_err(error::invalid_value)?;
        }
        let texts = Texts::parse(&self.message, self.message_structure.as_deref())?;
        Ok(Publication {
            id: Uuid::new_v4(),
            published_at: OffsetDateTime::now_utc(),
            texts,
            subject: self.subject,
            attributes: self.message_attributes,
            signature_version: topic.signature_version(),
            trace_header,
        })
    }
}
