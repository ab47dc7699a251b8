//! The recordings of ComfyUI 0.25.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use simulated_runtimes::{Behaviour, ComfyUiOptions, Simulation};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use crate::{
    any_port, client,
    compare::{Tolerance, assert_same},
    recording, recordings,
};

const TOLERATED: &[Tolerance] = &[
    ("timestamp", "the time of the event"),
    ("create_time", "the time of the request"),
    ("execution_start_time", "as above"),
    ("execution_end_time", "as above"),
    ("executed", "ComfyUI lists a set, in no order"),
    ("current_outputs", "as above"),
    ("traceback", "lines of the server's source"),
    ("exception_message", "paths of the server"),
    ("images", "under `current_inputs`: the text of a tensor; elsewhere compared file by file below"),
];
const TOLERATED_IN_OUTPUTS: &[Tolerance] = TOLERATED.split_at(TOLERATED.len() - 1).0;

/// The order in which they were recorded on one server: `number` counts, and the cache holds what came just before.
const IN_ORDER: [&str; 16] = [
    "images-batch-of-3",
    "cached-repeat",
    "load-scale-invert-save-and-preview",
    "checkpoint-sampler-progress",
    "partly-cached-with-previews",
    "animated-webp",
    "video-mp4",
    "audio-flac",
    "text-output",
    "preview-only",
    "error-missing-input",
    "error-missing-model",
    "error-no-outputs",
    "error-unknown-node",
    "partial-node-errors-with-200",
    "error-ui-format",
];
/// Those that follow, with a state of their own.
const SPECIAL: [&str; 4] = ["execution-error", "interrupted", "upload-image", "information-endpoints"];

async fn start(latency: Duration) -> Simulation {
    let models = ["sd15_random_full.safetensors", "sd15_random_tiny.safetensors"].map(str::to_owned).to_vec();
    let options = ComfyUiOptions {
        models,
        behaviour: Behaviour { latency, ..Default::default() },
        ..Default::default()
    };
    Simulation::start_comfyui(any_port(), options).await.unwrap()
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(simulation: &Simulation, client: &str) -> Socket {
    let url = format!("ws://{}/ws?clientId={client}", simulation.address());
    connect_async(url).await.unwrap().0
}

/// The next frame, as the recordings hold it: JSON, or the first 8 bytes of a binary frame, which are its type.
async fn frame(socket: &mut Socket) -> Value {
    match socket.next().await.unwrap().unwrap() {
        Message::Text(text) => serde_json::from_str(&text).unwrap(),
        Message::Binary(bytes) => {
            json!(bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>())
        }
        other => panic!("unexpected frame {other:?}"),
    }
}

fn recorded_frames(recording: &Value) -> Vec<Value> {
    let frames = recording["websocket"].as_array().unwrap().iter();
    frames
        .map(|frame| match frame.get("text") {
            Some(text) => text.clone(),
            None => json!(frame["binary"]["first_24_hex"].as_str().unwrap()[..16]),
        })
        .collect()
}

async fn post(simulation: &Simulation, path: &str, body: &Value) -> reqwest::Response {
    client().post(format!("{}{path}", simulation.url())).json(body).send().await.unwrap()
}

async fn get(simulation: &Simulation, path: &str) -> Value {
    let answer = client().get(format!("{}{path}", simulation.url())).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

/// Temporary files have five random letters in their names.
fn comparable(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.split_once("ComfyUI_temp_") {
            Some((before, after)) => json!(format!("{before}ComfyUI_temp_xxxxx{}", &after[5..])),
            None => value.clone(),
        },
        Value::Array(values) => values.iter().map(comparable).collect(),
        Value::Object(object) => object.iter().map(|(key, value)| (key.clone(), comparable(value))).collect(),
        other => other.clone(),
    }
}

fn tolerated(name: &str) -> &'static [Tolerance] {
    if name == "execution-error" { TOLERATED } else { TOLERATED_IN_OUTPUTS }
}

