//! What is changed in a caller's workflow before ComfyUI gets it.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};
use shared_schema::ErrorCode;
use shared_schema::violation::pointer_segment;

use crate::error::TaskError;

/// An input that ComfyUI now has, under a name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replacement {
    /// JSON Pointer of its field, relative to the workflow.
    pub(super) pointer: String,
    /// What a loader node calls the file.
    pub(super) name: String,
}

/// The workflow to queue: inputs replaced by the names of their uploads, results sent to `folder`.
pub(super) fn prepare(
    content: &Map<String, Value>,
    replacements: Vec<Replacement>,
    folder: &str,
) -> Result<Value, TaskError> {
    let mut names: HashMap<String, String> =
        replacements.into_iter().map(|replacement| (replacement.pointer, replacement.name)).collect();
    let copies = content.iter().map(|(id, node)| (id.clone(), copy_of(id, node, &mut names)));
    let mut workflow = Value::Object(copies.collect());
    if let Some(pointer) = names.keys().next() {
        let error = TaskError::new(ErrorCode::InvalidTask, "the workflow has no such field for an input");
        return Err(error.at_field(format!("/content{pointer}")));
    }
    save_into(&mut workflow, folder);
    Ok(workflow)
}

/// A node with its inputs replaced. What they replace may be whole images, as data URIs, and is not copied.
fn copy_of(id: &str, node: &Value, names: &mut HashMap<String, String>) -> Value {
    let Value::Object(node) = node else { return node.clone() };
    let mut replaced =
        |input: &str| names.remove(&format!("/{}/inputs/{}", pointer_segment(id), pointer_segment(input)));
    let fields = node.iter().map(|(key, value)| match value {
        Value::Object(inputs) if key == "inputs" => {
            let inputs = inputs.iter().map(|(input, value)| {
                let value = replaced(input).map_or_else(|| value.clone(), Value::String);
                (input.clone(), value)
            });
            (key.clone(), Value::Object(inputs.collect()))
        }
        other => (key.clone(), other.clone()),
    });
    Value::Object(fields.collect())
}

/// Prefixes the file names of every node that saves.
///
/// A prefix of its own makes a save node run again when ComfyUI has the rest of the workflow in its cache; otherwise the
/// history would name the files of an earlier run. It also keeps the results of one job where no other job can guess
/// them, and leaves no way to climb out of the output folder. Prefixes that come by a link are replaced, too.
fn save_into(workflow: &mut Value, folder: &str) {
    let nodes = workflow.as_object_mut().into_iter().flat_map(Map::values_mut);
    for prefix in nodes.filter_map(|node| node.pointer_mut("/inputs/filename_prefix")) {
        let name = prefix.as_str().map_or_else(|| DEFAULT_NAME.to_owned(), file_name);
        *prefix = Value::String(format!("{folder}/{name}"));
    }
}

const DEFAULT_NAME: &str = "out";

/// The last segment of a prefix without anything that a file system may take for something else. ComfyUI's templates
/// (`%width%`) stay.
fn file_name(prefix: &str) -> String {
    const MOST: usize = 64;
    let last = prefix.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = |c: char| if c.is_alphanumeric() || "%-_.".contains(c) { c } else { '_' };
    let name: String = last.trim_start_matches('.').chars().take(MOST).map(plain).collect();
    if name.is_empty() { DEFAULT_NAME.to_owned() } else { name }
}

/// The nodes whose images are sent over the WebSocket and stored nowhere.
pub(super) fn socket_nodes(workflow: &Map<String, Value>) -> HashSet<String> {
    workflow
        .iter()
        .filter(|(_, node)| node["class_type"] == "SaveImageWebsocket")
        .map(|(id, _)| id.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::recording;
    use super::*;

    #[test]
    fn inputs_and_prefixes_are_rewritten_and_nothing_else() {
        let request = &recording("load-scale-invert-save-and-preview")["request"]["body"]["prompt"];
        let replacement =
            Replacement { pointer: "/1/inputs/image".to_owned(), name: "darkroom/u/input-1.png".to_owned() };
        let prepared = prepare(request.as_object().unwrap(), vec![replacement], "darkroom/u").unwrap();

        let mut expected = request.clone();
        expected["1"]["inputs"]["image"] = json!("darkroom/u/input-1.png");
        expected["4"]["inputs"]["filename_prefix"] = json!("darkroom/u/out");
        assert_eq!(prepared, expected);
    }

    #[test]
    fn a_prefix_cannot_leave_the_folder() {
        for (prefix, name) in [
            (json!("../../outside/x"), "x"),
            (json!("/etc/passwd"), "passwd"),
            (json!("a\\..\\.."), "out"),
            (json!(".."), "out"),
            (json!(""), "out"),
            (json!("%width%x%height%/cat: é1"), "cat__é1"),
            (json!("cat-%year%"), "cat-%year%"),
            (json!(["3", 0]), "out"),
            (json!("n".repeat(100)), &"n".repeat(64)),
        ] {
            let content = json!({"9": {"class_type": "SaveImage", "inputs": {"filename_prefix": prefix}}});
            let prepared = prepare(content.as_object().unwrap(), Vec::new(), "darkroom/u").unwrap();
            assert_eq!(prepared["9"]["inputs"]["filename_prefix"], format!("darkroom/u/{name}"));
        }
    }

    #[test]
    fn an_input_without_a_field_is_refused() {
        let replacement = Replacement { pointer: "/1/inputs/image".to_owned(), name: String::new() };
        let error = prepare(&Map::new(), vec![replacement], "darkroom/u").unwrap_err();
        assert_eq!(error.field.as_deref(), Some("/content/1/inputs/image"));
    }

    #[test]
    fn nodes_that_send_over_the_socket_are_known() {
        let workflow =
            json!({"57:1": {"class_type": "SaveImageWebsocket"}, "2": {"class_type": "SaveImage"}});
        assert_eq!(socket_nodes(workflow.as_object().unwrap()), HashSet::from(["57:1".to_owned()]));
    }
}
