//! stable-diffusion.cpp.

use std::time::Duration;

use serde_json::{Value, json};
use simulated_runtimes::{Behaviour, Fault, SdCppOptions, Simulation};

use crate::{any_port, assert_one_at_a_time, client, until};

async fn start(options: SdCppOptions) -> Simulation {
    Simulation::start_sdcpp(any_port(), options).await.unwrap()
}

async fn post(simulation: &Simulation, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/sdcpp/v1/{path}", simulation.url());
    let answer = client().post(url).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn look(simulation: &Simulation, id: &str) -> (u16, Value) {
    let answer = client().get(format!("{}/sdcpp/v1/jobs/{id}", simulation.url())).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Submits a job and waits for its end.
async fn generated(simulation: &Simulation, body: &Value) -> Value {
    let (status, accepted) = post(simulation, "img_gen", body).await;
    assert_eq!(status, 202, "{accepted}");
    let id = accepted["id"].as_str().unwrap();
    loop {
        let (_, job) = look(simulation, id).await;
        if !matches!(job["status"].as_str(), Some("queued" | "generating")) {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn small() -> Value {
    json!({ "prompt": "a dog", "width": 64, "height": 64, "sample_params": { "sample_steps": 2 } })
}

#[tokio::test]
async fn jobs_run_one_at_a_time_in_the_order_of_their_arrival() {
    let latency = Duration::from_millis(30);
    let behaviour = Behaviour { latency, ..Default::default() };
    let simulation = start(SdCppOptions { behaviour, ..Default::default() }).await;
    for _ in 0..4 {
        post(&simulation, "img_gen", &small()).await;
    }
    until(&simulation, |simulation| simulation.busy().len() == 4).await;
    assert_one_at_a_time(&simulation.busy(), latency);
}

#[tokio::test]
async fn a_full_queue_refuses_a_job() {
    let simulation = start(SdCppOptions { max_queue_size: 1, ..Default::default() }).await;
    let _hold = simulation.hold().await;
    assert_eq!(post(&simulation, "img_gen", &small()).await.0, 202);
    let refused = post(&simulation, "img_gen", &small()).await;
    assert_eq!(refused, (429, json!({ "error": "job queue is full" })));
}

#[tokio::test]
async fn a_job_expires_and_is_then_forgotten() {
    let simulation = start(SdCppOptions { retention: Duration::ZERO, ..Default::default() }).await;
    let hold = simulation.hold().await;
    let (_, accepted) = post(&simulation, "img_gen", &small()).await;
    drop(hold);
    until(&simulation, |simulation| simulation.busy().len() == 1).await;
    let (status, _) = look(&simulation, accepted["id"].as_str().unwrap()).await;
    assert!([410, 404].contains(&status), "{status}");
}

#[tokio::test]
async fn what_the_server_cannot_read_is_left_out_and_what_is_too_much_is_cut_off() {
    let simulation = start(SdCppOptions::default()).await;
    let mut body = small();
    body["batch_count"] = json!(20);
    body["seed"] = json!("7");
    body["n_iter"] = json!(3);
    let job = generated(&simulation, &body).await;
    assert_eq!(job["result"]["images"].as_array().unwrap().len(), 8);
    body["output_format"] = json!("gif");
    let (status, answer) = post(&simulation, "img_gen", &body).await;
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().starts_with("invalid output_format"));
}

#[tokio::test]
async fn a_failed_job_says_so() {
    let simulation = start(SdCppOptions::default()).await;
    simulation.faults().plan(Fault::OutOfMemory, 1);
    let job = generated(&simulation, &small()).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("generation_failed")));
    assert_eq!(generated(&simulation, &small()).await["status"], "completed", "the fault was planned once");
}
