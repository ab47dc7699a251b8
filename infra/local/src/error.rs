//! The error of the stack's parts.

/// Why a part of the local stack cannot be started or used: what was tried, with the causes as its sources.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] anyhow::Error);