fn assert_as_recorded(name: &str, what: &str, expected: &Value, actual: &Value) {
    assert_same(&format!("{name} {what} "), &comparable(expected), &comparable(actual), tolerated(name));
}

/// Posts the recorded prompt while its client is connected, sends the recorded `action`, and compares all that follows.
async fn replay(simulation: &Simulation, name: &str) {
    let recording = recording(&format!("comfyui/{name}"));
    let request = &recording["request"]["body"];
    let (id, client_id) = (request["prompt_id"].as_str().unwrap(), request["client_id"].as_str().unwrap());
    let mut socket = connect(simulation, client_id).await;
    let expected = recorded_frames(&recording);
    assert_as_recorded(name, "first frame", &expected[0], &frame(&mut socket).await);

    let answer = post(simulation, "/prompt", request).await;
    let (status, content_type) =
        (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap().to_owned());
    let text = answer.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap_or(json!(text));
    let answer = json!({"status": status, "content_type": content_type, "body": body});
    assert_as_recorded(name, "POST /prompt", &recording["response"], &answer);

    for expected in &expected[1..] {
        let actual = frame(&mut socket).await;
        assert_as_recorded(name, "frame", expected, &actual);
        // The interrupt was sent while this node ran.
        if name == "interrupted" && actual["type"] == "executing" && actual["data"]["node"] == "3" {
            let action = &recording["action"]["request"];
            let answer = post(simulation, action["path"].as_str().unwrap(), &action["body"]).await;
            assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, ""));
        }
    }
    if recording.get("history").is_none() {
        return;
    }
    assert_as_recorded(
        name,
        "history",
        &recording["history"]["body"],
        &get(simulation, &format!("/history/{id}")).await,
    );
    assert_as_recorded(
        name,
        "job",
        &recording["job"]["body"],
        &get(simulation, &format!("/api/jobs/{id}")).await,
    );
    let history = get(simulation, &format!("/history/{id}")).await;
    for view in recording["views"].as_array().unwrap() {
        replay_view(simulation, name, view, &history).await;
    }
}

async fn replay_view(simulation: &Simulation, name: &str, view: &Value, history: &Value) {
    let path = view["path"].as_str().unwrap();
    // The random letters of a temporary file are those of this run.
    let path =
        match history.to_string().split_once("ComfyUI_temp_").filter(|_| path.contains("ComfyUI_temp_")) {
            Some((_, after)) => {
                let (before, rest) = path.split_once("ComfyUI_temp_").unwrap();
                format!("{before}ComfyUI_temp_{}{}", &after[..5], &rest[5..])
            }
            None => path.to_owned(),
        };
    let answer = client().get(format!("{}{path}", simulation.url())).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), view["status"], "{name} {path}");
    for (header, value) in view["headers"].as_object().unwrap() {
        let actual = comparable(&json!(answer.headers()[header.as_str()].to_str().unwrap()));
        // Drawn pictures have another size than generated ones.
        if header != "Content-Length" || !path.contains(".png") {
            assert_eq!(actual, comparable(value), "{name} {path} {header}");
        }
    }
    let content = answer.bytes().await.unwrap();
    let first: String = content.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(first, view["body"]["first_16_hex"], "{name} {path}");
}

fn input_picture(colour: &str) -> Form {
    let calls = recording("sdwebui/extra-single-image");
    let image = calls["calls"][0]["request"]["body"]["image"].as_str().unwrap();
    let mut image = base64_simd::STANDARD.decode_to_vec(image).unwrap();
    // Bytes after the end of a PNG do not matter to its readers.
    image.extend(colour.bytes());
    let part = Part::bytes(image).file_name("darkroom-input.png").mime_str("image/png").unwrap();
    Form::new().part("image", part).text("subfolder", "darkroom/up").text("type", "input")
}

