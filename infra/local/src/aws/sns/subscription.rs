//! A subscription to a topic.

use std::collections::BTreeMap;

use serde::Deserialize;
use uuid::Uuid;

use super::error;
use super::filter_policy::FilterPolicy;
use super::publication::Publication;
use crate::aws::protocol::ServiceError;

#[derive(Debug, Clone)]
pub(super) struct Subscription {
    pub(super) arn: String,
    pub(super) topic_arn: String,
    pub(super) protocol: Protocol,
    /// A queue's ARN or a URL.
    pub(super) endpoint: String,
    pub(super) settings: SubscriptionSettings,
    /// The token with which an HTTP endpoint confirms the subscription; `None` once it has.
    pub(super) token: Option<String>,
    /// It is from before a restart, and has not been subscribed again since.
    pub(super) is_restored: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Sqs,
    Http,
    Https,
}

impl Protocol {
    pub(super) fn parse(name: &str) -> Result<Self, ServiceError> {
        match name {
            "sqs" => Ok(Self::Sqs),
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            other => Err(error::invalid_parameter(format!("Does not support this protocol string: {other}"))),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqs => "sqs",
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Whether the endpoint has the form that the protocol requires.
    fn accepts(self, endpoint: &str) -> bool {
        match self {
            Self::Sqs => endpoint.starts_with("arn:aws:sqs:"),
            Self::Http => endpoint.starts_with("http://"),
            Self::Https => endpoint.starts_with("https://"),
        }
    }
}

impl Subscription {
    pub(super) fn new(
        topic_arn: &str,
        protocol: Protocol,
        endpoint: String,
        settings: SubscriptionSettings,
    ) -> Result<Self, ServiceError> {
        if !protocol.accepts(&endpoint) {
            return Err(error::invalid_parameter(format!("{} endpoint", protocol.name())));
        }
        let token =
            matches!(protocol, Protocol::Http | Protocol::Https).then(|| Uuid::new_v4().simple().to_string());
        let arn = format!("{topic_arn}:{}", Uuid::new_v4());
        Ok(Self {
            arn,
            topic_arn: topic_arn.to_owned(),
            protocol,
            endpoint,
            settings,
            token,
            is_restored: false,
        })
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.token.is_none()
    }

    /// Whether the subscription is confirmed and its filter policy matches the message.
    pub(super) fn accepts(&self, publication: &Publication) -> bool {
        self.is_confirmed()
            && self
                .settings
                .filter_policy
                .as_ref()
                .is_none_or(|policy| policy.matches(&publication.attributes))
    }

    /// Every attribute, as `GetSubscriptionAttributes` returns them.
    pub(super) fn attributes(&self) -> BTreeMap<String, String> {
        let fixed = [
            ("SubscriptionArn", self.arn.clone()),
            ("TopicArn", self.topic_arn.clone()),
            ("Owner", crate::aws::ACCOUNT.to_owned()),
            ("Protocol", self.protocol.name().to_owned()),
            ("Endpoint", self.endpoint.clone()),
            ("PendingConfirmation", (!self.is_confirmed()).to_string()),
            ("ConfirmationWasAuthenticated", "false".to_owned()),
            ("RawMessageDelivery", self.settings.is_raw.to_string()),
        ];
        let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value));
        self.settings.texts.clone().into_iter().chain(fixed).collect()
    }
}

/// The attributes of a subscription that a caller sets.
#[derive(Debug, Clone, Default)]
pub(super) struct SubscriptionSettings {
    filter_policy: Option<FilterPolicy>,
    /// The message as it was published, without the envelope.
    pub(super) is_raw: bool,
    /// ARN of the dead-letter queue.
    pub(super) dead_letter_arn: Option<String>,
    /// The values as they were set.
    texts: BTreeMap<String, String>,
}

impl PartialEq for SubscriptionSettings {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts
    }
}

impl SubscriptionSettings {
    pub(super) fn from_attributes(attributes: BTreeMap<String, String>) -> Result<Self, ServiceError> {
        let mut settings = Self::default();
        for (name, value) in attributes {
            settings.set(&name, value)?;
        }
        Ok(settings)
    }

    /// The values as they were set.
    pub(super) fn texts(&self) -> &BTreeMap<String, String> {
        &self.texts
    }

    /// Sets one attribute; an empty value counts as none.
    fn set(&mut self, name: &str, value: String) -> Result<(), ServiceError> {
        match name {
            "FilterPolicy" => {
                let parsed = (!value.is_empty()).then(|| FilterPolicy::parse(&value)).transpose();
                self.filter_policy =
                    parsed.map_err(|reason| error::invalid_parameter(format!("FilterPolicy: {reason}")))?;
            }
            "FilterPolicyScope" if value == "MessageAttributes" => {}
            "FilterPolicyScope" => {
                return Err(error::invalid_parameter(format!("FilterPolicyScope: {value} is not emulated")));
            }
            "RawMessageDelivery" => {
                self.is_raw = value
                    .to_ascii_lowercase()
                    .parse()
                    .map_err(|_| error::invalid_parameter("Attributes Reason: RawMessageDelivery"))?;
            }
            "RedrivePolicy" => self.dead_letter_arn = dead_letter_arn(&value)?,
            "DeliveryPolicy" | "SubscriptionRoleArn" => {}
            _ => return Err(error::invalid_parameter("AttributeName")),
        }
        if value.is_empty() {
            self.texts.remove(name);
        } else {
            self.texts.insert(name.to_owned(), value);
        }
        Ok(())
    }
}

fn dead_letter_arn(policy: &str) -> Result<Option<String>, ServiceError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct RedrivePolicy {
        dead_letter_target_arn: String,
    }
    if policy.is_empty() {
        return Ok(None);
    }
    let policy: RedrivePolicy = serde_json::from_str(policy)
        .map_err(|_| error::invalid_parameter("RedrivePolicy: failed to parse JSON."))?;
    Ok(Some(policy.dead_letter_target_arn))
}
