//! Large and odd payloads through the real path: tasks that do not fit a message, notifications that would not, long
//! workflows, many images, every script.

use integration_tests::aws;
use integration_tests::image_server::cat;
use integration_tests::lab::{Lab, Runtime, SubmitApi};
use local_stack::aws::{Fault, Service};
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared_schema::{ErrorCode, Notification, Submission, keys};
use simulated_runtimes::{ComfyUiOptions, SdWebUiOptions};

/// The topic's limit.
const MESSAGE_BYTES: usize = 262_144;

/// A PNG of 3 MB, as base64: bytes after the last chunk of a PNG are ignored.
fn large_picture() -> String {
    let mut png = cat();
    png.resize(3_000_000, 7);
    base64(&png)
}

fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

fn from_large_picture(id: &str, context: &Value) -> Value {
    json!({ "task": {
        "metadata": { "id": id, "runtime": "sdruntime", "tasktype": "image-to-image", "prefix": "output",
                      "context": context },
        "content": { "init_images": [large_picture()], "prompt": "x", "seed": 1, "width": 64, "height": 64 } } })
}

/// A runtime whose worker accepts claim checks.
async fn with_claim_check(lab: &Lab) -> Runtime {
    Runtime { claim_check: true, ..lab.sdwebui(SdWebUiOptions::default()).await }
}

async fn accepted(api: &SubmitApi, body: &Value) -> Submission {
    let (status, answer) = api.post("/v1alpha2", body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    serde_json::from_value(answer["submission"].clone()).unwrap()
}

#[tokio::test]
async fn a_picture_of_3_megabytes_is_sent_by_claim_check() {
    let lab = Lab::start().await;
    let runtime = with_claim_check(&lab).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let submission = accepted(&api, &from_large_picture("large", &json!({ "order": 7 }))).await;

    let completion = lab.completion("large").await;
    assert!(completion.result, "{:?}", completion.error);
    assert_eq!((&completion.context, &completion.submission), (&json!({ "order": 7 }), &submission));
    assert_eq!(lab.keys("_darkroom/tasks/").await, [keys::payload(&submission)]);
    lab.emptied(&runtime.queue.url).await;

    // The same picture without its padding fits a message, and becomes the same image.
    let mut small = from_large_picture("small", &json!({}));
    small["task"]["content"]["init_images"] = json!([base64(&cat())]);
    accepted(&api, &small).await;
    let images =
        [completion, lab.completion("small").await].map(|completion| completion.image_url[0].clone());
    assert_eq!(lab.object(&images[0]).await, lab.object(&images[1]).await);
    assert_eq!(lab.keys("_darkroom/tasks/").await.len(), 1);
}

#[tokio::test]
async fn a_runtime_that_accepts_no_claim_checks_is_sent_none() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let (status, answer) = api.post("/v1alpha2", &from_large_picture("large", &json!({}))).await;
    assert_eq!((status.as_u16(), &answer["code"]), (413, &json!("task_too_large")));
    assert_eq!(lab.counts(&runtime.queue.url).await, (0, 0));
    assert!(lab.keys("_darkroom/tasks/").await.is_empty());
}

#[tokio::test]
async fn a_stored_task_that_is_deleted_or_altered_fails_with_payload_missing() {
    let lab = Lab::start().await;
    let runtime = with_claim_check(&lab).await;
    let api = lab.submit_api(&[&runtime]).await;
    let (s3, bucket) = (&lab.clients().s3, &lab.shared.bucket);
    let body = |id: &str| from_large_picture(id, &json!({ "id": id }));

    let gone = accepted(&api, &body("gone")).await;
    s3.delete_object().bucket(bucket).key(keys::payload(&gone)).send().await.unwrap();

    for (id, alter) in [
        ("altered", (|task: &mut Vec<u8>| task[1_000_000] ^= 1) as fn(&mut Vec<u8>)),
        ("longer", |task| task.push(b' ')),
        ("shorter", |task| task.truncate(1_000_000)),
    ] {
        let submission = accepted(&api, &body(id)).await;
        let key = keys::payload(&submission);
        let (mut task, _) = lab.object(&keys::s3_uri(bucket, &key)).await;
        alter(&mut task);
        s3.put_object().bucket(bucket).key(key).body(task.into()).send().await.unwrap();
    }

    let _worker = lab.worker(&runtime, &[]).await;
    for (id, reason) in [
        ("gone", "is gone"),
        ("altered", "not what was sent"),
        ("longer", "not what was sent"),
        ("shorter", "not what was sent"),
    ] {
        let completion = lab.completion(id).await;
        let error = completion.error.unwrap();
        assert_eq!((error.code, error.attempts), (ErrorCode::PayloadMissing, 1), "{id}: {error:?}");
        assert!(error.message.contains(reason), "{id}: {error:?}");
        assert_eq!(completion.context, json!({ "id": id }));
    }
    assert!(runtime.simulation.as_ref().unwrap().busy().is_empty(), "the runtime was called all the same");
}

