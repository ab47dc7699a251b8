//! Hostile inputs through the whole path: no internal address is requested, nothing reaches the runtime, and no secret of an
//! address is disclosed to anyone but its host.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use base64_simd::STANDARD as BASE64;
use integration_tests::image_server::{ImageServer, cat};
use integration_tests::lab::Lab;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use simulated_runtimes::{ComfyUiOptions, SdWebUiOptions};

/// The secret in the addresses.
const SECRET: &str = "c0ffee5ec2e7";

fn from(image: &str) -> Value {
    json!({ "init_images": [image], "prompt": "x", "width": 64, "height": 64 })
}

#[tokio::test]
async fn no_internal_address_is_requested_for_an_input() {
    let lab = Lab::start().await;
    let (images, inside) = (ImageServer::start().await, ImageServer::start().await);
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let allowed = images.address.to_string();
    let _worker = lab.worker(&runtime, &[("INPUT_ALLOW_HOSTS", &allowed)]).await;
    let port = inside.address.port();
    let mut addresses: Vec<String> = [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0",
        "127.0.0.1.",
        "１２７.０.０.１",
        "127%2e0%2e0%2e1",
        "localhost",
        "x.localhost.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "user:password@127.0.0.1",
        "example.com@127.0.0.1",
    ]
    .iter()
    .map(|host| format!("http://{host}:{port}/x.png"))
    .collect();
    addresses.push(format!("http://127.0.0.1:{port}\\@{allowed}/x.png"));
    for status in [301, 302, 303, 307, 308] {
        let path = format!("away-{status}");
        let status = StatusCode::from_u16(status).unwrap();
        addresses.push(images.redirects(&path, status, inside.url("x.png").as_bytes()));
    }
    for (n, address) in addresses.iter().enumerate() {
        api.submit("sdruntime", "image-to-image", &n.to_string(), from(address)).await;
    }
    for (n, address) in addresses.iter().enumerate() {
        let error = lab.completion(&n.to_string()).await.error.unwrap();
        let found = (error.code, error.field.as_deref(), error.attempts);
        assert_eq!(
            found,
            (ErrorCode::InputRefused, Some("/content/init_images/0"), 1),
            "{address}: {error:?}"
        );
    }
    assert!(inside.requested_paths().is_empty(), "{:?}", inside.requested_paths());
    assert!(runtime.simulation.as_ref().unwrap().busy().is_empty(), "the runtime was called all the same");
}

