//! The interface of ComfyUI 0.25, or of another version: HTTP routes (each with a twin under `/api`) and the WebSocket.

mod cache;
mod definitions;
mod execution;
mod files;
mod graph;
mod history;
mod information;
mod job;
mod jobs;
mod messages;
mod nodes;
mod output_path;
mod prompt;
mod queue;
mod upload;
mod validation;
mod version;
mod view;
mod websocket;
mod worker;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::Value;
use tokio::sync::Notify;

pub use self::version::ComfyUiVersion;
use self::{definitions::Definitions, files::Files, history::History, queue::Queue, websocket::Sockets};
use crate::{
    DEFAULT_MODEL, Error, Simulation,
    behaviour::Behaviour,
    machine::Machine,
    python,
    registry::{Setup, SimulatedType},
};

/// How to start a simulated ComfyUI.
#[derive(Debug, Clone)]
pub struct ComfyUiOptions {
    /// Name of the runtime, printed on every generated picture.
    pub name: String,
    /// File names of the checkpoints on disk.
    pub models: Vec<String>,
    /// Its delays.
    pub behaviour: Behaviour,
    /// The version of its interface.
    pub version: ComfyUiVersion,
    /// The folder of its folders `input`, `output` and `temp` are; without one, files are in memory only.
    pub folder: Option<PathBuf>,
}

/// How the simulation is started by its name.
pub(crate) const TYPE: SimulatedType = SimulatedType {
    name: "comfyui",
    about: "the interface of ComfyUI; --version is 0.3, 0.25, 0.33 or 0.45",
    start: |listen, Setup { name, models, behaviour, version, folder }| {
        let version = version.map(|version| version.parse()).transpose().map_err(Error::Unsupported)?;
        let version = version.unwrap_or_default();
        start(listen, ComfyUiOptions { name, models, behaviour, version, folder })
    },
};

impl Simulation {
    /// Starts a simulated ComfyUI. Port 0 selects a free one. Connections are refused until the start-up delay is over.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start_comfyui(listen: SocketAddr, options: ComfyUiOptions) -> Result<Self, Error> {
        start(listen, options)
    }
}

fn start(listen: SocketAddr, options: ComfyUiOptions) -> Result<Simulation, Error> {
    let machine = Arc::new(Machine::new(options.name.clone(), options.behaviour.clone()));
    let router = router(Arc::clone(&machine), &options);
    Simulation::start(listen, machine, router, options.behaviour.startup_delay)
}

impl Default for ComfyUiOptions {
    fn default() -> Self {
        Self {
            name: "ComfyUI".to_owned(),
            models: vec![DEFAULT_MODEL.to_owned()],
            behaviour: Behaviour::default(),
            version: ComfyUiVersion::default(),
            folder: None,
        }
    }
}

/// The state of one simulated ComfyUI.
struct Comfy {
    machine: Arc<Machine>,
    definitions: Definitions,
    version: ComfyUiVersion,
    queue: Mutex<Queue>,
    /// Wakes the worker when the queue has something for it.
    queued: Notify,
    history: Mutex<History>,
    sockets: Mutex<Sockets>,
    files: Mutex<Files>,
    /// Set by `/interrupt`, read between nodes and at sampler steps, cleared when a prompt begins.
    interrupted: AtomicBool,
    /// Set by `/free`: the worker drops its cache before the next prompt.
    clear_cache: AtomicBool,
}

impl Comfy {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sockets(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.look();
        files
    }
}

pub(crate) fn router(machine: Arc<Machine>, options: &ComfyUiOptions) -> Router {
    let comfy = Arc::new(Comfy {
        machine,
        definitions: Definitions::new(&options.models),
        version: options.version,
        queue: Mutex::default(),
        queued: Notify::new(),
        history: Mutex::default(),
        sockets: Mutex::default(),
        files: Mutex::new(Files::new(options.folder.clone())),
        interrupted: AtomicBool::new(false),
        clear_cache: AtomicBool::new(false),
    });
    tokio::spawn(worker::run(Arc::clone(&comfy)));
    let routes = Router::new()
        .route("/prompt", get(prompt::depth).post(prompt::post))
        .route("/queue", get(queue::list).post(queue::change))
        .route("/interrupt", post(queue::interrupt))
        .route("/free", post(queue::free))
        .route("/history", get(history::list).post(history::change))
        .route("/history/{id}", get(history::one))
        .route("/view", get(view::view))
        .route("/upload/image", post(upload::image))
        .route("/system_stats", get(information::system_stats))
        .route("/features", get(information::features))
        .route("/object_info", get(information::all_nodes))
        .route("/object_info/{class}", get(information::one_node))
        .route("/models/{folder}", get(information::models))
        .route("/ws", get(websocket::connect));
    let mut api = routes.clone();
    if options.version.lists_jobs() {
        api = api.route("/jobs", get(jobs::list)).route("/jobs/{id}", get(jobs::one));
    }
    if options.version.cancels_by_id() {
        api = api
            .route("/jobs/cancel", post(jobs::cancel_several))
            .route("/jobs/{id}/cancel", post(jobs::cancel));
    }
    routes
        .nest("/api", api)
        .fallback(|| async { (StatusCode::NOT_FOUND, "404: Not Found") })
        .method_not_allowed_fallback(|| async { (StatusCode::METHOD_NOT_ALLOWED, "405: Method Not Allowed") })
        .layer(middleware::from_fn(refuse_other_origins))
        .with_state(comfy)
}

/// A JSON answer as aiohttp writes it.
fn json(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], python::dumps(body)).into_response()
}

/// aiohttp's response when a handler raised an exception.
fn trouble() -> Response {
    let text = "500 Internal Server Error\n\nServer got itself in trouble";
    (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
}

/// On loopback ComfyUI refuses what a browser sends on behalf of another site.
async fn refuse_other_origins(request: Request, next: Next) -> Response {
    if is_from_elsewhere(request.headers()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    next.run(request).await
}

fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = header("host").unwrap_or_default();
    let origin = header("origin").map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
    origin.is_some_and(|origin| origin != host) || header("sec-fetch-site") == Some("cross-site")
}
