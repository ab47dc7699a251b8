//! The worker's guarded fetcher, asked directly: hostile addresses, bounds, cache, and what it says when it fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod bounds;
mod cache;
mod codings;
mod fetcher;
mod hostile_names;
mod hostile_urls;
mod not_images;
mod rebinding;
