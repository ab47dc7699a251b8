//! Clients: they submit tasks, and receive the notifications.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::random::Random;

/// How many tasks are pending at a time: more than the pods hold, so that there is always a next one.
const BACKLOG: usize = 40;

/// The image that a task needs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Input {
    /// The task needs none.
    None,
    /// It arrives after a moment.
    Slow,
    /// It never arrives.
    Never,
}

/// The clients.
#[derive(Default)]
pub(crate) struct Traffic {
    state: Mutex<ClientState>,
}

#[derive(Default)]
struct ClientState {
    /// Submissions by the id of their task.
    accepted: HashMap<String, String>,
    posts: usize,
    refused: usize,
    completed: HashSet<String>,
    notifications: Vec<Value>,
}

/// What the clients have recorded.
pub(crate) struct ClientRecord {
    /// Submissions by the id of their task.
    pub(crate) accepted: HashMap<String, String>,
    /// POSTs that were answered 503.
    pub(crate) refused: usize,
    /// Every notification.
    pub(crate) notifications: Vec<Value>,
}

impl Traffic {
    /// Submits a task of an ordinary kind.
    pub(crate) async fn submit(&self, cluster: &Cluster, random: &mut Random) {
        let runtime = *random.choose(&["sdwebui", "comfyui"]);
        let input = *random.choose(&[Input::None, Input::None, Input::None, Input::Slow]);
        let id = self.state().next_id("task");
        self.post(cluster, runtime, &id, input).await;
    }

    /// Submits a task of that kind, and returns its id.
    pub(crate) async fn submit_one(&self, cluster: &Cluster, runtime: &str, input: Input) -> String {
        let id = self.state().next_id("odd");
        self.post(cluster, runtime, &id, input).await;
        id
    }

    async fn post(&self, cluster: &Cluster, runtime: &str, id: &str, input: Input) {
        let image = match input {
            Input::None => None,
            Input::Slow => Some(cluster.images.url(&format!("slow/{id}"))),
            Input::Never => Some(cluster.images.url("silent")),
        };
        let (task_type, content) = match (runtime, image) {
            ("sdwebui", None) => ("text-to-image", generation(id)),
            ("sdwebui", Some(url)) => ("image-to-image", with_image(generation(id), url)),
            (_, image) => ("pipeline", workflow(id, image)),
        };
        let metadata = json!({ "id": id, "runtime": runtime, "tasktype": task_type, "prefix": "output" });
        let body = json!({ "task": { "metadata": metadata, "content": content } });
        let (status, answer) = cluster.api.post("/v1alpha2", &body).await;
        let mut state = self.state();
        if status == StatusCode::OK {
            state.accepted.insert(id.to_owned(), answer["submission"].as_str().unwrap().to_owned());
        } else {
            // Clients retry later; the task may run all the same.
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
            state.refused += 1;
        }
    }

    /// Waits until few enough tasks are pending.
    pub(crate) async fn wait_for_room(&self) {
        while self.open() >= BACKLOG {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How many accepted tasks have not completed.
    pub(crate) fn open(&self) -> usize {
        let state = self.state();
        state.accepted.keys().filter(|id| !state.completed.contains(*id)).count()
    }

    /// Receives notifications until it is dropped.
    pub(crate) async fn listen(&self, cluster: &Cluster) {
        loop {
            let new = cluster.lab.poll_notifications().await;
            let mut state = self.state();
            for notification in new {
                state.completed.insert(notification["id"].as_str().unwrap_or_default().to_owned());
                state.notifications.push(notification);
            }
        }
    }

    /// What the clients have recorded so far.
    pub(crate) fn record(&self) -> ClientRecord {
        let state = self.state();
        ClientRecord {
            accepted: state.accepted.clone(),
            refused: state.refused,
            notifications: state.notifications.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, ClientState> {
        self.state.lock().unwrap()
    }
}

impl ClientState {
    fn next_id(&mut self, kind: &str) -> String {
        self.posts += 1;
        format!("{kind}-{}", self.posts)
    }
}

/// The prompt is the task's id, which the simulation uses as the label of the run.
fn generation(id: &str) -> Value {
    json!({ "prompt": id, "width": 64, "height": 64, "steps": 4 })
}

fn with_image(mut generation: Value, url: String) -> Value {
    generation["init_images"] = json!([url]);
    generation
}

/// The title identifies the task: everything else about a workflow may be changed by the worker.
fn workflow(id: &str, image: Option<String>) -> Value {
    let source = match image {
        Some(url) => {
            json!({ "class_type": "LoadImage", "inputs": { "image": url }, "_meta": { "title": id } })
        }
        None => {
            let inputs = json!({ "width": 64, "height": 64, "batch_size": 1, "color": 0x20_40_60 });
            json!({ "class_type": "EmptyImage", "inputs": inputs, "_meta": { "title": id } })
        }
    };
    let save = json!({ "class_type": "SaveImage", "inputs": { "filename_prefix": "x", "images": ["1", 0] } });
    json!({ "1": source, "2": save })
}
