#![doc = include_str!("../README.md")]

pub mod context;
pub mod span;

mod ids;
mod settings;
pub mod traces;

mod sender;
mod signature;

pub use context::TraceContext;
pub use span::{Span, SpanName};
pub use traces::{Parent, Traces};
