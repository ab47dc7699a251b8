//! What ComfyUI keeps of a job that has ended.

use serde::Deserialize;
use serde_json::Value;

/// An entry of the history. The workflow that it holds, too, is not kept: it may be large and of any depth.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct Entry {
    /// What each node has to show, by the id of the node.
    #[serde(default)]
    pub(super) outputs: Value,
    /// How the run ended: `status_str`, `completed` and `messages`, which are `[name, data]` each.
    #[serde(default)]
    pub(super) status: Value,
}
