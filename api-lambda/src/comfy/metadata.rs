//! The labels of a job, which Comfy API v2 calls metadata. The contract of `v1` bounds their number and lengths.

use serde_json::Value;
use shared_schema::printable::printable;

use super::error::{ComfyCode, ComfyError};

/// Refuses texts that can make the text around them look different, such as control characters.
pub(super) fn check(metadata: &Value) -> Result<(), ComfyError> {
    let is_plain = |text: &str| printable(text) == text;
    let mut pairs = metadata.as_object().into_iter().flatten();
    if pairs.all(|(name, value)| is_plain(name) && value.as_str().is_none_or(is_plain)) {
        return Ok(());
    }
    let message = "/metadata: names and values must have no control and no bidirectional characters";
    Err(ComfyError::new(ComfyCode::MetadataInvalid, message))
}
