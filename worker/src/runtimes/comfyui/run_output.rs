//! The end of a run whose results were fetched: their numbers, the report, and what the caller should know of the others.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};
use shared_schema::ErrorCode;
use shared_schema::notification::{Warning, WarningCode};

use super::fetch::Fetched;
use super::frames::Block;
use super::items::{FileRef, Place};
use super::order;
use super::outputs::{Found, Outputs, Shown, Source};
use super::redact::{cut, redacted, without_folders};
use crate::error::TaskError;
use crate::runtimes::{OutputFile, Reported, RunOutput};

/// How many left-out files, or nodes, a warning names.
const MAX_NAMED: usize = 10;

impl Outputs {
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
        let missing = self.names_of(|place| matches!(results[place], Some(Fetched::Missing)));
        let silent: Vec<_> = self.silent.iter().filter(|(id, _)| !is_blocked(id, blocks)).collect();
        if numbered.is_empty() && !outside.is_empty() {
            let why = "saved outside of the output folder, where the runtime gives nothing away";
            return Err(out_of_reach(&outside, why));
        }
        if numbered.is_empty() && !missing.is_empty() {
            return Err(out_of_reach(&missing, "not found where the node says that it saved"));
        }
        if numbered.is_empty() && !self.has_texts() {
            return Err(no_output(blocks, &silent));
        }
        let mut warnings: Vec<Warning> = blocks.iter().map(Block::warning).collect();
        if !numbered.is_empty() && numbered.iter().all(|place| self.found[*place].is_preview) {
            let message = "every stored file is a preview: no node of the workflow saves a result";
            warnings.push(Warning::new(WarningCode::OnlyPreviews, message));
        }
        let unfetched = self.names_of(|place| results[place].is_none());
        warnings.extend(omitted(&outside, "saved where the runtime gives nothing away"));
        warnings.extend(omitted(&missing, "not found where the node says that it saved"));
        warnings.extend(unshown(&silent));
        warnings.extend(omitted(&unfetched, "a preview beside results"));
        let mut file = |place: &usize| match results[*place].take() {
            Some(Fetched::File(file)) => Some(file),
            _ => None,
        };
        let files: Vec<OutputFile> = numbered.iter().filter_map(&mut file).collect();
        let report = json!({ "code": 200, "prompt_id": prompt_id, "outputs": report });
        Ok(RunOutput { files, report, warnings, reported: Reported::default() })
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

fn no_output(blocks: &[Block], silent: &[&(String, String)]) -> TaskError {
    let message = "the workflow ran, but yielded neither a file of its own nor a text";
    match blocks.first().map(Block::warning).or_else(|| unshown(silent)) {
        Some(Warning { message: why, node_id, .. }) => {
            TaskError::new(ErrorCode::NoOutput, format!("{message}: {why}"))
                .at_node(node_id.unwrap_or_default())
        }
        None => TaskError::new(ErrorCode::NoOutput, message),
    }
}

fn is_blocked(node_id: &str, blocks: &[Block]) -> bool {
    blocks.iter().any(|block| block.node_id == node_id)
}

/// `CheckpointSave` and others write files and show nothing. A node that is blocked without a message looks the same.
fn unshown(silent: &[&(String, String)]) -> Option<Warning> {
    let (first, _) = silent.first()?;
    let named = silent.iter().map(|(id, class)| format!("{} ({})", cut(id, 100), cut(&redacted(class), 100)));
    let message = format!(
        "nothing is stored of nodes that show no file, since they were blocked or do not say what they save: {}",
        listed(named)
    );
    Some(Warning::new(WarningCode::FilesOmitted, message).at_node(first.as_str()))
}

impl Block {
    fn warning(&self) -> Warning {
        let message = format!("node {} ({}) did not run: {}", self.node_id, self.class, self.message);
        Warning::new(WarningCode::OutputBlocked, message).at_node(self.node_id.clone())
    }
}

/// The same workflow would save there again.
fn out_of_reach(files: &[(&str, &str)], why: &str) -> TaskError {
    let message = format!(
        "{} {why}; use a node with a `filename_prefix`, such as SaveImage, or a path within the output folder",
        listed(files.iter().map(labelled))
    );
    let error = TaskError::new(ErrorCode::RuntimeFailed, message);
    match files.first() {
        Some((node_id, _)) => error.at_node(*node_id),
        None => error,
    }
}

fn omitted(files: &[(&str, &str)], why: &str) -> Option<Warning> {
    let (node_id, _) = files.first()?;
    let message = format!("not stored, since {why}: {}", listed(files.iter().map(labelled)));
    Some(Warning::new(WarningCode::FilesOmitted, message).at_node(*node_id))
}

/// A file and its node.
fn labelled((node_id, name): &(&str, &str)) -> String {
    format!("`{}` (node {})", cut(&redacted(name), 100), cut(node_id, 100))
}

fn listed(mut named: impl ExactSizeIterator<Item = String>) -> String {
    let mut text: Vec<String> = named.by_ref().take(MAX_NAMED).collect();
    if named.len() > 0 {
        text.push(format!("and {} more", named.len()));
    }
    text.join(", ")
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;

    use super::super::frames::SocketImage;
    use super::super::history::Entry;
    use super::super::outputs::collect;
    use super::super::tests::{entry, history_entry, recording};
    use super::*;

    /// What a run has to show whose files are all there: each has its name as content.
    pub(in super::super) fn finished(
        entry: &Entry,
        workflow: &Value,
        images: Vec<SocketImage>,
    ) -> Result<RunOutput, TaskError> {
        let outputs = collect(entry, workflow.as_object().unwrap(), "darkroom/u", "darkroom/i", images);
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

    pub(in super::super) fn names(output: &RunOutput) -> Vec<&str> {
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
    fn a_run_without_results_is_a_failure() {
        let viewer = json!({"1": {"result": ["3d/other.glb", null, []]}});
        for outputs in [json!({}), json!({"1": {"images": [], "animated": [true]}}), json!(null), viewer] {
            let ran = entry(json!({"outputs": outputs}));
            let error = finished(&ran, &json!({"1": {}}), Vec::new()).unwrap_err();
            assert_eq!(error.code, ErrorCode::NoOutput, "{outputs}");
        }
    }

    #[test]
    fn nodes_that_save_and_show_nothing_are_named() {
        let saving = |class: &str| json!({"class_type": class, "inputs": {"filename_prefix": "m"}});
        let mut workflow = json!({
            "1": saving("SaveImage"), "2": saving("CheckpointSave"), "3": saving("Expanded"),
            "4": {"class_type": "SaveLoRA", "inputs": {"prefix": "l"}},
            "5": {"class_type": "SaveImageWebsocket", "inputs": {}}, "6": {"class_type": "EmptyImage", "inputs": {}},
        });
        let image = |name: &str| json!({"images": [{"filename": name}]});
        let ran = entry(json!({"outputs": {"1": image("a.png"), "3.0.0.1": image("b.png"), "2": {"x": []}}}));
        let output = finished(&ran, &workflow, Vec::new()).unwrap();
        let [warning] = output.warnings.as_slice() else { panic!("{output:?}") };
        assert_eq!((warning.code, warning.node_id.as_deref()), (WarningCode::FilesOmitted, Some("2")));
        let named = "do not say what they save: 2 (CheckpointSave), 4 (SaveLoRA), 5 (SaveImageWebsocket)";
        assert!(warning.message.ends_with(named), "{warning:?}");

        for n in 7..20 {
            workflow[n.to_string()] = saving("VAESave");
        }
        let error = finished(&entry(json!({"outputs": {}})), &workflow, Vec::new()).unwrap_err();
        assert_eq!((error.code, error.node_id.as_deref()), (ErrorCode::NoOutput, Some("1")));
        assert!(error.message.ends_with("11 (VAESave), and 8 more"), "{error}");
    }

    #[test]
    fn a_path_in_a_name_is_hidden_before_the_name_is_cut() {
        let name = format!("{} '/home/my user/{}' x", "a".repeat(80), "b".repeat(80));
        assert_eq!(labelled(&("1", &name)), format!("`{} '…' x` (node 1)", "a".repeat(80)));
    }
}
