//! stable-diffusion.cpp's sd-server at commit 97d2990: its asynchronous interface, `/sdcpp/v1`, and one model.

mod jobs;
mod queue;
mod request;
mod worker;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use self::queue::Queue;
use crate::{
    DEFAULT_MODEL, Error, Simulation,
    behaviour::Behaviour,
    machine::Machine,
    registry::{Setup, SimulatedType},
};

/// How to start a simulated sd-server.
#[derive(Debug, Clone)]
pub struct SdCppOptions {
    /// Name of the runtime, printed on every generated picture.
    pub name: String,
    /// File name of its model.
    pub model: String,
    /// What it costs in time.
    pub behaviour: Behaviour,
    /// How many jobs may wait or run.
    pub max_queue_size: usize,
    /// How long a finished job is stored; for as long again it is known to have expired.
    pub retention: Duration,
}

impl Default for SdCppOptions {
    fn default() -> Self {
        Self {
            name: "stable-diffusion.cpp".to_owned(),
            model: DEFAULT_MODEL.to_owned(),
            behaviour: Behaviour::default(),
            max_queue_size: 64,
            retention: Duration::from_secs(600),
        }
    }
}

/// How the simulation is started by its name.
pub(crate) const TYPE: SimulatedType = SimulatedType {
    name: "sdcpp",
    about: "the asynchronous interface of stable-diffusion.cpp's sd-server, with the first of the models",
    start: |listen, Setup { name, models, behaviour, version, folder }| {
        if version.is_some() || folder.is_some() {
            return Err(Error::Unsupported("stable-diffusion.cpp has one version and no folder".to_owned()));
        }
        let model = models.into_iter().next().unwrap_or_else(|| DEFAULT_MODEL.to_owned());
        start(listen, SdCppOptions { name, model, behaviour, ..SdCppOptions::default() })
    },
};

impl Simulation {
    /// Starts a simulated sd-server. Port 0 selects a free one. Connections are refused until the start-up delay is over.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start_sdcpp(listen: SocketAddr, options: SdCppOptions) -> Result<Self, Error> {
        start(listen, options)
    }
}

fn start(listen: SocketAddr, options: SdCppOptions) -> Result<Simulation, Error> {
    let machine = Arc::new(Machine::new(options.name.clone(), options.behaviour.clone()));
    let startup_delay = options.behaviour.startup_delay;
    let server = Arc::new(SdCpp {
        machine: Arc::clone(&machine),
        queue: Mutex::new(Queue::new(options.retention)),
        queued: Notify::new(),
        options,
    });
    tokio::spawn(worker::run(Arc::clone(&server)));
    Simulation::start(listen, machine, router(server), startup_delay)
}

/// The state of one simulated sd-server.
struct SdCpp {
    machine: Arc<Machine>,
    options: SdCppOptions,
    queue: Mutex<Queue>,
    /// Wakes the worker when the queue has something for it.
    queued: Notify,
}

impl SdCpp {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn router(server: Arc<SdCpp>) -> Router {
    Router::new()
        .route("/", get(|| async { "Stable Diffusion Server is running" }))
        .route("/sdcpp/v1/capabilities", get(capabilities))
        .route("/sdcpp/v1/img_gen", post(jobs::submit))
        .route("/sdcpp/v1/vid_gen", post(jobs::no_video))
        .route("/sdcpp/v1/jobs/{id}", get(jobs::look))
        .route("/sdcpp/v1/jobs/{id}/cancel", post(jobs::cancel))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .with_state(server)
}

/// As recorded, with the model and the queue of this one.
const CAPABILITIES: &str = include_str!("capabilities.json");

async fn capabilities(State(server): State<Arc<SdCpp>>) -> Response {
    let mut body: Value = serde_json::from_str(CAPABILITIES).unwrap_or_default();
    let model = &server.options.model;
    let stem = model.rsplit_once('.').map_or(model.as_str(), |(stem, _)| stem);
    body["model"] = json!({ "name": model, "path": format!("/srv/models/{model}"), "stem": stem });
    body["limits"]["max_queue_size"] = json!(server.options.max_queue_size);
    Json(body).into_response()
}
