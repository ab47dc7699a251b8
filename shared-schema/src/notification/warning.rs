//! What the caller of a successful task should know: the runtime did something else than the task asks for, or a part of the
//! results was not stored.

use serde::{Deserialize, Serialize};

use crate::printable::printable;

/// One warning of a successful task. It stands in the notification and in the `.out` file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The stable code.
    pub code: WarningCode,
    /// What a person should know and do. No secrets, no paths of a server.
    pub message: String,
    /// The JSON Pointer of the field that it is about, relative to the task, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The node of the workflow that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
}

/// The closed list of stable warning codes. Codes are never renamed or given another meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// The runtime replaced a value that it does not know, for example a sampler, by one of its own.
    ValueReplaced,
    /// The runtime left out a value that it does not know, for example a LoRA or a style.
    ValueIgnored,
    /// The run yielded files that were not stored, or nodes that save files showed none.
    FilesOmitted,
    /// Every stored file is a preview: no node of the workflow saves a result.
    OnlyPreviews,
    /// A node blocked a part of the workflow, so its results are missing.
    OutputBlocked,
}

impl Warning {
    /// A warning with that code and message, as far as it is [printable].
    pub fn new(code: WarningCode, message: impl Into<String>) -> Self {
        Self { code, message: printable(&message.into()), field: None, node_id: None }
    }

    /// The same, at that field of the task.
    pub fn at_field(mut self, pointer: impl Into<String>) -> Self {
        self.field = Some(pointer.into());
        self
    }

    /// The same, at that node of the workflow.
    pub fn at_node(mut self, node_id: impl Into<String>) -> Self {
        self.node_id = Some(node_id.into());
        self
    }
}
