//! The images that a task names: fetched from anywhere, safely, before the runtime is asked to do anything.
//!
//! ```text
//! field ─► web:    guard ─► resolve ─► connect ─► (redirect: guard again) ─► body, unpacked within the budget ─► media ─► Input
//!          bucket: list of buckets ─► GetObject                         ─► body, unpacked within the budget ─► media ─► Input
//!          base64                                                       ─► bytes within the budget          ─► media ─► Input
//! ```

mod address;
mod bucket;
mod budget;
mod cache;
mod coding;
pub mod enlarged;
mod errors;
pub mod fetch;
pub mod guard;
mod media;
mod pages;
pub(crate) mod pixels;
pub mod resolve;
mod web;

use bytes::Bytes;

/// One input of a task, fetched and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// JSON Pointer of its field, relative to the task's content (`/init_images/0`).
    pub pointer: String,
    /// The file itself.
    pub bytes: Bytes,
    /// Its media type, from the bytes (`image/png`).
    pub content_type: &'static str,
    /// The usual extension of that type, without a dot.
    pub extension: &'static str,
}
