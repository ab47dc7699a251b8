//! The texts of a message: one for all protocols, or one for each (`MessageStructure`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error;
use crate::aws::protocol::ServiceError;

/// What subscribers get, by protocol.
#[derive(Debug, Clone)]
pub(in crate::aws) struct Texts {
    default: String,
    /// Those of protocols that have their own.
    others: BTreeMap<String, String>,
}

impl Texts {
    /// Parses a message of this structure. A value that is no text is ignored, also that of a protocol ("JSON-specific
    /// constraints" of `Publish` in the SNS API reference).
    pub(in crate::aws) fn parse(message: &str, structure: Option<&str>) -> Result<Self, ServiceError> {
        match structure {
            None => Ok(Self { default: message.to_owned(), others: BTreeMap::new() }),
            Some("json") => {
                let document: Map<String, Value> = serde_json::from_str(message).map_err(|_| {
                    error::invalid_parameter("Message Structure - JSON message body failed to parse")
                })?;
                let texts = document.into_iter().filter_map(|(name, value)| match value {
                    Value::String(text) => Some((name, text)),
                    _ => None,
                });
                let mut others: BTreeMap<String, String> = texts.collect();
                let default = others.remove("default").ok_or_else(|| {
                    error::invalid_parameter("Message Structure - No default entry in JSON message body")
                })?;
                Ok(Self { default, others })
            }
            Some(_) => Err(error::invalid_parameter("MessageStructure")),
        }
    }

    /// The text of a protocol.
    pub(in crate::aws) fn of(&self, protocol: &str) -> &str {
        self.others.get(protocol).unwrap_or(&self.default)
    }

    /// The text of every protocol that has none of its own.
    pub(in crate::aws) fn default(&self) -> &str {
        &self.default
    }
}
