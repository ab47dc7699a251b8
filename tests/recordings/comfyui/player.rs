//! A server that replays one recording of ComfyUI, a hundred times as fast.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{Method, Uri};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use integration_tests::{fixtures, wait};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::files;
use crate::server::{self, RequestLog};

const TIMES_AS_FAST: f64 = 100.0;

/// A running player.
pub(crate) struct Player {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    recording: Value,
    information: Value,
    /// The answers to uploads, in order.
    uploads: Mutex<VecDeque<Value>>,
    progress: watch::Sender<Progress>,
    requests: RequestLog,
    /// Requests that no recording answers.
    unanswered: Mutex<Vec<String>>,
}

/// The progress of the replay.
#[derive(Default)]
struct Progress {
    /// The id in the socket's address.
    client_id: Option<String>,
    /// The body of `POST /prompt`.
    posted: Option<Value>,
    interrupted: bool,
    /// Whether the job is in the history.
    finished: bool,
}

impl Player {
    /// Replays that recording. What was recorded apart from it, calls for information and uploads, is added.
    pub(crate) async fn start(recording: Value, uploads: &[Value]) -> Self {
        let shared = Arc::new(Shared {
            recording,
            information: fixtures::load("comfyui/information-endpoints.json"),
            uploads: Mutex::new(uploads.iter().cloned().collect()),
            progress: watch::Sender::default(),
            requests: RequestLog::default(),
            unanswered: Mutex::default(),
        });
        let router =
            Router::new().route("/ws", get(open_socket)).fallback(handle).with_state(Arc::clone(&shared));
        Self { url: server::serve(router).await, shared }
    }

    /// The body of the one `POST /prompt`, once it has arrived.
    pub(crate) async fn posted(&self) -> Value {
        wait::until("a workflow", async || self.shared.progress.borrow().posted.clone()).await
    }

    /// The client id of the socket.
    pub(crate) fn client_id(&self) -> Option<String> {
        self.shared.progress.borrow().client_id.clone()
    }

    /// Interrupts the run, as another client would.
    pub(crate) fn interrupt(&self) {
        self.shared.interrupt();
    }

    pub(crate) fn requests(&self) -> &RequestLog {
        &self.shared.requests
    }

    /// Requests that no recording answers.
    pub(crate) fn unanswered(&self) -> Vec<String> {
        self.shared.unanswered.lock().unwrap().clone()
    }
}

impl Shared {
    fn recorded_id(&self) -> &str {
        self.recording["request"]["body"]["prompt_id"].as_str().unwrap()
    }

    /// Recorded JSON with the worker's job id in place of each recorded one.
    fn with_id(&self, recorded: &Value, id: &str) -> Value {
        serde_json::from_str(&recorded.to_string().replace(self.recorded_id(), id)).unwrap()
    }

    fn answer(&self, method: &Method, uri: &Uri, body: &Bytes) -> Option<Response> {
        let path = uri.path();
        let recorded = match (method.as_str(), path) {
            ("GET", "/system_stats") => &self.information["system_stats"],
            ("GET", "/prompt") => &self.information["prompt"],
            ("POST", "/prompt") => &self.take(serde_json::from_slice(body).ok()?),
            ("GET", "/queue") => &self.queue(),
            // By hand: the history of other clients' jobs was not recorded.
            ("GET", "/history") => &json!({ "status": 200, "body": {} }),
            ("GET", _) if path.starts_with("/history/") => &self.history(path.strip_prefix("/history/")?),
            ("GET", "/view") => return self.view(uri),
            ("POST", "/upload/image") => &self.uploads.lock().unwrap().pop_front()?,
            ("POST", "/interrupt") => {
                self.interrupt();
                &accepted()
            }
            // By hand, like that of `/interrupt`: deletions and `/free` were not recorded.
            ("POST", "/queue" | "/history" | "/free") => &accepted(),
            _ => return None,
        };
        Some(server::answer(recorded))
    }

    fn interrupt(&self) {
        self.progress.send_modify(|progress| progress.interrupted = true);
    }

    fn take(&self, posted: Value) -> Value {
        let answer = self.with_id(&self.recording["response"], posted["prompt_id"].as_str().unwrap());
        self.progress.send_modify(|progress| progress.posted = Some(posted));
        answer
    }

