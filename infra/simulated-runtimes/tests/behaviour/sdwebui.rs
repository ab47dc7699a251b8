//! SD WebUI.

use std::time::Duration;

use axum::http::Method;
use base64_simd::STANDARD as BASE64;
use serde_json::{Value, json};
use simulated_runtimes::{Behaviour, CallFault, Dialect, Fault, Order, Sample, SdWebUiOptions, Simulation};

use crate::{any_port, assert_one_at_a_time, client, until};

async fn start(options: SdWebUiOptions) -> Simulation {
    Simulation::start_sdwebui(any_port(), options).await.unwrap()
}

async fn post(simulation: &Simulation, path: &str, body: Value) -> reqwest::Result<reqwest::Response> {
    client().post(format!("{}/sdapi/v1/{path}", simulation.url())).json(&body).send().await
}

async fn generate(simulation: &Simulation, body: Value) -> (u16, Value) {
    let answer = post(simulation, "txt2img", body).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn small(prompt: &str) -> Value {
    json!({"prompt": prompt, "width": 64, "height": 64, "steps": 2})
}

fn first_image(answer: &Value) -> Vec<u8> {
    BASE64.decode_to_vec(answer["images"][0].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn jobs_run_one_at_a_time_in_the_order_of_their_arrival() {
    let latency = Duration::from_millis(30);
    let behaviour = Behaviour { latency, ..Default::default() };
    let simulation = start(SdWebUiOptions { behaviour, ..Default::default() }).await;

    let runs = (0..4).map(|number| generate(&simulation, small(&number.to_string())));
    futures_util::future::join_all(runs).await;

    assert_eq!(simulation.busy().len(), 4);
    assert_one_at_a_time(&simulation.busy(), latency);
}

#[tokio::test]
async fn a_disconnected_client_does_not_stop_the_run() {
    let behaviour = Behaviour { latency: Duration::from_millis(200), ..Default::default() };
    let simulation = start(SdWebUiOptions { behaviour, ..Default::default() }).await;

    let url = format!("{}/sdapi/v1/txt2img", simulation.url());
    let request = client().post(url).json(&small("a dog")).timeout(Duration::from_millis(50));
    assert!(request.send().await.unwrap_err().is_timeout());

    until(&simulation, |simulation| !simulation.busy().is_empty()).await;
    assert_eq!(simulation.busy()[0].label, "a dog");
}

#[tokio::test]
async fn exceptions_have_the_form_of_the_dialect() {
    let fault = Fault::Exception { node: None, kind: "RuntimeError".into(), message: "no luck".into() };
    for (dialect, status, expected) in [
        (
            Dialect::Forge,
            500,
            json!({"error": "RuntimeError", "detail": "", "body": "", "message": "no luck"}),
        ),
        (
            Dialect::Automatic1111,
            500,
            json!({"error": "RuntimeError", "detail": "", "body": "", "errors": "no luck"}),
        ),
        (Dialect::SdNext, 200, json!({"images": [], "parameters": {}, "info": ""})),
    ] {
        let simulation = start(SdWebUiOptions { dialect, ..Default::default() }).await;
        simulation.faults().plan(fault.clone(), 1);

        assert_eq!(generate(&simulation, small("a dog")).await, (status, expected));
        assert_eq!(generate(&simulation, small("a dog")).await.0, 200, "the fault was planned once");
    }
}

#[tokio::test]
async fn answers_are_corrupted_as_planned() {
    let simulation = start(SdWebUiOptions::default()).await;

    simulation.faults().plan(Fault::PlainText { status: 502 }, 1);
    let answer = post(&simulation, "txt2img", small("a dog")).await.unwrap();
    assert_eq!(answer.status().as_u16(), 502);
    assert!(answer.json::<Value>().await.is_err());

    simulation.faults().plan(Fault::NotJson, 1);
    let answer = post(&simulation, "txt2img", small("a dog")).await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert!(answer.json::<Value>().await.is_err());

    simulation.faults().plan(Fault::NoImages, 1);
    assert_eq!(generate(&simulation, small("a dog")).await.1["images"], json!([]));

    simulation.faults().plan(Fault::InvalidBase64, 1);
    let (_, answer) = generate(&simulation, small("a dog")).await;
    assert!(BASE64.decode_to_vec(answer["images"][0].as_str().unwrap()).is_err());

    simulation.faults().plan(Fault::OtherFormat(Sample::Webp), 1);
    assert_eq!(first_image(&generate(&simulation, small("a dog")).await.1), Sample::Webp.bytes());
}

#[tokio::test]
async fn connections_break_before_or_after_the_work() {
    let simulation = start(SdWebUiOptions::default()).await;

    simulation.faults().plan(Fault::DropBeforeWork, 1);
    assert!(post(&simulation, "txt2img", small("a dog")).await.is_err());
    assert_eq!(simulation.busy(), []);

    simulation.faults().plan(Fault::DropAfterWork, 1);
    assert!(post(&simulation, "txt2img", small("a dog")).await.is_err());
    assert_eq!(simulation.busy().len(), 1);
}

#[tokio::test]
async fn a_hanging_run_is_cancelled_when_the_simulation_stops() {
    let simulation = start(SdWebUiOptions::default()).await;
    simulation.faults().plan(Fault::Hang, 1);
    let url = format!("{}/sdapi/v1/txt2img", simulation.url());
    let run = tokio::spawn(client().post(url).json(&small("a dog")).send());
    until(&simulation, |simulation| !simulation.requests().is_empty()).await;

    simulation.stop().await;

    assert!(run.await.unwrap().is_err());
}

#[tokio::test]
async fn an_override_leaks_unless_the_setting_was_stored_before() {
    let simulation = start(SdWebUiOptions::default()).await;
    let with_override =
        json!({"steps": 1, "width": 8, "height": 8, "override_settings": {"samples_format": "jpg"}});
    let plain = json!({"steps": 1, "width": 8, "height": 8});

    generate(&simulation, with_override.clone()).await;
    assert_eq!(first_image(&generate(&simulation, plain.clone()).await.1), Sample::Jpeg.bytes());

    post(&simulation, "options", json!({"samples_format": "png"})).await.unwrap();
    generate(&simulation, with_override).await;
    assert!(first_image(&generate(&simulation, plain).await.1).starts_with(b"\x89PNG"));
}

#[tokio::test]
async fn an_override_model_runs_once_unless_the_switch_is_ignored() {
    let models = ["one.safetensors", "two.safetensors"].map(str::to_owned).to_vec();
    let simulation = start(SdWebUiOptions { models, ..Default::default() }).await;
    let two =
        json!({"steps": 1, "width": 8, "height": 8, "override_settings": {"sd_model_checkpoint": "two"}});
    let model = |answer: Value| {
        serde_json::from_str::<Value>(answer["info"].as_str().unwrap()).unwrap()["sd_model_name"].clone()
    };

    assert_eq!(model(generate(&simulation, two.clone()).await.1), "two");
    assert_eq!(model(generate(&simulation, json!({"steps": 1})).await.1), "one");
    simulation.faults().plan(Fault::IgnoreModelSwitch, 1);
    assert_eq!(model(generate(&simulation, two).await.1), "one");
}

#[tokio::test]
async fn the_api_is_not_mounted_during_startup() {
    let behaviour = Behaviour { startup_delay: Duration::from_secs(3600), ..Default::default() };
    let simulation = start(SdWebUiOptions { behaviour, ..Default::default() }).await;

    assert_eq!(client().get(simulation.url()).send().await.unwrap().status(), 200);
    assert_eq!(post(&simulation, "txt2img", json!({})).await.unwrap().status(), 404);
}

#[tokio::test]
async fn pictures_have_the_requested_size_and_differ() {
    let simulation = start(SdWebUiOptions::default()).await;

    let picture = async |body| first_image(&generate(&simulation, body).await.1);
    let dog = picture(json!({"prompt": "a dog", "width": 640, "height": 360, "seed": 1})).await;
    let cat = picture(json!({"prompt": "a cat", "width": 640, "height": 360, "seed": 1})).await;

    let size = imagesize::blob_size(&dog).unwrap();
    assert_eq!((size.width, size.height), (640, 360));
    assert_ne!(dog, cat);
    assert_eq!(simulation.requests()[0].body.as_ref().unwrap()["prompt"], "a dog");
}

#[tokio::test]
async fn a_call_fails_before_or_after_it_takes_effect() {
    let simulation = start(SdWebUiOptions::default()).await;
    for (fault, status, is_done) in [
        (CallFault::DropBefore, None, false),
        (CallFault::FailBefore, Some(500), false),
        (CallFault::DropAfter, None, true),
        (CallFault::FailAfter, Some(500), true),
    ] {
        simulation.call_faults().order(Order::new(Method::POST, "/sdapi/v1/txt2img", fault));
        let runs = simulation.busy().len();
        let answer = post(&simulation, "txt2img", small("x")).await;
        assert_eq!(answer.ok().map(|answer| answer.status().as_u16()), status, "{fault:?}");
        assert_eq!(simulation.busy().len() > runs, is_done, "{fault:?}");
    }
    assert_eq!(generate(&simulation, small("x")).await.0, 200);
}
