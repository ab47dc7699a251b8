//! A runtime that fails some calls and answers others; and one that is gone in the moment in which it breaks.

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
async fn submit_with_image(door: &FrontDoor, images: &ImageServer, id: &str) {
    let recorded = fixtures::load("comfyui/load-scale-invert-save-and-preview.json");
    let mut workflow = recorded["request"]["body"]["prompt"].clone();
    workflow["1"]["inputs"]["image"] = json!(images.url("cat.png"));
    door.submit("comfyui", "pipeline", id, workflow).await;
}

/// Every call to that path is answered 500 until the process restarts.
fn fail(runtime: &Runtime, path: &str) {
    let order = Order::new(Method::POST, path, CallFault::FailBefore).times(100_000);
    simulation(runtime).call_faults().order(order);
}

/// Its process leaves no trace of a run that it never began: only its absence shows a restart.
async fn restart_seen(runtime: &mut Runtime, worker: &mut Process) {
    runtime.stop();
    worker.logged("the runtime was restarted").await;
    runtime.start_again().await;
}

#[tokio::test]
async fn a_runtime_that_takes_no_uploads_any_more_is_broken() {
    let lab = Lab::start().await;
    let images = ImageServer::start().await;
    let mut runtime = runtime(&lab, "comfyui").await;
    let door = lab.front_door(&[&runtime]).await;
    let allowed = images.address.to_string();
    let mut worker = lab.worker(&runtime, &[("INPUT_ALLOW_HOSTS", &allowed), ("MAX_ATTEMPTS", "2")]).await;
    let port = HealthPort::of(&mut worker).await;
    submit_with_image(&door, &images, "before").await;
    assert!(lab.ended("before").await.result);

    fail(&runtime, "/upload/image");
    submit_with_image(&door, &images, "survives").await;
    port.until("/runtime-livez", Err("runtime_broken")).await;
    assert_eq!(lab.everything_told().await.len(), 1, "the task ended in the broken runtime");
    restart_seen(&mut runtime, &mut worker).await;
    let ended = lab.ended("survives").await;
    assert!(ended.result, "{:?}", ended.error);
    assert_eq!(found_broken(&port, &runtime).await, [0, 1]);
}

#[tokio::test]
async fn a_runtime_that_fails_the_calls_of_one_task_only_is_not_broken() {
    let lab = Lab::start().await;
    let images = ImageServer::start().await;
    let runtime = runtime(&lab, "comfyui").await;
    let door = lab.front_door(&[&runtime]).await;
    let allowed = images.address.to_string();
    let mut worker = lab.worker(&runtime, &[("INPUT_ALLOW_HOSTS", &allowed), ("MAX_ATTEMPTS", "2")]).await;
    let port = HealthPort::of(&mut worker).await;
    // Without an image.
    submit(&door, &runtime, "before").await;
    assert!(lab.ended("before").await.result);

    fail(&runtime, "/upload/image");
    submit_with_image(&door, &images, "fails").await;
    let error = lab.ended("fails").await.error.unwrap();
    assert_eq!((error.code, error.attempts), (ErrorCode::RuntimeUnavailable, 2), "{}", error.message);
    worker.logged(CHECKING).await;
    submit(&door, &runtime, "after").await;
    assert!(lab.ended("after").await.result);
    assert_eq!(found_broken(&port, &runtime).await, [0, 0]);
}

/// A status 500 for a workflow that ran before says nothing of the workflow.
#[tokio::test]
async fn a_runtime_that_reads_no_workflow_any_more_is_broken() {
    let lab = Lab::start().await;
    let mut runtime = runtime(&lab, "comfyui").await;
    let door = lab.front_door(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    let port = HealthPort::of(&mut worker).await;
    submit(&door, &runtime, "before").await;
    assert!(lab.ended("before").await.result);

    fail(&runtime, "/prompt");
    for id in ["first", "second"] {
        submit(&door, &runtime, id).await;
        assert_eq!(lab.ended(id).await.error.unwrap().code, ErrorCode::RuntimeRejected);
    }
    submit(&door, &runtime, "survives").await;
    port.until("/runtime-livez", Err("runtime_broken")).await;
    restart_seen(&mut runtime, &mut worker).await;
    let ended = lab.ended("survives").await;
    assert!(ended.result, "{:?}", ended.error);
}

/// An SD WebUI that breaks in its second run, and is started again at once: one look finds it away.
#[derive(Default)]
struct Restarting {
    runs: AtomicUsize,
    is_away: AtomicBool,
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
            server.is_away.store(true, Ordering::SeqCst);
            let said = json!({ "error": "RuntimeError", "errors": "CUDA error: unspecified launch failure" });
            return (StatusCode::INTERNAL_SERVER_ERROR, Json(said)).into_response();
        }
        let answer = json!({ "images": [BASE64.encode_to_string(cat())], "parameters": {}, "info": "{}" });
        Json(answer).into_response()
    }

    async fn progress(State(server): State<Arc<Self>>) -> Response {
        if server.is_away.swap(false, Ordering::SeqCst) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        // Two runs are those of the first process: the next one says that it has not run anything.
        let began = if server.runs.load(Ordering::SeqCst) == 2 { "0" } else { "20261128120000" };
        let state = json!({ "job": "", "job_count": 0, "job_timestamp": began });
        Json(json!({ "progress": 0.0, "state": state })).into_response()
    }
}

#[tokio::test]
async fn a_runtime_that_is_gone_when_it_breaks_and_back_at_once_is_not_waited_for() {
    let lab = Lab::start().await;
    let (server, url) = Restarting::start().await;
    let runtime = lab.runtime("sdruntime", "sdwebui", url, None, &[]).await;
    let door = lab.front_door(&[]).await;
    let mut worker = lab.worker(&runtime, &[("MAX_ATTEMPTS", "1")]).await;
    let port = HealthPort::of(&mut worker).await;
    submit(&door, &runtime, "before").await;
    assert!(lab.ended("before").await.result);

    submit(&door, &runtime, "survives").await;
    let ended = lab.ended("survives").await;
    assert!(ended.result, "{:?}", ended.error);
    assert_eq!(found_broken(&port, &runtime).await, [1, 0]);
    worker.logged(CHECKING).await;
    assert_eq!(server.runs.load(Ordering::SeqCst), 4, "one, the broken one, a check, and again");
    assert_eq!(port.probe("/runtime-livez").await, Ok(()));
}
