//! What is changed in a caller's workflow before ComfyUI gets it.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};
use shared_schema::ErrorCode;
use shared_schema::runtimes::comfyui::is_path_from_start;
use shared_schema::violation::pointer_segment;
use uuid::Uuid;

use super::expansion::belongs_to_a_loop;
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
    run_anew(&mut workflow);
    Ok(workflow)
}

/// What a node of a workflow in API format may have.
const NODE_KEYS: &[&str] = &["class_type", "inputs", "_meta"];

/// A node with its inputs replaced. What they replace may be whole images, as data URIs, and is not copied.
fn copy_of(id: &str, node: &Value, names: &mut HashMap<String, String>) -> Value {
    let Value::Object(node) = node else { return node.clone() };
    let class = node.get("class_type").and_then(Value::as_str).unwrap_or_default();
    // Whatever else a node has is the server's own, such as what it found out whether the node has changed.
    let own = node.iter().filter(|(key, _)| NODE_KEYS.contains(&key.as_str()));
    let fields = own.map(|(key, value)| match value {
        Value::Object(inputs) if key == "inputs" => {
            let inputs = inputs.iter().map(|(input, value)| {
                let pointer = format!("/{}/inputs/{}", pointer_segment(id), pointer_segment(input));
                let from_start = is_path_from_start(class, input);
                (input.clone(), replaced(pointer, value, from_start, names))
            });
            (key.clone(), Value::Object(inputs.collect()))
        }
        other => (key.clone(), other.clone()),
    });
    Value::Object(fields.collect())
}

/// A value with what stands at its pointer, or at those of the values in it, replaced. `from_start` makes a name a path
/// from where the runtime was started.
fn replaced(pointer: String, value: &Value, from_start: bool, names: &mut HashMap<String, String>) -> Value {
    if let Some(name) = names.remove(&pointer) {
        return Value::String(if from_start { format!("input/{name}") } else { name });
    }
    let mut inner = |key: &str, value: &Value| {
        replaced(format!("{pointer}/{}", pointer_segment(key)), value, from_start, names)
    };
    match value {
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), inner(key, value))).collect())
        }
        Value::Array(values) => (0..).zip(values).map(|(n, value)| inner(&n.to_string(), value)).collect(),
        other => other.clone(),
    }
}

/// Prefixes the file names of every node that saves.
///
/// A prefix of its own makes a save node run again when ComfyUI has the rest of the workflow in its cache; otherwise the
/// history would name the files of an earlier run. It also keeps the results of one job where no other job can guess
/// them, and leaves no way to climb out of the output folder. Prefixes that come by a link are replaced, too.
fn save_into(workflow: &mut Value, folder: &str) {
    for node in workflow.as_object_mut().into_iter().flat_map(Map::values_mut) {
        let Some(input) = prefix_input(node) else { continue };
        let prefix = &mut node["inputs"][input];
        let name = prefix.as_str().map_or_else(|| DEFAULT_NAME.to_owned(), file_name);
        *prefix = Value::String(format!("{folder}/{name}"));
    }
}

/// The input that holds the prefix of the files that a node saves, if it saves any.
fn prefix_input(node: &Value) -> Option<&'static str> {
    let input = if node["class_type"] == "SaveLoRA" { "prefix" } else { "filename_prefix" };
    node["inputs"].get(input).map(|_| input)
}

/// Whether a node saves files, or sends images that are its results.
pub(super) fn yields_files(node: &Value) -> bool {
    prefix_input(node).is_some() || sends(node).is_some()
}

const DEFAULT_NAME: &str = "out";

/// The last segment of a prefix without anything that a file system may take for something else. ComfyUI's templates
/// (`%width%`) stay.
fn file_name(prefix: &str) -> String {
    const MOST: usize = 64;
    let last = prefix.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = |c: char| if c.is_alphanumeric() || "%-_.".contains(c) { c } else { '_' };
    let name: String = last.trim_start_matches('.').chars().take(MOST).map(plain).collect();
    // `/view` gives no file away that has two dots in a row.
    let name = name.replace("..", "__");
    if name.is_empty() { DEFAULT_NAME.to_owned() } else { name }
}

/// The classes that make the folders of their prefix.
const MAKE_FOLDERS: &[&str] = &[
    "CLIPSave",
    "CheckpointSave",
    "ModelSave",
    "SaveAnimatedPNG",
    "SaveAnimatedWEBP",
    "SaveAudio",
    "SaveAudioMP3",
    "SaveAudioOpus",
    "SaveImage",
    "SaveLatent",
    "SaveLoRA",
    "SaveVideo",
    "SaveWEBM",
    "VAESave",
    "VHS_VideoCombine",
];

/// Whether a node saves under a prefix and may not make its folders.
pub(super) fn may_need_a_folder(workflow: &Map<String, Value>) -> bool {
    let saves = |node: &&Value| prefix_input(node).is_some();
    let makes_folders =
        |node: &Value| node["class_type"].as_str().is_some_and(|class| MAKE_FOLDERS.contains(&class));
    workflow.values().filter(saves).any(|node| !makes_folders(node))
}