#[tokio::test]
async fn a_stored_task_that_may_not_be_read_is_retried_and_the_permission_is_named() {
    let name = "a_stored_task_that_may_not_be_read_is_retried_and_the_permission_is_named";
    if aws::skipped_elsewhere(name, "only embedded APIs can be broken") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = with_claim_check(&lab).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("MAX_ATTEMPTS", "2")]).await;
    lab.aws.embedded.as_ref().unwrap().faults().strike(Service::S3, "GetObject", Fault::Deny, 100);
    accepted(&api, &from_large_picture("denied", &json!({}))).await;
    let error = lab.completion("denied").await.error.unwrap();
    assert_eq!((error.code, error.attempts), (ErrorCode::PayloadUnavailable, 2), "{error:?}");
    assert!(error.message.contains("`s3:GetObject`"), "{error:?}");
}

#[tokio::test]
async fn a_message_that_refers_to_anything_else_is_refused() {
    let lab = Lab::start().await;
    let runtime = with_claim_check(&lab).await;
    let api = lab.submit_api(&[&runtime]).await;
    let other = accepted(&api, &from_large_picture("other", &json!({}))).await;
    let (envelope, _) = lab.receive(&runtime.queue.url).await;
    let reference: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
    assert_eq!(reference["claim_check"]["key"], keys::payload(&other));

    let _worker = lab.worker(&runtime, &[]).await;
    let mut forged = reference;
    forged["metadata"]["id"] = json!("forged");
    forged["metadata"]["submission"] = json!("somebody-elses");
    lab.send(&runtime.queue.url, &forged.to_string()).await;
    let error = lab.completion("forged").await.error.unwrap();
    assert_eq!((error.code, error.field.as_deref()), (ErrorCode::InvalidTask, Some("/content")), "{error:?}");
}

/// The published notification, and the complete one in the `.out` file.
async fn notification_and_out(lab: &Lab, id: &str) -> (Notification, Notification) {
    let notification = lab.completion(id).await;
    assert!(notification.result, "{:?}", notification.error);
    let out = lab.json(&notification.output_url).await;
    (notification, serde_json::from_value(out["notification"].clone()).unwrap())
}

#[tokio::test]
async fn a_large_context_is_returned_whole_or_named_as_shortened() {
    let lab = Lab::start().await;
    let runtime = with_claim_check(&lab).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    for (id, bytes) in [("fits", 200_000), ("does-not-fit", 300_000)] {
        let context = json!({ "notes": "n".repeat(bytes), "猫": [[], {}] });
        let body = json!({ "task": {
            "metadata": { "id": id, "runtime": "sdruntime", "tasktype": "text-to-image", "context": context },
            "content": { "prompt": "x", "width": 64, "height": 64 } } });
        accepted(&api, &body).await;
        let (notification, whole) = notification_and_out(&lab, id).await;
        assert_eq!(whole.context, context);
        if bytes < MESSAGE_BYTES {
            assert_eq!((&notification.context, notification.shortened.len()), (&context, 0));
            assert!(notification.outputs[0].url.is_some());
        } else {
            assert_eq!(
                (notification.context, notification.shortened),
                (json!({}), vec!["outputs/url".to_owned(), "context".to_owned()])
            );
        }
        assert_eq!(notification.image_url, whole.image_url);
    }
}

#[tokio::test]
async fn text_of_every_script_and_empty_lists_are_returned_unchanged() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    // Beyond the first plane, from right to left, combined, and characters that XML does not allow.
    let text = "猫 𝕏🖼️ שלום e\u{301} \u{fffe}\u{ffff}\u{1}\u{0}\u{7f} \"\\/\n\t & <b> %41 +";
    let (id, prefix) = ("猫/𝕏🖼️ שלום e\u{301} & <b> %41 +", "雪 prefix/ö");
    let context = json!({ text: [text, [], {}, null, 1.5, -0.0, 12345678901234567890_u64] });
    let body = json!({ "task": {
        "metadata": { "id": id, "runtime": "sdruntime", "tasktype": "text-to-image", "prefix": prefix,
                      "context": context },
        "content": { "prompt": text, "negative_prompt": "", "styles": [], "script_args": [],
                     "alwayson_scripts": {}, "override_settings": {}, "width": 64, "height": 64 } } });
    accepted(&api, &body).await;

    let (notification, whole) = notification_and_out(&lab, id).await;
    assert_eq!((&notification.context, &whole.context), (&context, &context));
    let folder = format!("s3://{}/{prefix}/{id}/", lab.shared.bucket);
    assert!(notification.image_url[0].starts_with(&folder), "{:?}", notification.image_url);
    let fetched = reqwest::get(notification.outputs[0].url.as_ref().unwrap()).await.unwrap();
    assert_eq!(fetched.bytes().await.unwrap(), lab.object(&notification.image_url[0]).await.0);
    let requests = runtime.simulation.as_ref().unwrap().requests();
    let request = requests.iter().find(|request| request.path.ends_with("/txt2img")).unwrap();
    let sent = request.body.as_ref().unwrap();
    assert_eq!((&sent["prompt"], &sent["styles"]), (&json!(text), &json!([])));
}