#[tokio::test]
async fn a_refused_input_of_a_workflow_names_its_node() {
    let lab = Lab::start().await;
    let inside = ImageServer::start().await;
    let runtime = lab.comfyui(ComfyUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let workflow = json!({
        "1": { "class_type": "LoadImage", "inputs": { "image": inside.url("x.png") } },
        "2": { "class_type": "SaveImage", "inputs": { "images": ["1", 0], "filename_prefix": "x" } },
    });
    api.submit("comfyui", "pipeline", "inside", workflow).await;
    let error = lab.completion("inside").await.error.unwrap();
    let found = (error.code, error.field.as_deref());
    assert_eq!(found, (ErrorCode::InputRefused, Some("/content/1/inputs/image")), "{error:?}");
    assert!(runtime.simulation.as_ref().unwrap().busy().is_empty(), "the runtime was called all the same");
    assert!(inside.requested_paths().is_empty());
}

#[tokio::test]
async fn a_node_that_the_deployment_does_not_allow_fails_the_task_and_is_named() {
    let lab = Lab::start().await;
    let runtime = lab.comfyui(ComfyUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let settings = [("NODES_ALLOWED", "EmptyImage, SaveImage,ImageInvert"), ("NODES_DENIED", "ImageInvert")];
    let _worker = lab.worker(&runtime, &settings).await;
    let workflow = |class: &str| {
        json!({
            "1": { "class_type": "EmptyImage", "inputs": { "width": 64, "height": 64, "batch_size": 1, "color": 0 } },
            "2": { "class_type": class, "inputs": { "image": ["1", 0] } },
            "3": { "class_type": "SaveImage", "inputs": { "images": ["1", 0], "filename_prefix": "x" } },
        })
    };
    for class in ["ImageInvert", "ImageBlur"] {
        api.submit("comfyui", "pipeline", class, workflow(class)).await;
        let error = lab.completion(class).await.error.unwrap();
        let found = (error.code, error.field.as_deref(), error.attempts);
        assert_eq!(found, (ErrorCode::InvalidTask, Some("/content/2/class_type"), 1), "{error:?}");
        assert!(error.message.contains(class), "{error:?}");
    }
    assert!(runtime.simulation.as_ref().unwrap().busy().is_empty(), "the runtime was called all the same");
    let mut fine = workflow("SaveImage");
    fine.as_object_mut().unwrap().remove("2");
    api.submit("comfyui", "pipeline", "fine", fine).await;
    assert!(lab.completion("fine").await.result);
}

#[tokio::test]
async fn secrets_of_addresses_are_never_disclosed() {
    let lab = Lab::start().await;
    let images = ImageServer::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let allowed = images.address.to_string();
    let settings = [
        ("INPUT_ALLOW_HOSTS", allowed.as_str()),
        ("INPUT_TIMEOUT_SECONDS", "1"),
        ("MAX_ATTEMPTS", "1"),
        // At `trace` the AWS SDK logs every message that it receives, whole.
        ("RUST_LOG", "trace,aws_smithy_runtime=debug"),
    ];
    let mut worker = lab.worker(&runtime, &settings).await;
    let presigned = format!(
        "{}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={SECRET}%2Fs3&X-Amz-Signature={SECRET}&X-Amz-Security-Token={SECRET}",
        images.url("cat.png")
    );
    images.redirects("away", StatusCode::FOUND, format!("http://127.0.0.1:9/?token={SECRET}").as_bytes());
    images.redirects("on", StatusCode::FOUND, presigned.as_bytes());
    images.respond_with("kept.png", |_| ([(header::ETAG, "\"1\"")], cat()).into_response());
    let with = |path: &str| format!("{}?token={SECRET}#{SECRET}", images.url(path));
    let addresses = [
        ("fetched", with("cat.png")),
        ("kept", with("kept.png")),
        ("kept-again", with("kept.png")),
        ("presigned", presigned.clone()),
        ("redirected", images.url("on")),
        ("user", images.url("cat.png").replace("http://", &format!("http://{SECRET}:{SECRET}@"))),
        ("missing", with("missing")),
        ("broken", with("broken")),
        ("silent", with("silent")),
        ("page", with("page.html")),
        ("away", images.url("away")),
        ("refused", format!("http://{SECRET}:{SECRET}@127.0.0.1:9/?token={SECRET}")),
        ("unreachable", format!("http://nowhere.invalid/?token={SECRET}")),
        ("no-port", format!("http://user:{SECRET}@example.com:99999/?token={SECRET}")),
        ("bucket", format!("s3://elsewhere/{SECRET}")),
    ];
    for (id, address) in &addresses {
        api.submit("sdruntime", "image-to-image", id, from(address)).await;
    }
    let mut outputs = Vec::new();
    for (id, _) in &addresses {
        let completion = lab.completion(id).await;
        let succeeds = ["fetched", "kept", "kept-again", "presigned", "redirected", "user"].contains(id);
        assert_eq!(completion.result, succeeds, "{id}: {:?}", completion.error);
        outputs.push(lab.json(&completion.output_url).await.to_string());
    }
    outputs.extend(lab.notifications().await.iter().map(Value::to_string));
    worker.signal("TERM");
    assert!(worker.exited().await.success());
    outputs.extend(worker.lines());
    outputs.extend(worker.printed());
    let leaks: Vec<&String> = outputs.iter().filter(|line| line.contains(SECRET)).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    // The host itself received them, so the secrets were in use.
    let authorized = |headers: &HeaderMap| headers.contains_key(header::AUTHORIZATION);
    assert!(images.headers().iter().any(authorized));
}

#[tokio::test]
async fn a_field_that_breaks_the_contract_is_named_without_its_secret() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let mut worker = lab.worker(&runtime, &[("RUST_LOG", "debug")]).await;
    let secret = format!("https://{SECRET}@example.com/?token={SECRET}");
    // As a predecessor's front door publishes it: unchecked.
    let message = json!({
        "metadata": { "id": "broken", "runtime": "sdruntime", "tasktype": "image-to-image", "prefix": "output" },
        "content": {
            "init_images": [format!("ftp://{secret}"), { "url": secret }],
            "mask": { "url": secret },
            "steps": secret,
            "alwayson_scripts": { "ControlNet": { "args": [{ "image": format!("file://{secret}") }] },
                                  "reactor": { "args": [secret] } },
        },
    });
    lab.send(&runtime.queue.url, &message.to_string()).await;
    let completion = lab.completion("broken").await;
    let error = completion.error.as_ref().unwrap();
    assert_eq!(error.code, ErrorCode::InvalidTask);
    assert!(error.violations.len() >= 5, "{:?}", error.violations);
    worker.signal("TERM");
    assert!(worker.exited().await.success());
    let mut outputs = worker.lines();
    outputs.push(lab.json(&completion.output_url).await.to_string());
    outputs.extend(lab.notifications().await.iter().map(Value::to_string));
    let leaks: Vec<&String> = outputs.iter().filter(|line| line.contains(SECRET)).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[tokio::test]
async fn images_in_the_task_itself_are_accepted_and_nothing_else_is() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let bare = BASE64.encode_to_string(cat());
    let data_uri = format!("data:image/png;base64,{bare}");
    for (id, image) in [("bare", bare.as_str()), ("data-uri", &data_uri)] {
        api.submit("sdruntime", "image-to-image", id, from(image)).await;
        assert!(lab.completion(id).await.result, "{id}");
    }
    let requests = runtime.simulation.as_ref().unwrap().requests();
    let bodies = requests.iter().filter(|request| request.path.ends_with("/img2img"));
    let images: Vec<&Value> =
        bodies.map(|request| &request.body.as_ref().unwrap()["init_images"][0]).collect();
    assert_eq!(images, [&json!(bare), &json!(bare)]);
    // A path, and base64 all the same: the runtime would open it.
    let metadata = json!({ "id": "path", "runtime": "sdruntime", "tasktype": "image-to-image" });
    let task = json!({ "metadata": metadata, "content": from("/etc/passwd") });
    let (status, answer) = api.post("/v1alpha2", &json!({ "task": task })).await;
    assert_eq!((status.as_u16(), &answer["code"]), (400, &json!("invalid_task")));
    assert_eq!(answer["violations"][0]["pointer"], "/task/content/init_images/0");
    // And past the front door.
    lab.send(&runtime.queue.url, &task.to_string()).await;
    let error = lab.completion("path").await.error.unwrap();
    let found = (error.code, error.field.as_deref());
    assert_eq!(found, (ErrorCode::InvalidTask, Some("/content/init_images/0")));
}

#[tokio::test]
async fn an_input_that_is_unavailable_for_a_moment_is_retried() {
    let lab = Lab::start().await;
    let images = ImageServer::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let allowed = images.address.to_string();
    let _worker = lab.worker(&runtime, &[("INPUT_ALLOW_HOSTS", &allowed)]).await;
    let requests = std::sync::atomic::AtomicUsize::new(0);
    let url = images.respond_with("later.png", move |_| {
        match requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            _ => cat().into_response(),
        }
    });
    api.submit("sdruntime", "image-to-image", "later", from(&url)).await;
    let completion = lab.completion("later").await;
    assert!(completion.result, "{:?}", completion.error);
    assert_eq!(images.requested_paths().len(), 2);
}
