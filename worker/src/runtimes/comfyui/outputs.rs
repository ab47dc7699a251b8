//! What a finished run has to show: files to fetch, images that came over the socket, and texts.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use shared_schema::ErrorCode;
use shared_schema::notification::{Warning, WarningCode};

use super::fetch::Fetched;
use super::frames::{Block, SocketImage};
use super::history::Entry;
use super::items::{FileRef, Item, Owned, Place};
use super::order;
use super::wording::{cut, fit_for_callers, without_folders};
use crate::error::TaskError;
use crate::runtimes::{OutputFile, RunOutput};

/// How many left-out files a warning names.
const NAMED_AT_MOST: usize = 10;
/// How many results there may be before a text is no longer tried as the name of a file: each costs a call.
const ASKED_AT_MOST: usize = 1_000;

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
    found: Vec<Found>,
    /// Their places by what names them.
    known: HashMap<String, usize>,
    shown: Vec<Shown>,
}

/// A result.
#[derive(Debug)]
struct Found {
    node_id: String,
    source: Source,
    is_preview: bool,
    /// Whether its node came into being during the run.
    is_made: bool,
}

/// One value of a node, in the order of the report.
#[derive(Debug)]
struct Shown {
    node_id: String,
    key: String,
    /// The place in `found`.
    file: Option<usize>,
    /// What the value is if there is no such file.
    text: Option<String>,
}

/// Collects the results from a history entry and from what came over the socket.
///
/// Files are recognised by what names them (see `items`), not by their key: animations and videos stand under `images`, too, and
/// nodes have keys of their own (`gifs`, `audio`, `3d`, `result`, `files`, `a_images`, …).
pub(super) fn collect(
    entry: &Entry,
    workflow: &Map<String, Value>,
    folder: &str,
    images: Vec<SocketImage>,
) -> Outputs {
    let none = Map::new();
    let of_nodes = entry.outputs.as_object().unwrap_or(&none);
    let typed = |text: &str| workflow.values().any(|node| holds(node, text));
    let owned = Owned { folder, typed: &typed };
    let mut outputs = Outputs::default();
    for node_id in order::of_nodes(workflow, of_nodes) {
        let is_made = !workflow.contains_key(node_id);
        let mut node = NodeOutputs { outputs: &mut outputs, owned, node_id, is_made };
        for (key, values) in of_nodes.get(node_id).and_then(Value::as_object).into_iter().flatten() {
            for value in items_of(values) {
                node.take(key, value, true);
            }
        }
        for image in images.iter().filter(|image| image.node_id == node_id) {
            node.receive(image);
        }
    }
    outputs
}

/// The results of one node on their way into those of all.
struct NodeOutputs<'a> {
    outputs: &'a mut Outputs,
    owned: Owned<'a>,
    node_id: &'a str,
    is_made: bool,
}

