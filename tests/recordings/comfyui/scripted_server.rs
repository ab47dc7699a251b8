//! A server that executes nothing: a posted job has the course and the result that the script of a test defines.
//!
//! For answers that were reported of real servers and not recorded: `tests/fixtures/cases`, and by their source code.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use integration_tests::fixtures;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::server::{self, RequestLog};

/// The id of the job that a node of the posted job queues.
pub(super) const FURTHER: &str = "5f9d3c1e-7a42-4b8e-9c10-2d6e8f0a1b3c";

const NOTHING_QUEUED: &str = r#"{"queue_running": [], "queue_pending": []}"#;

/// The responses of the server. In all texts `{{ID}}` stands for the id of the posted job, `{{CLIENT}}` for its client's, and
/// `{{FOLDER}}` for the folder that its `filename_prefix` names.
#[derive(Debug, Clone)]
pub(super) struct Script {
    /// The job's entry in the history, as it is written on the wire.
    pub(super) entry: String,
    /// The entry of the second job that is posted, if it differs.
    pub(super) second: Option<String>,
    /// The same of the job [`FURTHER`], if there is one: it is in the history from the start.
    pub(super) further: Option<String>,
    /// What `/queue` answers once the job is posted; of a job that is late in the history, until it is there.
    pub(super) queue: String,
    /// How often the job is requested, from the queue or the history, before it is in the history.
    pub(super) looks: usize,
    /// The frames that are sent over the socket once the job is posted.
    pub(super) frames: Vec<Frame>,
    /// The files that `/view` has, as `type/subfolder/name`, and other addresses.
    pub(super) files: HashMap<String, Vec<u8>>,
}

/// One message over the socket.
#[derive(Debug, Clone)]
pub(super) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    /// None, but a pause until the queue, which has the job [`FURTHER`], has been requested so many times.
    Looked(usize),
}

impl Script {
    /// The history entry at once, and nothing else.
    pub(super) fn ends_with(entry: impl ToString) -> Self {
        Self {
            entry: entry.to_string(),
            second: None,
            further: None,
            queue: NOTHING_QUEUED.to_owned(),
            looks: 0,
            frames: Vec::new(),
            files: HashMap::new(),
        }
    }

    /// The entry of a run that succeeded with these outputs.
    pub(super) fn succeeds_with(outputs: &Value) -> Self {
        let status = json!({ "status_str": "success", "completed": true, "messages": [] });
        Self::ends_with(json!({ "outputs": outputs, "status": status }))
    }

    /// The text of a file below `tests/fixtures/cases` as the entry.
    pub(super) fn case(file: &str) -> Self {
        Self::ends_with(std::fs::read_to_string(fixtures::folder().join("cases").join(file)).unwrap())
    }

    /// With that file, whose content is its name.
    pub(super) fn with_file(mut self, path: &str) -> Self {
        self.files.insert(path.to_owned(), path.as_bytes().to_vec());
        self
    }

    pub(super) fn with_frames(mut self, frames: impl IntoIterator<Item = Frame>) -> Self {
        self.frames.extend(frames);
        self
    }
}

/// A running server.
pub(super) struct ScriptedServer {
    pub(super) url: String,
    shared: Arc<Shared>,
}

impl ScriptedServer {
    pub(super) async fn start(script: Script) -> Self {
        let shared = Arc::new(Shared {
            script,
            posted: watch::Sender::default(),
            looks: Mutex::default(),
            queue_looks: watch::Sender::default(),
            requests: RequestLog::default(),
        });
        let router =
            Router::new().route("/ws", get(open_socket)).fallback(handle).with_state(Arc::clone(&shared));
        Self { url: server::serve(router).await, shared }
    }

    pub(super) fn requests(&self) -> &RequestLog {
        &self.shared.requests
    }
}

struct Shared {
    script: Script,
    posted: watch::Sender<Option<Posted>>,
    looks: Mutex<usize>,
    /// How often the queue was requested.
    queue_looks: watch::Sender<usize>,
    requests: RequestLog,
}

#[derive(Debug, Clone)]
struct Posted {
    id: String,
    client: String,
    folder: String,
}

impl Posted {
    fn of(body: &Bytes) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap();
        let prefix = |node: &Value| {
            let prefix = node.pointer("/inputs/filename_prefix")?.as_str()?;
            Some(prefix.rsplit_once('/')?.0.to_owned())
        };
        let folder = body["prompt"].as_object().unwrap().values().find_map(prefix).unwrap_or_default();
        let text = |key: &str| body[key].as_str().unwrap().to_owned();
        Self { id: text("prompt_id"), client: text("client_id"), folder }
    }

    fn fill_in(&self, text: &str) -> String {
        let text = text.replace("{{ID}}", &self.id).replace("{{CLIENT}}", &self.client);
        text.replace("{{FOLDER}}", &self.folder)
    }
}

