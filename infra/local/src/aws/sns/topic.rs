//! A topic.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error;
use super::signature::SignatureVersion;
use crate::aws::protocol::ServiceError;

/// The default of `MaximumMessageSize`, in bytes.
const DEFAULT_MESSAGE_SIZE: usize = 262_144;

/// The maximum of `MaximumMessageSize`, in bytes.
const MAX_MESSAGE_SIZE: usize = 1_048_576;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Topic {
    pub(super) arn: String,
    /// Those that were set.
    pub(super) attributes: BTreeMap<String, String>,
}

impl Topic {
    pub(super) fn new(name: &str, attributes: BTreeMap<String, String>) -> Result<Self, ServiceError> {
        let is_fifo =
            name.ends_with(".fifo") || attributes.get("FifoTopic").is_some_and(|value| value == "true");
        if is_fifo {
            return Err(error::invalid_parameter(
                "FIFO topics are not emulated: only standard topics exist here",
            ));
        }
        let is_valid = (1..=256).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !is_valid {
            return Err(error::invalid_parameter("Topic Name"));
        }
        let mut topic = Self { arn: crate::aws::arn("sns", name), attributes: BTreeMap::new() };
        for (name, value) in attributes {
            topic.set(&name, value)?;
        }
        Ok(topic)
    }

    /// Sets one attribute. All but `MaximumMessageSize` and `SignatureVersion` are stored without effect.
    pub(super) fn set(&mut self, name: &str, value: String) -> Result<(), ServiceError> {
        let is_known = matches!(
            name,
            "DisplayName"
                | "Policy"
                | "DeliveryPolicy"
                | "KmsMasterKeyId"
                | "SignatureVersion"
                | "TracingConfig"
                | "MaximumMessageSize"
                | "FifoTopic"
        ) || name.ends_with("FeedbackRoleArn")
            || name.ends_with("FeedbackSampleRate");
        if !is_known {
            return Err(error::invalid_parameter("AttributeName"));
        }
        let is_size =
            |value: &str| value.parse().is_ok_and(|size: usize| (1024..=MAX_MESSAGE_SIZE).contains(&size));
        if name == "MaximumMessageSize" && !is_size(&value) {
            return Err(error::invalid_parameter("MaximumMessageSize"));
        }
        if name == "SignatureVersion" && SignatureVersion::parse(&value).is_none() {
            return Err(error::invalid_parameter("SignatureVersion"));
        }
        self.attributes.insert(name.to_owned(), value);
        Ok(())
    }

    /// How documents are signed.
    pub(super) fn signature_version(&self) -> SignatureVersion {
        let set = self.attributes.get("SignatureVersion");
        set.and_then(|version| SignatureVersion::parse(version)).unwrap_or_default()
    }

    /// Bytes of message and attributes together.
    pub(super) fn maximum_message_size(&self) -> usize {
        let set = self.attributes.get("MaximumMessageSize").and_then(|size| size.parse().ok());
        set.unwrap_or(DEFAULT_MESSAGE_SIZE)
    }
}
