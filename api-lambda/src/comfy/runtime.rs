//! The runtime that a base address serves.

use serde::Deserialize;
use shared_schema::RuntimeName;
use shared_schema::runtimes::RuntimeContract;
use shared_schema::runtimes::comfyui::ComfyUi;

use super::error::{ComfyCode, ComfyError};
use crate::App;

/// The name in a path; absent for the default runtime.
#[derive(Debug, Deserialize)]
pub(super) struct RuntimePath {
    name: Option<String>,
}

impl RuntimePath {
    /// The runtime of the path. Without a name it is `COMFY_RUNTIME`, or the first ComfyUI of the registry.
    pub(super) fn runtime<P>(self, app: &App<P>) -> Result<RuntimeName, ComfyError> {
        let registry = app.contract.registry();
        let mut comfyuis = registry.entries().iter().filter(|entry| entry.runtime_type == ComfyUi.name());
        let configured = app.config.comfy_runtime.clone().map(RuntimeName::new);
        let found = match self.name {
            None => configured.or_else(|| comfyuis.next().map(|entry| entry.name.clone())),
            // Without a registry only the configured one is known.
            Some(name) if registry.is_empty() => configured.filter(|runtime| runtime.as_str() == name),
            Some(name) => comfyuis.find(|entry| entry.name.as_str() == name).map(|entry| entry.name.clone()),
        };
        found.ok_or_else(|| ComfyError::new(ComfyCode::NotFound, "there is no ComfyUI of that name here"))
    }
}
