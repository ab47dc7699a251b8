//! Message attributes, which SNS and SQS share.

use std::collections::BTreeMap;

use base64_simd::STANDARD as BASE64;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

/// A message's attributes by name, in the order in which their digest is made.
pub(crate) type MessageAttributes = BTreeMap<String, MessageAttribute>;

/// One typed value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct MessageAttribute {
    /// `String`, `Number` or `Binary`, each with an optional label after a dot, and for SNS `String.Array`.
    #[serde(default)]
    pub(crate) data_type: String,
    /// The value of a `String` or `Number`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) string_value: Option<String>,
    /// The value of a `Binary`, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) binary_value: Option<String>,
}

impl MessageAttribute {
    /// A `String` attribute.
    pub(crate) fn text(value: impl Into<String>) -> Self {
        Self { data_type: "String".to_owned(), string_value: Some(value.into()), binary_value: None }
    }

    /// Whether the type is `Binary`, with or without a label.
    pub(crate) fn is_binary(&self) -> bool {
        self.base_type() == "Binary"
    }

    /// The type without its label.
    pub(crate) fn base_type(&self) -> &str {
        self.data_type.split('.').next().unwrap_or_default()
    }

    /// Checks the attribute; the error is AWS's message.
    pub(crate) fn check(&self, name: &str) -> Result<(), String> {
        if !matches!(self.base_type(), "String" | "Number" | "Binary") {
            return Err(format!("The message attribute '{name}' has an invalid message attribute type."));
        }
        let value = if self.is_binary() { &self.binary_value } else { &self.string_value };
        if value.as_ref().is_none_or(String::is_empty) {
            return Err(format!(
                "The message attribute '{name}' must contain non-empty message attribute value for message \
                 attribute type '{}'.",
                self.data_type
            ));
        }
        if self.is_binary() && BASE64.decode_to_vec(value.as_deref().unwrap_or_default()).is_err() {
            return Err(format!("The message attribute '{name}' does not contain base64."));
        }
        if !self.is_binary() && !value.iter().all(|text| text.chars().all(is_allowed)) {
            return Err(format!("The message attribute '{name}' contains characters outside XML 1.0."));
        }
        if self.base_type() == "Number" && value.as_deref().unwrap_or_default().parse::<f64>().is_err() {
            return Err(format!("Can't cast the value of message attribute '{name}' to a number."));
        }
        Ok(())
    }

    fn value(&self) -> Vec<u8> {
        match (&self.string_value, &self.binary_value) {
            (_, Some(binary)) if self.is_binary() => BASE64.decode_to_vec(binary).unwrap_or_default(),
            (Some(text), _) => text.as_bytes().to_vec(),
            _ => Vec::new(),
        }
    }
}

/// The characters of XML 1.0, the only ones allowed in a message and its attributes (`SendMessage`).
pub(crate) fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// The size of the attributes: names, types and values.
pub(crate) fn size(attributes: &MessageAttributes) -> usize {
    attributes
        .iter()
        .map(|(name, attribute)| name.len() + attribute.data_type.len() + attribute.value().len())
        .sum()
}

/// The digest that SDKs compare, as "Calculating the MD5 message digest for message attributes" in the SQS
/// Developer Guide defines it. `None` for no attributes.
pub(crate) fn md5(attributes: &MessageAttributes) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    for (name, attribute) in attributes {
        let value = attribute.value();
        update_with_length(&mut digest, name.as_bytes());
        update_with_length(&mut digest, attribute.data_type.as_bytes());
        digest.update([if attribute.is_binary() { 2 } else { 1 }]);
        update_with_length(&mut digest, &value);
    }
    Some(hex(&digest.finalize()))
}

fn update_with_length(digest: &mut Md5, bytes: &[u8]) {
    digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    digest.update(bytes);
}

/// The MD5 of a text, in hexadecimal.
pub(crate) fn md5_of_text(text: &str) -> String {
    hex(&Md5::digest(text.as_bytes()))
}

/// Lowercase hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
