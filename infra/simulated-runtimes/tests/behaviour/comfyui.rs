//! ComfyUI.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use simulated_runtimes::{Behaviour, ComfyUiOptions, Fault, Simulation};

use crate::{any_port, assert_one_at_a_time, client, until};

async fn start(behaviour: Behaviour) -> Simulation {
    Simulation::start_comfyui(any_port(), ComfyUiOptions { behaviour, ..Default::default() }).await.unwrap()
}

async fn post(simulation: &Simulation, path: &str, body: Value) -> reqwest::Result<reqwest::Response> {
    client().post(format!("{}{path}", simulation.url())).json(&body).send().await
}

async fn get(simulation: &Simulation, path: &str) -> Value {
    client().get(format!("{}{path}", simulation.url())).send().await.unwrap().json().await.unwrap()
}

fn workflow(colour: u32) -> Value {
    json!({
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": colour}},
        "save": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "out"}},
    })
}

async fn queue(simulation: &Simulation, body: Value) -> String {
    let answer: Value = post(simulation, "/prompt", body).await.unwrap().json().await.unwrap();
    answer["prompt_id"].as_str().unwrap().to_owned()
}

/// The history entry of a job, as soon as it is there.
async fn finished(simulation: &Simulation, id: &str) -> Value {
    let waiting = async {
        loop {
            let history = get(simulation, &format!("/history/{id}")).await;
            if let Some(entry) = history.get(id) {
                return entry.clone();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap()
}

fn last_message(entry: &Value) -> &Value {
    entry["status"]["messages"].as_array().unwrap().last().unwrap()
}

#[tokio::test]
async fn jobs_run_one_at_a_time() {
    let latency = Duration::from_millis(30);
    let simulation = start(Behaviour { latency, ..Default::default() }).await;

    let mut ids = Vec::new();
    for colour in 0..4 {
        ids.push(queue(&simulation, json!({"prompt": workflow(colour), "client_id": "me"})).await);
    }
    until(&simulation, |simulation| simulation.busy().len() == 4).await;

    let busy = simulation.busy();
    assert_eq!(busy.iter().map(|interval| interval.label.clone()).collect::<Vec<_>>(), ids);
    assert_one_at_a_time(&busy, latency);
}

#[tokio::test]
async fn a_cached_job_without_client_has_no_outputs() {
    let simulation = start(Behaviour::default()).await;

    for (client_id, has_outputs) in [(Some("me"), true), (None, false), (Some("other"), true)] {
        let id = queue(&simulation, json!({"prompt": workflow(1), "client_id": client_id})).await;
        let entry = finished(&simulation, &id).await;
        assert_eq!(entry["status"]["status_str"], "success");
        assert_eq!(entry["outputs"] != json!({}), has_outputs, "{client_id:?}");
    }
}

#[tokio::test]
async fn an_exception_is_raised_in_the_named_node() {
    let simulation = start(Behaviour::default()).await;
    let fault = Fault::Exception {
        node: Some("SaveImage".into()),
        kind: "OSError".into(),
        message: "disk full".into(),
    };
    simulation.faults().plan(fault, 1);

    let id = queue(&simulation, json!({"prompt": workflow(1), "client_id": "me"})).await;

    let entry = finished(&simulation, &id).await;
    assert_eq!(entry["status"]["status_str"], "error");
    let [kind, data] = last_message(&entry).as_array().unwrap().as_slice() else { panic!("a pair") };
    assert_eq!(kind, "execution_error");
    assert_eq!((&data["node_id"], &data["exception_type"]), (&json!("save"), &json!("OSError")));
}

#[tokio::test]
async fn a_deleted_pending_job_is_neither_in_queue_nor_in_history() {
    let simulation = start(Behaviour::default()).await;
    simulation.faults().plan(Fault::Hang, 1);
    let hanging = queue(&simulation, json!({"prompt": workflow(1), "client_id": "me"})).await;
    let pending = queue(&simulation, json!({"prompt": workflow(2), "client_id": "me"})).await;

    post(&simulation, "/queue", json!({"delete": [pending]})).await.unwrap();

    let queue = get(&simulation, "/queue").await;
    assert_eq!(queue["queue_pending"], json!([]));
    assert_eq!(queue["queue_running"][0][1], json!(hanging));
    assert_eq!(get(&simulation, &format!("/history/{pending}")).await, json!({}));
}

#[tokio::test]
async fn a_crashed_worker_leaves_jobs_pending() {
    let simulation = start(Behaviour::default()).await;
    let id = "9547f7c5-d1cf-4938-8037-e0b5503ca8e1";
    simulation.faults().plan(Fault::DeadWorker, 1);

    queue(&simulation, json!({"prompt": workflow(1), "prompt_id": id})).await;

    assert_eq!(get(&simulation, "/prompt").await["exec_info"]["queue_remaining"], 1);
    let queue = get(&simulation, "/queue").await;
    assert_eq!((&queue["queue_running"], &queue["queue_pending"][0][1]), (&json!([]), &json!(id)));
}

#[tokio::test]
async fn a_restart_loses_the_job() {
    let simulation = start(Behaviour::default()).await;
    simulation.faults().plan(Fault::Restart, 1);

    let id = queue(&simulation, json!({"prompt": workflow(1), "client_id": "me"})).await;
    until(&simulation, |simulation| simulation.busy().len() == 1).await;

    assert_eq!(get(&simulation, &format!("/history/{id}")).await, json!({}));
    let next = queue(&simulation, json!({"prompt": workflow(1), "client_id": "me"})).await;
    assert_eq!(finished(&simulation, &next).await["status"]["status_str"], "success");
}

#[tokio::test]
async fn malformed_prompts_are_answered_with_bare_text_or_reasons() {
    let simulation = start(Behaviour::default()).await;
    let status = async |body: Value| post(&simulation, "/prompt", body).await.unwrap().status().as_u16();

    assert_eq!(status(json!({})).await, 400);
    assert_eq!(status(json!({"prompt": null})).await, 500);
    assert_eq!(status(json!({"prompt": {"_comment": "x"}})).await, 500);
    assert_eq!(status(json!({"prompt": workflow(1), "prompt_id": "job-42"})).await, 400);
    assert_eq!(status(json!({"prompt": workflow(1), "number": "x"})).await, 500);
    let circle = json!({
        "1": {"class_type": "ImageInvert", "inputs": {"image": ["2", 0]}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    });
    let answer: Value =
        post(&simulation, "/prompt", json!({"prompt": circle})).await.unwrap().json().await.unwrap();
    assert_eq!(answer["node_errors"]["1"]["errors"][0]["type"], "dependency_cycle");
}

#[tokio::test]
async fn it_refuses_connections_until_the_start_is_over() {
    let behaviour = Behaviour { startup_delay: Duration::from_secs(3600), ..Default::default() };
    let simulation = start(behaviour).await;

    assert!(client().get(simulation.url()).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn a_dropped_socket_does_not_stop_the_job() {
    let simulation = start(Behaviour::default()).await;
    let url = format!("ws://{}/ws?clientId=me", simulation.address());
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    simulation.faults().plan(Fault::DropWebSocket, 1);

    let id = queue(&simulation, json!({"prompt": workflow(1), "client_id": "me"})).await;

    while let Some(Ok(frame)) = socket.next().await {
        assert!(!frame.to_string().contains("execution_success"));
    }
    assert_eq!(finished(&simulation, &id).await["status"]["status_str"], "success");
}
