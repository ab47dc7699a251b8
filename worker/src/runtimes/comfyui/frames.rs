//! What the frames of ComfyUI's WebSocket say of one job.

use std::collections::HashMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};
use shared_schema::python_json;

use super::redact::{cut, redacted};
use super::share::Share;
use super::workflow::{self, Sends};
use crate::runtimes::{Position, Progress};

/// The longest text about a blocked node that is kept, in characters.
const MAX_SAID: usize = 500;

/// What is worth knowing of the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The job of that id has finished. The history may learn of it a moment later.
    Finished(String),
    /// A node of the run has queued it again, and that job has begun: its id.
    BegunAgain(String),
    /// A result that is stored nowhere.
    Image(SocketImage),
    /// A node did not run, since another one blocked it. The history does not say so.
    Blocked(Block),
    /// There is no connection, or not any more; events may have been missed.
    Lost,
}

/// An image that a node such as `SaveImageWebsocket` sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SocketImage {
    pub(super) node_id: String,
    pub(crate) bytes: Bytes,
}

/// A node that did not run, and the message of the node that blocked it, redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub(super) node_id: String,
    pub(super) class: String,
    pub(super) message: String,
}

/// Turns frames into events and reports progress.
pub(crate) struct Reader {
    prompt_id: String,
    image_nodes: HashMap<String, Sends>,
    share: Share,
    progress: Progress,
    /// The node of `image_nodes` that runs, if one does, and what it sends.
    running: Option<(String, Sends)>,
}

/// As much of a text frame as matters; the rest of its kinds have other fields.
#[derive(Deserialize)]
struct TextFrame {
    #[serde(rename = "type")]
    kind: String,
    data: TextData,
}

#[derive(Deserialize)]
struct TextData {
    /// Some events of other jobs reach every client.
    prompt_id: String,
    node: Option<String>,
    /// The node of the workflow that a node which was made during the run, such as a further turn of a loop, stands for.
    display_node: Option<String>,
    value: Option<f64>,
    max: Option<f64>,
    #[serde(default)]
    nodes: Value,
    // Of an `execution_error`.
    #[serde(default)]
    node_id: Value,
    #[serde(default)]
    node_type: Value,
    #[serde(default)]
    exception_type: Value,
    #[serde(default)]
    exception_message: Value,
}

impl TextData {
    fn block(&self) -> Block {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        // Cut last: a path is found by where it ends.
        let said = |value: &Value| cut(&redacted(&text(value)), MAX_SAID);
        Block {
            node_id: cut(&text(&self.node_id), MAX_SAID),
            class: said(&self.node_type),
            message: said(&self.exception_message),
        }
    }
}

impl Reader {
    /// One for the job of that id and workflow.
    pub(crate) fn new(prompt_id: &str, workflow: &Map<String, Value>, progress: Progress) -> Self {
        Self {
            prompt_id: prompt_id.to_owned(),
            image_nodes: workflow::socket_nodes(workflow),
            share: Share::of(workflow.keys().cloned()),
            progress,
            running: None,
        }
    }

    /// Whether some results come over the socket and from nowhere else.
    pub(super) fn expects_images(&self) -> bool {
        !self.image_nodes.is_empty()
    }

    pub(crate) fn text(&mut self, text: &str) -> Option<Event> {
        let TextFrame { kind, data } = python_json::from_slice(text.as_bytes()).ok()?;
        if data.prompt_id != self.prompt_id {
            // Unlike other events, this one reaches only the socket of the client that owns the job.
            return (kind == "execution_start").then(|| self.begins_again(data.prompt_id));
        }
        self.progress.heartbeat();
        match (kind.as_str(), data) {
            ("execution_cached", TextData { nodes, .. }) => self.share.cached(&nodes),
            ("progress_state", TextData { nodes, .. }) => self.share.states(&nodes),
            ("progress", TextData { node: Some(node), value: Some(value), max: Some(max), .. }) => {
                self.share.steps(&node, value, max);
                let step = (max >= 1.0).then_some((value.max(0.0) as u64, max as u64));
                self.progress.set_position(Position { step, node: Some(node) });
            }
            ("executing", TextData { node: Some(node), display_node, .. }) => {
                self.progress.set_position(Position { step: None, node: Some(node.clone()) });
                let sends = |id: String| self.image_nodes.get(&id).map(|sends| (id, *sends));
                self.running = sends(node).or_else(|| sends(display_node?));
            }
            // `ExecutionBlocker` with a message; the run goes on without the node.
            ("execution_error", data) if data.exception_type == "ExecutionBlocked" => {
                return Some(Event::Blocked(data.block()));
            }
            ("executing" | "execution_success" | "execution_error" | "execution_interrupted", _) => {
                self.running = None;
                return Some(Event::Finished(self.prompt_id.clone()));
            }
            _ => {}
        }
        self.progress.advance_to(self.share.total());
        None
    }