/// Makes every node run again that may have left nothing but a cache: all but those which only bring in what others use, as
/// loaders of models do. ComfyUI ignores an input that a node does not have, and yet it counts for the cache.
///
/// The start of a loop brings in no more than a number, but all that a turn of the loop depends on may be a link to it. The
/// nodes in `hiding` run again, too.
pub(super) fn avoid_the_cache(workflow: &mut Value, hiding: &[String], mark: &str) {
    let Value::Object(nodes) = workflow else { return };
    let used = linked_nodes(nodes);
    for (id, node) in nodes {
        let is_of_a_loop = node["class_type"].as_str().is_some_and(belongs_to_a_loop);
        let is_source = used.contains(id) && links(node).next().is_none() && !is_of_a_loop;
        if (!is_source || hiding.contains(id))
            && let Some(Value::Object(inputs)) = node.get_mut("inputs")
        {
            inputs.insert(CACHE_MARK.to_owned(), Value::String(mark.to_owned()));
        }
    }
}

/// The ids of the nodes that others use.
pub(super) fn linked_nodes(workflow: &Map<String, Value>) -> HashSet<String> {
    workflow.values().flat_map(links).map(str::to_owned).collect()
}

/// The ids of the nodes that a node uses.
pub(super) fn links(node: &Value) -> impl Iterator<Item = &str> {
    let inputs = node["inputs"].as_object().into_iter().flat_map(Map::values);
    inputs.filter_map(|value| value.get(0)?.as_str())
}

/// The name of an input that no node has.
const CACHE_MARK: &str = "darkroom_job";

/// What a node sends over the WebSocket and stores nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sends {
    /// `SaveImageWebsocket` sends PNG; anything else is a preview.
    Png,
    /// Nodes of other makers, such as `ETN_SendImageWebSocket`, send JPEG, too.
    PngOrJpeg,
}

/// The nodes whose images are sent over the WebSocket and stored nowhere.
pub(super) fn socket_nodes(workflow: &Map<String, Value>) -> HashMap<String, Sends> {
    workflow.iter().filter_map(|(id, node)| Some((id.clone(), sends(node)?))).collect()
}

fn sends(node: &Value) -> Option<Sends> {
    const RECEIVERS: &[&str] = &["load", "receive", "input"];
    let class = node["class_type"].as_str()?;
    let name = class.to_ascii_lowercase();
    match class {
        "SaveImageWebsocket" => Some(Sends::Png),
        _ if name.contains("websocket") && !RECEIVERS.iter().any(|word| name.contains(word)) => {
            Some(Sends::PngOrJpeg)
        }
        _ => None,
    }
}

