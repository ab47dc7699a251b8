//! The same workflow with other seeds, so that ComfyUI's cache has nothing for it.

use std::sync::Arc;

use serde_json::{Value, json};
use shared_schema::Task;
use uuid::Uuid;

/// The inputs of nodes that hold a seed (ComfyUI: `KSampler`, `KSamplerAdvanced`, `RandomNoise`).
const SEEDS: [&str; 2] = ["seed", "noise_seed"];

/// The task with other seeds. `None` if it has none: then only an empty cache helps.
pub(super) fn reseeded(task: &Task) -> Option<Arc<Task>> {
    let mut task = task.clone();
    let mut seed = Uuid::new_v4().as_fields().0;
    let mut is_other = false;
    for node in task.content.values_mut() {
        let inputs = node.get_mut("inputs").and_then(Value::as_object_mut);
        let seeds = inputs.into_iter().flatten().filter(|(name, _)| SEEDS.contains(&name.as_str()));
        for (_, value) in seeds.filter(|(_, value)| value.is_u64()) {
            seed = seed.wrapping_add(1);
            *value = json!(seed);
            is_other = true;
        }
    }
    is_other.then(|| Arc::new(task))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(content: &Value) -> Task {
        let metadata =
            json!({ "id": "1", "runtime": "r", "tasktype": "pipeline", "prefix": "p", "context": {} });
        serde_json::from_value(json!({ "metadata": metadata, "content": content })).unwrap()
    }

    #[test]
    fn seeds_are_replaced_and_nothing_else() {
        let sampler = json!({ "class_type": "KSampler", "inputs": { "seed": 7, "steps": 7 } });
        let linked = json!({ "class_type": "KSampler", "inputs": { "noise_seed": ["1", 0] } });
        let other = reseeded(&task(&json!({ "1": sampler, "2": linked }))).unwrap();
        assert_ne!(other.content["1"]["inputs"]["seed"], json!(7));
        assert_eq!(other.content["1"]["inputs"]["steps"], json!(7));
        assert_eq!(other.content["2"], linked);
        assert_eq!(reseeded(&task(&json!({ "2": linked }))), None);
    }
}