    /// What follows is about that job.
    fn begins_again(&mut self, prompt_id: String) -> Event {
        self.prompt_id.clone_from(&prompt_id);
        self.running = None;
        self.progress.heartbeat();
        Event::BegunAgain(prompt_id)
    }

    /// Binary frames name neither job nor node: they belong to the node that runs. Those of other nodes are previews.
    pub(crate) fn binary(&mut self, frame: &Bytes) -> Option<Event> {
        /// Event 1 (an image), format 1 (JPEG) or 2 (PNG), both big-endian.
        const JPEG_IMAGE: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
        const PNG_IMAGE: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 2];
        let (node_id, sends) = self.running.clone()?;
        let is_result =
            frame.starts_with(&PNG_IMAGE) || frame.starts_with(&JPEG_IMAGE) && sends == Sends::PngOrJpeg;
        is_result.then(|| Event::Image(SocketImage { node_id, bytes: frame.slice(PNG_IMAGE.len()..) }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::recording;
    use super::*;

    fn reader(workflow: &Value) -> Reader {
        Reader::new("mine", workflow.as_object().unwrap(), Progress::new())
    }

    /// What a reader for the recorded job makes of each recorded text frame, and how far the job is then.
    fn read(name: &str) -> Vec<(Option<Event>, Option<f64>)> {
        let recording = recording(name);
        let request = &recording["request"]["body"];
        let (prompt_id, workflow) = (request["prompt_id"].as_str().unwrap(), &request["prompt"]);
        let progress = Progress::new();
        let mut reader = Reader::new(prompt_id, workflow.as_object().unwrap(), progress.clone());
        let frames = recording["websocket"].as_array().unwrap().iter();
        let texts = frames.filter_map(|frame| frame.get("text"));
        texts.map(|text| (reader.text(&text.to_string()), progress.watch().borrow().share)).collect()
    }

    fn events_of(name: &str) -> Vec<Event> {
        read(name).into_iter().filter_map(|(event, _)| event).collect()
    }

    fn finished(prompt_id: &str) -> Event {
        Event::Finished(prompt_id.to_owned())
    }

    #[test]
    fn a_recorded_run_comes_nearer_to_its_end_until_all_is_done() {
        for (name, first) in [
            ("checkpoint-sampler-progress", 0.0),
            ("partly-cached-with-previews", 4.0 / 7.0),
            ("cached-repeat", 1.0),
        ] {
            let shares: Vec<f64> = read(name).into_iter().filter_map(|(_, share)| share).collect();
            // That of `execution_start` comes before anything is known to be cached.
            assert_eq!(shares[..2], [0.0, first], "{name}");
            assert!(shares.is_sorted() && shares.last() == Some(&1.0), "{name}: {shares:?}");
        }
        let (_, shares): (Vec<_>, Vec<_>) = read("checkpoint-sampler-progress").into_iter().unzip();
        // Four of seven nodes, and one of two steps of the fifth.
        assert!(shares.contains(&Some(4.5 / 7.0)), "{shares:?}");
        assert!(shares.starts_with(&[None, None, None]), "a pending job is not known to be anywhere");
    }

    #[test]
    fn only_the_jobs_own_events_are_signs_of_life() {
        let progress = Progress::new();
        let born = progress.watch().borrow().at;
        let mut reader = Reader::new("mine", &Map::new(), progress.clone());
        reader.text(r#"{"type":"progress_state","data":{"prompt_id":"theirs","nodes":{}}}"#);
        reader.text(r#"{"type":"status","data":{"status":{}}}"#);
        assert_eq!(progress.watch().borrow().at, born);

        reader.text(r#"{"type":"executed","data":{"prompt_id":"mine","node":"1"}}"#);
        assert!(progress.watch().borrow().at > born);
    }

    #[test]
    fn every_recorded_final_event_is_recognised() {
        for name in [
            "images-batch-of-3",
            "cached-repeat",
            "partly-cached-with-previews",
            "execution-error",
            "interrupted",
        ] {
            // Once for its kind, and once for the `executing` without a node, which is the last frame.
            let recording = recording(name);
            let id = recording["request"]["body"]["prompt_id"].as_str().unwrap();
            assert_eq!(events_of(name), [finished(id), finished(id)], "{name}");
        }
        assert_eq!(events_of("error-no-outputs"), []);
    }

    #[test]
    fn a_final_event_is_recognised_whatever_values_it_has() {
        for odd in ["NaN", r#"["\ud800"]"#, "1e999", &format!("{}{}", "[".repeat(500), "]".repeat(500))] {
            let frame = format!(
                r#"{{"type":"execution_error","data":{{"prompt_id":"mine","current_inputs":{{"x":{odd}}}}}}}"#
            );
            assert_eq!(reader(&json!({})).text(&frame), Some(finished("mine")), "{odd:.20}");
        }
    }

    #[test]
    fn a_blocked_node_does_not_end_the_run() {
        let frame = r#"{"type":"execution_error","data":{"prompt_id":"mine","node_id":"7","node_type":"SaveImage",
            "exception_message":"Execution Blocked: no face found","exception_type":"ExecutionBlocked","traceback":[]}}"#;
        let block = Block {
            node_id: "7".to_owned(),
            class: "SaveImage".to_owned(),
            message: "Execution Blocked: no face found".to_owned(),
        };
        assert_eq!(reader(&json!({})).text(frame), Some(Event::Blocked(block)));
    }

    #[test]
    fn a_path_in_a_message_is_hidden_before_the_message_is_cut() {
        let message = format!("{} '/home/my user/secret/{}'", "x".repeat(480), "y".repeat(40));
        let frame = json!({"type": "execution_error", "data": {"prompt_id": "mine", "node_id": "7",
            "exception_message": message, "exception_type": "ExecutionBlocked"}});
        let event = reader(&json!({})).text(&frame.to_string());
        let Some(Event::Blocked(block)) = event else { panic!("{event:?}") };
        assert_eq!(block.message, format!("{} '…'", "x".repeat(480)));
    }

    #[test]
    fn a_final_event_names_its_job() {
        let mut reader = reader(&json!({}));
        let begun = r#"{"type":"execution_start","data":{"prompt_id":"next"}}"#;
        let late = r#"{"type":"executing","data":{"prompt_id":"mine","node":null}}"#;
        let done = r#"{"type":"execution_success","data":{"prompt_id":"next"}}"#;
        assert_eq!(reader.text(late), Some(finished("mine")));
        assert_eq!(reader.text(begun), Some(Event::BegunAgain("next".to_owned())));
        assert_eq!(reader.text(late), None);
        assert_eq!(reader.text(done), Some(finished("next")));
    }

    #[test]
    fn events_of_other_jobs_are_ignored() {
        let mut reader = reader(&json!({}));
        assert_eq!(reader.text(r#"{"type":"execution_success","data":{"prompt_id":"theirs"}}"#), None);
        assert_eq!(reader.text(r#"{"type":"executing","data":{"node":null}}"#), None);
        assert_eq!(reader.text(r#"{"type":"crystools.monitor","data":[1]}"#), None);
        assert_eq!(reader.text("not json"), None);
    }

    #[test]
    fn only_png_frames_of_socket_nodes_are_results() {
        let mut reader = reader(&json!({"5": {}, "9": {"class_type": "SaveImageWebsocket"}}));
        let png = Bytes::from_static(b"\0\0\0\x01\0\0\0\x02\x89PNG");
        let jpeg = Bytes::from_static(b"\0\0\0\x01\0\0\0\x01\xff\xd8");
        assert_eq!(reader.binary(&png), None);

        reader.text(r#"{"type":"executing","data":{"prompt_id":"mine","node":"5"}}"#);
        assert_eq!(reader.binary(&png), None);

        reader.text(r#"{"type":"executing","data":{"prompt_id":"mine","node":"9"}}"#);
        let image = SocketImage { node_id: "9".to_owned(), bytes: Bytes::from_static(b"\x89PNG") };
        assert_eq!(reader.binary(&png), Some(Event::Image(image)));
        assert_eq!(reader.binary(&jpeg), None);
        assert_eq!(reader.binary(&Bytes::from_static(b"\0\0")), None);

        reader.text(r#"{"type":"executing","data":{"prompt_id":"mine","node":null}}"#);
        assert_eq!(reader.binary(&png), None);
    }

    #[test]
    fn the_images_of_each_turn_of_a_loop_are_results_of_the_node_in_it() {
        let mut reader = reader(&json!({"9": {"class_type": "SaveImageWebsocket"}}));
        let png = Bytes::from_static(b"\0\0\0\x01\0\0\0\x02\x89PNG");
        for (node, shown, is_result) in [("9", "9", true), ("8.0.0.9", "9", true), ("8.0.0.7", "7", false)] {
            let data = json!({"prompt_id": "mine", "node": node, "display_node": shown});
            reader.text(&json!({"type": "executing", "data": data}).to_string());
            let image = SocketImage { node_id: "9".to_owned(), bytes: Bytes::from_static(b"\x89PNG") };
            assert_eq!(reader.binary(&png), is_result.then_some(Event::Image(image)), "{node}");
        }
    }

    #[test]
    fn other_nodes_than_comfyuis_own_may_send_jpeg() {
        let mut reader = reader(&json!({"9": {"class_type": "ETN_SendImageWebSocket"}}));
        reader.text(r#"{"type":"executing","data":{"prompt_id":"mine","node":"9"}}"#);
        let image = SocketImage { node_id: "9".to_owned(), bytes: Bytes::from_static(b"\xff\xd8") };
        assert_eq!(
            reader.binary(&Bytes::from_static(b"\0\0\0\x01\0\0\0\x01\xff\xd8")),
            Some(Event::Image(image))
        );
        assert_eq!(reader.binary(&Bytes::from_static(b"\0\0\0\x04\0\0\0\x01\xff\xd8")), None);
    }
}