impl Shared {
    fn answer(&self, method: &Method, uri: &Uri, body: &Bytes) -> Response {
        let path = uri.path();
        let posted = self.posted.borrow().clone();
        match (method.as_str(), path, posted) {
            ("POST", "/prompt", _) => {
                let posted = Posted::of(body);
                let answer = json!({ "prompt_id": posted.id, "number": 0, "node_errors": {} });
                self.posted.send_replace(Some(posted));
                json_text(answer.to_string())
            }
            ("GET", "/queue", Some(posted)) => {
                self.queue_looks.send_modify(|looks| *looks += 1);
                json_text(match self.script.looks > 0 && self.is_in_history() {
                    true => NOTHING_QUEUED.to_owned(),
                    false => posted.fill_in(&self.script.queue),
                })
            }
            ("GET", "/queue", None) => json_text(NOTHING_QUEUED.to_owned()),
            ("GET", _, Some(posted)) if path.strip_prefix("/history/") == Some(&posted.id) => {
                json_text(match self.is_in_history() {
                    true => posted.fill_in(&format!(r#"{{"{{{{ID}}}}": {}}}"#, self.entry())),
                    false => "{}".to_owned(),
                })
            }
            ("GET", _, Some(posted)) if path.strip_prefix("/history/") == Some(FURTHER) => {
                let entry = self.script.further.as_ref().map(|entry| posted.fill_in(entry));
                json_text(
                    entry.map_or_else(|| "{}".to_owned(), |entry| format!(r#"{{"{FURTHER}": {entry}}}"#)),
                )
            }
            ("GET", _, _) if path.starts_with("/history") => json_text("{}".to_owned()),
            ("GET", "/view", Some(posted)) => self.view(uri, &posted),
            ("GET", _, _) if self.script.files.contains_key(path) => {
                self.script.files[path].clone().into_response()
            }
            ("POST", "/queue" | "/history" | "/free" | "/interrupt", _) => StatusCode::OK.into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    fn entry(&self) -> &str {
        let is_second = self.requests.of("POST /prompt").len() > 1;
        self.script.second.as_ref().filter(|_| is_second).unwrap_or(&self.script.entry)
    }

    /// Whether the job is in the history, which it is once it has been requested often enough.
    fn is_in_history(&self) -> bool {
        let mut looks = self.looks.lock().unwrap();
        *looks += 1;
        *looks > self.script.looks
    }

    /// As ComfyUI serves a file: nothing outside of its folders.
    fn view(&self, uri: &Uri, posted: &Posted) -> Response {
        #[derive(Deserialize)]
        struct Wanted {
            filename: String,
            subfolder: String,
            r#type: String,
        }
        let Query(Wanted { filename, subfolder, r#type }) = Query::try_from_uri(uri).unwrap();
        if filename.starts_with('/') || filename.contains("..") {
            return StatusCode::BAD_REQUEST.into_response();
        }
        if subfolder.contains("..") || subfolder.starts_with('/') {
            return StatusCode::FORBIDDEN.into_response();
        }
        let place = format!("{type}/{subfolder}/{filename}");
        let file = self.script.files.iter().find(|(path, _)| posted.fill_in(path) == place);
        file.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |(_, bytes)| bytes.clone().into_response())
    }

    async fn send_frames(&self, mut socket: WebSocket) {
        let mut posted = self.posted.subscribe();
        let posted = match posted.wait_for(Option::is_some).await {
            Ok(posted) => posted.clone().unwrap(),
            Err(_) => return,
        };
        for frame in &self.script.frames {
            let message = match frame {
                Frame::Text(text) => Message::text(posted.fill_in(text)),
                Frame::Binary(bytes) => Message::binary(bytes.clone()),
                Frame::Looked(times) => {
                    let mut looks = self.queue_looks.subscribe();
                    looks.wait_for(|looks| looks >= times).await.ok();
                    continue;
                }
            };
            socket.send(message).await.ok();
        }
        while socket.recv().await.is_some() {}
    }
}

fn json_text(body: String) -> Response {
    ([("content-type", "application/json; charset=utf-8")], body).into_response()
}

async fn handle(State(shared): State<Arc<Shared>>, method: Method, uri: Uri, body: Bytes) -> Response {
    shared.requests.add(&method, &uri, &body);
    shared.answer(&method, &uri, &body)
}

async fn open_socket(State(shared): State<Arc<Shared>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |socket| shared.send_frames(socket).await)
}
