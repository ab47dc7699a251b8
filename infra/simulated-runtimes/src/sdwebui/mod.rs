//! The API of SD WebUI (Forge f2.0.1, which has AUTOMATIC1111 1.10.1's), under `/sdapi/v1`.

mod answer;
mod errors;
mod extras;
mod fields;
mod generation;
mod images;
mod img2img;
mod infotext;
mod models;
mod options;
mod progress;
mod pydantic1;
mod run;
mod samplers;
mod scripts;
mod txt2img;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use self::{errors::Failure, models::Models, options::Settings, progress::Progress};
use crate::{
    DEFAULT_MODEL, Error, Simulation,
    behaviour::Behaviour,
    machine::Machine,
    registry::{Setup, SimulatedType},
};

/// How to start a simulated SD WebUI.
#[derive(Debug, Clone)]
pub struct SdWebUiOptions {
    /// Name of the runtime, printed on every picture.
    pub name: String,
    /// File names of the checkpoints on disk; the first one is loaded at the start.
    pub models: Vec<String>,
    /// File names of the networks that prompts may name (`<lora:NAME:1>`). Others are ignored without an error.
    pub loras: Vec<String>,
    /// Names of the styles that requests may name. Others are ignored without an error.
    pub styles: Vec<String>,
    /// The fork of SD WebUI that is simulated.
    pub dialect: Dialect,
    /// Its delays.
    pub behaviour: Behaviour,
}

/// How the simulation is started by its name.
pub(crate) const TYPE: SimulatedType = SimulatedType {
    name: "sdwebui",
    about: "the API of SD WebUI (AUTOMATIC1111, Forge)",
    start: |listen, Setup { name, models, behaviour, version, folder }| {
        if version.is_some() || folder.is_some() {
            return Err(Error::Unsupported("SD WebUI has one version and no folder".to_owned()));
        }
        start(listen, SdWebUiOptions { name, models, behaviour, ..SdWebUiOptions::default() })
    },
};

impl Simulation {
    /// Starts a simulated SD WebUI. Port 0 selects a free one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start_sdwebui(listen: SocketAddr, options: SdWebUiOptions) -> Result<Self, Error> {
        start(listen, options)
    }
}

fn start(listen: SocketAddr, options: SdWebUiOptions) -> Result<Simulation, Error> {
    let machine = Arc::new(Machine::new(options.name.clone(), options.behaviour.clone()));
    let router = router(Arc::clone(&machine), options);
    Simulation::start(listen, machine, router, Duration::ZERO)
}

impl Default for SdWebUiOptions {
    fn default() -> Self {
        Self {
            name: "SD WebUI".to_owned(),
            models: vec![DEFAULT_MODEL.to_owned()],
            loras: Vec::new(),
            styles: Vec::new(),
            dialect: Dialect::default(),
            behaviour: Behaviour::default(),
        }
    }
}

/// The forks of SD WebUI, whose responses to errors and control calls differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// SD WebUI Forge f2.0.1, as recorded.
    #[default]
    Forge,
    /// AUTOMATIC1111 1.10.1, as recorded.
    Automatic1111,
    /// SD.Next: 204 without a body for control calls, 200 without images when inference raised, as observed.
    SdNext,
}

/// The state of one simulated SD WebUI.
struct WebUi {
    machine: Arc<Machine>,
    dialect: Dialect,
    started: Instant,
    models: Mutex<Models>,
    loras: Vec<String>,
    styles: Vec<String>,
    settings: Mutex<Settings>,
    progress: Mutex<Progress>,
}

impl WebUi {
    fn models(&self) -> MutexGuard<'_, Models> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a control call: 200 with `body`, or SD.Next's 204.
    fn controlled(&self, body: Value) -> Response {
        match self.dialect {
            Dialect::SdNext => StatusCode::NO_CONTENT.into_response(),
            Dialect::Forge | Dialect::Automatic1111 => Json(body).into_response(),
        }
    }
}

pub(crate) fn router(machine: Arc<Machine>, options: SdWebUiOptions) -> Router {
    let models = Models::new(options.dialect, &options.models);
    let webui = Arc::new(WebUi {
        machine,
        dialect: options.dialect,
        started: Instant::now(),
        settings: Mutex::new(Settings::new(options.dialect, models.loaded())),
        models: Mutex::new(models),
        loras: options.loras,
        styles: options.styles,
        progress: Mutex::default(),
    });
    let api = Router::new()
        .route("/txt2img", post(txt2img::txt2img))
        .route("/img2img", post(img2img::img2img))
        .route("/extra-single-image", post(extras::single_image))
        .route("/extra-batch-images", post(extras::batch_images))
        .route("/png-info", post(images::png_info))
        .route("/progress", get(progress::progress))
        .route("/interrupt", post(progress::interrupt))
        .route("/skip", post(progress::skip))
        .route("/options", get(options::get).post(options::set))
        .route("/sd-models", get(models::list))
        .route("/refresh-checkpoints", post(models::refresh))
        .route("/unload-checkpoint", post(models::unload))
        .route("/reload-checkpoint", post(models::reload))
        .route("/samplers", get(samplers::samplers))
        .route("/schedulers", get(samplers::schedulers))
        .route("/upscalers", get(extras::upscalers))
        .route("/latent-upscale-modes", get(extras::latent_upscale_modes))
        .route("/sd-vae", get(models::vaes))
        .route("/sd-modules", get(models::modules))
        .route("/scripts", get(scripts::list))
        .route("/loras", get(models::loras))
        .route("/prompt-styles", get(models::styles))
        .route("/memory", get(memory));
    Router::new()
        .route("/", get(|| async { "Stable Diffusion (simulated)" }))
        .nest("/sdapi/v1", api)
        .route("/controlnet/model_list", get(scripts::control_nets))
        .route("/controlnet/module_list", get(scripts::control_net_modules))
        .fallback(|| async { Failure::http(StatusCode::NOT_FOUND, "Not Found") })
        .method_not_allowed_fallback(|| async {
            Failure::http(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
        })
        .layer(middleware::from_fn_with_state(Arc::clone(&webui), hide_until_mounted))
        .layer(middleware::map_response_with_state(Arc::clone(&webui), errors::render))
        .with_state(webui)
}

/// SD WebUI serves its page before it mounts the API: until the start-up is over, everything else is unknown.
async fn hide_until_mounted(State(webui): State<Arc<WebUi>>, request: Request, next: Next) -> Response {
    if request.uri().path() == "/" || webui.started.elapsed() >= webui.machine.behaviour.startup_delay {
        next.run(request).await
    } else {
        Failure::http(StatusCode::NOT_FOUND, "Not Found").into_response()
    }
}

/// As on a machine without a GPU.
async fn memory() -> Json<Value> {
    Json(json!({
        "ram": {"free": 17_912_299_519.999_996_f64, "used": 7_364_214_784_u64, "total": 25_276_514_303.999_996_f64},
        "cuda": {"error": "unavailable"},
    }))
}
