//! The request bodies that clients send, and what both versions have in common: names that become S3 keys.

pub mod v1;
pub mod v1alpha1;
pub mod v1alpha2;

use std::borrow::Cow;

use serde_json::Value;
use validator::{Validate, ValidationError, ValidationErrors};

use crate::ids::UnsafeKey;
use crate::message::Route;
use crate::{OutputPrefix, Task, TaskId, Violation, ViolationCode, keys};

/// A request that may be published.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The task; its submission id is created when it is accepted.
    pub task: Task,
    /// The SNS attribute that chooses the queue.
    pub route: Route,
}

/// The names of a task as a caller wrote them, before they become parts of S3 keys.
#[derive(Debug, Validate)]
#[validate(schema(function = "key_fits", skip_on_field_errors = true))]
pub(crate) struct Names {
    #[validate(custom(function = "safe_id"))]
    pub(crate) id: Value,
    #[validate(custom(function = "safe_prefix"))]
    pub(crate) prefix: String,
}

impl Names {
    /// What is wrong with them; `id_at` and `prefix_at` are where they stand in the body.
    pub(crate) fn violations(&self, id_at: &str, prefix_at: &str) -> Vec<Violation> {
        match self.validate() {
            Ok(()) => Vec::new(),
            Err(errors) => named(&errors, id_at, prefix_at),
        }
    }
}

fn named(errors: &ValidationErrors, id_at: &str, prefix_at: &str) -> Vec<Violation> {
    let mut violations: Vec<Violation> = errors
        .field_errors()
        .into_iter()
        .flat_map(|(field, found)| {
            let pointer = if field == "prefix" { prefix_at } else { id_at };
            found.iter().map(move |error| {
                let message = error.message.clone().unwrap_or_default();
                let code = if error.code == "too_large" {
                    ViolationCode::TooLarge
                } else {
                    ViolationCode::UnsafeKey
                };
                Violation::new(pointer, code, message)
            })
        })
        .collect();
    violations.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    violations
}

fn safe_id(id: &Value) -> Result<(), ValidationError> {
    TaskId::from_json(id).map(drop).map_err(unsafe_key)
}

fn safe_prefix(prefix: &str) -> Result<(), ValidationError> {
    OutputPrefix::parse(prefix).map(drop).map_err(unsafe_key)
}

fn unsafe_key(why: UnsafeKey) -> ValidationError {
    ValidationError::new("unsafe_key").with_message(Cow::Owned(why.to_string()))
}

fn key_fits(names: &Names) -> Result<(), ValidationError> {
    let fits = match (TaskId::from_json(&names.id), OutputPrefix::parse(&names.prefix)) {
        (Ok(id), Ok(prefix)) => keys::fits(&prefix, &id),
        _ => true,
    };
    if fits {
        return Ok(());
    }
    let message = format!(
        "is too long: prefix and twice the id must leave room for a file name within the {} bytes of an S3 key",
        keys::MAX_KEY_BYTES
    );
    Err(ValidationError::new("too_large").with_message(message.into()))
}

/// The text of an optional field that may also be null; absent and null are empty.
pub(crate) fn optional_text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}
