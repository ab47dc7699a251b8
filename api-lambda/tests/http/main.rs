//! Drives the front door over real HTTP, with a stand-in for SNS behind it: what predecessors' clients send, what is
//! answered, and what is published.

#![allow(clippy::unwrap_used, reason = "a failed step of a test ends it")]

mod accepted;
mod door;
mod examples;
mod gateway;
mod logs;
mod outages;
mod paths;
mod refused;
mod sizes;
mod sns;
