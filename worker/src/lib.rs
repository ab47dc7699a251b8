#![doc = include_str!("../README.md")]

// In the order of the data path; then what the path stands on.
pub mod supervisor;
mod worker;

pub mod breaker;
mod disk_space;
mod metric_reports;
mod readiness;
mod receive;
mod recovery;

pub mod pipeline;
pub mod steps;

pub mod dead_letter;

pub mod inputs;
pub mod runtimes;

pub mod claims;
pub mod cloud;
pub mod scratch;

pub mod config;
pub mod error;
pub mod health;
mod http;
pub mod pod;
pub mod retry;
pub mod shutdown;
pub mod spans;
pub mod telemetry;

#[doc(hidden)]
pub mod fuzzing;
