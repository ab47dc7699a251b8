//! The harness: starts Darkroom's parts as they are shipped, over real sockets, and watches them from outside.
//!
//! A test makes a [`lab::Lab`], adds runtimes and workers to it, submits tasks through the real front door, and waits for
//! its notifications on the completion topic. The AWS APIs are the embedded ones, or those at `AWS_ENDPOINT_URL`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a harness fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test that fails shows the output of the programs")]

pub mod aws;
pub mod binaries;
pub mod cloudwatch_logs;
pub mod collector;
pub mod comfy_api;
pub mod comfyui;
pub mod dead_letters;
pub mod fixtures;
pub mod foreign;
pub mod health_port;
pub mod image_server;
pub mod kubernetes_api;
pub mod lab;
pub mod process;
pub mod runtime_api;
pub mod wait;
