//! The same workflow with other seeds, so that ComfyUI's cache has nothing for it.

use std::sync::Arc;

use serde_json::{Value, json};
use shared_schema::Task;
use uuid::Uuid;

/// The inputs of nodes that hold a seed (ComfyUI: `KSampler`, `KSamplerAdvanced`, `RandomNoise`).
const SEEDS: [&str; 2] = ["seed", "noise_seed"];

/// A smaller seed is kept: there are too few others as large, and the cache may have the one that is picked.
const SMALLEST: u64 = 1 << 10;

/// The task with other seeds. `None` if it has none that can be replaced: then only an empty cache helps.
///
/// Nodes bound their seeds as they like, at 2^64 - 1, 2^50, 2^32 - 1 or less. A seed that is at most as large as the one that
/// was taken before, and not much smaller, is within these bounds.
pub(super) fn reseeded(task: &Task) -> Option<Arc<Task>> {
    let mut task = task.clone();
    let mut is_other = false;
    for node in task.content.values_mut() {
        let inputs = node.get_mut("inputs").and_then(Value::as_object_mut);
        let seeds = inputs.into_iter().flatten().filter(|(name, _)| SEEDS.contains(&name.as_str()));
        for (_, value) in seeds {
            if let Some(seed) = value.as_u64().filter(|seed| *seed >= SMALLEST) {
                *value = json!(seed / 2 + below(seed - seed / 2));
                is_other = true;
            }
        }
    }
    is_other.then(|| Arc::new(task))
}

/// A random number below that one.
fn below(end: u64) -> u64 {
    let (_, random) = Uuid::new_v4().as_u64_pair();
    random % end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(content: &Value) -> Task {
        let metadata =
            json!({ "id": "1", "runtime": "r", "tasktype": "pipeline", "prefix": "p", "context": {} });
        serde_json::from_value(json!({ "metadata": metadata, "content": content })).unwrap()
    }

    fn sampler(seed: &Value) -> Value {
        json!({ "class_type": "KSampler", "inputs": { "seed": seed, "steps": 7777 } })
    }

    #[test]
    fn seeds_are_replaced_and_nothing_else() {
        let linked = json!({ "class_type": "KSampler", "inputs": { "noise_seed": ["1", 0] } });
        let small = sampler(&json!(42));
        let other = reseeded(&task(&json!({ "1": sampler(&json!(4242)), "2": linked, "3": small }))).unwrap();
        assert_ne!(other.content["1"]["inputs"]["seed"], json!(4242));
        assert_eq!(other.content["1"]["inputs"]["steps"], json!(7777));
        assert_eq!((&other.content["2"], &other.content["3"]), (&linked, &small));
        for seed in [json!(0), json!(1), json!(1023), json!(-4242), json!("4242"), json!(4242.0)] {
            assert_eq!(reseeded(&task(&json!({ "1": sampler(&seed) }))), None, "{seed}");
        }
    }

    #[test]
    fn a_seed_stays_within_the_bounds_of_the_one_before_it() {
        for seed in [SMALLEST, 99_999, (1 << 31) - 1, u64::from(u32::MAX), 1 << 50, u64::MAX] {
            for _ in 0..50 {
                let other = reseeded(&task(&json!({ "1": sampler(&json!(seed)) }))).unwrap();
                let other = other.content["1"]["inputs"]["seed"].as_u64().unwrap();
                assert!(seed / 2 <= other && other < seed, "{other} for {seed}");
            }
        }
    }
}
