//! What a finished run has to show: files to fetch, images that came over the socket, and texts.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::frames::SocketImage;
use super::history::Entry;

/// A file that ComfyUI has, in the words of its history and of `/view`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileRef {
    pub(super) filename: String,
    pub(super) subfolder: String,
    /// `output`, `temp` (previews) or `input`.
    pub(super) kind: String,
}

/// Where the bytes of one result come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// From `/view`.
    Stored(FileRef),
    /// They are here.
    Received(Bytes),
}

/// The results of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outputs {
    /// The files, in the order of their numbers.
    pub(super) files: Vec<Source>,
    /// Nodes, keys and values as in the history; a file is its number (`file`, from 1), its name and its type.
    pub(super) report: Map<String, Value>,
}

/// Collects the results from a history entry and from what came over the socket.
///
/// Files are recognised by their `filename`, not by their key: animations and videos stand under `images`, too, and nodes
/// have keys of their own (`gifs`, `audio`, `latents`, …). Nodes are in the order of the workflow, since the history's is
/// the order in which they happened to end. Previews (`temp`) count only when a run has no other files.
pub(super) fn collect(entry: &Entry, workflow: &Map<String, Value>, images: Vec<SocketImage>) -> Outputs {
    let nodes = in_order_of(workflow, &entry.outputs);
    let only_previews =
        images.is_empty() && !nodes.iter().flat_map(|(_, node)| files_of(node)).any(is_result);
    let mut outputs = Outputs { files: Vec::new(), report: Map::new() };
    for (id, node) in nodes {
        let mut told = Map::new();
        for (key, items) in node.as_object().into_iter().flatten() {
            let items = items_of(items).iter().filter_map(|item| outputs.take(item, only_previews));
            let items: Vec<Value> = items.collect();
            if !items.is_empty() {
                told.insert(key.clone(), Value::Array(items));
            }
        }
        let received = images.iter().filter(|image| image.node_id == id).map(|image| outputs.receive(image));
        let received: Vec<Value> = received.collect();
        if !received.is_empty() {
            told.insert("images".to_owned(), Value::Array(received));
        }
        if !told.is_empty() {
            outputs.report.insert(id.to_owned(), Value::Object(told));
        }
    }
    outputs
}

impl Outputs {
    /// Whether there is neither a file nor a text.
    pub(super) fn is_empty(&self) -> bool {
        self.report.is_empty()
    }

    /// What the report says of one item: a file gets its number, a text stays, anything else is nothing.
    fn take(&mut self, item: &Value, only_previews: bool) -> Option<Value> {
        if item.is_string() {
            return Some(item.clone());
        }
        let file = file_of(item).filter(|file| only_previews || is_result(file.clone()))?;
        let (filename, kind) = (file.filename.clone(), file.kind.clone());
        Some(json!({ "file": self.number(Source::Stored(file)), "filename": filename, "type": kind }))
    }

    /// The number of a file, which a node may name under two keys.
    fn number(&mut self, file: Source) -> usize {
        match self.files.iter().position(|known| *known == file) {
            Some(place) => place + 1,
            None => {
                self.files.push(file);
                self.files.len()
            }
        }
    }

    fn receive(&mut self, image: &SocketImage) -> Value {
        self.files.push(Source::Received(image.bytes.clone()));
        json!({ "file": self.files.len(), "type": "websocket" })
    }
}

/// The outputs of all nodes of the workflow, empty ones too; nodes that only came into being during the run are last.
fn in_order_of<'a>(workflow: &'a Map<String, Value>, outputs: &'a Value) -> Vec<(&'a str, &'a Value)> {
    let planned = workflow.keys().map(|id| (id.as_str(), &outputs[id.as_str()]));
    let others = outputs.as_object().into_iter().flatten().map(|(id, node)| (id.as_str(), node));
    planned.chain(others.filter(|(id, _)| !workflow.contains_key(*id))).collect()
}

fn files_of(node: &Value) -> impl Iterator<Item = FileRef> {
    node.as_object().into_iter().flatten().flat_map(|(_, items)| items_of(items)).filter_map(file_of)
}

