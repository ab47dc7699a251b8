//! The worker's guarded fetcher, called directly: hostile addresses, bounds, cache, and its errors.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod bounds;
mod cache;
mod codings;
mod fetcher;
mod hostile_names;
mod hostile_urls;
mod not_images;
mod rebinding;
