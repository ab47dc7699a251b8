#![doc = include_str!("../README.md")]

// What the stack consists of, in the order of a task's path.
pub mod front_door;
mod guard;

pub mod aws;
pub mod provision;
mod stale_subscriptions;

pub mod config;
pub mod runtimes;

mod dead_letters;
pub mod event_source;

pub mod stack;

pub mod console;
pub mod demo;
pub mod options;

mod error;

pub use error::Error;
pub use stack::{Stack, StackOptions};
