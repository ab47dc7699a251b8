//! Names that become parts of S3 keys, attributes and logs. Parsed once, then trusted.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// The first segment of every key that Darkroom keeps for itself; no caller may write below it.
pub const RESERVED_SEGMENT: &str = "_darkroom";

/// Why a text cannot be part of an S3 key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsafeKey {
    /// Nothing is left of it.
    #[error("must not be empty")]
    Empty,
    /// A control character, a line or paragraph separator, or one of the two other characters that XML does not allow.
    #[error("must not contain control characters, U+FFFE or U+FFFF")]
    Control,
    /// A `.` or `..` segment, which storage gateways and file systems climb.
    #[error("must not have a `.` or `..` segment")]
    Climbing,
    /// An id that begins with `/`.
    #[error("must not begin with `/`")]
    Absolute,
    /// Below the reserved prefix.
    #[error("must not begin with the reserved `_darkroom/`")]
    Reserved,
}

fn check_segments(text: &str) -> Result<(), UnsafeKey> {
    let is_refused =
        |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}');
    if text.chars().any(is_refused) {
        return Err(UnsafeKey::Control);
    }
    if text.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(UnsafeKey::Climbing);
    }
    match text.trim_start_matches('/').split('/').next() {
        Some(RESERVED_SEGMENT) => Err(UnsafeKey::Reserved),
        _ => Ok(()),
    }
}

/// A caller's name for a task: used as text, echoed with the JSON type it came with.
///
/// Predecessors' clients send numbers too, and use one id again and again: it is a name, not an identity (see
/// [`Submission`] for that).
#[derive(Debug, Clone, PartialEq)]
pub struct TaskId {
    json: Value,
    text: String,
}

impl TaskId {
    /// Takes a string, a number or a boolean whose text is safe in an S3 key.
    pub fn from_json(json: &Value) -> Result<Self, UnsafeKey> {
        let text = match json {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return Err(UnsafeKey::Empty),
        };
        if text.is_empty() {
            return Err(UnsafeKey::Empty);
        }
        if text.starts_with('/') {
            return Err(UnsafeKey::Absolute);
        }
        check_segments(&text)?;
        Ok(Self { json: json.clone(), text })
    }

    /// The id as text, for keys and logs.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The id as the caller wrote it, for answers and notifications.
    pub fn to_json(&self) -> Value {
        self.json.clone()
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for TaskId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TaskId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        Self::from_json(&json).map_err(serde::de::Error::custom)
    }
}

/// Where a caller wants its files: the beginning of their S3 keys. Empty means none.
///
/// A prefix may begin with `/`, as predecessors' documents show it, and then keeps it; one trailing `/` is not doubled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutputPrefix(String);

impl OutputPrefix {
    /// Takes any text that is safe at the beginning of an S3 key.
    pub fn parse(text: &str) -> Result<Self, UnsafeKey> {
        check_segments(text)?;
        Ok(Self(text.to_owned()))
    }

    /// The prefix as the caller wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The prefix as it stands in a key before the next segment: empty, or ending in exactly the `/` that was there.
    pub(crate) fn with_slash(&self) -> String {
        match self.0.as_str() {
            "" => String::new(),
            text if text.ends_with('/') => text.to_owned(),
            text => format!("{text}/"),
        }
    }
}

impl Serialize for OutputPrefix {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for OutputPrefix {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The name of a deployed runtime: the value of the SNS attribute that chooses the queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuntimeName(String);

impl RuntimeName {
    /// What a predecessor's front door writes for a task that is routed by its model; no worker may reject it.
    pub const LEGACY: &'static str = "legacy";

    /// A runtime's name as configured or as a caller wrote it.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuntimeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The identity of one accepted POST. Whatever must be the same for the same work, and different for other work, derives
/// from it: file names, the notification's id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Submission(String);

impl Submission {
    /// The longest submission id that is taken from a message, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// A new one, minted by the front door (UUIDv7, so that they sort by time).
    pub fn mint() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// One that a message carries, or the id of the message that stands in for it. `None` if it is no sane id.
    pub fn parse(text: &str) -> Option<Self> {
        let sane =
            !text.is_empty() && text.len() <= Self::MAX_BYTES && text.chars().all(|c| c.is_ascii_graphic());
        sane.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_id_keeps_its_json_type() {
        assert_eq!(TaskId::from_json(&json!(7)).unwrap().as_str(), "7");
        assert_eq!(TaskId::from_json(&json!(7)).unwrap().to_json(), json!(7));
        assert_eq!(TaskId::from_json(&json!("7")).unwrap().to_json(), json!("7"));
    }

    #[test]
    fn unsafe_ids_and_prefixes_are_refused() {
        for (id, why) in [
            (json!(""), UnsafeKey::Empty),
            (json!(null), UnsafeKey::Empty),
            (json!({}), UnsafeKey::Empty),
            (json!("/etc"), UnsafeKey::Absolute),
            (json!("a/../b"), UnsafeKey::Climbing),
            (json!("."), UnsafeKey::Climbing),
            (json!("a\nb"), UnsafeKey::Control),
            (json!("a\u{fffe}b"), UnsafeKey::Control),
            (json!("\u{ffff}"), UnsafeKey::Control),
            (json!("_darkroom/x"), UnsafeKey::Reserved),
        ] {
            assert_eq!(TaskId::from_json(&id), Err(why), "{id}");
        }
        assert_eq!(OutputPrefix::parse("/_darkroom"), Err(UnsafeKey::Reserved));
        assert_eq!(OutputPrefix::parse("a/.."), Err(UnsafeKey::Climbing));
        assert!(OutputPrefix::parse("/output").is_ok());
        assert!(TaskId::from_json(&json!("katze 猫 …/x")).is_ok());
    }
}
