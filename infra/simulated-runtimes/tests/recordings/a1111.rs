//! The recordings of AUTOMATIC1111 1.10.1. Long texts and lists in them are cut.

use serde_json::{Value, json};
use simulated_runtimes::{Dialect, SdWebUiOptions, Simulation};

use crate::{
    any_port, client,
    compare::{Tolerance, assert_same},
    recording,
};

const TOLERATED: &[Tolerance] = &[
    ("job_timestamp", "the time of the run"),
    ("options", "of a sampler; the simulation's have none"),
    ("need_inner_model", "of a scheduler; the simulation has no model"),
    ("title", "contains the hash of what was loaded"),
    ("hash", "as above"),
    ("sha256", "as above"),
    ("filename", "where the files lie"),
    ("free", "of the machine"),
    ("used", "as above"),
    ("total", "as above"),
    ("job_no", "of a server that has run something"),
    ("sampling_steps", "as above"),
    ("image", "another picture"),
    ("html_info", "compared with Forge's, which are the same"),
];

/// Endpoints that the simulation does not have, or whose answers name what is installed.
const LEFT_OUT: [&str; 8] = [
    "/sdapi/v1/interrogate",
    "/sdapi/v1/options",
    "/sdapi/v1/scripts",
    "/sdapi/v1/cmd-flags",
    "/sdapi/v1/embeddings",
    "/sdapi/v1/upscalers",
    "/sdapi/v1/latent-upscale-modes",
    "/sdapi/v1/png-info",
];

/// The same, as far as the recording goes: where it has a cut text, any will do, and of a cut list the beginning.
fn as_far_as_recorded(expected: &Value, actual: &Value) -> (Value, Value) {
    match (expected, actual) {
        (Value::String(text), _) if text.ends_with(" chars)") => (Value::Null, Value::Null),
        (Value::Array(items), Value::Array(others)) => {
            let whole =
                items.iter().filter(|item| !item.as_str().is_some_and(|text| text.ends_with(" items")));
            let whole: Vec<&Value> = whole.collect();
            let others = if whole.len() < items.len() { &others[..whole.len()] } else { others };
            let pairs = whole.iter().zip(others).map(|(item, other)| as_far_as_recorded(item, other));
            let (mut left, right): (Vec<Value>, Vec<Value>) = pairs.unzip();
            // What is too few is a difference.
            left.extend(whole.iter().skip(others.len()).map(|item| Value::clone(item)));
            (left.into(), right.into())
        }
        (Value::Object(fields), Value::Object(others)) => {
            let (mut left, mut right) = (fields.clone(), others.clone());
            for (key, value) in fields {
                if let Some(other) = others.get(key) {
                    let (value, other) = as_far_as_recorded(value, other);
                    left.insert(key.clone(), value);
                    right.insert(key.clone(), other);
                }
            }
            (left.into(), right.into())
        }
        _ => (expected.clone(), actual.clone()),
    }
}

async fn call(url: &str, request: &Value) -> Value {
    let method = request["method"].as_str().unwrap().parse().unwrap();
    let mut call = client().request(method, format!("{url}{}", request["path"].as_str().unwrap()));
    call = match &request["body"] {
        Value::Null => call,
        Value::String(raw) => call
            .header("content-type", "application/json")
            .body(raw.trim_start_matches("raw b'").trim_end_matches('\'').to_owned()),
        body => call.json(body),
    };
    let answer = call.send().await.unwrap();
    json!({"status": answer.status().as_u16(), "body": answer.json::<Value>().await.unwrap()})
}

#[tokio::test]
async fn every_call_is_answered_as_recorded() {
    for name in ["control", "errors", "extras", "information", "txt2img"] {
        let models = ["v1-5-pruned-emaonly.safetensors", "second.safetensors"].map(str::to_owned).to_vec();
        let options = SdWebUiOptions { models, dialect: Dialect::Automatic1111, ..Default::default() };
        let simulation = Simulation::start_sdwebui(any_port(), options).await.unwrap();
        for recorded in recording(&format!("a1111/{name}"))["calls"].as_array().unwrap() {
            let path = recorded["request"]["path"].as_str().unwrap();
            let is_answer_of_options = path == "/sdapi/v1/options" && recorded["request"]["method"] == "POST";
            if LEFT_OUT.contains(&path) && !is_answer_of_options {
                continue;
            }
            let actual = call(&simulation.url(), &recorded["request"]).await;
            let expected = json!({
                "status": recorded["response"]["status"],
                "body": recorded["response"]["body"],
            });
            let (mut expected, mut actual) = as_far_as_recorded(&expected, &actual);
            if path.starts_with("/sdapi/v1/progress") {
                // This one had run something before.
                for state in [&mut expected, &mut actual] {
                    state["body"]["state"]["job_timestamp"] = json!("");
                }
            }
            if path == "/sdapi/v1/sd-models" {
                // The simulation's first model is loaded, and so its hash is known.
                let last = |answer: &Value| answer["body"][1].clone();
                (expected, actual) = (last(&expected), last(&actual));
            }
            assert_same(
                &format!("{name} {path} {}", recorded["request"]["body"]),
                &expected,
                &actual,
                TOLERATED,
            );
        }
    }
}

#[tokio::test]
async fn numbers_among_the_settings_are_shown_as_floats() {
    for (recorded, dialect) in
        [("a1111/information", Dialect::Automatic1111), ("sdwebui/models-and-options", Dialect::Forge)]
    {
        let options = SdWebUiOptions { dialect, ..Default::default() };
        let simulation = Simulation::start_sdwebui(any_port(), options).await.unwrap();
        let request = json!({"method": "GET", "path": "/sdapi/v1/options"});
        let shown = call(&simulation.url(), &request).await["body"].clone();
        let calls = recording(recorded)["calls"].clone();
        let is_it = |call: &&Value| {
            call["request"]["path"] == request["path"] && call["request"]["method"] == request["method"]
        };
        let settings = calls.as_array().unwrap().iter().find(is_it).unwrap()["response"]["body"].clone();
        let numbers = settings.as_object().unwrap().iter().filter(|(_, value)| value.is_number());
        let numbers: Vec<_> = numbers.collect();
        assert!(!numbers.is_empty(), "{recorded} has none");
        for (name, value) in numbers {
            assert_eq!(shown[name].to_string(), value.to_string(), "{recorded}: {name}");
        }
        let set = json!({"method": "POST", "path": "/sdapi/v1/options", "body": {"jpeg_quality": 60}});
        assert_eq!(call(&simulation.url(), &set).await["status"], 200);
        let shown = call(&simulation.url(), &request).await["body"].clone();
        assert_eq!(shown["jpeg_quality"].to_string(), "60.0");
        assert_eq!(shown["webp_lossless"], json!(false));
    }
}

#[tokio::test]
async fn sides_are_cut_to_whole_latent_pixels() {
    let options = SdWebUiOptions { dialect: Dialect::Automatic1111, ..Default::default() };
    let simulation = Simulation::start_sdwebui(any_port(), options).await.unwrap();
    let body = json!({"width": 63, "height": 64, "steps": 1});
    let request = json!({"method": "POST", "path": "/sdapi/v1/txt2img", "body": body});
    let answer = call(&simulation.url(), &request).await;
    use base64_simd::STANDARD as BASE64;
    let image = BASE64.decode_to_vec(answer["body"]["images"][0].as_str().unwrap()).unwrap();
    let size = imagesize::blob_size(&image).unwrap();
    assert_eq!((size.width, size.height), (56, 64));
}
