//! Checks a prompt before it is queued, from its output nodes upwards.

mod inputs;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::Comfy;

/// A prompt with at least one output node that can run.
pub(super) struct Valid {
    pub(super) outputs: Vec<String>,
    /// What is wrong with the other output nodes, which will silently not run.
    pub(super) node_errors: Map<String, Value>,
}

/// Why a prompt is not queued.
pub(super) struct Refusal {
    pub(super) error: Value,
    pub(super) node_errors: Map<String, Value>,
}

impl Refusal {
    pub(super) fn new(kind: &str, message: &str, details: &str) -> Self {
        let error = json!({"type": kind, "message": message, "details": details, "extra_info": {}});
        Self { error, node_errors: Map::new() }
    }
}

/// Checks `prompt`. Literal inputs are converted on the way, as ComfyUI does.
pub(super) fn validate(
    comfy: &Comfy,
    prompt: &mut Map<String, Value>,
    targets: Option<&[Value]>,
) -> Result<Valid, Refusal> {
    let mut outputs = Vec::new();
    for (node, content) in prompt.iter() {
        let class = content.get("class_type").and_then(Value::as_str);
        let Some(class) = class.filter(|class| comfy.definitions.class(class).is_some()) else {
            return Err(missing_node_type(node, content, class));
        };
        if comfy.definitions.is_output(class) && targets.is_none_or(|targets| targets.contains(&json!(node)))
        {
            outputs.push(node.clone());
        }
    }
    if outputs.is_empty() {
        return Err(Refusal::new("prompt_no_outputs", "Prompt has no outputs", ""));
    }
    let mut check = Check { comfy, prompt, verdicts: HashMap::new(), order: Vec::new() };
    let mut good = Vec::new();
    let mut details = Vec::new();
    let mut node_errors = Map::new();
    for output in outputs {
        if check.node_or_exception(&output) {
            good.push(output);
            continue;
        }
        details.extend(check.verdicts.get(&output).into_iter().flatten().map(summary));
        for node in &check.order {
            let Some(errors) = check.verdicts.get(node).filter(|errors| !errors.is_empty()) else { continue };
            let class = check.prompt.get(node).and_then(|node| node.get("class_type")).cloned();
            let entry = node_errors
                .entry(node.clone())
                .or_insert_with(|| json!({"errors": errors, "dependent_outputs": [], "class_type": class}));
            if let Some(Value::Array(dependent)) = entry.get_mut("dependent_outputs") {
                dependent.push(json!(output));
            }
        }
    }
    if good.is_empty() {
        let message = "Prompt outputs failed validation";
        let refusal = Refusal::new("prompt_outputs_failed_validation", message, &details.join("\n"));
        return Err(Refusal { node_errors, ..refusal });
    }
    Ok(Valid { outputs: good, node_errors })
}

fn missing_node_type(node: &str, content: &Value, class: Option<&str>) -> Refusal {
    let title = content.pointer("/_meta/title").and_then(Value::as_str).or(class);
    let message = match class {
        Some(class) => format!("Node '{class}' not found. The custom node may not be installed."),
        None => format!(
            "Node '{}' has no class_type. The workflow may be corrupted or a custom node is missing.",
            title.unwrap_or(node)
        ),
    };
    let mut refusal = Refusal::new("missing_node_type", &message, &format!("Node ID '#{node}'"));
    if let Some(extra) = refusal.error.get_mut("extra_info") {
        *extra = json!({"node_id": node, "class_type": class, "node_title": title});
    }
    refusal
}

fn summary(error: &Value) -> String {
    let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
    format!("{}: {}", text("message"), text("details"))
}

/// An exception that ComfyUI raises while it checks a node.
struct Exception {
    kind: &'static str,
    message: String,
}

struct Check<'a> {
    comfy: &'a Comfy,
    prompt: &'a mut Map<String, Value>,
    /// Errors per node. A node that is invalid only because of another one has none, and is in `order` all the same.
    verdicts: HashMap<String, Vec<Value>>,
    /// Invalid nodes in the order in which that became known.
    order: Vec<String>,
}

impl Check<'_> {
    /// Checks a node; an exception on the way counts as an error of this node.
    fn node_or_exception(&mut self, node: &str) -> bool {
        match self.node(node, &mut Vec::new()) {
            Ok(valid) => valid,
            Err(exception) => {
                let error = json!({
                    "type": "exception_during_validation",
                    "message": "Exception when validating node",
                    "details": exception.message,
                    "extra_info": {"exception_type": exception.kind, "traceback": traceback()},
                });
                self.blame(node, vec![error]);
                false
            }
        }
    }

    /// Notes that a node is invalid, with its own errors if it has any.
    fn blame(&mut self, node: &str, errors: Vec<Value>) {
        self.verdicts.insert(node.to_owned(), errors);
        if !self.order.iter().any(|known| known == node) {
            self.order.push(node.to_owned());
        }
    }
}

/// Stands for the server's own files.
fn traceback() -> Value {
    json!(["  File \"/opt/ComfyUI/execution.py\", line 1, in validate_prompt\n"])
}
