//! The attributes of an object.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Stored in one hidden JSON file per object.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ObjectAttributes {
    /// The object's key, for readers of the file.
    pub(super) key: String,
    /// Without quotes: the MD5 of the bytes or, after a multipart upload, of the parts' MD5s.
    pub(super) e_tag: String,
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) cache_control: Option<String>,
    /// `x-amz-meta-*`.
    pub(super) metadata: HashMap<String, String>,
}

/// Copies the attributes that requests and responses have in common.
macro_rules! headers_of {
    ($input:expr) => {
        $crate::aws::s3::attributes::ObjectAttributes {
            key: $input.key.clone(),
            e_tag: String::new(),
            content_type: $input.content_type.clone(),
            content_encoding: $input.content_encoding.clone(),
            content_disposition: $input.content_disposition.clone(),
            content_language: $input.content_language.clone(),
            cache_control: $input.cache_control.clone(),
            metadata: $input.metadata.clone().unwrap_or_default(),
        }
    };
}
pub(super) use headers_of;
