//! What a finished run has to show: files to fetch, images that came over the socket, and texts.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use serde_json::{Map, Value};

use super::frames::SocketImage;
use super::history::Entry;
use super::items::{Item, Owned, Place};
use super::order;
use super::workflow::yields_files;

/// How many results there may be before a text is no longer tried as the name of a file: each costs a call.
const MAX_ASKED: usize = 1_000;

/// Where the bytes of one result come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// From the runtime.
    At(Place),
    /// They are here.
    Received(Bytes),
}

/// The results of a run, yet to be fetched.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    /// Each once.
    pub(super) found: Vec<Found>,
    /// Their places by what names them.
    known: HashMap<String, usize>,
    pub(super) shown: Vec<Shown>,
    /// The nodes that save files, or should, and show nothing: id and class.
    pub(super) silent: Vec<(String, String)>,
}

/// A result.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) node_id: String,
    pub(super) source: Source,
    pub(super) is_preview: bool,
    /// Whether its node came into being during the run.
    pub(super) is_made: bool,
    /// Whether it may be gone although the run succeeded: a file of an earlier job, or an image in a cache that forgets.
    pub(super) may_be_gone: bool,
}

/// One value of a node, in the order of the report.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) node_id: String,
    pub(super) key: String,
    /// The place in `found`.
    pub(super) file: Option<usize>,
    /// What the value is if there is no such file.
    pub(super) text: Option<String>,
}

/// Collects the results from a history entry and from what came over the socket.
///
/// `folder` is where the job saves, and `inputs` where its inputs are.
///
/// Files are recognised by what names them (see `items`), not by their key: animations and videos stand under `images`, too, and
/// nodes have keys of their own (`gifs`, `audio`, `3d`, `result`, `files`, `a_images`, …).
pub(super) fn collect(
    entry: &Entry,
    workflow: &Map<String, Value>,
    folder: &str,
    inputs: &str,
    images: Vec<SocketImage>,
) -> Outputs {
    let none = Map::new();
    let of_nodes = entry.outputs.as_object().unwrap_or(&none);
    let typed = |text: &str| workflow.values().any(|node| holds(node, text));
    let owned = Owned { folder, inputs, typed: &typed };
    let cached: HashSet<&str> = entry.cached().collect();
    let mut outputs = Outputs::default();
    for node_id in order::of_nodes(workflow, of_nodes) {
        let is_made = !workflow.contains_key(node_id);
        // Those that were made are not listed as cached.
        let may_be_cached = is_made || cached.contains(node_id);
        let mut node = NodeOutputs { outputs: &mut outputs, owned, node_id, is_made, may_be_cached };
        for (key, values) in of_nodes.get(node_id).and_then(Value::as_object).into_iter().flatten() {
            for value in items_of(values) {
                node.take(key, value, true);
            }
        }
        for image in images.iter().filter(|image| image.node_id == node_id) {
            node.receive(image);
        }
    }
    outputs.silent = silent(workflow, &outputs.shown);
    outputs
}

/// The nodes that save files, or should, and of which nothing is shown, not even by nodes that they made.
fn silent(workflow: &Map<String, Value>, shown: &[Shown]) -> Vec<(String, String)> {
    let shown = shown.iter().map(|shown| shown.node_id.as_str());
    let planned =
        shown.map(|id| if workflow.contains_key(id) { Some(id) } else { order::maker(id, workflow) });
    let received: HashSet<&str> = planned.flatten().collect();
    let silent = workflow.iter().filter(|(id, node)| yields_files(node) && !received.contains(id.as_str()));
    let class = |node: &Value| node["class_type"].as_str().unwrap_or_default().to_owned();
    silent.map(|(id, node)| (id.clone(), class(node))).collect()
}

/// The results of one node on their way into those of all.
struct NodeOutputs<'a> {
    outputs: &'a mut Outputs,
    owned: Owned<'a>,
    node_id: &'a str,
    is_made: bool,
    may_be_cached: bool,
}

impl NodeOutputs<'_> {
    /// Takes what a value names, or what the values in it do. Only the texts directly under a key are a node's texts.
    fn take(&mut self, key: &str, value: &Value, is_text: bool) {
        let text = value.as_str().filter(|_| is_text).map(str::to_owned);
        let may_ask = value.is_object() || self.outputs.found.len() < MAX_ASKED;
        match (self.owned.item(value).filter(|_| may_ask), value) {
            (Some(item), _) => {
                let file = Some(self.add(item));
                self.show(key, file, text);
            }
            (None, Value::String(_)) if is_text => self.show(key, None, text),
            // Nodes that show a number put it where others put texts.
            (None, Value::Number(_) | Value::Bool(_)) if is_text && key == "text" => {
                self.show(key, None, Some(value.to_string()));
            }
            (None, Value::Array(values)) => values.iter().for_each(|value| self.take(key, value, false)),
            (None, Value::Object(fields)) if !fields.contains_key("filename") => {
                fields.values().for_each(|value| self.take(key, value, false));
            }
            _ => {}
        }
    }

    fn receive(&mut self, image: &SocketImage) {
        let file = self.push(Source::Received(image.bytes.clone()), false, false);
        self.show("images", Some(file), None);
    }

    /// The place of a file, which a node may name under two keys, and two nodes may name.
    fn add(&mut self, item: Item) -> usize {
        let names = item.place.names();
        let is_certain = !matches!(item.place, Place::Named(_));
        let may_be_gone = match item.place {
            Place::Cached(_) => true,
            Place::Stored(_) | Place::Named(_) => self.may_be_cached && !self.owned.holds(&item.place),
        };
        let place = match names.iter().find_map(|name| self.outputs.known.get(name)).copied() {
            Some(known) => {
                let found = &mut self.outputs.found[known];
                found.may_be_gone &= may_be_gone;
                if is_certain {
                    (found.source, found.is_preview) = (Source::At(item.place), item.is_preview);
                }
                known
            }
            None => self.push(Source::At(item.place), item.is_preview, may_be_gone),
        };
        for name in names {
            self.outputs.known.entry(name).or_insert(place);
        }
        place
    }

    fn push(&mut self, source: Source, is_preview: bool, may_be_gone: bool) -> usize {
        let (node_id, is_made) = (self.node_id.to_owned(), self.is_made);
        self.outputs.found.push(Found { node_id, source, is_preview, is_made, may_be_gone });
        self.outputs.found.len() - 1
    }

    fn show(&mut self, key: &str, file: Option<usize>, text: Option<String>) {
        let (node_id, key) = (self.node_id.to_owned(), key.to_owned());
        self.outputs.shown.push(Shown { node_id, key, file, text });
    }
}

