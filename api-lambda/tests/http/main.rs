//! Drives the front door over real HTTP, with stand-ins for SNS and S3 behind it: what predecessors' clients send, what is
//! answered, and what is published.

#![allow(clippy::unwrap_used, reason = "a failed step fails its test")]

mod accepted;
mod bodies;
mod claim_check;
mod console;
mod door;
mod examples;
mod gateway;
mod limits;
mod logs;
mod outages;
mod paths;
mod refused;
mod s3;
mod sizes;
mod sns;
mod workflows;
