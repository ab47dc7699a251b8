//! What the stack's parts fail with.

/// Why a part of the local stack cannot be started or used: what was tried, with the causes as its sources.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] anyhow::Error);
