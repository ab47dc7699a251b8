//! Each log line about a task names the task and the runtime, whichever part of the worker writes it.

use std::time::Duration;

use integration_tests::aws;
use integration_tests::lab::Lab;
use integration_tests::process::Process;
use local_stack::aws::{Fault, Order, Service};
use serde_json::{Value, json};
use simulated_runtimes::SdWebUiOptions;

fn small() -> Value {
    json!({ "prompt": "x", "width": 64, "height": 64, "steps": 1 })
}

/// Names an input that the guard refuses.
fn refused() -> Value {
    json!({ "init_images": ["http://127.0.0.1/x.png"], "prompt": "x" })
}

fn lines(worker: &Process) -> Vec<Value> {
    worker.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The targets of lines about the worker itself, before, between and after its tasks.
const OF_THE_WORKER: [&str; 4] =
    ["worker::supervisor", "worker::readiness", "worker::shutdown", "worker::health::port"];

/// Stops the worker and checks each line that it has logged.
async fn all_named(mut worker: Process, ids: &[&str]) {
    worker.signal("TERM");
    worker.exited().await;
    for line in lines(&worker) {
        let from = line["target"].as_str().unwrap();
        // A signal is the process's, which may hold several workers.
        if from != "worker::shutdown" {
            assert_eq!(line["span"]["runtime"], "sdruntime", "{line}");
        }
        if !OF_THE_WORKER.contains(&from) {
            let id = line["span"]["task.id"].as_str().unwrap_or_default();
            assert!(ids.contains(&id) && line["span"]["submission"].is_string(), "{line}");
        }
    }
}

#[tokio::test]
async fn every_line_of_a_task_names_it_and_its_runtime() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    api.submit("sdruntime", "text-to-image", "done", small()).await;
    assert_eq!(worker.logged("task succeeded").await["span"]["task.id"], "done");
    api.submit("sdruntime", "image-to-image", "refused", refused()).await;
    assert_eq!(worker.logged("task failed").await["span"]["task.id"], "refused");
    all_named(worker, &["done", "refused"]).await;
}

#[tokio::test]
async fn every_line_of_an_interrupted_task_names_it_and_its_runtime() {
    let lab = Lab::start().await;
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = Duration::from_secs(60);
    let runtime = lab.sdwebui(options).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[("RUN_TIMEOUT_SECONDS", "1")]).await;
    api.submit("sdruntime", "text-to-image", "endless", small()).await;
    worker.logged("interrupting the run").await;
    worker.logged("task failed").await;
    all_named(worker, &["endless"]).await;
}

#[tokio::test]
async fn a_filter_that_hides_ordinary_lines_leaves_warnings_their_task() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = Process::start("worker", &lab.worker_variables(&runtime, &[("RUST_LOG", "warn")]));
    api.submit("sdruntime", "image-to-image", "refused", refused()).await;
    let line = worker.logged("task failed").await;
    assert_eq!(
        (&line["span"]["task.id"], &line["span"]["runtime"]),
        (&json!("refused"), &json!("sdruntime"))
    );
    worker.signal("TERM");
    worker.exited().await;
    assert!(lines(&worker).iter().all(|line| line["level"] != "INFO"), "{:?}", worker.lines());
}

#[tokio::test]
async fn lines_about_a_lease_name_its_task() {
    if aws::skipped_elsewhere("lines_about_a_lease_name_its_task", "only embedded APIs can be broken") {
        return;
    }
    let lab = Lab::start().await;
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = Duration::from_secs(30);
    let runtime = lab.sdwebui(options).await;
    let api = lab.submit_api(&[&runtime]).await;
    let failing = Order::new(Service::Sqs, "ChangeMessageVisibility", Fault::FailBefore).times(1000);
    lab.aws.embedded.as_ref().unwrap().faults().order(failing);
    let settings = [("VISIBILITY_TIMEOUT_SECONDS", "6"), ("RUN_TIMEOUT_SECONDS", "100")];
    let mut worker = lab.worker(&runtime, &settings).await;
    api.submit("sdruntime", "text-to-image", "leased", small()).await;
    for message in ["extending the lease failed, retrying", "lease lost"] {
        let line = worker.logged(message).await;
        assert_eq!(line["span"]["task.id"], "leased", "{line}");
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_is_named() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let mut worker = lab.worker(&runtime, &[("RUST_LOG", "worker=loud")]).await;
    worker.logged("invalid log filter, using info").await;
}
