//! The embedded AWS endpoints as clients see them: the AWS SDKs and plain HTTP, over loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper fails its test by panicking"
)]

mod calls;
mod dynamodb;
mod faults;
mod guard;
mod http_subscriptions;
mod permissions;
mod persistence;
mod query_protocol;
mod s3;
mod signatures;
mod sns;
mod sqs;
mod support;
