//! The registry of deployed runtimes, with the node lists that its entries name.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use shared_schema::{Registry, python_json};
use validator::ValidationError;

/// The registry in a file; node lists stand beside it.
pub(crate) fn from_file(file: &Path) -> Result<Registry, String> {
    let json = read(file)?;
    from_json(&json, file.parent().unwrap_or(Path::new(".")))
}

/// The registry in a text; node lists are read relative to `folder`.
pub(crate) fn from_json(json: &str, folder: &Path) -> Result<Registry, String> {
    let mut registry: Registry =
        serde_json::from_str(json).map_err(|error| format!("is no list of runtimes: {error}"))?;
    for entry in registry.entries_mut() {
        let Some(file) = &entry.nodes_file else { continue };
        let file = folder.join(file);
        // As ComfyUI wrote it: with `Infinity` among the bounds of numbers.
        let nodes = python_json::from_slice(read(&file)?.as_bytes())
            .map_err(|error| format!("names {}, which is no node list: {error}", file.display()))?;
        entry.nodes = Some(nodes);
    }
    Ok(registry)
}

/// Refuses a registry that would refuse its own callers.
pub(crate) fn check(registry: &Registry) -> Result<(), ValidationError> {
    let broken = |message: String| Err(ValidationError::new("registry").with_message(message.into()));
    let mut names = HashSet::new();
    for entry in registry.entries() {
        let name = entry.name.as_str();
        if name.is_empty() {
            return broken("has a runtime without a name".to_owned());
        }
        if !names.insert(name) {
            return broken(format!("names the runtime {name} twice"));
        }
        if entry.accepted_task_types().is_empty() {
            let runtime_type = &entry.runtime_type;
            return broken(format!(
                "gives the runtime {name} the type {runtime_type}, whose task types are not known"
            ));
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file)
        .map_err(|error| format!("names {}, which cannot be read: {error}", file.display()))
}