async fn upload(simulation: &Simulation, form: Form) -> Value {
    let answer =
        client().post(format!("{}/upload/image", simulation.url())).multipart(form).send().await.unwrap();
    let (status, content_type) =
        (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap().to_owned());
    json!({"status": status, "content_type": content_type, "body": answer.json::<Value>().await.unwrap()})
}

#[tokio::test]
async fn every_prompt_has_the_recorded_response_and_events() {
    let simulation = start(Duration::ZERO).await;
    upload(&simulation, input_picture("red")).await;
    // The recorded server had saved six pictures under this prefix. An explicit number leaves the count alone.
    for colour in [1, 2] {
        let prompt = json!({
            "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 3, "color": colour}},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "t01"}},
        });
        let mut socket = connect(&simulation, "before").await;
        let body = json!({"prompt": prompt, "client_id": "before", "number": 0});
        assert_eq!(post(&simulation, "/prompt", &body).await.status(), 200);
        while frame(&mut socket).await["data"]["node"] != Value::Null {}
        while frame(&mut socket).await["type"] != "execution_success" {}
        while frame(&mut socket).await["type"] != "executing" {}
    }

    for name in IN_ORDER {
        replay(&simulation, name).await;
    }
    replay(&simulation, "execution-error").await;
}

#[tokio::test]
async fn an_interrupt_takes_effect_between_two_nodes() {
    let simulation = start(Duration::from_secs(20)).await;
    // The recorded server had counted 17 prompts before.
    for _ in 0..17 {
        assert_eq!(post(&simulation, "/prompt", &json!({"prompt": {}})).await.status(), 400);
    }

    replay(&simulation, "interrupted").await;
}

#[tokio::test]
async fn uploads_are_named_as_recorded() {
    let simulation = start(Duration::ZERO).await;
    let recording = recording("comfyui/upload-image");

    let first = upload(&simulation, input_picture("red")).await;
    let same = upload(&simulation, input_picture("red")).await;
    let other = upload(&simulation, input_picture("blue")).await;

    assert_eq!(first, recording["response"]);
    assert_eq!(same, recording["response"]);
    assert_eq!(other, recording["response_same_name_other_bytes"]);
}

#[tokio::test]
async fn information_endpoints_respond_as_recorded() {
    let simulation = start(Duration::ZERO).await;
    let recording = recording("comfyui/information-endpoints");
    let paths = [
        ("system_stats", "/system_stats"),
        ("queue", "/queue"),
        ("prompt", "/prompt"),
        ("features", "/features"),
        ("history_unknown", "/history/2fb3bc69-f400-4814-a22c-8350b80c175a"),
        ("object_info_EmptyImage", "/object_info/EmptyImage"),
        ("object_info_unknown", "/object_info/NoSuchNode"),
        ("models_checkpoints", "/models/checkpoints"),
        ("view_missing", "/view?filename=missing.png"),
        ("view_traversal", "/view?filename=../main.py"),
    ];
    let recorded: Vec<_> = recording
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| !["name", "server"].contains(&key.as_str()))
        .collect();
    assert_eq!(recorded, paths.map(|(name, _)| name).iter().collect::<Vec<_>>());

    for prefix in ["", "/api"] {
        for (name, path) in paths {
            let expected = &recording[name];
            let answer = client().get(format!("{}{prefix}{path}", simulation.url())).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), expected["status"], "{name}");
            for (header, value) in expected["headers"].as_object().unwrap() {
                assert_eq!(answer.headers()[header.as_str()].to_str().unwrap(), value, "{name} {header}");
            }
            let body = answer.bytes().await.unwrap();
            if !body.is_empty() {
                let body: Value = serde_json::from_slice(&body).unwrap();
                assert_same(name, &expected["body"], &body, &[]);
            }
        }
    }
}

#[test]
fn every_recording_is_replayed() {
    let mut replayed: Vec<_> = IN_ORDER.iter().chain(&SPECIAL).map(|name| (*name).to_owned()).collect();
    replayed.sort();

    assert_eq!(replayed, recordings("comfyui"));
}