impl NodeOutputs<'_> {
    /// Takes what a value names, or what the values in it do. Only the texts directly under a key are a node's texts.
    fn take(&mut self, key: &str, value: &Value, is_text: bool) {
        let text = value.as_str().filter(|_| is_text).map(str::to_owned);
        let may_ask = value.is_object() || self.outputs.found.len() < ASKED_AT_MOST;
        match (self.owned.item(value).filter(|_| may_ask), value) {
            (Some(item), _) => {
                let file = Some(self.add(item));
                self.show(key, file, text);
            }
            (None, Value::String(_)) if is_text => self.show(key, None, text),
            (None, Value::Array(values)) => values.iter().for_each(|value| self.take(key, value, false)),
            (None, Value::Object(fields)) if !fields.contains_key("filename") => {
                fields.values().for_each(|value| self.take(key, value, false));
            }
            _ => {}
        }
    }

    fn receive(&mut self, image: &SocketImage) {
        let file = self.push(Source::Received(image.bytes.clone()), false);
        self.show("images", Some(file), None);
    }

    /// The place of a file, which a node may name under two keys, and two nodes may name.
    fn add(&mut self, item: Item) -> usize {
        let names = item.place.names();
        let is_certain = !matches!(item.place, Place::Named(_));
        let place = match names.iter().find_map(|name| self.outputs.known.get(name)).copied() {
            Some(known) => {
                let found = &mut self.outputs.found[known];
                if is_certain {
                    (found.source, found.is_preview) = (Source::At(item.place), item.is_preview);
                }
                known
            }
            None => self.push(Source::At(item.place), item.is_preview),
        };
        for name in names {
            self.outputs.known.entry(name).or_insert(place);
        }
        place
    }

    fn push(&mut self, source: Source, is_preview: bool) -> usize {
        let (node_id, is_made) = (self.node_id.to_owned(), self.is_made);
        self.outputs.found.push(Found { node_id, source, is_preview, is_made });
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

    /// The end of the run, with what was fetched (previews, too, if there was nothing else) and which nodes were blocked.
    ///
    /// # Errors
    /// It yielded neither a file nor a text, or nothing that the runtime gives away.
    pub(super) fn finished(
        self,
        prompt_id: &str,
        fetched: Vec<(usize, Fetched)>,
        blocks: &[Block],
    ) -> Result<RunOutput, TaskError> {
        let mut results: Vec<Option<Fetched>> = self.found.iter().map(|_| None).collect();
        for (place, result) in fetched {
            results[place] = Some(result);
        }
        let is_file = |place: &usize| matches!(results[*place], Some(Fetched::File(_)));
        let numbered: Vec<usize> = self.order().into_iter().filter(is_file).collect();
        let report = self.report(&numbered);
        let outside = self.names_of(|place| matches!(results[place], Some(Fetched::Outside)));
        if numbered.is_empty() && !outside.is_empty() {
            return Err(saved_outside(&outside));
        }
        if numbered.is_empty() && !self.has_texts() {
            return Err(no_output(blocks));
        }
        let mut warnings: Vec<Warning> = blocks.iter().map(Block::warning).collect();
        if !numbered.is_empty() && numbered.iter().all(|place| self.found[*place].is_preview) {
            let message = "every stored file is a preview: no node of the workflow saves a result";
            warnings.push(Warning::new(WarningCode::OnlyPreviews, message));
        }
        let unfetched = self.names_of(|place| results[place].is_none());
        warnings.extend(omitted(&outside, "saved where the runtime gives nothing away"));
        warnings.extend(omitted(&unfetched, "a preview beside results"));
        let mut file = |place: &usize| match results[*place].take() {
            Some(Fetched::File(file)) => Some(file),
            _ => None,
        };
        let files: Vec<OutputFile> = numbered.iter().filter_map(&mut file).collect();
        let report = json!({ "code": 200, "prompt_id": prompt_id, "outputs": report });
        Ok(RunOutput { files, report, warnings })
    }

    /// The places of the results in the order of their numbers.
    fn order(&self) -> Vec<usize> {
        let name = |found: &Found| found.source.file().map_or_else(String::new, FileRef::path);
        let names: Vec<_> = self.found.iter().map(|found| (name(found), found.is_made)).collect();
        order::of_files(&names)
    }

    /// Nodes, keys and values as in the history; a file is its number (`file`, from 1), its name and its type.
    fn report(&self, numbered: &[usize]) -> Map<String, Value> {
        let numbers: HashMap<usize, usize> = numbered.iter().copied().zip(1..).collect();
        let mut reported = HashSet::new();
        let mut report = Map::new();
        for Shown { node_id, key, file, text } in &self.shown {
            let value = match (file.and_then(|file| Some((file, *numbers.get(&file)?))), text) {
                (Some((file, _)), _) if !reported.insert((node_id, key, file)) => continue,
                (Some((file, number)), _) => self.found[file].source.described(number),
                (None, Some(text)) => json!(without_folders(text)),
                (None, None) => continue,
            };
            let node = report.entry(node_id.clone()).or_insert_with(|| json!({}));
            let values =
                node.as_object_mut().map(|node| node.entry(key.clone()).or_insert_with(|| json!([])));
            if let Some(values) = values.and_then(Value::as_array_mut) {
                values.push(value);
            }
        }
        report
    }

    /// Whether a node yielded a text. What 3D viewers write under `result` are names of files.
    fn has_texts(&self) -> bool {
        self.shown.iter().any(|shown| shown.text.is_some() && shown.key != "result")
    }

    /// Node and name of those files.
    fn names_of(&self, is_one: impl Fn(usize) -> bool) -> Vec<(&str, &str)> {
        let found = self.found.iter().enumerate().filter(|(place, _)| is_one(*place));
        let names = found
            .filter_map(|(_, found)| Some((found.node_id.as_str(), found.source.file()?.filename.as_str())));
        names.collect()
    }
}

