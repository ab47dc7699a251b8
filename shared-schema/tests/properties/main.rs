//! What holds for every id, prefix, key and request, tried on thousands that nobody thought of.

#![allow(clippy::unwrap_used, reason = "a failed step fails its test")]

mod envelopes;
mod ids;
mod keys;
mod publications;
mod values;
