//! Why an input is not had, as the task's error: never with the address itself, which may hold secrets.

use shared_schema::ErrorCode;

use super::budget::Spent;
use super::guard::Refused;
use crate::error::TaskError;

/// It may not be fetched at all.
pub(super) fn refused(why: &str) -> TaskError {
    TaskError::new(ErrorCode::InputRefused, format!("the input may not be fetched: {why}"))
}

/// It is not there, or its server does not hand it out.
pub(super) fn not_found(why: &str) -> TaskError {
    TaskError::new(ErrorCode::InputNotFound, format!("the input cannot be had: {why}"))
}

/// It could not be fetched this time.
pub(super) fn unavailable(why: &str) -> TaskError {
    TaskError::new(ErrorCode::InputUnavailable, format!("the input could not be fetched: {why}"))
}

/// It is there, but not what its field takes.
pub(super) fn not_media(what: &str) -> TaskError {
    TaskError::new(ErrorCode::InputNotMedia, format!("the input {what}"))
}

impl From<Spent> for TaskError {
    fn from(spent: Spent) -> Self {
        Self::new(ErrorCode::InputTooLarge, spent.to_string())
    }
}

impl From<Refused> for TaskError {
    fn from(why: Refused) -> Self {
        refused(&why.to_string())
    }
}