impl Source {
    /// The file, if it has a name; the first that a text may name.
    fn file(&self) -> Option<&FileRef> {
        match self {
            Self::At(Place::Stored(file)) => Some(file),
            Self::At(Place::Named(files)) => files.first(),
            Self::At(Place::Cached(_)) | Self::Received(_) => None,
        }
    }

    fn described(&self, number: usize) -> Value {
        match self {
            Self::At(Place::Cached(_)) => json!({ "file": number, "type": "http" }),
            Self::Received(_) => json!({ "file": number, "type": "websocket" }),
            Self::At(Place::Stored(_) | Place::Named(_)) => {
                let file = self.file();
                let (filename, kind) = (file.map(|file| &file.filename), file.map(|file| &file.kind));
                json!({ "file": number, "filename": filename, "type": kind })
            }
        }
    }
}

fn no_output(blocks: &[Block]) -> TaskError {
    let message = "the workflow ran, but yielded neither a file of its own nor a text".to_owned();
    match blocks.first() {
        Some(block) => {
            let message = format!("{message}: {}", block.warning().message);
            TaskError::new(ErrorCode::NoOutput, message).at_node(block.node_id.clone())
        }
        None => TaskError::new(ErrorCode::NoOutput, message),
    }
}

impl Block {
    fn warning(&self) -> Warning {
        let (class, said) = (fit_for_callers(&self.class), fit_for_callers(&self.message));
        let message = format!("node {} ({class}) did not run: {said}", self.node_id);
        Warning::new(WarningCode::OutputBlocked, message).at_node(self.node_id.clone())
    }
}

/// The same workflow would save there again.
fn saved_outside(files: &[(&str, &str)]) -> TaskError {
    let message = format!(
        "{} saved outside of the output folder, where the runtime gives nothing away; use a node with a `filename_prefix`, \
         such as SaveImage, or a path within the output folder",
        listed(files)
    );
    let error = TaskError::new(ErrorCode::RuntimeFailed, message);
    match files.first() {
        Some((node_id, _)) => error.at_node(*node_id),
        None => error,
    }
}

fn omitted(files: &[(&str, &str)], why: &str) -> Option<Warning> {
    let (node_id, _) = files.first()?;
    let message = format!("not stored, since {why}: {}", listed(files));
    Some(Warning::new(WarningCode::FilesOmitted, message).at_node(*node_id))
}

fn listed(files: &[(&str, &str)]) -> String {
    let named = files.iter().take(NAMED_AT_MOST);
    let mut text: Vec<String> = named
        .map(|(node_id, name)| format!("`{}` (node {})", fit_for_callers(&cut(name, 100)), cut(node_id, 100)))
        .collect();
    if files.len() > NAMED_AT_MOST {
        text.push(format!("and {} more", files.len() - NAMED_AT_MOST));
    }
    text.join(", ")
}

/// By how many bytes a caller's spelling of a path may be longer than a node's. What is much longer may be a whole image.
const LONGER_AT_MOST: usize = 64;

