//! Images by URL and `s3://`: fetched through the guard, inlined where an image belongs, and nowhere else.

use std::time::Duration;

use integration_tests::image_server::{ImageServer, cat};
use integration_tests::lab::Lab;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use simulated_runtimes::SdWebUiOptions;

fn from(image: &str) -> Value {
    json!({ "init_images": [image], "prompt": "https://example.com/is-no-image", "width": 64, "height": 64 })
}

#[tokio::test]
async fn addresses_become_base64_before_they_reach_the_runtime() {
    let lab = Lab::start().await;
    let images = ImageServer::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let allowed = images.address.to_string();
    let settings =
        [("INPUT_ALLOW_HOSTS", allowed.as_str()), ("INPUT_S3_BUCKETS", lab.shared.bucket.as_str())];
    let _worker = lab.worker(&runtime, &settings).await;
    lab.put("in/cat.png", cat()).await;

    for (id, content) in [
        ("url", from(&images.url("cat.png"))),
        ("redirected", from(&images.url(&format!("to/{}", images.url("cat.png"))))),
        ("s3", from(&format!("s3://{}/in/cat.png", lab.shared.bucket))),
        (
            "link",
            json!({ "alwayson_scripts": { "image_link": images.url("cat.png"), "uid": "1" }, "prompt": "x",
                         "width": 64, "height": 64 }),
        ),
    ] {
        api.submit("sdruntime", "image-to-image", id, content).await;
        let completion = lab.completion(id).await;
        assert!(completion.result, "{id}: {:?}", completion.error);
    }
    let expected = base64_simd::STANDARD.encode_to_string(cat());
    let runs = runtime.simulation.as_ref().unwrap().requests();
    let bodies: Vec<&Value> = runs
        .iter()
        .filter(|request| request.path.ends_with("/img2img"))
        .filter_map(|request| request.body.as_ref())
        .collect();
    assert_eq!(bodies.len(), 4);
    for body in &bodies {
        assert_eq!(body["init_images"], json!([expected]));
        assert!(body["alwayson_scripts"].as_object().unwrap().is_empty(), "{}", body["alwayson_scripts"]);
    }
    assert_eq!(bodies[0]["prompt"], "https://example.com/is-no-image");
    // The image server receives no header of AWS or of tracing.
    for headers in images.headers() {
        assert!(headers.keys().all(|name| !name.as_str().starts_with("x-amz")), "{headers:?}");
    }
}

#[tokio::test]
async fn an_unavailable_input_fails_the_task_and_names_the_field() {
    let lab = Lab::start().await;
    let images = ImageServer::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let allowed = images.address.to_string();
    let settings = [
        ("INPUT_ALLOW_HOSTS", allowed.as_str()),
        ("INPUT_S3_BUCKETS", lab.shared.bucket.as_str()),
        ("INPUT_TIMEOUT_SECONDS", "1"),
        ("MAX_ATTEMPTS", "1"),
        ("INPUT_MAX_PIXELS", "3000"),
    ];
    let _worker = lab.worker(&runtime, &settings).await;
    let elsewhere = format!("http://127.0.0.1:{}/secret", images.address.port().wrapping_add(1).max(1024));
    for (id, image, code) in [
        ("missing", images.url("missing"), ErrorCode::InputNotFound),
        ("broken", images.url("broken"), ErrorCode::InputUnavailable),
        ("silent", images.url("silent"), ErrorCode::InputUnavailable),
        ("page", images.url("page.html"), ErrorCode::InputNotMedia),
        ("pixels", images.url("cat.png"), ErrorCode::InputTooLarge),
        ("loopback", elsewhere.clone(), ErrorCode::InputRefused),
        ("metadata", "http://169.254.169.254/latest/meta-data/".to_owned(), ErrorCode::InputRefused),
        ("hidden", images.url(&format!("to/{elsewhere}")), ErrorCode::InputRefused),
        ("name", "http://localhost:9/x.png".to_owned(), ErrorCode::InputRefused),
        ("bucket", "s3://somebody-elses/cat.png".to_owned(), ErrorCode::InputRefused),
        ("reserved", format!("s3://{}/_darkroom/x", lab.shared.bucket), ErrorCode::InputRefused),
        ("no-object", format!("s3://{}/nothing.png", lab.shared.bucket), ErrorCode::InputNotFound),
    ] {
        api.submit("sdruntime", "image-to-image", id, from(&image)).await;
        let error = lab.completion(id).await.error.unwrap();
        assert_eq!(
            (error.code, error.field.as_deref()),
            (code, Some("/content/init_images/0")),
            "{id}: {error:?}"
        );
        assert!(!error.message.contains("127.0.0.1"), "{error:?}");
    }
    assert!(runtime.simulation.as_ref().unwrap().busy().is_empty(), "the runtime was called all the same");
}

#[tokio::test]
async fn the_worker_continues_while_an_input_hangs() {
    let lab = Lab::start().await;
    let images = ImageServer::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let allowed = images.address.to_string();
    let settings =
        [("INPUT_ALLOW_HOSTS", allowed.as_str()), ("INPUT_TIMEOUT_SECONDS", "1"), ("MAX_ATTEMPTS", "1")];
    let _worker = lab.worker(&runtime, &settings).await;
    api.submit("sdruntime", "image-to-image", "hangs", from(&images.url("silent"))).await;
    api.submit("sdruntime", "text-to-image", "next", json!({ "prompt": "x", "width": 64, "height": 64 }))
        .await;
    let started = std::time::Instant::now();
    assert!(lab.completion("next").await.result);
    assert!(started.elapsed() < Duration::from_secs(30));
}