/// A value under a key is a list, but nodes of other makers write single ones.
fn items_of(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

fn file_of(item: &Value) -> Option<FileRef> {
    let text = |key: &str, default: &str| item[key].as_str().unwrap_or(default).to_owned();
    let filename = item["filename"].as_str()?.to_owned();
    Some(FileRef { filename, subfolder: text("subfolder", ""), kind: text("type", "output") })
}

fn is_result(file: FileRef) -> bool {
    file.kind != "temp"
}

#[cfg(test)]
mod tests {
    use super::super::tests::{entry, history_entry, recording};
    use super::*;

    fn collected(name: &str) -> Outputs {
        let recording = recording(name);
        let workflow = recording["request"]["body"]["prompt"].as_object().unwrap();
        collect(&entry(history_entry(&recording)), workflow, Vec::new())
    }

    fn names(outputs: &Outputs) -> Vec<&str> {
        let stored = outputs.files.iter().filter_map(|source| match source {
            Source::Stored(file) => Some(file.filename.as_str()),
            Source::Received(_) => None,
        });
        stored.collect()
    }

    #[test]
    fn the_images_of_a_batch_are_numbered_in_order() {
        let outputs = collected("images-batch-of-3");
        let expected: Vec<_> = (1..=3).map(|n| format!("out_0000{n}_.png")).collect();
        assert_eq!(names(&outputs), expected);
        let second = json!({"file": 2, "filename": "out_00002_.png", "type": "output"});
        assert_eq!(outputs.report["2"]["images"][1], second);
    }

    #[test]
    fn a_preview_does_not_count_beside_a_result() {
        let outputs = collected("load-scale-invert-save-and-preview");
        let file = FileRef {
            filename: "out_00001_.png".to_owned(),
            subfolder: "darkroom/up".to_owned(),
            kind: "output".to_owned(),
        };
        assert_eq!(outputs.files, [Source::Stored(file)]);
        assert_eq!(outputs.report.keys().collect::<Vec<_>>(), ["4"]);
    }

    #[test]
    fn previews_count_when_there_is_nothing_else() {
        let outputs = collected("preview-only");
        assert!(!outputs.files.is_empty());
        assert!(names(&outputs)[0].starts_with("ComfyUI_temp_"), "{outputs:?}");
    }

    #[test]
    fn animations_videos_and_sounds_are_files() {
        for (name, ending, key) in [
            ("animated-webp", ".webp", "images"),
            ("video-mp4", ".mp4", "images"),
            ("audio-flac", ".flac", "audio"),
        ] {
            let outputs = collected(name);
            assert!(names(&outputs)[0].ends_with(ending), "{outputs:?}");
            let node = outputs.report.values().next().unwrap();
            // The flag `animated` is no file.
            assert_eq!(node.as_object().unwrap().keys().collect::<Vec<_>>(), [key]);
        }
    }

    #[test]
    fn texts_go_into_the_report() {
        let outputs = collected("text-output");
        assert_eq!(outputs.files, []);
        assert_eq!(json!(outputs.report), json!({"2": {"text": ["hello text"]}}));
    }

    #[test]
    fn results_follow_the_order_of_the_workflow_and_are_taken_once() {
        let ran = entry(json!({"outputs": {
            "made:1": {"images": [{"filename": "d.png"}]},
            "2": {"gifs": [{"filename": "b.mp4", "workflow": "b.png"}], "videos": {"filename": "b.mp4"}},
            "57:12": {"images": [{"filename": "a.png"}, 7, null]},
        }}));
        let workflow = json!({"57:12": {}, "9": {"class_type": "SaveImageWebsocket"}, "2": {}});
        let image = SocketImage { node_id: "9".to_owned(), bytes: Bytes::from_static(b"png") };
        let outputs = collect(&ran, workflow.as_object().unwrap(), vec![image]);
        assert_eq!(outputs.files[1], Source::Received(Bytes::from_static(b"png")));
        assert_eq!(names(&outputs), ["a.png", "b.mp4", "d.png"]);
        let video = json!({"file": 3, "filename": "b.mp4", "type": "output"});
        let expected = json!({
            "57:12": {"images": [{"file": 1, "filename": "a.png", "type": "output"}]},
            "9": {"images": [{"file": 2, "type": "websocket"}]},
            "2": {"gifs": [video], "videos": [video]},
            "made:1": {"images": [{"file": 4, "filename": "d.png", "type": "output"}]},
        });
        assert_eq!(json!(outputs.report), expected);
    }

    #[test]
    fn a_run_without_results_is_empty() {
        assert!(
            collect(&entry(json!({"outputs": {}})), json!({"1": {}}).as_object().unwrap(), Vec::new())
                .is_empty()
        );
    }
}
