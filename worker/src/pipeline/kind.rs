//! Kinds of work: tasks that take about as long as each other.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value};
use shared_schema::Task;

/// What a task has in common with others that take about as long: its type, the names of its fields, and their numbers and
/// switches (size, steps, images). Texts and seeds say little about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind(u64);

impl Kind {
    /// The kind of a task.
    pub fn of(task: &Task) -> Self {
        let mut hasher = DefaultHasher::new();
        task.metadata.tasktype.hash(&mut hasher);
        fields(&task.content, &mut hasher);
        Self(hasher.finish())
    }

    /// Some kind; the same for the same number.
    #[cfg(test)]
    pub(super) fn numbered(number: u64) -> Self {
        Self(number)
    }
}

fn fields(object: &Map<String, Value>, hasher: &mut DefaultHasher) {
    for (name, value) in object.iter().filter(|(name, _)| !name.ends_with("seed")) {
        name.hash(hasher);
        hash(value, hasher);
    }
}

fn hash(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Null | Value::String(_) => {}
        Value::Bool(is) => is.hash(hasher),
        Value::Number(number) => number.hash(hasher),
        Value::Array(values) => {
            values.len().hash(hasher);
            values.iter().for_each(|value| hash(value, hasher));
        }
        Value::Object(object) => fields(object, hasher),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(tasktype: &str, content: Value) -> Kind {
        let metadata = json!({ "id": "a", "runtime": "r", "tasktype": tasktype });
        Kind::of(&serde_json::from_value(json!({ "metadata": metadata, "content": content })).unwrap())
    }

    #[test]
    fn texts_and_seeds_are_no_kind() {
        let task = |prompt: &str, seed: u64| json!({ "prompt": prompt, "seed": seed, "steps": 20 });
        assert_eq!(of("text-to-image", task("a cat", 1)), of("text-to-image", task("a dog at night", 2)));
        let node = |seed: u64| json!({ "3": { "class_type": "KSampler", "inputs": { "noise_seed": seed, "steps": 20 } } });
        assert_eq!(of("pipeline", node(1)), of("pipeline", node(2)));
    }

    #[test]
    fn what_makes_a_run_longer_is() {
        let plain = of("text-to-image", json!({ "prompt": "", "steps": 20, "enable_hr": false }));
        for other in [
            json!({ "prompt": "", "steps": 30, "enable_hr": false }),
            json!({ "prompt": "", "steps": 20, "enable_hr": true }),
            json!({ "prompt": "", "steps": 20, "enable_hr": false, "n_iter": 4 }),
        ] {
            assert_ne!(plain, of("text-to-image", other));
        }
        assert_ne!(of("text-to-image", json!({})), of("image-to-image", json!({})));
        let images = |count| of("extra-batch-images", json!({ "imageList": vec![json!({}); count] }));
        assert_ne!(images(1), images(2));
    }
}
