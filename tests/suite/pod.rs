//! A busy worker marks its pod in Kubernetes, and whatever goes wrong with that reaches no task.

use std::time::Duration;

use integration_tests::kubernetes_api::{Call, KubernetesApi};
use integration_tests::lab::{Lab, Runtime};
use integration_tests::process::Process;
use integration_tests::wait;
use serde_json::{Value, json};
use simulated_runtimes::SdWebUiOptions;

async fn webui(lab: &Lab, latency: Duration) -> Runtime {
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = latency;
    lab.sdwebui(options).await
}

async fn worker_in_pod(lab: &Lab, runtime: &Runtime, api: &KubernetesApi) -> Process {
    let variables = api.variables();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    lab.worker(runtime, &variables).await
}

fn small() -> Value {
    json!({ "prompt": "x", "width": 64, "height": 64, "steps": 1 })
}

fn marks(do_not_disrupt: Value, deletion_cost: Value) -> Value {
    json!({ "metadata": { "annotations": {
        "karpenter.sh/do-not-disrupt": do_not_disrupt,
        "controller.kubernetes.io/pod-deletion-cost": deletion_cost,
    } } })
}

fn busy() -> Value {
    marks(json!("true"), json!("1000"))
}

fn idle() -> Value {
    marks(Value::Null, Value::Null)
}

/// Waits until the last call said that.
async fn said(api: &KubernetesApi, body: Value) -> Call {
    wait::until(&format!("a patch with {body}"), async || api.calls().pop().filter(|call| call.body == body))
        .await
}

#[tokio::test]
async fn a_pod_is_marked_once_for_a_stream_of_tasks_and_unmarked_when_idle() {
    let lab = Lab::start().await;
    let api = KubernetesApi::start().await;
    let runtime = webui(&lab, Duration::from_millis(500)).await;
    let door = lab.front_door(&[&runtime]).await;
    for id in ["one", "two", "three"] {
        door.submit("sdruntime", "text-to-image", id, small()).await;
    }
    let _worker = worker_in_pod(&lab, &runtime, &api).await;

    let marked = said(&api, busy()).await;
    assert_eq!(marked.line, "PATCH /api/v1/namespaces/darkroom/pods/gpu-1");
    assert_eq!(marked.content_type, "application/merge-patch+json");
    assert_eq!(marked.authorization, "Bearer first");

    api.rotate_token("second");
    assert_eq!(said(&api, idle()).await.authorization, "Bearer second");
    for id in ["one", "two", "three"] {
        assert!(lab.ended(id).await.result);
    }
    let marked = api.calls().iter().filter(|call| call.body == busy()).count();
    assert_eq!(marked, 1, "{:?}", api.calls());
}

#[tokio::test]
async fn what_a_former_process_left_is_removed() {
    let lab = Lab::start().await;
    let api = KubernetesApi::start().await;
    let runtime = webui(&lab, Duration::ZERO).await;
    let _worker = worker_in_pod(&lab, &runtime, &api).await;
    said(&api, idle()).await;
}

#[tokio::test]
async fn a_worker_that_ends_leaves_no_marks() {
    let lab = Lab::start().await;
    let api = KubernetesApi::start().await;
    let runtime = webui(&lab, Duration::from_secs(2)).await;
    let door = lab.front_door(&[&runtime]).await;
    let mut worker = worker_in_pod(&lab, &runtime, &api).await;
    door.submit("sdruntime", "text-to-image", "last", small()).await;
    said(&api, busy()).await;
    worker.signal("TERM");
    assert!(worker.ended().await.success());
    assert_eq!(api.calls().pop().unwrap().body, idle());
}

#[tokio::test]
async fn a_refusal_is_logged_once_and_hurts_no_task() {
    let lab = Lab::start().await;
    let api = KubernetesApi::start().await;
    api.answer(403);
    let runtime = webui(&lab, Duration::from_secs(4)).await;
    let door = lab.front_door(&[&runtime]).await;
    let mut worker = worker_in_pod(&lab, &runtime, &api).await;
    door.submit("sdruntime", "text-to-image", "unmarked", small()).await;
    wait::until("a second try", async || (api.calls().len() > 1).then_some(())).await;
    assert!(lab.ended("unmarked").await.result);

    api.answer(200);
    worker.logged("updating the pod annotations succeeded again").await;
    let complaints =
        worker.lines().into_iter().filter(|line| line.contains("updating the pod annotations failed"));
    let complaints: Vec<String> = complaints.collect();
    assert!(complaints.len() == 1 && complaints[0].contains("answered 403"), "{complaints:?}");
}

#[tokio::test]
async fn a_server_that_the_cluster_does_not_vouch_for_gets_no_token() {
    let lab = Lab::start().await;
    let api = KubernetesApi::start().await;
    api.disown();
    let runtime = webui(&lab, Duration::ZERO).await;
    let door = lab.front_door(&[&runtime]).await;
    let mut worker = worker_in_pod(&lab, &runtime, &api).await;
    door.submit("sdruntime", "text-to-image", "distrusts", small()).await;
    let complaint = worker.logged("updating the pod annotations failed, retrying").await;
    assert!(complaint["error"].as_str().unwrap().contains("invalid peer certificate"), "{complaint}");
    assert!(lab.ended("distrusts").await.result);
    assert!(api.calls().is_empty());
}

#[tokio::test]
async fn a_pod_without_its_service_account_ends_the_start() {
    let lab = Lab::start().await;
    let api = KubernetesApi::start().await;
    let runtime = webui(&lab, Duration::ZERO).await;
    let variables = api.variables();
    let mut variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.push(("SERVICE_ACCOUNT_FOLDER", "/nowhere"));
    let mut worker = Process::start("worker", &lab.worker_variables(&runtime, &variables));
    assert!(!worker.ended().await.success());
    let log = worker.lines().join("\n");
    assert!(log.contains("MARK_POD: the cluster's certificate authority /nowhere/ca.crt"), "{log}");
}
