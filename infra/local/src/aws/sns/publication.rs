//! One published message, checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::error;
use super::subscription::Protocol;
use crate::aws::message_attributes::{self, MessageAttributes};
use crate::aws::protocol::ServiceError;

/// What `Publish` and an entry of `PublishBatch` have in common.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Draft {
    #[serde(default)]
    message: String,
    #[serde(default)]
    subject: Option<String>,
    /// `json`: the message holds one text per protocol.
    #[serde(default)]
    message_structure: Option<String>,
    #[serde(default)]
    message_attributes: MessageAttributes,
    #[serde(default)]
    message_group_id: Option<String>,
}

/// A message on its way to subscribers.
#[derive(Debug, Clone)]
pub(super) struct Publication {
    pub(super) id: Uuid,
    pub(super) published_at: OffsetDateTime,
    message: String,
    by_protocol: BTreeMap<String, String>,
    pub(super) subject: Option<String>,
    pub(super) attributes: MessageAttributes,
    pub(super) group_id: Option<String>,
    /// The `X-Amzn-Trace-Id` header of the call.
    pub(super) trace_header: Option<String>,
}

impl Draft {
    /// Bytes that count towards the limits.
    pub(super) fn size(&self) -> usize {
        self.message.len() + message_attributes::size(&self.message_attributes)
    }

    pub(super) fn check(
        self,
        size_limit: usize,
        trace_header: Option<String>,
    ) -> Result<Publication, ServiceError> {
        if self.message.is_empty() {
            return Err(error::invalid_parameter("Empty message"));
        }
        if self.size() > size_limit {
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
        let by_protocol = match self.message_structure.as_deref() {
            Some("json") => texts_by_protocol(&self.message)?,
            _ => BTreeMap::new(),
        };
        Ok(Publication {
            id: Uuid::new_v4(),
            published_at: OffsetDateTime::now_utc(),
            message: by_protocol.get("default").cloned().unwrap_or(self.message),
            by_protocol,
            subject: self.subject,
            attributes: self.message_attributes,
            group_id: self.message_group_id,
            trace_header,
        })
    }
}

fn texts_by_protocol(message: &str) -> Result<BTreeMap<String, String>, ServiceError> {
    let texts: BTreeMap<String, serde_json::Value> = serde_json::from_str(message)
        .map_err(|_| error::invalid_parameter("Message Structure - JSON message body failed to parse"))?;
    let texts: BTreeMap<String, String> = texts
        .into_iter()
        .filter_map(|(protocol, text)| Some((protocol, text.as_str()?.to_owned())))
        .collect();
    if !texts.contains_key("default") {
        return Err(error::invalid_parameter("Message Structure - No default entry in JSON message body"));
    }
    Ok(texts)
}

impl Publication {
    /// The text for subscribers of this protocol.
    pub(super) fn message_for(&self, protocol: Protocol) -> &str {
        self.by_protocol.get(protocol.name()).unwrap_or(&self.message)
    }
}