/// Makes nodes run again although ComfyUI has them in its cache, if what they yielded is in no folder: it was sent over a
/// socket that is gone, or lies in a cache that forgets. An input that a node does not know counts for ComfyUI's cache and
/// reaches no node. `SaveImageWebsocket` runs always.
fn run_anew(workflow: &mut Value) {
    let nodes = workflow.as_object_mut().into_iter().flat_map(Map::values_mut);
    let is_in_no_folder =
        |node: &Value| sends(node) == Some(Sends::PngOrJpeg) || node["class_type"] == "ETN_SaveImageCache";
    for node in nodes.filter(|node| is_in_no_folder(node)) {
        if let Some(inputs) = node["inputs"].as_object_mut() {
            inputs.insert(CACHE_MARK.to_owned(), Value::String(Uuid::new_v4().to_string()));
        }
    }
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
    fn inputs_are_replaced_wherever_a_loader_takes_them() {
        let content = json!({
            "1": {"class_type": "LoadImage", "inputs": {"image": {"__value__": "https://a/b.png"}}},
            "2": {"class_type": "Load3D", "inputs": {"image": {"image": "https://a/b.png", "recording": ""}}},
            "3": {"class_type": "VHS_LoadVideoPath", "inputs": {"video": "https://a/b.mp4"}},
            "4": {"class_type": "LoadImageSetNode", "inputs": {"images": {"__value__": ["a.png", "https://a/b"]}}},
        });
        let pointers = ["/1/inputs/image/__value__", "/2/inputs/image/image", "/3/inputs/video"];
        let replacements = pointers.into_iter().chain(["/4/inputs/images/__value__/1"]);
        let replacements = (1..)
            .zip(replacements)
            .map(|(n, pointer)| Replacement { pointer: pointer.to_owned(), name: format!("darkroom/u/{n}") });
        let prepared = prepare(content.as_object().unwrap(), replacements.collect(), "darkroom/u").unwrap();
        assert_eq!(prepared["1"]["inputs"], json!({"image": {"__value__": "darkroom/u/1"}}));
        assert_eq!(prepared["2"]["inputs"], json!({"image": {"image": "darkroom/u/2", "recording": ""}}));
        assert_eq!(prepared["3"]["inputs"], json!({"video": "input/darkroom/u/3"}));
        assert_eq!(prepared["4"]["inputs"], json!({"images": {"__value__": ["a.png", "darkroom/u/4"]}}));
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
            (json!("v1..2...3"), "v1__2__.3"),
            (json!(["3", 0]), "out"),
            (json!("n".repeat(100)), &"n".repeat(64)),
        ] {
            let content = json!({"9": {"class_type": "SaveImage", "inputs": {"filename_prefix": prefix}}});
            let prepared = prepare(content.as_object().unwrap(), Vec::new(), "darkroom/u").unwrap();
            assert_eq!(prepared["9"]["inputs"]["filename_prefix"], format!("darkroom/u/{name}"));
        }
    }

    #[test]
    fn a_prefix_under_another_name_is_one_only_of_the_class_that_names_it_so() {
        let inputs = json!({"prefix": "loras/a"});
        let content = json!({
            "1": {"class_type": "SaveLoRA", "inputs": inputs}, "2": {"class_type": "AddPrefix", "inputs": inputs},
        });
        let prepared = prepare(content.as_object().unwrap(), Vec::new(), "darkroom/u").unwrap();
        assert_eq!(prepared["1"]["inputs"]["prefix"], "darkroom/u/a");
        assert_eq!(prepared["2"], content["2"]);
    }

    #[test]
    fn an_input_without_a_field_is_refused() {
        let replacement = Replacement { pointer: "/1/inputs/image".to_owned(), name: String::new() };
        let error = prepare(&Map::new(), vec![replacement], "darkroom/u").unwrap_err();
        assert_eq!(error.field.as_deref(), Some("/content/1/inputs/image"));
    }

    #[test]
    fn only_what_a_node_may_have_is_queued() {
        let node = json!({
            "class_type": "X", "inputs": {}, "_meta": {"title": "x"}, "is_changed": ["old"], "comment": 1,
        });
        let prepared = prepare(json!({ "1": node }).as_object().unwrap(), Vec::new(), "darkroom/u").unwrap();
        assert_eq!(prepared, json!({"1": {"class_type": "X", "inputs": {}, "_meta": {"title": "x"}}}));
    }

    #[test]
    fn a_folder_is_made_for_classes_that_may_not_make_it() {
        let saved_by = |class: &str| {
            let workflow = json!({"1": {"class_type": class, "inputs": {"filename_prefix": "x"}}, "2": {}});
            may_need_a_folder(workflow.as_object().unwrap())
        };
        assert!(saved_by("SaveStringKJ") && !saved_by("SaveImage"));
        let nothing_saved = json!({"1": {"class_type": "PreviewAny", "inputs": {"source": "x"}}});
        assert!(!may_need_a_folder(nothing_saved.as_object().unwrap()));
    }

    #[test]
    fn all_nodes_but_plain_sources_are_made_to_differ_from_the_cache() {
        let mut workflow = json!({
            "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "x"}},
            "2": {"class_type": "Sampler", "inputs": {"model": ["1", 0]}},
            "3": {"class_type": "Saver", "inputs": {"images": ["2", 0]}},
            "4": {"class_type": "Alone", "inputs": {}},
            "5": {"class_type": "easy forLoopStart", "inputs": {"total": 3}},
            "6": {"class_type": "easy forLoopEnd", "inputs": {"flow": ["5", 0]}},
            "7": {"class_type": "Maker", "inputs": {}},
            "8": {"class_type": "Saver", "inputs": {"images": ["7", 0]}},
        });
        avoid_the_cache(&mut workflow, &["7".to_owned()], "mark");
        let marked = |id: &str| workflow[id]["inputs"].get(CACHE_MARK).is_some();
        assert_eq!(["1", "2", "3", "4"].map(marked), [false, true, true, true]);
        assert_eq!(["5", "6", "7", "8"].map(marked), [true; 4]);
    }

    #[test]
    fn nodes_that_send_over_the_socket_are_known() {
        let classes = ["SaveImageWebsocket", "SaveImage", "ETN_SendImageWebSocket", "LoadImageFromWebsocket"];
        let nodes = classes.map(|class| (class.to_owned(), json!({"class_type": class, "inputs": {}})));
        let workflow: Map<String, Value> = nodes.into_iter().collect();
        let expected = [("SaveImageWebsocket", Sends::Png), ("ETN_SendImageWebSocket", Sends::PngOrJpeg)];
        assert_eq!(socket_nodes(&workflow), expected.map(|(id, sends)| (id.to_owned(), sends)).into());

        let [once, again] = [(); 2].map(|()| prepare(&workflow, Vec::new(), "darkroom/u").unwrap());
        let differs = |id: &&String| once[id.as_str()] != again[id.as_str()];
        assert_eq!(workflow.keys().filter(differs).collect::<Vec<_>>(), ["ETN_SendImageWebSocket"]);
    }
}
