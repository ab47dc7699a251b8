//! The health port of a worker, as probes and scrapers use it.

use std::time::Duration;

use integration_tests::aws;
use integration_tests::health_port::HealthPort;
use integration_tests::lab::Lab;
use integration_tests::process::Process;
use integration_tests::wait;
use local_stack::aws::{Fault, Order, Service};
use serde_json::{Value, json};
use simulated_runtimes::SdWebUiOptions;

#[tokio::test]
async fn a_worker_without_its_runtime_is_live_and_not_ready() {
    let lab = Lab::start().await;
    let runtime = lab.runtime("absent", "comfyui", "http://127.0.0.1:9".to_owned(), None, &[]).await;
    let mut worker = Process::start("worker", &lab.worker_variables(&runtime, &[]));
    let port = HealthPort::of(&mut worker).await;
    assert_eq!(port.probe("/readyz").await, Err("waiting_for_runtime".to_owned()));
    assert_eq!(port.probe("/healthz").await, Ok(()));
    assert_eq!(port.probe("/runtime-livez").await, Ok(()), "a starting runtime must not be restarted");
}

#[tokio::test]
async fn a_worker_whose_queue_does_not_answer_is_live_and_continues_when_it_does() {
    let name = "a_worker_whose_queue_does_not_answer_is_live_and_continues_when_it_does";
    if aws::skipped_elsewhere(name, "only embedded APIs can be silent") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let silent = Fault::DelayBefore(Duration::from_hours(1));
    let silent = Order::new(Service::Sqs, "ReceiveMessage", silent).by("worker").times(2);
    lab.aws.embedded.as_ref().unwrap().faults().order(silent);
    let variables = [("AWS_ACCESS_KEY_ID", "worker"), ("RECEIVE_WAIT_SECONDS", "0")];
    let mut worker = lab.worker(&runtime, &variables).await;
    let port = HealthPort::of(&mut worker).await;
    for failures in [1, 2] {
        wait::until(&format!("failed poll {failures}"), async || {
            assert_eq!(port.probe("/healthz").await, Ok(()));
            let lines = worker
                .lines_so_far()
                .into_iter()
                .filter_map(|line| serde_json::from_str::<Value>(&line).ok());
            let mut lines = lines.filter(|line| line["message"] == "receive failed, retrying");
            lines.find(|line| line["failures"] == failures && line["error"] == "sqs receive failed: timeout")
        })
        .await;
    }
    let content = json!({ "prompt": "x", "width": 64, "height": 64, "steps": 1 });
    api.submit("sdruntime", "text-to-image", "after", content).await;
    assert!(lab.completion("after").await.result);
    assert_eq!(port.probe("/healthz").await, Ok(()));
}

#[tokio::test]
async fn a_worker_that_drains_is_live_and_not_ready() {
    let lab = Lab::start().await;
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = Duration::from_secs(5);
    let runtime = lab.sdwebui(options).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    let port = HealthPort::of(&mut worker).await;
    port.until("/readyz", Ok(())).await;

    let content = json!({ "prompt": "x", "width": 64, "height": 64, "steps": 1 });
    api.submit("sdruntime", "text-to-image", "drains", content).await;
    let simulation = runtime.simulation.as_ref().unwrap();
    wait::until("a run", async || {
        simulation.requests().iter().any(|request| request.path.ends_with("/txt2img")).then_some(())
    })
    .await;
    worker.signal("TERM");
    port.until("/readyz", Err("stopping")).await;
    assert_eq!(port.probe("/healthz").await, Ok(()));
    assert!(worker.exited().await.success());
    assert!(lab.completion("drains").await.result);
}

#[tokio::test]
async fn metrics_are_served_as_openmetrics() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    let port = HealthPort::of(&mut worker).await;
    let response = port.get("/metrics").await.unwrap();
    let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(media_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = response.text().await.unwrap();
    assert!(text.contains("darkroom_worker_ready{runtime=\"sdruntime\"} 1\n"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[tokio::test]
async fn a_port_that_is_in_use_fails_the_start_and_names_the_variable() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let in_use = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = in_use.local_addr().unwrap().to_string();
    let variables = lab.worker_variables(&runtime, &[("HEALTH_LISTEN", &address)]);
    let mut worker = Process::start("worker", &variables);
    assert!(!worker.exited().await.success());
    let log = worker.lines().join("\n");
    assert!(log.contains(&format!("HEALTH_LISTEN {address} cannot be listened on")), "{log}");
}

#[tokio::test]
async fn a_worker_without_a_port_works() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let mut worker = lab.worker(&runtime, &[("HEALTH_LISTEN", "off")]).await;
    worker.signal("TERM");
    assert!(worker.exited().await.success());
    assert!(!worker.lines().iter().any(|line| line.contains("listening")));
}
