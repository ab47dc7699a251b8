//! The paths of the front door, and the one log line of each request.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{OriginalUri, Request, State};
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use lambda_http::RequestExt;
use serde_json::{Value, json};
use shared_schema::Contract;
use task_metrics::Emitter;
use task_traces::{Parent, Traces};
use tracing::Instrument;
use tracing::field::Empty;
use uuid::Uuid;

use crate::Config;
use crate::caller::Caller;
use crate::comfy::{self, ComfyError};
use crate::console;
use crate::error::ApiError;
use crate::metrics;
use crate::problem::LoggedCode;
use crate::request_id;
use crate::steps::{self, ApiVersion, publish::Publisher};
use crate::store::TaskStore;
use crate::{trace, v1};

/// What the front door takes besides [`v1::PATHS`] and [`console::PATHS`], as whatever stands before it must let it through.
pub const PATHS: [(Method, &str); 3] =
    [(Method::POST, "/v1alpha1"), (Method::POST, "/v1alpha2"), (Method::GET, "/healthz")];

/// The paths that need no API key.
pub const PUBLIC: [&str; 5] = ["/healthz", "/openapi.json", "/docs", "/console", "/console/{version}/{file}"];

/// What every request needs, made once at start.
#[derive(Debug)]
pub struct App<P> {
    pub(crate) config: Config,
    pub(crate) contract: Contract,
    pub(crate) publisher: P,
    pub(crate) store: Option<TaskStore>,
    pub(crate) traces: Traces,
    pub(crate) metrics: Arc<Emitter>,
}

impl<P: Publisher> App<P> {
    /// A front door with this configuration, publishing through `publisher`. Compiles the schemas.
    pub fn new(config: Config, publisher: P) -> Self {
        if config.runtimes.is_empty() {
            tracing::warn!(
                "no runtimes are configured, so nobody checks that a task's runtime or model exists"
            );
        }
        let contract = Contract::new(config.runtimes.clone())
            .with_allowed_scripts(config.scripts_allowed.clone())
            .with_limits(config.limits());
        Self {
            config,
            contract,
            publisher,
            store: None,
            traces: Traces::off(),
            metrics: Arc::new(Emitter::off()),
        }
    }

    /// The same with records of tasks, and with `v1`.
    pub fn with_store(self, store: Option<TaskStore>) -> Self {
        Self { store, ..self }
    }

    /// The same with traces of requests.
    pub fn with_traces(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    /// The same with metrics of requests.
    pub fn with_metrics(self, metrics: Emitter) -> Self {
        Self { metrics: Arc::new(metrics), ..self }
    }

    /// The records and results of tasks.
    pub(crate) fn store(&self) -> Result<&TaskStore, ApiError> {
        self.store.as_ref().ok_or(ApiError::RecordsDisabled)
    }
}

/// The front door as a service, for Lambda and for any other server.
///
/// Each path is taken with and without a trailing slash, and below one more segment: API Gateway puts its stage, or the
/// base path of a custom domain, there.
pub fn router<P: Publisher>(app: App<P>) -> Router {
    let handlers = [post(v1alpha1::<P>), post(v1alpha2::<P>), get(healthz)];
    let mut router = Router::new();
    for stage in ["", "/{stage}"] {
        for slash in ["", "/"] {
            for ((_, path), handler) in PATHS.iter().zip(&handlers) {
                router = router.route(&format!("{stage}{path}{slash}"), handler.clone());
            }
        }
        let nested = v1::router::<P>().merge(comfy::router::<P>()).merge(console::router());
        router = if stage.is_empty() { router.merge(nested) } else { router.nest(stage, nested) };
    }
    router
        .fallback(async |uri: OriginalUri| refused(&uri, ApiError::NotFound))
        .method_not_allowed_fallback(async |uri: OriginalUri| refused(&uri, ApiError::MethodNotAllowed))
        .layer(middleware::from_fn_with_state((app.traces.clone(), Arc::clone(&app.metrics)), log))
        .with_state(Arc::new(app))
}

async fn v1alpha1<P: Publisher>(State(app): State<Arc<App<P>>>, caller: Caller, body: Body) -> Response {
    steps::submit(&app, ApiVersion::V1Alpha1, caller.0, body).await.into_response()
}

async fn v1alpha2<P: Publisher>(State(app): State<Arc<App<P>>>, caller: Caller, body: Body) -> Response {
    steps::submit(&app, ApiVersion::V1Alpha2, caller.0, body).await.into_response()
}

/// A refusal in the form that the API at the path has.
fn refused(uri: &OriginalUri, error: ApiError) -> Response {
    if comfy::is_path(uri.path()) { ComfyError::from(error).into_response() } else { error.into_response() }
}

async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// One line and one span per request. The steps fill in what they learn about the task.
async fn log(
    State((traces, metrics)): State<(Traces, Arc<Emitter>)>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let lambda = request.extensions().lambda_context_ref();
    let incoming = trace::incoming(request.headers(), lambda);
    let request_id = lambda.map_or_else(|| Uuid::new_v4().to_string(), |context| context.request_id.clone());
    let traced = traces.start(&trace::REQUEST, Parent::Remote(incoming.as_ref()), None);
    let span = tracing::info_span!(
        "request",
        method = request.method().as_str(),
        path = request.uri().path(),
        request_id,
        trace_id = traced.context().map(|context| context.trace_id()),
        task.id = Empty,
        runtime = Empty,
        submission = Empty,
    );
    if traced.is_recording() {
        traced.set("http.request.method", request.method().as_str().to_owned());
        traced.set("url.path", request.uri().path().to_owned());
        traced.set("darkroom.request_id", request_id.clone());
    }
    let processing = traced.within(next.run(request)).instrument(span.clone());
    let response = request_id::scope(request_id, processing).await;
    let status = response.status().as_u16();
    let code = response.extensions().get::<LoggedCode>().map(|code| code.0);
    traced.set("http.response.status_code", i64::from(status));
    if response.status().is_server_error() {
        traced.failed(code.unwrap_or("internal_error"));
    }
    if let Some(code) = code {
        metrics::refused(&metrics, code);
    }
    let duration_ms = started.elapsed().as_secs_f64() * 1e3;
    tracing::info!(parent: &span, status, code, duration_ms, "request answered");
    response
}
