//! What the API checks tasks against (`RUNTIMES` or `RUNTIMES_FILE`).

use shared_schema::{Limits, Registry, RuntimeEntry, RuntimeName};

use crate::config::Runtime;

/// The registry of these runtimes.
pub fn registry(runtimes: &[Runtime]) -> Registry {
    Registry::new(runtimes.iter().map(entry).collect())
}

fn entry(runtime: &Runtime) -> RuntimeEntry {
    let limits = &runtime.limits;
    RuntimeEntry {
        name: RuntimeName::new(&runtime.name),
        runtime_type: runtime.runtime_type.clone(),
        models: runtime.served_models(),
        task_types: runtime.task_types.clone(),
        limits: Limits {
            max_pixels: limits.max_pixels,
            max_steps: limits.max_steps,
            max_images: limits.max_images,
            max_bytes: limits.max_bytes,
        },
        claim_check: runtime.claim_check,
        allowed_nodes: runtime.nodes.allowed.clone(),
        denied_nodes: runtime.nodes.denied.clone(),
        allowed_settings: runtime.allowed_settings.clone(),
        allowed_scripts: runtime.allowed_scripts.clone(),
        hourly_price: runtime.hourly_price,
        nodes_file: None,
        nodes: None,
    }
}
