//! Subscription filter policies ("Amazon SNS subscription filter policies" in the Developer Guide).

use ipnet::IpNet;
use serde_json::{Map, Number, Value};

use crate::aws::message_attributes::{MessageAttribute, MessageAttributes};

/// What a message must be like to be delivered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FilterPolicy(Group);

/// Every field must match, and of every `$or` one alternative.
#[derive(Debug, Clone, PartialEq)]
struct Group {
    fields: Vec<(String, Field)>,
    any_of: Vec<Vec<Group>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Field {
    /// One of the conditions must match.
    Conditions(Vec<Condition>),
    /// A field of the message's body that holds an object.
    Nested(Group),
}

#[derive(Debug, Clone, PartialEq)]
enum Condition {
    Equals(Value),
    EqualsIgnoreCase(String),
    Prefix(String),
    Suffix(String),
    AnythingBut(Vec<Condition>),
    Numeric(Vec<(Comparison, f64)>),
    Network(IpNet),
    Exists(bool),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl FilterPolicy {
    /// Reads a policy; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let policy: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Group::parse(&policy).map(Self)
    }

    /// Decides by the message's attributes. Binary ones do not count.
    pub(super) fn matches_attributes(&self, attributes: &MessageAttributes) -> bool {
        let document =
            attributes.iter().filter_map(|(name, attribute)| Some((name.clone(), typed_value(attribute)?)));
        self.0.matches(&document.collect())
    }

    /// Decides by the message's body, which must be a JSON object.
    pub(super) fn matches_body(&self, body: &str) -> bool {
        serde_json::from_str(body).is_ok_and(|document| self.0.matches(&document))
    }
}

/// The JSON value that an attribute stands for.
fn typed_value(attribute: &MessageAttribute) -> Option<Value> {
    let text = attribute.string_value.as_deref()?;
    match attribute.data_type.as_str() {
        "String.Array" => serde_json::from_str(text).ok(),
        _ if attribute.base_type() == "Number" => {
            text.parse().ok().and_then(Number::from_f64).map(Value::Number)
        }
        _ => Some(Value::String(text.to_owned())),
    }
}

impl Group {
    fn parse(policy: &Map<String, Value>) -> Result<Self, String> {
        let mut group = Group { fields: Vec::new(), any_of: Vec::new() };
        for (name, rule) in policy {
            match rule {
                Value::Array(alternatives) if name == "$or" && is_or(alternatives) => {
                    let alternatives = alternatives.iter().filter_map(Value::as_object).map(Group::parse);
                    group.any_of.push(alternatives.collect::<Result<_, _>>()?);
                }
                Value::Array(conditions) if !conditions.is_empty() => {
                    let conditions = conditions.iter().map(Condition::parse).collect::<Result<_, _>>()?;
                    group.fields.push((name.clone(), Field::Conditions(conditions)));
                }
                Value::Object(nested) if !nested.is_empty() => {
                    group.fields.push((name.clone(), Field::Nested(Group::parse(nested)?)));
                }
                _ => return Err(format!("\"{name}\" must be an object or a non-empty array")),
            }
        }
        Ok(group)
    }

    fn matches(&self, document: &Map<String, Value>) -> bool {
        self.fields.iter().all(|(name, field)| field.matches(document.get(name)))
            && self.any_of.iter().all(|alternatives| alternatives.iter().any(|group| group.matches(document)))
    }
}

/// `$or` is an operator only with two or more objects; otherwise it is a field of that name.
fn is_or(alternatives: &[Value]) -> bool {
    alternatives.len() > 1 && alternatives.iter().all(Value::is_object)
}

impl Field {
    fn matches(&self, value: Option<&Value>) -> bool {
        match self {
            Field::Conditions(conditions) => {
                conditions.iter().any(|condition| condition.matches_field(value))
            }
            Field::Nested(group) => match value {
                Some(Value::Object(document)) => group.matches(document),
                Some(Value::Array(items)) => {
                    items.iter().filter_map(Value::as_object).any(|item| group.matches(item))
                }
                _ => group.matches(&Map::new()),
            },
        }
    }
}

impl Condition {
    fn parse(rule: &Value) -> Result<Self, String> {
        let Value::Object(operator) = rule else {
            return if rule.is_array() {
                Err("a condition cannot be an array".to_owned())
            } else {
                Ok(Self::Equals(rule.clone()))
            };
        };
        let mut operators = operator.iter();
        let (Some((name, operand)), None) = (operators.next(), operators.next()) else {
            return Err("a condition must have exactly one operator".to_owned());
        };
        let text = || operand.as_str().map(str::to_owned).ok_or_else(|| format!("\"{name}\" needs a text"));
        match name.as_str() {
            "prefix" => text().map(Self::Prefix),
            "suffix" => text().map(Self::Suffix),
            "equals-ignore-case" => text().map(Self::EqualsIgnoreCase),
            "exists" => {
                operand.as_bool().map(Self::Exists).ok_or_else(|| "\"exists\" needs true or false".to_owned())
            }
            "cidr" => text()?.parse().map(Self::Network).map_err(|_| "\"cidr\" needs a network".to_owned()),
            "numeric" => comparisons(operand).map(Self::Numeric),
            "anything-but" => excluded(operand).map(Self::AnythingBut),
            _ => Err(format!("unrecognized match type {name}")),
        }
    }

