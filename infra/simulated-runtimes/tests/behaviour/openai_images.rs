//! OpenAI's Images API, as vLLM-Omni has it.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use simulated_runtimes::{Behaviour, Fault, OpenAiImagesOptions, Sample, Simulation};

use crate::{any_port, assert_one_at_a_time, client, until};

async fn start(latency: Duration) -> Simulation {
    let behaviour = Behaviour { latency, ..Default::default() };
    let options = OpenAiImagesOptions { behaviour, ..Default::default() };
    Simulation::start_openai_images(any_port(), options).await.unwrap()
}

fn small(prompt: &str) -> Value {
    json!({"prompt": prompt, "size": "64x64", "num_inference_steps": 2})
}

async fn generate(simulation: &Simulation, body: Value) -> (u16, Value) {
    let url = format!("{}/v1/images/generations", simulation.url());
    let answer = client().post(url).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn runs_are_made_one_at_a_time_and_go_on_without_their_client() {
    let latency = Duration::from_millis(30);
    let simulation = start(latency).await;
    let url = format!("{}/v1/images/generations", simulation.url());
    let hold = simulation.hold().await;
    let call = tokio::spawn(client().post(url).json(&small("left")).send());
    until(&simulation, |simulation| simulation.running().is_some()).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    drop(hold);
    until(&simulation, |simulation| !simulation.busy().is_empty()).await;
    assert_eq!(simulation.busy()[0].label, "left");

    let runs = (0..3).map(|number| generate(&simulation, small(&number.to_string())));
    futures_util::future::join_all(runs).await;
    assert_eq!(simulation.busy().len(), 4);
    assert_one_at_a_time(&simulation.busy(), latency);
}

#[tokio::test]
async fn as_many_images_come_as_are_asked_for() {
    let simulation = start(Duration::ZERO).await;
    let (status, answer) = generate(&simulation, json!({"prompt": "a", "n": 3, "size": "64x32"})).await;
    assert_eq!((status, answer["data"].as_array().unwrap().len()), (200, 3));
    assert_eq!(answer["size"], "64x32");
    let (status, answer) = generate(&simulation, json!({"prompt": "a", "n": 11})).await;
    assert_eq!((status, &answer["error"]["param"]), (400, &json!("n")));
}

#[tokio::test]
async fn an_edit_has_the_size_of_its_image_and_fails_without_one() {
    let simulation = start(Duration::ZERO).await;
    let url = format!("{}/v1/images/edits", simulation.url());
    let edit = async |form: Form| {
        let answer = client().post(&url).multipart(form).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let image = Part::bytes(Sample::Webp.bytes()).file_name("image.webp");
    let (status, answer) = edit(Form::new().text("prompt", "a").part("image", image)).await;
    assert_eq!((status, &answer["size"]), (200, &json!("64x48")));
    let (status, answer) = edit(Form::new().text("prompt", "a")).await;
    assert_eq!((status, &answer["error"]["param"]), (400, &json!("image")));
}

#[tokio::test]
async fn what_is_planned_to_go_wrong_does() {
    let simulation = start(Duration::ZERO).await;
    simulation.faults().plan(Fault::OutOfMemory, 1);
    simulation.faults().plan(Fault::NoImages, 1);
    let (status, answer) = generate(&simulation, small("a")).await;
    assert!(status == 500 && answer["error"]["message"].as_str().unwrap().contains("out of memory"));
    assert_eq!(generate(&simulation, small("a")).await.1["data"], json!([]));
    assert_eq!(generate(&simulation, small("a")).await.0, 200);
}
