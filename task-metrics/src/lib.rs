//! Metrics in CloudWatch's embedded metric format: JSON in a log, from which CloudWatch Logs extracts metrics.
//!
//! Functions print the documents ([`Emitter`]); a worker sends them to a log group itself.

mod document;
mod emitter;

pub use document::{Document, Metric, OTHER_RUNTIME, Unit};
pub use emitter::Emitter;