    fn matches_field(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Condition::Exists(wanted), value) => value.is_some() == *wanted,
            (_, None) => false,
            (condition, Some(Value::Array(items))) => items.iter().any(|item| condition.matches(item)),
            (condition, Some(value)) => condition.matches(value),
        }
    }

    fn matches(&self, value: &Value) -> bool {
        let text = value.as_str();
        match self {
            Condition::Equals(Value::Number(wanted)) => wanted.as_f64() == value.as_f64(),
            Condition::Equals(wanted) => wanted == value,
            Condition::EqualsIgnoreCase(wanted) => {
                text.is_some_and(|text| text.to_lowercase() == wanted.to_lowercase())
            }
            Condition::Prefix(prefix) => text.is_some_and(|text| text.starts_with(prefix)),
            Condition::Suffix(suffix) => text.is_some_and(|text| text.ends_with(suffix)),
            Condition::AnythingBut(excluded) => !excluded.iter().any(|condition| condition.matches(value)),
            Condition::Numeric(comparisons) => value.as_f64().is_some_and(|number| {
                comparisons.iter().all(|(comparison, bound)| comparison.holds(number, *bound))
            }),
            Condition::Network(network) => text
                .and_then(|text| text.parse().ok())
                .is_some_and(|address: std::net::IpAddr| network.contains(&address)),
            Condition::Exists(wanted) => *wanted,
        }
    }
}

/// `"x"`, `["x", 1]`, `{"prefix": "x"}` or `{"prefix": ["x", "y"]}`.
fn excluded(operand: &Value) -> Result<Vec<Condition>, String> {
    match operand {
        Value::Array(values) => values.iter().map(Condition::parse).collect(),
        Value::Object(operator) => {
            let mut conditions = Vec::new();
            for (name, operand) in operator {
                let operands = operand.as_array().cloned().unwrap_or_else(|| vec![operand.clone()]);
                for operand in operands {
                    conditions
                        .push(Condition::parse(&Value::Object(Map::from_iter([(name.clone(), operand)])))?);
                }
            }
            Ok(conditions)
        }
        value => Ok(vec![Condition::Equals(value.clone())]),
    }
}

/// `["=", 5]` or `[">", 0, "<=", 5]`.
fn comparisons(operand: &Value) -> Result<Vec<(Comparison, f64)>, String> {
    let parts = operand.as_array().filter(|parts| matches!(parts.len(), 2 | 4));
    let parts = parts.ok_or("\"numeric\" needs one or two comparisons")?;
    let pairs = parts.chunks_exact(2).map(|pair| {
        let comparison = match pair[0].as_str() {
            Some("=") => Comparison::Equal,
            Some("<") => Comparison::Less,
            Some("<=") => Comparison::LessOrEqual,
            Some(">") => Comparison::Greater,
            Some(">=") => Comparison::GreaterOrEqual,
            _ => return Err(format!("unrecognized numeric comparison {}", pair[0])),
        };
        let bound = pair[1].as_f64().ok_or("\"numeric\" compares with numbers")?;
        Ok((comparison, bound))
    });
    pairs.collect()
}

impl Comparison {
    fn holds(self, number: f64, bound: f64) -> bool {
        match self {
            Comparison::Equal => number == bound,
            Comparison::Less => number < bound,
            Comparison::LessOrEqual => number <= bound,
            Comparison::Greater => number > bound,
            Comparison::GreaterOrEqual => number >= bound,
        }
    }
}

#[cfg(test)]
#[path = "filter_policy_tests.rs"]
mod tests;
