//! The attributes of a queue that a caller sets.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::error;
use crate::aws::protocol::ServiceError;

/// The attributes that are whole numbers: name, default, and the range that AWS accepts
/// (SQS API Reference, `SetQueueAttributes`).
const NUMBERS: [(&str, u64, std::ops::RangeInclusive<u64>); 6] = [
    ("VisibilityTimeout", 30, 0..=43_200),
    ("MessageRetentionPeriod", 345_600, 60..=1_209_600),
    ("DelaySeconds", 0, 0..=900),
    ("MaximumMessageSize", 1_048_576, 1_024..=1_048_576),
    ("ReceiveMessageWaitTimeSeconds", 0, 0..=20),
    ("KmsDataKeyReusePeriodSeconds", 300, 60..=86_400),
];

/// Attributes that are stored and returned without effect.
const TEXTS: [&str; 4] = ["Policy", "RedriveAllowPolicy", "KmsMasterKeyId", "SqsManagedSseEnabled"];

const REDRIVE_POLICY: &str = "RedrivePolicy";

/// The attributes that were set, and the defaults of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueueSettings {
    numbers: BTreeMap<&'static str, u64>,
    texts: BTreeMap<&'static str, String>,
    redrive: Option<RedrivePolicy>,
}

/// The dead-letter queue, and the maximum number of receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RedrivePolicy {
    pub(super) dead_letter_arn: String,
    pub(super) max_receive_count: u32,
    text: String,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            numbers: NUMBERS
                .iter()
                .filter(|(name, ..)| *name != "KmsDataKeyReusePeriodSeconds")
                .map(|(name, default, _)| (*name, *default))
                .collect(),
            texts: BTreeMap::from([("SqsManagedSseEnabled", "true".to_owned())]),
            redrive: None,
        }
    }
}

impl QueueSettings {
    /// Sets attributes by their API names, all of them or none.
    pub(super) fn with(&self, attributes: &BTreeMap<String, String>) -> Result<Self, ServiceError> {
        let mut settings = self.clone();
        for (name, value) in attributes {
            settings.set(name, value)?;
        }
        Ok(settings)
    }

    /// Whether every one of the attributes already has the value given.
    pub(super) fn agree_with(&self, attributes: &BTreeMap<String, String>) -> Result<bool, ServiceError> {
        Ok(self.with(attributes)? == *self)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), ServiceError> {
        if let Some((name, _, range)) = NUMBERS.iter().find(|(known, ..)| *known == name) {
            let number = value.parse().ok().filter(|number| range.contains(number));
            self.numbers.insert(name, number.ok_or_else(|| error::invalid_attribute_value(name))?);
        } else if let Some(name) = TEXTS.iter().find(|known| **known == name) {
            // An empty policy deletes the old one.
            if value.is_empty() {
                self.texts.remove(name);
            } else {
                self.texts.insert(name, value.to_owned());
            }
        } else if name == REDRIVE_POLICY {
            self.redrive = if value.is_empty() { None } else { Some(RedrivePolicy::parse(value)?) };
        } else if name == "FifoQueue" && value != "false" {
            return Err(error::fifo_is_not_emulated());
        } else if name != "FifoQueue" {
            return Err(error::invalid_attribute_name(name));
        }
        Ok(())
    }

    /// Every attribute that has a value, by API name.
    pub(super) fn all(&self) -> impl Iterator<Item = (String, String)> {
        let numbers = self.numbers.iter().map(|(name, number)| ((*name).to_owned(), number.to_string()));
        let texts = self.texts.iter().map(|(name, text)| ((*name).to_owned(), text.clone()));
        let redrive = self.redrive.iter().map(|policy| (REDRIVE_POLICY.to_owned(), policy.text.clone()));
        numbers.chain(texts).chain(redrive)
    }

    pub(super) fn visibility_timeout(&self) -> Duration {
        Duration::from_secs(self.number("VisibilityTimeout"))
    }

    pub(super) fn retention(&self) -> Duration {
        Duration::from_secs(self.number("MessageRetentionPeriod"))
    }

    pub(super) fn delay(&self) -> Duration {
        Duration::from_secs(self.number("DelaySeconds"))
    }

    pub(super) fn receive_wait(&self) -> Duration {
        Duration::from_secs(self.number("ReceiveMessageWaitTimeSeconds"))
    }

    /// In bytes, body and attributes together.
    pub(super) fn maximum_message_size(&self) -> usize {
        usize::try_from(self.number("MaximumMessageSize")).unwrap_or(usize::MAX)
    }

    pub(super) fn redrive(&self) -> Option<&RedrivePolicy> {
        self.redrive.as_ref()
    }

    fn number(&self, name: &str) -> u64 {
        self.numbers.get(name).copied().unwrap_or_default()
    }
}

impl RedrivePolicy {
    /// `{"deadLetterTargetArn": "...", "maxReceiveCount": 3}`; AWS also accepts the count as text.
    fn parse(text: &str) -> Result<Self, ServiceError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            dead_letter_target_arn: String,
            #[serde(deserialize_with = "crate::aws::protocol::integer")]
            max_receive_count: Option<i64>,
        }
        let invalid = || error::invalid_attribute_value(REDRIVE_POLICY);
        let document: Document = serde_json::from_str(text).map_err(|_| invalid())?;
        let max_receive_count = document
            .max_receive_count
            .and_then(|count| u32::try_from(count).ok())
            .filter(|count| (1..=1000).contains(count))
            .ok_or_else(invalid)?;
        Ok(Self {
            dead_letter_arn: document.dead_letter_target_arn,
            max_receive_count,
            text: text.to_owned(),
        })
    }
}
