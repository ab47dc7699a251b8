//! Workflows on the ComfyUI runtime: every kind of output, inputs of loader nodes, repeated and failing runs.

use integration_tests::fixtures;
use integration_tests::image_server::{ImageServer, cat};
use integration_tests::lab::Lab;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use simulated_runtimes::{ComfyUiOptions, Fault};

fn red_image(width: u32, height: u32) -> Value {
    json!({
        "1": { "class_type": "EmptyImage", "inputs": { "width": width, "height": height, "batch_size": 1, "color": 16711680 } },
        "2": { "class_type": "SaveImage", "inputs": { "images": ["1", 0], "filename_prefix": "darkroom/x" } },
    })
}

/// The workflow of a recording.
fn recorded(name: &str) -> Value {
    fixtures::load(&format!("comfyui/{name}.json"))["request"]["body"]["prompt"].clone()
}

#[tokio::test]
async fn a_repeated_workflow_yields_its_images_again() {
    let lab = Lab::start().await;
    let runtime = lab.comfyui(ComfyUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    for id in ["first", "again"] {
        api.submit("comfyui", "pipeline", id, red_image(96, 64)).await;
        let completion = lab.completion(id).await;
        assert!(completion.result, "{id}: {:?}", completion.error);
        assert_eq!((completion.outputs[0].width, completion.outputs[0].height), (Some(96), Some(64)), "{id}");
        let out = lab.json(&completion.output_url).await;
        assert_eq!(out["code"], 200, "{out}");
        assert_eq!(out["outputs"]["2"]["images"][0]["file"], 1, "{out}");
    }
}

#[tokio::test]
async fn every_kind_of_output_is_collected() {
    let lab = Lab::start().await;
    let runtime = lab.comfyui(ComfyUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    for (name, content_type, ending, files) in [
        ("images-batch-of-3", "image/png", ".png", 3),
        ("animated-webp", "image/webp", ".webp", 1),
        ("video-mp4", "video/mp4", ".mp4", 1),
        ("audio-flac", "audio/flac", ".flac", 1),
        ("preview-only", "image/png", ".png", 5),
    ] {
        api.submit("comfyui", "pipeline", name, recorded(name)).await;
        let completion = lab.completion(name).await;
        assert!(completion.result, "{name}: {:?}", completion.error);
        assert_eq!(completion.outputs.len(), files, "{name}");
        assert_eq!(completion.outputs[0].content_type, content_type, "{name}");
        assert!(completion.image_url[0].ends_with(ending), "{:?}", completion.image_url);
    }
    api.submit("comfyui", "pipeline", "text", recorded("text-output")).await;
    let completion = lab.completion("text").await;
    assert!(completion.result && completion.outputs.is_empty(), "{completion:?}");
    let out = lab.json(&completion.output_url).await;
    assert_eq!(out["outputs"]["2"]["text"], json!(["hello text"]), "{out}");
}

#[tokio::test]
async fn images_of_loader_nodes_are_uploaded_from_anywhere() {
    let lab = Lab::start().await;
    let images = ImageServer::start().await;
    let runtime = lab.comfyui(ComfyUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let allowed = images.address.to_string();
    let settings =
        [("INPUT_ALLOW_HOSTS", allowed.as_str()), ("INPUT_S3_BUCKETS", lab.shared.bucket.as_str())];
    let _worker = lab.worker(&runtime, &settings).await;
    lab.put("in/cat.png", cat()).await;
    let data = base64_simd::STANDARD.encode_to_string(cat());

    for (id, source) in [
        ("url", images.url("cat.png")),
        ("s3", format!("s3://{}/in/cat.png", lab.shared.bucket)),
        ("data", format!("data:image/png;base64,{data}")),
    ] {
        let workflow = json!({
            "1": { "class_type": "LoadImage", "inputs": { "image": source } },
            "57:2": { "class_type": "ImageInvert", "inputs": { "image": ["1", 0] } },
            "3": { "class_type": "SaveImage", "inputs": { "images": ["57:2", 0], "filename_prefix": "x" } },
        });
        api.submit("comfyui", "pipeline", id, workflow).await;
        let completion = lab.completion(id).await;
        assert!(completion.result, "{id}: {:?}", completion.error);
        assert_eq!((completion.outputs[0].width, completion.outputs[0].height), (Some(64), Some(48)), "{id}");
    }
    // No address ever reached the runtime, only a name in a folder that other clients cannot guess.
    let queued = runtime.simulation.as_ref().unwrap().requests();
    let prompts: Vec<&Value> = queued
        .iter()
        .filter(|request| request.path == "/prompt")
        .filter_map(|request| request.body.as_ref())
        .collect();
    assert_eq!(prompts.len(), 3);
    for prompt in prompts {
        let image = prompt["prompt"]["1"]["inputs"]["image"].as_str().unwrap();
        assert!(image.starts_with("darkroom/") && !image.contains("://"), "{image}");
    }
}

#[tokio::test]
async fn failures_of_a_workflow_name_the_node() {
    let lab = Lab::start().await;
    let runtime = lab.comfyui(ComfyUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;

    // Passes the checks that need no server, and the runtime refuses it.
    let mut missing_input = red_image(64, 64);
    missing_input["1"]["inputs"].as_object_mut().unwrap().remove("width");
    api.submit("comfyui", "pipeline", "rejected", missing_input).await;
    let error = lab.completion("rejected").await.error.unwrap();
    assert_eq!((error.code, error.node_id.as_deref()), (ErrorCode::RuntimeRejected, Some("1")), "{error:?}");
    assert!(error.message.contains("width"), "{error:?}");

    // The runtime accepts it and would skip the broken output silently.
    let mut partly = red_image(64, 64);
    partly["9"] =
        json!({ "class_type": "SaveImage", "inputs": { "images": ["1", 7], "filename_prefix": "y" } });
    api.submit("comfyui", "pipeline", "partly", partly).await;
    let error = lab.completion("partly").await.error.unwrap();
    assert_eq!((error.code, error.node_id.as_deref()), (ErrorCode::RuntimeRejected, Some("9")), "{error:?}");

    // Fails while it runs.
    let simulation = runtime.simulation.as_ref().unwrap();
    simulation.faults().plan(
        Fault::Exception {
            node: Some("2".into()),
            kind: "ValueError".into(),
            message: "no such colour".into(),
        },
        1,
    );
    api.submit("comfyui", "pipeline", "failed", red_image(64, 64)).await;
    let completion = lab.completion("failed").await;
    let error = completion.error.unwrap();
    assert_eq!((error.code, error.node_id.as_deref()), (ErrorCode::RuntimeFailed, Some("2")), "{error:?}");
    assert!(error.message.contains("no such colour"), "{error:?}");
    let out = lab.json(&completion.output_url).await;
    assert_eq!((&out["code"], &out["error"]["code"]), (&json!(500), &json!("runtime_failed")), "{out}");
}

#[tokio::test]
async fn a_dropped_socket_and_a_lost_job_fail_no_task() {
    let lab = Lab::start().await;
    let mut options = ComfyUiOptions::default();
    options.behaviour.latency = std::time::Duration::from_millis(400);
    let runtime = lab.comfyui(options).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let faults = runtime.simulation.as_ref().unwrap().faults();

    faults.plan(Fault::DropWebSocket, 1);
    api.submit("comfyui", "pipeline", "dropped", red_image(64, 64)).await;
    assert!(lab.completion("dropped").await.result);

    faults.plan(Fault::Restart, 1);
    api.submit("comfyui", "pipeline", "lost", red_image(64, 96)).await;
    assert!(lab.completion("lost").await.result);

    faults.plan(Fault::OutOfMemory, 1);
    api.submit("comfyui", "pipeline", "oom", red_image(96, 96)).await;
    assert!(lab.completion("oom").await.result);
    let requests = runtime.simulation.as_ref().unwrap().requests();
    assert!(requests.iter().any(|request| request.path == "/free"), "models were not freed");
}
