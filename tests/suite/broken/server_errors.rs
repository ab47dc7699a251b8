//! A runtime that fails some calls and answers others; and one that is unavailable at the moment at which it breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64_simd::STANDARD as BASE64;
use integration_tests::fixtures;
use integration_tests::image_server::{ImageServer, cat};
use integration_tests::lab::free_port;
use reqwest::{Method, StatusCode};
use simulated_runtimes::{CallFault, Order};

use super::*;

/// A workflow that begins with an upload.
async fn submit_with_image(api: &SubmitApi, images: &ImageServer, id: &str) {
    let recorded = fixtures::load("comfyui/load-scale-invert-save-and-preview.json");
    let mut workflow = recorded["request"]["body"]["prompt"].clone();
    workflow["1"]["inputs"]["image"] = json!(images.url("cat.png"));
    api.submit("comfyui", "pipeline", id, workflow).await;
}

/// Every call to that path is answered 500 until the process restarts.
fn fail(runtime: &Runtime, path: &str) {
    let order = Order::new(Method::POST, path, CallFault::FailBefore).times(100_000);
    simulation(runtime).call_faults().order(order);
}

/// Its process has no record of a run that never began: only its downtime shows a restart.
async fn restart_observed(runtime: &mut Runtime, worker: &mut Process) {
    runtime.stop();
    worker.logged("the runtime was restarted").await;
    runtime.start_again().await;
}

#[tokio::test]
async fn a_runtime_that_accepts_no_uploads_any_more_is_broken() {
    let lab = Lab::start().await;
    let images = ImageServer::start().await;
    let mut runtime = runtime(&lab, "comfyui").await;
    let api = lab.submit_api(&[&runtime]).await;
    let allowed = images.address.to_string();
    let mut worker = lab.worker(&runtime, &[("INPUT_ALLOW_HOSTS", &allowed), ("MAX_ATTEMPTS", "2")]).await;
    let port = HealthPort::of(&mut worker).await;
    submit_with_image(&api, &images, "before").await;
    assert!(lab.completion("before").await.result);

    fail(&runtime, "/upload/image");
    submit_with_image(&api, &images, "survives").await;
    port.until("/runtime-livez", Err("runtime_broken")).await;
    assert_eq!(lab.notifications().await.len(), 1, "the task completed in the broken runtime");
    restart_observed(&mut runtime, &mut worker).await;
    let completion = lab.completion("survives").await;
    assert!(completion.result, "{:?}", completion.error);
    assert_eq!(found_broken(&port, &runtime).await, [0, 1]);
}

#[tokio::test]
async fn a_runtime_that_fails_the_calls_of_one_task_only_is_not_broken() {
    let lab = Lab::start().await;
    let images = ImageServer::start().await;
    let runtime = runtime(&lab, "comfyui").await;
    let api = lab.submit_api(&[&runtime]).await;
    let allowed = images.address.to_string();
    let mut worker = lab.worker(&runtime, &[("INPUT_ALLOW_HOSTS", &allowed), ("MAX_ATTEMPTS", "2")]).await;
    let port = HealthPort::of(&mut worker).await;
    // Without an image.
    submit(&api, &runtime, "before").await;
    assert!(lab.completion("before").await.result);

    fail(&runtime, "/upload/image");
    submit_with_image(&api, &images, "fails").await;
    let error = lab.completion("fails").await.error.unwrap();
    assert_eq!((error.code, error.attempts), (ErrorCode::RuntimeUnavailable, 2), "{}", error.message);
    worker.logged(CHECKING).await;
    submit(&api, &runtime, "after").await;
    assert!(lab.completion("after").await.result);
    assert_eq!(found_broken(&port, &runtime).await, [0, 0]);
}

/// A status 500 for a workflow that ran before is not an error of the workflow.
#[tokio::test]
async fn a_runtime_that_accepts_no_workflow_any_more_is_broken() {
    let lab = Lab::start().await;
    let mut runtime = runtime(&lab, "comfyui").await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    let port = HealthPort::of(&mut worker).await;
    submit(&api, &runtime, "before").await;
    assert!(lab.completion("before").await.result);

    fail(&runtime, "/prompt");
    for id in ["first", "second"] {
        submit(&api, &runtime, id).await;
        assert_eq!(lab.completion(id).await.error.unwrap().code, ErrorCode::RuntimeRejected);
    }
    submit(&api, &runtime, "survives").await;
    port.until("/runtime-livez", Err("runtime_broken")).await;
    restart_observed(&mut runtime, &mut worker).await;
    let completion = lab.completion("survives").await;
    assert!(completion.result, "{:?}", completion.error);
}

/// An SD WebUI that breaks in its second run, and restarts at once: one probe finds it unavailable.
#[derive(Default)]
struct Restarting {
    runs: AtomicUsize,
    is_down: AtomicBool,
}

impl Restarting {
    async fn start() -> (Arc<Self>, String) {
        let server = Arc::new(Self::default());
        let options = || async { Json(json!({ "sd_model_checkpoint": "model" })) };
        let api = Router::new()
            .route("/options", get(options).post(|| async { "null" }))
            .route("/progress", get(Self::progress))
            .route("/txt2img", post(Self::run));
        let router = Router::new().nest("/sdapi/v1", api).with_state(Arc::clone(&server));
        let listener = tokio::net::TcpListener::bind(free_port()).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (server, url)
    }

    async fn run(State(server): State<Arc<Self>>) -> Response {
        if server.runs.fetch_add(1, Ordering::SeqCst) == 1 {
            server.is_down.store(true, Ordering::SeqCst);
            let error =
                json!({ "error": "RuntimeError", "errors": "CUDA error: unspecified launch failure" });
            return (StatusCode::INTERNAL_SERVER_ERROR, Json(error)).into_response();
        }
        let answer = json!({ "images": [BASE64.encode_to_string(cat())], "parameters": {}, "info": "{}" });
        Json(answer).into_response()
    }

    async fn progress(State(server): State<Arc<Self>>) -> Response {
        if server.is_down.swap(false, Ordering::SeqCst) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        // Two runs are those of the first process: the next process reports that it has not executed any.
        let began = if server.runs.load(Ordering::SeqCst) == 2 { "0" } else { "20261128120000" };
        let state = json!({ "job": "", "job_count": 0, "job_timestamp": began });
        Json(json!({ "progress": 0.0, "state": state })).into_response()
    }
}

#[tokio::test]
async fn a_runtime_that_is_briefly_unavailable_when_it_breaks_is_not_waited_for() {
    let lab = Lab::start().await;
    let (server, url) = Restarting::start().await;
    let runtime = lab.runtime("sdruntime", "sdwebui", url, None, &[]).await;
    let api = lab.submit_api(&[]).await;
    let mut worker = lab.worker(&runtime, &[("MAX_ATTEMPTS", "1")]).await;
    let port = HealthPort::of(&mut worker).await;
    submit(&api, &runtime, "before").await;
    assert!(lab.completion("before").await.result);

    submit(&api, &runtime, "survives").await;
    let completion = lab.completion("survives").await;
    assert!(completion.result, "{:?}", completion.error);
    assert_eq!(found_broken(&port, &runtime).await, [1, 0]);
    worker.logged(CHECKING).await;
    assert_eq!(server.runs.load(Ordering::SeqCst), 4, "one, the broken one, a check, and again");
    assert_eq!(port.probe("/runtime-livez").await, Ok(()));
}
