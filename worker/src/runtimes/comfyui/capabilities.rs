//! What a ComfyUI can do, which differs from version to version.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// The first version that answers 409 to an id that it knows, instead of running the job twice.
const REFUSES_REPEATED_IDS: (u32, u32) = (0, 45);

/// What is known of the server. Nothing, until it was asked.
#[derive(Debug, Default)]
pub(super) struct Capabilities(Mutex<Known>);

/// As much as matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// `POST /api/jobs/{id}/cancel`: one call for a job that waits or runs, which affects no other job.
    pub(super) cancels_by_id: bool,
    /// A workflow may be posted again under the same id when the answer was lost.
    pub(super) refuses_repeated_ids: bool,
}

impl Known {
    /// Of a server with those system stats.
    pub(super) fn of(system_stats: &Value, cancels_by_id: bool) -> Self {
        let version = system_stats["system"]["comfyui_version"].as_str().and_then(parsed);
        Self {
            cancels_by_id,
            refuses_repeated_ids: version.is_some_and(|version| version >= REFUSES_REPEATED_IDS),
        }
    }
}

impl Capabilities {
    /// The server was asked.
    pub(super) fn learn(&self, known: Known) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// What was learned last.
    pub(super) fn known(&self) -> Known {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Major and minor version of `0.33.0`, `v0.3.64-12-gabcdef`.
fn parsed(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim_start_matches('v').split(['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn repeated_ids_are_safe_from_a_version_on() {
        let refuses = |version: Value| {
            Known::of(&json!({"system": {"comfyui_version": version}}), false).refuses_repeated_ids
        };
        for version in ["0.45.2", "0.45.0", "v0.46.1-3-gabc", "1.0"] {
            assert!(refuses(json!(version)), "{version}");
        }
        for version in
            [json!("0.3.64"), json!("0.33.0"), json!("unknown"), json!(""), json!(0.45), Value::Null]
        {
            assert!(!refuses(version.clone()), "{version}");
        }
    }
}
