//! The recordings of SD WebUI Forge.

use std::time::Duration;

use base64_simd::STANDARD as BASE64;
use serde_json::{Value, json};
use simulated_runtimes::{Behaviour, SdWebUiOptions, Simulation};

use crate::{
    any_port, client,
    compare::{Tolerance, assert_same},
    recording, recordings,
};

const TOLERATED: &[Tolerance] = &[
    ("job_timestamp", "the time of the run"),
    ("subseed", "random"),
    ("all_subseeds", "random"),
    ("hash", "the simulation has no weights to hash: it hashes the name"),
    ("sha256", "as above"),
    ("sd_model_hash", "as above"),
    ("sd_checkpoint_hash", "as above"),
    ("title", "contains the hash"),
    ("progress", "depends on the moment of the call"),
    ("eta_relative", "as above"),
    ("sampling_step", "as above"),
];

async fn start(latency: Duration) -> Simulation {
    let models = ["sd15_b.safetensors", "sd15_random_full.safetensors"].map(str::to_owned).to_vec();
    let behaviour = Behaviour { latency, ..Default::default() };
    let options = SdWebUiOptions { models, behaviour, ..Default::default() };
    Simulation::start_sdwebui(any_port(), options).await.unwrap()
}

async fn call(url: &str, request: &Value) -> Value {
    let method = request["method"].as_str().unwrap().parse().unwrap();
    let mut call = client().request(method, format!("{url}{}", request["path"].as_str().unwrap()));
    if let Some(text) = request["raw_body"].as_str() {
        call = call.header("content-type", "application/json").body(text.to_owned());
    } else if let Some(body) = request.get("body") {
        call = call.json(body);
    }
    let answer = call.send().await.unwrap();
    let (status, content_type) =
        (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap().to_owned());
    json!({"status": status, "content_type": content_type, "body": answer.json::<Value>().await.unwrap()})
}

/// Images are compared by size, `info` as the JSON it holds, infotexts without the model's hash.
fn comparable(mut answer: Value) -> Value {
    let Some(body) = answer["body"].as_object_mut() else { return answer };
    for image in body.get_mut("images").and_then(Value::as_array_mut).into_iter().flatten() {
        *image = size(image);
    }
    if let Some(image) = body.get_mut("image") {
        *image = size(image);
    }
    if let Some(info) = body.get_mut("info") {
        let text = info.as_str().unwrap();
        *info = serde_json::from_str(text).unwrap_or_else(|_| json!(without_hash(text)));
        for infotext in info.get_mut("infotexts").and_then(Value::as_array_mut).into_iter().flatten() {
            *infotext = json!(without_hash(infotext.as_str().unwrap()));
        }
    }
    answer
}

fn size(image: &Value) -> Value {
    let file = BASE64.decode_to_vec(image.as_str().unwrap()).unwrap();
    let size = imagesize::blob_size(&file).unwrap();
    json!([size.width, size.height])
}

fn without_hash(infotext: &str) -> String {
    let (before, after) = infotext.split_once("Model hash: ").unwrap_or((infotext, ", "));
    format!("{before}{}", after.split_once(", ").unwrap().1)
}

async fn replay(simulation: &Simulation, name: &str, call_of_recording: &Value) {
    let path = call_of_recording["request"]["path"].as_str().unwrap();
    let actual = comparable(call(&simulation.url(), &call_of_recording["request"]).await);
    let mut expected = comparable(call_of_recording["response"].clone());
    if path == "/sdapi/v1/options" && expected["body"].is_object() {
        // The recording holds a part of the settings.
        let recorded = expected["body"].as_object_mut().unwrap();
        recorded.shift_remove("…");
        let settings: serde_json::Map<_, _> =
            recorded.keys().map(|key| (key.clone(), actual["body"][key].clone())).collect();
        assert_same(name, &expected["body"], &json!(settings), TOLERATED);
        return;
    }
    assert_same(&format!("{name} {path} "), &expected, &actual, TOLERATED);
}

async fn replay_all(simulation: &Simulation, name: &str) {
    for call in recording(&format!("sdwebui/{name}"))["calls"].as_array().unwrap() {
        replay(simulation, name, call).await;
    }
}

/// Those that need a certain state before or in the middle have a test of their own below.
const SPECIAL: [&str; 3] = ["progress-and-interrupt", "idle-controls", "models-and-options"];

#[tokio::test]
async fn every_call_is_answered_as_recorded() {
    for name in recordings("sdwebui").iter().filter(|name| !SPECIAL.contains(&name.as_str())) {
        replay_all(&start(Duration::ZERO).await, name).await;
    }
}

#[tokio::test]
async fn models_that_were_loaded_once_show_their_hash() {
    let simulation = start(Duration::ZERO).await;
    for model in ["sd15_random_full", "sd15_b"] {
        let request =
            json!({"method": "POST", "path": "/sdapi/v1/options", "body": {"sd_model_checkpoint": model}});
        call(&simulation.url(), &request).await;
    }

    replay_all(&simulation, "models-and-options").await;
}

#[tokio::test]
async fn an_interrupted_run_is_answered_and_shown_in_progress() {
    let simulation = start(Duration::ZERO).await;
    // What was recorded before the interrupt took effect is requested while the run is paused between two steps.
    let hold = simulation.hold().await;
    let recording = recording("sdwebui/progress-and-interrupt");
    let (run, calls) = recording["calls"].as_array().unwrap().split_last().unwrap();
    let (url, request) = (simulation.url(), run["request"].clone());
    let running = tokio::spawn(async move { call(&url, &request).await });
    let progress = json!({"method": "GET", "path": "/sdapi/v1/progress"});
    while call(&simulation.url(), &progress).await["body"]["state"]["job"] == "" {
        tokio::task::yield_now().await;
    }

    let idle = |call: &&Value| call["response"]["body"]["state"]["job"] == "";
    let (idle, busy): (Vec<_>, Vec<_>) = calls.iter().partition(idle);
    for call in busy {
        replay(&simulation, "progress-and-interrupt", call).await;
    }
    drop(hold);
    let answer = comparable(running.await.unwrap());
    assert_same("progress-and-interrupt", &comparable(run["response"].clone()), &answer, TOLERATED);
    for call in idle {
        replay(&simulation, "progress-and-interrupt", call).await;
    }
    // The idle controls were recorded right after this run.
    replay_all(&simulation, "idle-controls").await;
}