impl Outputs {
    /// What to fetch: all but the previews, or the previews.
    pub(super) fn sources(&self, previews: bool) -> Vec<(usize, Source)> {
        let found = self.found.iter().enumerate().filter(|(_, found)| found.is_preview == previews);
        found.map(|(place, found)| (place, found.source.clone())).collect()
    }
}

/// By how many bytes a caller's spelling of a path may be longer than a node's. What is much longer may be a whole image.
const MAX_LONGER: usize = 64;

/// Whether a value of a caller's workflow is that text.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(typed) => {
            typed.len() <= text.len() + MAX_LONGER
                && typed.trim().replace('\\', "/").trim_matches('/') == text
        }
        Value::Array(values) => values.iter().any(|value| holds(value, text)),
        Value::Object(fields) => fields.values().any(|value| holds(value, text)),
        _ => false,
    }
}

/// A value under a key is a list, but nodes of other makers write single ones.
fn items_of(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::run_output::tests::{finished, names};
    use super::super::tests::entry;
    use super::*;
    use crate::runtimes::OutputFile;

    #[test]
    fn results_follow_the_order_of_the_workflow_and_are_taken_once() {
        let ran = entry(json!({"outputs": {
            "made:1": {"images": [{"filename": "d.png"}]},
            "2": {"gifs": [{"filename": "b.mp4", "workflow": "b.png"}], "videos": {"filename": "b.mp4"}},
            "57:12": {"images": [{"filename": "a.png"}, 7, null, {"filename": "a.png"}]},
        }}));
        let workflow = json!({"57:12": {}, "9": {"class_type": "SaveImageWebsocket"}, "2": {}});
        let image = SocketImage { node_id: "9".to_owned(), bytes: Bytes::from_static(b"png") };
        let output = finished(&ran, &workflow, vec![image]).unwrap();
        assert_eq!(output.files[1], OutputFile { bytes: Bytes::from_static(b"png"), name: None });
        assert_eq!(names(&output), ["a.png", "b.mp4", "d.png"]);
        let video = json!({"file": 3, "filename": "b.mp4", "type": "output"});
        let expected = json!({
            "57:12": {"images": [{"file": 1, "filename": "a.png", "type": "output"}]},
            "9": {"images": [{"file": 2, "type": "websocket"}]},
            "2": {"gifs": [video], "videos": [video]},
            "made:1": {"images": [{"file": 4, "filename": "d.png", "type": "output"}]},
        });
        assert_eq!(output.report["outputs"], expected);
    }

    #[test]
    fn a_file_is_found_however_deep_and_under_whatever_key() {
        let ran = entry(json!({"outputs": {"1": {
            "a_images": [[{"filename": "a.avif"}]],
            "files": {"report": {"filename": "b.md", "subfolder": "darkroom/u", "type": "output"}},
            "result": ["darkroom/u/c.glb", {"position": {"x": 1.0}}, null, [r"darkroom\u\d.ply", "darkroom/u/b.md"]],
            "3d": "e.spz",
        }}}));
        let output = finished(&ran, &json!({"1": {}}), Vec::new()).unwrap();
        let mut names = names(&output);
        names.sort_unstable();
        assert_eq!(names, ["a.avif", "b.md", "c.glb", "d.ply", "e.spz"]);
    }

    #[test]
    fn a_number_that_is_shown_is_a_result() {
        let ran =
            entry(json!({"outputs": {"1": {"text": [42, 0.5, true]}, "2": {"animated": [true], "x": [7]}}}));
        let output = finished(&ran, &json!({"1": {}, "2": {}}), Vec::new()).unwrap();
        assert_eq!(output.report["outputs"], json!({"1": {"text": ["42", "0.5", "true"]}}));
    }

    #[test]
    fn many_results_are_all_collected() {
        let images: Vec<Value> = (0..50_000).map(|n| json!({"filename": format!("{n}.png")})).collect();
        let texts: Vec<Value> = (0..50_000).map(|n| json!(format!("{n}.png"))).collect();
        let ran = entry(json!({"outputs": {"1": {"images": images, "text": texts}}}));
        assert_eq!(finished(&ran, &json!({"1": {}}), Vec::new()).unwrap().files.len(), 50_000);
    }
}
