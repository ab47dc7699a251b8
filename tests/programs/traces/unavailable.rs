//! An endpoint that cannot be used neither delays nor loses a task.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use integration_tests::lab::Lab;
use serde_json::json;
use simulated_runtimes::SdWebUiOptions;

use crate::function::{Function, rest};

/// How long an export may take, in milliseconds: much longer than a task and a shutdown.
const EXPORT_TIMEOUT: (&str, &str) = ("OTEL_EXPORTER_OTLP_TIMEOUT", "200000");
/// Well below it, and far more than the task needs on a loaded machine.
const SOON: Duration = Duration::from_secs(100);

#[tokio::test]
async fn a_collector_that_never_answers_delays_nothing() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    // Connections are accepted by the kernel, but never read.
    let silent = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "50"), EXPORT_TIMEOUT];
    let registry = json!([{ "name": "sdruntime", "type": "sdwebui", "models": [] }]);
    let function = Function::start_with(&lab, &registry, &variables).await;
    let mut worker = lab.worker(&runtime, &variables).await;
    let started = Instant::now();
    assert_eq!(function.answer(rest("POST", "/v1alpha2")).await.status, 200);
    assert!(lab.completion("rest-1").await.result);
    lab.emptied(&runtime.queue.url).await;
    worker.signal("TERM");
    assert!(worker.exited().await.success());
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_endpoint_without_a_server_is_logged_once() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let url = {
        let closed = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        format!("http://{}", closed.local_addr().unwrap())
    };
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &variables).await;
    for id in ["first", "second"] {
        api.submit("sdruntime", "text-to-image", id, json!({ "prompt": "x", "width": 64, "height": 64 }))
            .await;
        assert!(lab.completion(id).await.result);
        worker.logged("spans cannot be exported").await;
    }
    worker.signal("TERM");
    assert!(worker.exited().await.success());
    let lines = worker.lines();
    assert_eq!(lines.iter().filter(|line| line.contains("spans cannot be exported")).count(), 1, "{lines:?}");
}
