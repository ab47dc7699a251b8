#![doc = include_str!("../README.md")]

// In the order of a task's life: what it is, what is checked, what travels, what comes back.
pub mod deadline;
pub mod ids;
pub mod task;
pub mod task_type;

pub mod content;
pub mod contract;
pub mod envelope;
pub mod file_kind;
pub mod image_source;
pub mod python_json;
pub mod registry;
pub mod runtimes;
pub mod schema;
pub mod violation;

pub mod claim_check;
pub mod message;

pub mod error_code;
pub mod keys;
pub mod notification;
pub mod printable;

pub use claim_check::ClaimCheck;
pub use contract::Contract;
pub use deadline::StartBy;
pub use error_code::ErrorCode;
pub use ids::{OutputPrefix, RuntimeName, Submission, TaskId};
pub use notification::Notification;
pub use registry::{Limits, Registry, RuntimeEntry};
pub use task::{Metadata, Task};
pub use task_type::TaskType;
pub use violation::{Violation, ViolationCode};
