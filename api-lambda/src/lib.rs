#![doc = include_str!("../README.md")]

// In the order of a request's path: what it meets first stands first.
pub mod config;
mod runtimes;

pub mod caller;

pub mod comfy;
pub mod logs;
pub mod metrics;
pub mod router;
pub mod steps;
pub mod trace;
pub mod v1;

pub mod console;

pub mod aws;
mod s3;
mod signature;
mod sns;
mod sqs;
pub mod store;

pub mod error;
pub mod problem;
pub mod request_id;

pub use aws::Aws;
pub use caller::Caller;
pub use config::Config;
pub use router::{App, router};
pub use steps::publish::Publisher;
pub use store::TaskStore;
