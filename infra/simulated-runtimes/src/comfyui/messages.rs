//! The events of a job, sent over the WebSocket and stored in the history.

use axum::extract::ws::Message;
use serde_json::{Map, Value, json};

use super::{
    Comfy,
    job::{self, Job},
};
use crate::{behaviour::ProgressReports, samples::Sample};

pub(super) fn queue_status(comfy: &Comfy) -> Value {
    json!({"status": {"exec_info": {"queue_remaining": comfy.queue().remaining()}}})
}

/// Sends the number of remaining jobs to all clients.
pub(super) fn status(comfy: &Comfy) {
    let status = queue_status(comfy);
    comfy.sockets().send(None, "status", &status);
}

/// Sends the events of one job.
pub(super) struct EventSender<'a> {
    comfy: &'a Comfy,
    job: &'a Job,
    /// The events for the history.
    pub(super) history: Vec<Value>,
    /// `progress_state`: every node that ran or runs.
    progress: Map<String, Value>,
}

impl<'a> EventSender<'a> {
    pub(super) fn new(comfy: &'a Comfy, job: &'a Job) -> Self {
        Self { comfy, job, history: Vec::new(), progress: Map::new() }
    }

    /// An event that is stored in the history. Without a client id it is not sent, except an interruption, which is sent to all
    /// clients then.
    pub(super) fn milestone(&mut self, kind: &str, data: Value) {
        let mut data = self.with_id(data);
        data.insert("timestamp".to_owned(), json!(job::now()));
        let data = Value::Object(data);
        if self.job.client().is_some() || kind == "execution_interrupted" {
            self.comfy.sockets().send(self.job.client(), kind, &data);
        }
        self.history.push(json!([kind, data]));
    }

    /// The node begins.
    pub(super) fn node_started(&mut self, node: &str) {
        self.note(node, json!(0.0), json!(1.0), "running");
        self.tell_progress();
        if let Some(client) = self.job.client() {
            self.comfy.sockets().running = Some((client.to_owned(), node.to_owned()));
        }
        self.send("executing", json!({"node": node, "display_node": node}));
    }

    /// A node with a progress bar did one more step.
    pub(super) fn node_steps(&mut self, node: &str, value: u32, max: u32) {
        self.note(node, json!(value), json!(max), "running");
        self.tell_progress();
        if self.reports_nothing() {
            return;
        }
        // Sent in this order of keys: value, max, prompt_id, node.
        let data = json!({"value": value, "max": max, "prompt_id": self.job.id, "node": node});
        if let Some(client) = self.job.client() {
            self.comfy.sockets().send(Some(client), "progress", &data);
        }
    }

    /// A preview of the picture in the making, as JPEG.
    pub(super) fn preview(&self, node: &str) {
        self.picture(node, JPEG, Sample::Jpeg.bytes(), "image/jpeg");
    }

    /// A picture that is an output, as PNG.
    pub(super) fn output_picture(&self, png: &[u8]) {
        self.comfy.sockets().send_picture(self.job.client(), &plain_frame(PNG, png), None);
    }

    fn picture(&self, node: &str, format: u32, picture: &[u8], image_type: &str) {
        let metadata = json!({
            "node_id": node, "prompt_id": self.job.id, "display_node_id": node, "parent_node_id": null,
            "real_node_id": node, "image_type": image_type,
        });
        let with_metadata = metadata_frame(&metadata, picture);
        let plain = plain_frame(format, picture);
        self.comfy.sockets().send_picture(self.job.client(), &plain, Some(&with_metadata));
    }

    /// The output of an output node.
    pub(super) fn executed(&self, node: &str, display_node: &str, output: &Value) {
        self.send("executed", json!({"node": node, "display_node": display_node, "output": output}));
    }

    /// A node does not run, since another one blocks it. This is not stored in the history.
    pub(super) fn blocked(&self, node: &str, class: &str, executed: &[String], message: &str) {
        let data = json!({
            "node_id": node, "node_type": class, "executed": executed,
            "exception_message": format!("Execution Blocked: {message}"), "exception_type": "ExecutionBlocked",
            "traceback": [], "current_inputs": [], "current_outputs": [],
        });
        self.send("execution_error", data);
    }

    /// The node is done.
    pub(super) fn node_finished(&mut self, node: &str) {
        let max = self.progress.get(node).and_then(|state| state.get("max")).cloned();
        // A cached node never began.
        let max = max.unwrap_or_else(|| json!(1));
        self.note(node, max.clone(), max, "finished");
        self.tell_progress();
    }

    /// The last event of a job: the history has its entry by now.
    pub(super) fn farewell(&self) {
        self.comfy.sockets().running = None;
        self.send("executing", json!({"node": null}));
    }

    fn send(&self, kind: &str, data: Value) {
        if let Some(client) = self.job.client() {
            self.comfy.sockets().send(Some(client), kind, &Value::Object(self.with_id(data)));
        }
    }

    /// Without a client id this one is sent to all clients.
    fn tell_progress(&self) {
        if self.reports_nothing() {
            return;
        }
        let data = json!({"prompt_id": self.job.id, "nodes": self.progress});
        self.comfy.sockets().send(self.job.client(), "progress_state", &data);
    }

    fn reports_nothing(&self) -> bool {
        self.comfy.machine.behaviour.progress == ProgressReports::Missing
    }

    fn note(&mut self, node: &str, value: Value, max: Value, state: &str) {
        let state = json!({
            "value": value, "max": max, "state": state, "node_id": node, "prompt_id": self.job.id,
            "display_node_id": node, "parent_node_id": null, "real_node_id": node,
        });
        self.progress.insert(node.to_owned(), state);
    }

    fn with_id(&self, data: Value) -> Map<String, Value> {
        let mut data = match data {
            Value::Object(data) => data,
            _ => Map::new(),
        };
        data.insert("prompt_id".to_owned(), json!(self.job.id));
        data
    }
}

/// Binary events and picture formats, big endian.
const PREVIEW_IMAGE: u32 = 1;
const PREVIEW_IMAGE_WITH_METADATA: u32 = 4;
const JPEG: u32 = 1;
const PNG: u32 = 2;

fn plain_frame(format: u32, picture: &[u8]) -> Message {
    Message::binary([&PREVIEW_IMAGE.to_be_bytes(), &format.to_be_bytes(), picture].concat())
}

fn metadata_frame(metadata: &Value, picture: &[u8]) -> Message {
    let metadata = metadata.to_string();
    let length = u32::try_from(metadata.len()).unwrap_or_default();
    let frame =
        [&PREVIEW_IMAGE_WITH_METADATA.to_be_bytes(), &length.to_be_bytes(), metadata.as_bytes(), picture];
    Message::binary(frame.concat())
}
