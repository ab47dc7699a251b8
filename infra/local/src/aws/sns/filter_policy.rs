//! Subscription filter policies ("Amazon SNS subscription filter policies" in the Developer Guide), as far as our stacks and the
//! predecessors use them: exact texts, and `$or`. Any other condition is refused.

use serde_json::{Map, Value};

use crate::aws::message_attributes::{MessageAttribute, MessageAttributes};

/// What a message's attributes must be for it to be delivered: every field must match, and of every `$or` one alternative.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FilterPolicy {
    /// Each attribute has one of these values.
    fields: Vec<(String, Vec<String>)>,
    any_of: Vec<Vec<FilterPolicy>>,
}

impl FilterPolicy {
    /// Parses a policy; the error is the reason why it is invalid.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let policy: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Self::of(&policy)
    }

    fn of(policy: &Map<String, Value>) -> Result<Self, String> {
        let mut parsed = Self { fields: Vec::new(), any_of: Vec::new() };
        for (name, rule) in policy {
            match rule {
                Value::Array(alternatives) if name == "$or" && is_or(alternatives) => {
                    let alternatives = alternatives.iter().filter_map(Value::as_object).map(Self::of);
                    parsed.any_of.push(alternatives.collect::<Result<_, _>>()?);
                }
                Value::Array(values) if !values.is_empty() => {
                    let texts = values.iter().map(|value| value.as_str().map(str::to_owned));
                    let texts: Option<Vec<String>> = texts.collect();
                    let texts = texts.ok_or_else(|| {
                        format!(
                            "\"{name}\" has a condition that is not emulated: only texts are, and \"$or\""
                        )
                    })?;
                    parsed.fields.push((name.clone(), texts));
                }
                _ => return Err(format!("\"{name}\" must be a non-empty array")),
            }
        }
        Ok(parsed)
    }

    /// Whether a message with these attributes is delivered.
    pub(super) fn matches(&self, attributes: &MessageAttributes) -> bool {
        let has = |(name, texts): &(String, Vec<String>)| {
            attributes.get(name).and_then(text).is_some_and(|value| texts.iter().any(|text| text == value))
        };
        self.fields.iter().all(has)
            && self.any_of.iter().all(|policies| policies.iter().any(|policy| policy.matches(attributes)))
    }
}

/// The value of an attribute that is a text.
fn text(attribute: &MessageAttribute) -> Option<&str> {
    let is_text = attribute.base_type() == "String" && attribute.data_type != "String.Array";
    attribute.string_value.as_deref().filter(|_| is_text)
}

/// `$or` is an operator only with two or more objects; otherwise it is a field of that name.
fn is_or(alternatives: &[Value]) -> bool {
    alternatives.len() > 1 && alternatives.iter().all(Value::is_object)
}

#[cfg(test)]
#[path = "filter_policy_tests.rs"]
mod tests;
