//! OpenAI's Images API under `/v1`, as vLLM-Omni (by its documentation) or stable-diffusion.cpp's `sd-server` (97d2990,
//! recorded) has it.

mod failure;
mod request;
mod run;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;

use self::failure::Failure;
use crate::{
    Error, Simulation,
    behaviour::Behaviour,
    machine::Machine,
    registry::{Setup, SimulatedType},
};

/// How to start a simulated server.
#[derive(Debug, Clone)]
pub struct OpenAiImagesOptions {
    /// Name of the runtime, printed on every picture.
    pub name: String,
    /// The server that is simulated.
    pub server: ImageServer,
    /// Its delays.
    pub behaviour: Behaviour,
}

/// The servers differ in their responses, and in the fields that they read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ImageServer {
    /// vLLM-Omni: `/health`, steps as a field, errors in OpenAI's form.
    #[default]
    VllmOmni,
    /// stable-diffusion.cpp's `sd-server`: no `/health`, steps in the prompt, errors as a text.
    SdServer,
}

/// How the simulation is started by its name.
pub(crate) const TYPE: SimulatedType = SimulatedType {
    name: "openai-images",
    about: "OpenAI's Images API (--version vllm-omni or sd-server)",
    start: |listen, Setup { name, models: _, behaviour, version, folder }| {
        if folder.is_some() {
            return Err(Error::Unsupported("servers with OpenAI's Images API have no folder".to_owned()));
        }
        let server = match version.as_deref() {
            None | Some("vllm-omni") => ImageServer::VllmOmni,
            Some("sd-server") => ImageServer::SdServer,
            Some(other) => {
                let message = format!("there is no version {other}: use vllm-omni or sd-server");
                return Err(Error::Unsupported(message));
            }
        };
        start(listen, OpenAiImagesOptions { name, server, behaviour })
    },
};

impl Simulation {
    /// Starts a simulated server with OpenAI's Images API. Port 0 selects a free one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start_openai_images(
        listen: SocketAddr,
        options: OpenAiImagesOptions,
    ) -> Result<Self, Error> {
        start(listen, options)
    }
}

fn start(listen: SocketAddr, options: OpenAiImagesOptions) -> Result<Simulation, Error> {
    let machine = Arc::new(Machine::new(options.name, options.behaviour.clone()));
    let server = Arc::new(Server { machine: Arc::clone(&machine), kind: options.server });
    Simulation::start(listen, machine, router(server), options.behaviour.startup_delay)
}

impl Default for OpenAiImagesOptions {
    fn default() -> Self {
        let name = "OpenAI Images".to_owned();
        Self { name, server: ImageServer::default(), behaviour: Behaviour::default() }
    }
}

/// The state of one simulated server.
struct Server {
    machine: Arc<Machine>,
    kind: ImageServer,
}

fn router(server: Arc<Server>) -> Router {
    let routes = Router::new()
        .route("/v1/models", get(models))
        .route("/v1/images/generations", post(request::generations))
        .route("/v1/images/edits", post(request::edits));
    let routes = match server.kind {
        ImageServer::VllmOmni => routes.route("/health", get(|| async { StatusCode::OK })),
        ImageServer::SdServer => routes,
    };
    routes.fallback(not_found).with_state(server)
}

async fn models(State(server): State<Arc<Server>>) -> Response {
    let body = match server.kind {
        ImageServer::VllmOmni => {
            json!({ "object": "list", "data": [{ "id": "Qwen/Qwen-Image", "object": "model", "owned_by": "vllm" }] })
        }
        ImageServer::SdServer => {
            json!({ "data": [{ "id": "sd-cpp-local", "object": "model", "owned_by": "local" }] })
        }
    };
    Json(body).into_response()
}

async fn not_found(State(server): State<Arc<Server>>) -> Response {
    match server.kind {
        ImageServer::VllmOmni => Failure::new(StatusCode::NOT_FOUND, "Not Found").answer(server.kind),
        ImageServer::SdServer => StatusCode::NOT_FOUND.into_response(),
    }
}
