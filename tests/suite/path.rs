//! A prompt is submitted over HTTP, an image is stored in S3: once for each task type of the SD WebUI runtime.

use integration_tests::image_server::cat;
use integration_tests::lab::Lab;
use reqwest::StatusCode;
use serde_json::{Value, json};
use simulated_runtimes::{DEFAULT_MODEL, SdWebUiOptions};

fn size(png: &[u8]) -> (usize, usize) {
    let size = imagesize::blob_size(png).unwrap();
    (size.width, size.height)
}

fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

#[tokio::test]
async fn a_prompt_becomes_an_image_and_a_notification() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;

    let body = json!({ "task": {
        "metadata": { "id": "a cat/猫", "runtime": "sdruntime", "tasktype": "text-to-image", "prefix": "output",
                      "context": { "order": 7 } },
        "content": { "prompt": "a cat", "width": 320, "height": "192", "steps": 4, "seed": 5 } } });
    let (status, answer) = api.post("/v1alpha2", &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let location = format!("s3://{}/output/a cat/猫", lab.shared.bucket);
    assert_eq!(answer["output_location"], location);

    let completion = lab.completion("a cat/猫").await;
    assert!(completion.result, "{completion:?}");
    assert_eq!((completion.status.as_str(), &completion.context), ("completed", &json!({ "order": 7 })));
    assert_eq!(json!(completion.submission), answer["submission"]);

    let [uri] = completion.image_url.as_slice() else { panic!("{:?}", completion.image_url) };
    assert!(uri.starts_with(&format!("{location}/a cat/猫-")) && uri.ends_with("-1.png"), "{uri}");
    let (png, content_type) = lab.object(uri).await;
    assert_eq!((size(&png), content_type.as_str()), ((320, 192), "image/png"));

    let [output] = completion.outputs.as_slice() else { panic!("{:?}", completion.outputs) };
    assert_eq!((output.width, output.height, output.bytes), (Some(320), Some(192), png.len() as u64));
    let fetched = reqwest::get(output.url.as_ref().unwrap()).await.unwrap();
    assert_eq!(fetched.bytes().await.unwrap(), png);

    let out = lab.json(&completion.output_url).await;
    assert_eq!((&out["images"], &out["info"]), (&json!([""]), &json!("")));
    assert_eq!(out["parameters"]["id_task"], "a cat/猫");
    assert_eq!(out["parameters"]["image_seed"], "5");
    assert_eq!(out["parameters"]["error_msg"], "");
    assert_eq!(out["notification"]["notification_id"], json!(completion.notification_id));
    lab.emptied(&runtime.queue.url).await;
}

#[tokio::test]
async fn every_post_runs_even_when_ids_repeat() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;

    for seed in [1, 2] {
        api.submit(
            "sdruntime",
            "text-to-image",
            "same",
            json!({ "prompt": "x", "seed": seed, "width": 64, "height": 64 }),
        )
        .await;
    }
    lab.emptied(&runtime.queue.url).await;
    assert_eq!(runtime.simulation.as_ref().unwrap().busy().len(), 2);
    let keys = lab.keys("output/same/").await;
    assert_eq!(keys.iter().filter(|key| key.ends_with(".png")).count(), 2, "{keys:?}");
    assert_eq!(keys.iter().filter(|key| key.ends_with(".out")).count(), 2, "{keys:?}");
}

#[tokio::test]
async fn images_of_every_task_type_are_stored() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let picture = base64(&cat());

    let image = json!({ "init_images": [format!("data:image/png;base64,{picture}")], "prompt": "x", "width": 64, "height": 64 });
    api.submit("sdruntime", "image-to-image", "i2i", image).await;
    let single = json!({ "image": picture, "upscaling_resize": 2, "upscaler_1": "Lanczos" });
    api.submit("sdruntime", "extra-single-image", "single", single).await;
    let batch = json!({ "imageList": [{ "data": picture, "name": "a.png" }, { "data": picture, "name": "b.png" }],
                        "upscaling_resize": 2, "upscaler_1": "Nearest" });
    api.submit("sdruntime", "extra-batch-images", "batch", batch).await;
    let many = json!({ "prompt": "x", "width": 64, "height": 64, "batch_size": 2, "n_iter": 2 });
    api.submit("sdruntime", "text-to-image", "many", many).await;

    for (id, expected) in [
        ("i2i", vec![(64, 64)]),
        ("single", vec![(128, 96)]),
        ("batch", vec![(128, 96); 2]),
        ("many", vec![(64, 64); 4]),
    ] {
        let completion = lab.completion(id).await;
        assert!(completion.result, "{id}: {:?}", completion.error);
        let mut sizes = Vec::new();
        for uri in &completion.image_url {
            sizes.push(size(&lab.object(uri).await.0));
        }
        assert_eq!(sizes, expected, "{id}");
    }
    let out = lab.json(&lab.completion("single").await.output_url).await;
    assert!(out["parameters"]["html_info"].is_string(), "{out}");
}

#[tokio::test]
async fn a_v1alpha1_task_is_routed_by_its_model() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let task = |id: &str| {
        json!({ "alwayson_scripts": { "task": "text-to-image", "sd_model_checkpoint": DEFAULT_MODEL, "id_task": id,
                "uid": "1", "save_dir": "outputs" }, "prompt": "a dog", "width": 64, "height": 64 })
    };
    // With a registry the runtime is named, without one the model is the attribute that the queue filters by.
    let with_registry = lab.submit_api(&[&runtime]).await;
    let (status, answer) = with_registry.post("/v1alpha1/", &task("known")).await;
    assert_eq!((status, &answer["runtime"]), (StatusCode::OK, &json!("sdruntime")), "{answer}");
    let without_registry = lab.submit_api(&[]).await;
    let (status, answer) = without_registry.post("/v1alpha1", &task("unknown")).await;
    assert_eq!((status, answer.get("runtime")), (StatusCode::OK, None), "{answer}");

    for id in ["known", "unknown"] {
        let completion = lab.completion(id).await;
        assert!(completion.result, "{id}: {:?}", completion.error);
        assert!(completion.output_url.starts_with(&format!("s3://{}/outputs/{id}/", lab.shared.bucket)));
    }
}

#[tokio::test]
async fn a_running_task_is_notified_where_enabled() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("EXP_CALLBACK_WHEN_RUNNING", "true")]).await;

    api.submit("sdruntime", "text-to-image", "runs", json!({ "prompt": "x", "width": 64, "height": 64 }))
        .await;
    let running = lab.notification("a running notification", |sent| sent["status"] == "running").await;
    assert_eq!((&running["id"], &running["runtime"]), (&json!("runs"), &json!("sdruntime")));
    assert!(running.get("result").is_none());
    assert!(lab.completion("runs").await.result);
}

#[tokio::test]
async fn a_raw_message_without_a_submission_is_processed() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let message = json!({
        "metadata": { "id": 7, "runtime": "legacy", "tasktype": "text-to-image", "prefix": null },
        "content": { "prompt": "x", "width": 64, "height": 64 } });
    lab.send(&runtime.queue.url, &message.to_string()).await;

    let completion =
        lab.notification("the completion of task 7", |sent| sent["id"] == 7 && sent["result"] == true).await;
    assert_eq!((&completion["context"], &completion["task_status"]), (&json!({}), &json!("succeeded")));
    assert!(!completion["submission"].as_str().unwrap().is_empty());
    let first: &Value = &completion["image_url"][0];
    assert!(first.as_str().unwrap().starts_with(&format!("s3://{}/7/7-", lab.shared.bucket)), "{first}");
}