    /// The job itself was not recorded in the queue, but its history entry begins with the same values.
    fn queue(&self) -> Value {
        let progress = self.progress.borrow();
        let mut queue = self.information["queue"].clone();
        let job = self.recording["history"]["body"].get(self.recorded_id()).map(|entry| &entry["prompt"]);
        if let (Some(posted), Some(job), false) = (&progress.posted, job, progress.finished) {
            let id = posted["prompt_id"].as_str().unwrap();
            let mut job = self.with_id(job, id);
            job[3]["client_id"] = posted["client_id"].clone();
            // Another one, if the server accepts no ids of its callers.
            if self.recording["response"]["body"]["prompt_id"] != self.recorded_id() {
                job[1] = self.recording["response"]["body"]["prompt_id"].clone();
            }
            queue["body"]["queue_running"] = json!([job]);
        }
        queue
    }

    fn history(&self, id: &str) -> Value {
        let progress = self.progress.borrow();
        match &progress.posted {
            Some(posted) if posted["prompt_id"] == id && self.recording.get("history").is_some() => {
                let unfinished = "history_while_pending_or_running";
                let which = if progress.finished { "history" } else { unfinished };
                self.with_id(&self.recording[which], id)
            }
            _ => self.information["history_unknown"].clone(),
        }
    }

    fn view(&self, uri: &Uri) -> Option<Response> {
        let wanted = files::Place::of(&uri.to_string());
        let views = self.recording["views"].as_array()?;
        let view = views.iter().find(|view| files::Place::of(view["path"].as_str().unwrap()) == wanted)?;
        let content_type = view["headers"]["Content-Type"].as_str().unwrap();
        let answer = Response::builder().status(view["status"].as_u64().unwrap() as u16);
        Some(answer.header("content-type", content_type).body(Body::from(files::content(view))).unwrap())
    }

    /// Replays the frames. The run continues when the client has disconnected.
    async fn play(&self, mut socket: WebSocket, client_id: &str) {
        let mut frames = self.recording["websocket"].as_array().unwrap().iter();
        let mut greeting = frames.next().unwrap()["text"].clone();
        greeting["data"]["status"]["sid"] = json!(client_id);
        socket.send(Message::text(greeting.to_string())).await.ok();

        let mut progress = self.progress.subscribe();
        let id = match progress.wait_for(|progress| progress.posted.is_some()).await {
            Ok(progress) => progress.posted.as_ref().unwrap()["prompt_id"].as_str().unwrap().to_owned(),
            Err(_) => return,
        };
        let frames: Vec<&Value> = frames.collect();
        let is_status = |frame: &&Value| frame["text"]["type"] == "status";
        // ComfyUI reports its queue's new length when it has written the history: after the last event but one.
        let finished = frames.iter().rposition(is_status);
        let at = |frame: &Value| frame["at_s"].as_f64().unwrap();
        let begun = frames.first().map_or(0.0, |frame| at(frame));
        let struck = self.recording["action"]["after_s"].as_f64().map(|after| begun + after);
        let mut now = begun;
        for (n, frame) in frames.into_iter().enumerate() {
            tokio::time::sleep(Duration::from_secs_f64((at(frame) - now) / TIMES_AS_FAST)).await;
            now = at(frame);
            if struck.is_some_and(|struck| struck < now) {
                progress.wait_for(|progress| progress.interrupted).await.ok();
            }
            if Some(n) == finished {
                self.progress.send_modify(|progress| progress.finished = true);
            }
            socket.send(self.message(frame, &id)).await.ok();
        }
        while socket.recv().await.is_some() {}
    }

    /// A recorded frame. Of a binary one, only the beginning and the length were recorded.
    fn message(&self, frame: &Value, id: &str) -> Message {
        match frame.get("text") {
            Some(text) => Message::text(self.with_id(text, id).to_string()),
            None => {
                let mut bytes = files::from_hex(frame["binary"]["first_24_hex"].as_str().unwrap());
                bytes.resize(frame["binary"]["bytes"].as_u64().unwrap() as usize, 0);
                Message::binary(bytes)
            }
        }
    }
}

/// The recorded answer to `/interrupt`.
fn accepted() -> Value {
    fixtures::load("comfyui/interrupted.json")["action"]["response"].clone()
}

async fn handle(State(shared): State<Arc<Shared>>, method: Method, uri: Uri, body: Bytes) -> Response {
    let request = shared.requests.add(&method, &uri, &body);
    shared.answer(&method, &uri, &body).unwrap_or_else(|| {
        shared.unanswered.lock().unwrap().push(request.line);
        server::answer(&json!({ "status": 404, "body": "" }))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listener {
    client_id: String,
}

async fn open_socket(
    State(shared): State<Arc<Shared>>,
    Query(Listener { client_id }): Query<Listener>,
    upgrade: WebSocketUpgrade,
) -> Response {
    shared.progress.send_modify(|progress| progress.client_id = Some(client_id.clone()));
    upgrade.on_upgrade(async move |socket| shared.play(socket, &client_id).await)
}