/// Whether a value of a caller's workflow is that text.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(typed) => {
            typed.len() <= text.len() + LONGER_AT_MOST
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
    use super::super::tests::{entry, history_entry, recording};
    use super::*;

    /// What a run has to show whose files are all there: each has its name as content.
    fn finished(entry: &Entry, workflow: &Value, images: Vec<SocketImage>) -> Result<RunOutput, TaskError> {
        let outputs = collect(entry, workflow.as_object().unwrap(), "darkroom/u", images);
        let fetched = |(place, source): (usize, Source)| {
            let (bytes, name) = match &source {
                Source::Received(bytes) => (bytes.clone(), None),
                Source::At(_) => (Bytes::new(), source.file().map(|file| file.filename.clone())),
            };
            (place, Fetched::File(OutputFile { bytes, name }))
        };
        let mut files: Vec<_> = outputs.sources(false).into_iter().map(fetched).collect();
        if files.is_empty() {
            files.extend(outputs.sources(true).into_iter().map(fetched));
        }
        outputs.finished("p", files, &[])
    }

    fn replayed(name: &str) -> RunOutput {
        let recording = recording(name);
        let workflow = &recording["request"]["body"]["prompt"];
        finished(&entry(history_entry(&recording)), workflow, Vec::new()).unwrap()
    }

    fn names(output: &RunOutput) -> Vec<&str> {
        output.files.iter().filter_map(|file| file.name.as_deref()).collect()
    }

    fn codes(output: &RunOutput) -> Vec<WarningCode> {
        output.warnings.iter().map(|warning| warning.code).collect()
    }

    #[test]
    fn the_images_of_a_batch_are_numbered_in_order() {
        let output = replayed("images-batch-of-3");
        let expected: Vec<_> = (1..=3).map(|n| format!("out_0000{n}_.png")).collect();
        assert_eq!(names(&output), expected);
        let second = json!({"file": 2, "filename": "out_00002_.png", "type": "output"});
        assert_eq!(output.report["outputs"]["2"]["images"][1], second);
        assert_eq!(output.warnings, []);
    }

    #[test]
    fn a_preview_beside_a_result_is_named_and_not_stored() {
        let output = replayed("load-scale-invert-save-and-preview");
        assert_eq!(names(&output), ["out_00001_.png"]);
        assert_eq!(output.report["outputs"].as_object().unwrap().keys().collect::<Vec<_>>(), ["4"]);
        assert_eq!(codes(&output), [WarningCode::FilesOmitted]);
        assert!(output.warnings[0].message.contains("ComfyUI_temp_"), "{:?}", output.warnings);
    }

    #[test]
    fn previews_count_when_there_is_nothing_else() {
        let output = replayed("preview-only");
        assert!(names(&output)[0].starts_with("ComfyUI_temp_"), "{output:?}");
        assert_eq!(codes(&output), [WarningCode::OnlyPreviews]);
    }

    #[test]
    fn animations_videos_and_sounds_are_files() {
        for (name, ending, key) in [
            ("animated-webp", ".webp", "images"),
            ("video-mp4", ".mp4", "images"),
            ("audio-flac", ".flac", "audio"),
        ] {
            let output = replayed(name);
            assert!(names(&output)[0].ends_with(ending), "{output:?}");
            let node = output.report["outputs"].as_object().unwrap().values().next().unwrap();
            // The flag `animated` is no file.
            assert_eq!(node.as_object().unwrap().keys().collect::<Vec<_>>(), [key]);
        }
    }

    #[test]
    fn texts_go_into_the_report_without_the_folders_of_jobs() {
        let output = replayed("text-output");
        assert_eq!(output.files, []);
        assert_eq!(output.report["outputs"], json!({"2": {"text": ["hello text"]}}));

        let listed = "['darkroom/53a5516f-29c3-4168-a6d2-70030438aef2', 'x']";
        let ran = entry(json!({"outputs": {"1": {"text": [listed]}}}));
        let output = finished(&ran, &json!({"1": {}}), Vec::new()).unwrap();
        assert_eq!(output.report["outputs"]["1"]["text"], json!(["['…', 'x']"]));
    }

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
    fn a_run_without_results_is_a_failure() {
        let viewer = json!({"1": {"result": ["3d/other.glb", null, []]}});
        for outputs in [json!({}), json!({"1": {"images": [], "animated": [true]}}), json!(null), viewer] {
            let ran = entry(json!({"outputs": outputs}));
            let error = finished(&ran, &json!({"1": {}}), Vec::new()).unwrap_err();
            assert_eq!(error.code, ErrorCode::NoOutput, "{outputs}");
        }
    }

    #[test]
    fn many_results_are_collected_quickly() {
        let images: Vec<Value> = (0..50_000).map(|n| json!({"filename": format!("{n}.png")})).collect();
        let texts: Vec<Value> = (0..50_000).map(|n| json!(format!("{n}.png"))).collect();
        let ran = entry(json!({"outputs": {"1": {"images": images, "text": texts}}}));
        assert_eq!(finished(&ran, &json!({"1": {}}), Vec::new()).unwrap().files.len(), 50_000);
    }
}
