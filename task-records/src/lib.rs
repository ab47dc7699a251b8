#![doc = include_str!("../README.md")]

// In the order of a task's life: submitted, processed, read.
pub mod owner;
pub mod record;
pub mod time;

pub mod idempotency;
pub mod submit;

pub mod cancel;
pub mod finish;
pub mod run;

pub mod asset;

pub mod list;
pub mod read;

mod call;
pub mod error;
mod item;
pub mod table;

pub use error::RecordError;
pub use owner::Owner;
pub use record::{FailedAttempt, Progress, Record, Status};
pub use table::Records;
