#![doc = include_str!("../README.md")]

// In the order of a request's path: what it meets first stands first.
pub mod config;
mod runtimes;

pub mod logs;
pub mod router;
pub mod steps;

pub mod aws;
mod s3;
mod sns;

pub mod error;
pub mod problem;

pub use aws::Aws;
pub use config::Config;
pub use router::{App, router};
pub use steps::publish::Publisher;
