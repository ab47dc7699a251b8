//! Drives Darkroom through its public interfaces: the front door over HTTP, workers as processes, AWS APIs on loopback.
//!
//! Against embedded AWS APIs by default; against any others with `AWS_ENDPOINT_URL`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod backlog;
mod broken;
mod calls;
mod comfy_api;
mod comfy_assets;
mod comfy_recordings;
mod comfyui_runs;
mod comfyui_workflows;
mod downloads;
mod failures;
mod health;
mod hostile_inputs;
mod identity;
mod inputs;
mod journal;
mod large;
mod lease;
mod limits;
mod logs;
mod models;
mod notifications;
mod openai_images;
mod path;
mod pipeline;
mod pod;
mod presigned_urls;
mod records;
mod restart;
mod scratch;
mod sdcpp;
mod shutdown;
mod stuck;
mod waiting;
mod workflows;