#[tokio::test]
async fn a_workflow_of_10_000_nodes_runs() {
    let lab = Lab::start().await;
    let runtime = Runtime { claim_check: true, ..lab.comfyui(ComfyUiOptions::default()).await };
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    // 100 chains of 100 nodes: ComfyUI follows links by recursion, so that one long chain would be beyond it. Two of
    // them end in an output and run: at each step it reports the state of every node that has run, which adds up.
    let mut workflow = serde_json::Map::new();
    for chain in 0..100 {
        for n in 0..100 {
            let before = json!([format!("{chain}:{}", n - 1), 0]);
            let node = match n {
                0 => json!({ "class_type": "EmptyImage",
                             "inputs": { "width": 16, "height": 16, "batch_size": 1, "color": chain } }),
                99 if chain < 2 => json!({ "class_type": "SaveImage",
                              "inputs": { "images": before, "filename_prefix": "x" } }),
                _ => json!({ "class_type": "ImageInvert", "inputs": { "image": before } }),
            };
            workflow.insert(format!("{chain}:{n}"), node);
        }
    }
    assert_eq!(workflow.len(), 10_000);
    api.submit("comfyui", "pipeline", "long", Value::Object(workflow)).await;
    let completion = lab.completion("long").await;
    assert!(completion.result, "{:?}", completion.error);
    assert_eq!(completion.image_url.len(), 2);
}

#[tokio::test]
async fn a_task_of_64_images_yields_all_of_them() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let content =
        json!({ "prompt": "x", "width": 64, "height": 64, "batch_size": 8, "n_iter": 8, "seed": 1 });
    api.submit("sdruntime", "text-to-image", "many", content).await;
    let (notification, whole) = notification_and_out(&lab, "many").await;
    assert_eq!((notification.image_url.len(), whole.outputs.len()), (64, 64));
    for (n, output) in notification.outputs.iter().enumerate() {
        assert!(output.s3_uri.ends_with(&format!("-{}.png", n + 1)), "{output:?}");
        let fetched = reqwest::get(output.url.as_ref().unwrap()).await.unwrap();
        assert_eq!(fetched.bytes().await.unwrap().len() as u64, output.bytes);
    }
}

#[tokio::test]
async fn long_texts_of_a_runtime_are_shortened_in_the_out_file_which_is_read_back_all_the_same() {
    let lab = Lab::start().await;
    let runtime = Runtime { claim_check: true, ..lab.comfyui(ComfyUiOptions::default()).await };
    let api = lab.submit_api(&[&runtime]).await;
    // Nodes that show a text of a megabyte, 20 times.
    let mut workflow = serde_json::Map::new();
    workflow.insert(
        "text".to_owned(),
        json!({ "class_type": "PrimitiveString", "inputs": { "value": "é".repeat(500_000) } }),
    );
    for n in 0..20 {
        let node = json!({ "class_type": "PreviewAny", "inputs": { "source": ["text", 0] } });
        workflow.insert(format!("shown-{n}"), node);
    }
    api.submit("comfyui", "pipeline", "wordy", Value::Object(workflow)).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    let completion = lab.completion("wordy").await;
    assert!(completion.result, "{:?}", completion.error);
    lab.emptied(&runtime.queue.url).await;

    let (out, _) = lab.object(&completion.output_url).await;
    assert!(out.len() < 6 * 1024 * 1024, "{} bytes", out.len());
    let out: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&out["notification"]["id"], &out["code"]), (&json!("wordy"), &json!(200)));
    let shortened = out["shortened"].as_array().unwrap();
    assert!(!shortened.is_empty(), "{shortened:?}");
    for pointer in shortened {
        let text = out.pointer(pointer.as_str().unwrap()).and_then(Value::as_str);
        assert!(text.is_some_and(|text| text.ends_with('…')), "{pointer}");
    }
    // The same submission once more.
    let whole = json!({ "metadata": { "id": "wordy", "runtime": "comfyui", "tasktype": "pipeline", "prefix": "output",
                                      "submission": completion.submission },
                        "content": { "1": { "class_type": "PreviewAny", "inputs": { "source": "x" } } } });
    lab.send(&runtime.queue.url, &whole.to_string()).await;
    worker.logged("already committed, notifying again").await;
    lab.emptied(&runtime.queue.url).await;
    assert_eq!(runtime.simulation.as_ref().unwrap().busy().len(), 1);
}
