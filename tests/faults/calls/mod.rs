//! The calls of a worker, a file for each service that it calls.

pub(crate) mod comfyui;
pub(crate) mod dynamodb;
pub(crate) mod images;
pub(crate) mod s3;
pub(crate) mod sdwebui;
pub(crate) mod sns;
pub(crate) mod sqs;
