//! A busy worker annotates its pod in Kubernetes, and a failure of that affects no task.

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

async fn worker_in_pod(lab: &Lab, runtime: &Runtime, kubernetes: &KubernetesApi) -> Process {
    let variables = kubernetes.variables();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    lab.worker(runtime, &variables).await
}

fn small() -> Value {
    json!({ "prompt": "x", "width": 64, "height": 64, "steps": 1 })
}

fn annotations(do_not_disrupt: Value, deletion_cost: Value) -> Value {
    json!({ "metadata": { "annotations": {
        "karpenter.sh/do-not-disrupt": do_not_disrupt,
        "controller.kubernetes.io/pod-deletion-cost": deletion_cost,
    } } })
}

fn busy() -> Value {
    annotations(json!("true"), json!("1000"))
}

fn idle() -> Value {
    annotations(Value::Null, Value::Null)
}

/// Waits until the last call has that body.
async fn patched(kubernetes: &KubernetesApi, body: Value) -> Call {
    wait::until(&format!("a patch with {body}"), async || {
        kubernetes.calls().pop().filter(|call| call.body == body)
    })
    .await
}

#[tokio::test]
async fn a_pod_is_annotated_once_for_a_stream_of_tasks_and_the_annotations_are_removed_when_idle() {
    let lab = Lab::start().await;
    let kubernetes = KubernetesApi::start().await;
    let runtime = webui(&lab, Duration::from_millis(500)).await;
    let api = lab.submit_api(&[&runtime]).await;
    for id in ["one", "two", "three"] {
        api.submit("sdruntime", "text-to-image", id, small()).await;
    }
    let _worker = worker_in_pod(&lab, &runtime, &kubernetes).await;

    let patch = patched(&kubernetes, busy()).await;
    assert_eq!(patch.line, "PATCH /api/v1/namespaces/darkroom/pods/gpu-1");
    assert_eq!(patch.content_type, "application/merge-patch+json");
    assert_eq!(patch.authorization, "Bearer first");

    kubernetes.rotate_token("second");
    assert_eq!(patched(&kubernetes, idle()).await.authorization, "Bearer second");
    for id in ["one", "two", "three"] {
        assert!(lab.completion(id).await.result);
    }
    let patches = kubernetes.calls().iter().filter(|call| call.body == busy()).count();
    assert_eq!(patches, 1, "{:?}", kubernetes.calls());
}

#[tokio::test]
async fn annotations_of_a_former_process_are_removed() {
    let lab = Lab::start().await;
    let kubernetes = KubernetesApi::start().await;
    let runtime = webui(&lab, Duration::ZERO).await;
    let _worker = worker_in_pod(&lab, &runtime, &kubernetes).await;
    patched(&kubernetes, idle()).await;
}

#[tokio::test]
async fn a_worker_that_exits_leaves_no_annotations() {
    let lab = Lab::start().await;
    let kubernetes = KubernetesApi::start().await;
    let runtime = webui(&lab, Duration::from_secs(2)).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = worker_in_pod(&lab, &runtime, &kubernetes).await;
    api.submit("sdruntime", "text-to-image", "last", small()).await;
    patched(&kubernetes, busy()).await;
    worker.signal("TERM");
    assert!(worker.exited().await.success());
    assert_eq!(kubernetes.calls().pop().unwrap().body, idle());
}

#[tokio::test]
async fn a_denied_patch_is_logged_once_and_fails_no_task() {
    let lab = Lab::start().await;
    let kubernetes = KubernetesApi::start().await;
    kubernetes.answer(403);
    let runtime = webui(&lab, Duration::from_secs(4)).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = worker_in_pod(&lab, &runtime, &kubernetes).await;
    api.submit("sdruntime", "text-to-image", "not annotated", small()).await;
    wait::until("a second try", async || (kubernetes.calls().len() > 1).then_some(())).await;
    assert!(lab.completion("not annotated").await.result);

    kubernetes.answer(200);
    worker.logged("updating the pod annotations succeeded again").await;
    worker.signal("KILL");
    worker.exited().await;
    let failures =
        worker.lines().into_iter().filter(|line| line.contains("updating the pod annotations failed"));
    let failures: Vec<String> = failures.collect();
    assert!(failures.len() == 1 && failures[0].contains("answered 403"), "{failures:?}");
}

#[tokio::test]
async fn a_server_with_an_untrusted_certificate_gets_no_token() {
    let lab = Lab::start().await;
    let kubernetes = KubernetesApi::start().await;
    kubernetes.replace_trusted_ca();
    let runtime = webui(&lab, Duration::ZERO).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = worker_in_pod(&lab, &runtime, &kubernetes).await;
    api.submit("sdruntime", "text-to-image", "untrusted", small()).await;
    let failure = worker.logged("updating the pod annotations failed, retrying").await;
    assert!(failure["error"].as_str().unwrap().contains("invalid peer certificate"), "{failure}");
    assert!(lab.completion("untrusted").await.result);
    assert!(kubernetes.calls().is_empty());
}

#[tokio::test]
async fn a_missing_service_account_fails_the_start() {
    let lab = Lab::start().await;
    let kubernetes = KubernetesApi::start().await;
    let runtime = webui(&lab, Duration::ZERO).await;
    let variables = kubernetes.variables();
    let mut variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.push(("SERVICE_ACCOUNT_FOLDER", "/nowhere"));
    let mut worker = Process::start("worker", &lab.worker_variables(&runtime, &variables));
    assert!(!worker.exited().await.success());
    let log = worker.lines().join("\n");
    assert!(log.contains("MARK_POD: the cluster's certificate authority /nowhere/ca.crt"), "{log}");
}
