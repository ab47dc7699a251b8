//! The predecessors' recorded traffic: their clients get the same answers, their agents can read our messages, their
//! messages are processed, and their subscribers and permissions suffice.

use aws_sdk_sqs::types::{MessageSystemAttributeNameForSends, MessageSystemAttributeValue};
use integration_tests::image_server::ImageServer;
use integration_tests::lab::{Lab, Runtime};
use integration_tests::{aws, fixtures};
use local_stack::aws::{Fault as AwsFault, Service};
use reqwest::StatusCode;
use serde_json::{Value, json};
use simulated_runtimes::{ComfyUiOptions, DEFAULT_MODEL, Dialect, Fault, SdWebUiOptions};

use crate::agents::{self, Reading};
use crate::function::{Function, rest_post};

/// Every recorded request, with the answer that belongs to it, as if recorded with the lab's bucket.
fn requests(lab: &Lab) -> Vec<Value> {
    let names = fixtures::all()
        .into_iter()
        .filter(|name| name.starts_with("predecessors/") && name.contains("request"));
    let requests: Vec<Value> =
        names.map(|name| in_bucket(&fixtures::load(&name), &lab.shared.bucket)).collect();
    assert_eq!(requests.len(), 5);
    requests
}

fn in_bucket(recorded: &Value, bucket: &str) -> Value {
    serde_json::from_str(&recorded.to_string().replace("outbucket", bucket)).unwrap()
}

/// The answer of both predecessors by their code, where it was not recorded.
fn answer_to(request: &Value, bucket: &str) -> Value {
    if request["response"].is_object() {
        return request["response"]["body"].clone();
    }
    let metadata = &request["body"]["task"]["metadata"];
    let [prefix, id] = ["prefix", "id"].map(|key| metadata[key].as_str().unwrap());
    json!({ "id": id, "runtime": metadata["runtime"], "output_location": format!("s3://{bucket}/{prefix}/{id}") })
}

/// Whatever `theirs` has is in `ours`, with the same value.
fn assert_covers(ours: &Value, theirs: &Value) {
    match (ours, theirs) {
        (Value::Object(mine), Value::Object(recorded)) => {
            for (key, value) in recorded {
                assert_covers(mine.get(key).unwrap_or_else(|| panic!("no {key} in {ours}")), value);
            }
        }
        _ => assert_eq!(ours, theirs),
    }
}

/// Whatever `theirs` has is in `ours`, with the same JSON type. A context is the caller's own, and `…` stands for whatever
/// the runtime adds.
fn assert_shape(ours: &Value, theirs: &Value) {
    assert_eq!(std::mem::discriminant(ours), std::mem::discriminant(theirs), "{ours} is not like {theirs}");
    match (ours, theirs) {
        (Value::Object(mine), Value::Object(recorded)) => {
            for (key, value) in recorded.iter().filter(|(key, _)| !["context", "…"].contains(&key.as_str()))
            {
                assert_shape(mine.get(key).unwrap_or_else(|| panic!("no {key} in {ours}")), value);
            }
        }
        (Value::Array(mine), Value::Array(recorded)) => {
            assert_eq!(mine.is_empty(), recorded.is_empty(), "{ours} is not like {theirs}");
            mine.iter()
                .zip(recorded.iter().cycle())
                .for_each(|(mine, recorded)| assert_shape(mine, recorded));
        }
        _ => {}
    }
}

async fn runtimes(lab: &Lab) -> (Runtime, Runtime) {
    (lab.sdwebui(SdWebUiOptions::default()).await, lab.comfyui(ComfyUiOptions::default()).await)
}

#[tokio::test]
async fn recorded_requests_get_the_recorded_answers() {
    let lab = Lab::start().await;
    let (webui, comfyui) = runtimes(&lab).await;
    for api in [lab.submit_api(&[&webui, &comfyui]).await, lab.submit_api(&[]).await] {
        for request in requests(&lab) {
            let (status, answer) = api.post(request["path"].as_str().unwrap(), &request["body"]).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            assert_covers(&answer, &answer_to(&request, &lab.shared.bucket));
        }
    }
}

#[tokio::test]
async fn the_predecessors_agents_can_read_what_is_published() {
    let lab = Lab::start().await;
    let (webui, comfyui) = runtimes(&lab).await;
    let registry = json!([
        { "name": "sdruntime", "type": "sdwebui", "models": [DEFAULT_MODEL] },
        { "name": "comfyui", "type": "comfyui" },
    ]);
    for registry in [registry, Value::Null] {
        let function = Function::start(&lab, &registry).await;
        for request in requests(&lab) {
            let path = request["path"].as_str().unwrap();
            let answer = function.answer(rest_post(path, &request["body"])).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let metadata = &request["body"]["task"]["metadata"];
            let runtime = if metadata["runtime"] == "comfyui" { &comfyui } else { &webui };
            let (body, attributes) = lab.receive(&runtime.queue.url).await;

            let reading = agents::second(&body).unwrap();
            if lab.aws.embedded.is_some() {
                assert_eq!(agents::first(&body, &attributes).as_ref(), Ok(&reading));
            }
            let (expected, attribute) = if path.starts_with("/v1alpha1") {
                let attribute = match &registry {
                    Value::Null => ("sd_model_checkpoint", DEFAULT_MODEL),
                    _ => ("runtime", "sdruntime"),
                };
                (v1alpha1_reading(&request["body"], &lab.shared.bucket), attribute)
            } else {
                (v1alpha2_reading(&request["body"]["task"]), ("runtime", runtime.name.as_str()))
            };
            assert_eq!(reading, expected);
            let (name, value) = attribute;
            assert_eq!(body["MessageAttributes"], json!({ name: { "Type": "String", "Value": value } }));
            if name == "sd_model_checkpoint" {
                let recorded =
                    in_bucket(&fixtures::load("predecessors/sqs-body-v1alpha1.json"), &lab.shared.bucket);
                let message = |body: &Value| serde_json::from_str(body["Message"].as_str().unwrap()).unwrap();
                assert_covers(&message(&body), &message(&recorded["body"]));
            }
        }
    }
}

fn v1alpha2_reading(task: &Value) -> Reading {
    let metadata = &task["metadata"];
    let [id, task_type, prefix] = ["id", "tasktype", "prefix"].map(|key| metadata[key].as_str().unwrap());
    Reading {
        id: id.to_owned(),
        task_type: task_type.to_owned(),
        folder: format!("{prefix}/{id}"),
        context: metadata["context"].clone(),
        content: task["content"].as_object().unwrap().clone(),
    }
}

fn v1alpha1_reading(request: &Value, bucket: &str) -> Reading {
    let scripts = &request["alwayson_scripts"];
    let [id, task_type, prefix] = ["id_task", "task", "save_dir"].map(|key| scripts[key].as_str().unwrap());
    let mut content = request.as_object().unwrap().clone();
    content.insert("s3_output_path".to_owned(), json!(format!("{bucket}/{prefix}/{id}")));
    let folder = format!("{prefix}/{id}");
    Reading { id: id.to_owned(), task_type: task_type.to_owned(), folder, context: json!({}), content }
}

#[tokio::test]
async fn messages_that_the_predecessors_published_are_processed() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let _worker = lab.worker(&runtime, &[("EXP_CALLBACK_WHEN_RUNNING", "true")]).await;
    let shapes = fixtures::load("predecessors/notifications.json");
    for (name, folder, context) in [
        ("predecessors/sqs-body-v1alpha1.json", "outputs/test-t2i/", json!({})),
        ("predecessors/sqs-body-v1alpha2.json", "output/test-t2i/", json!("")),
    ] {
        let recorded = fixtures::load(name);
        let sqs = &lab.clients().sqs;
        let mut call =
            sqs.send_message().queue_url(&runtime.queue.url).message_body(recorded["body"].to_string());
        if let Some(header) = recorded["system_attributes"]["AWSTraceHeader"].as_str() {
            let value = MessageSystemAttributeValue::builder().data_type("String").string_value(header);
            let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
            call = call.message_system_attributes(name, value.build().unwrap());
        }
        call.send().await.unwrap();

        let location = format!("s3://{}/{folder}test-t2i-", lab.shared.bucket);
        let ours = |sent: &Value| sent["output_url"].as_str().is_some_and(|url| url.starts_with(&location));
        let completion = lab.notification(&format!("the completion of {name}"), ours).await;
        assert_shape(&completion, &shapes["p2_success"]);
        assert_shape(&completion, &shapes["p1_success"]);
        assert_covers(
            &completion,
            &json!({ "id": "test-t2i", "result": true, "status": "completed", "context": context }),
        );
        let image = completion["image_url"][0].as_str().unwrap();
        assert!(image.starts_with(&location) && image.ends_with("-1.png"), "{image}");
        let out = lab.json(completion["output_url"].as_str().unwrap()).await;
        assert_shape(&out, &fixtures::load("predecessors/out-files.json")["txt2img_success"]);

        let running = |sent: &Value| sent["status"] == "running" && sent["context"] == context;
        let running = lab.notification(&format!("the start of {name}"), running).await;
        assert_shape(&running, &shapes["p2_running"]);
        assert_eq!(running.get("result"), None, "{running}");
    }
}

/// A task as the predecessors' front door published it for `sdruntime` or `comfyui`.
fn published(id: &str, task_type: &str, content: &Value) -> String {
    let metadata =
        json!({ "id": id, "runtime": "x", "tasktype": task_type, "prefix": "p", "context": { "k": 0 } });
    let message = json!({ "metadata": metadata, "content": content }).to_string();
    json!({ "Type": "Notification", "MessageId": uuid::Uuid::new_v4(), "Message": message }).to_string()
}

#[tokio::test]
async fn out_files_and_notifications_have_the_shape_that_was_recorded() {
    let lab = Lab::start().await;
    // The relative of SD WebUI that the recorded failure came from: `reason` is the runtime's own answer.
    let automatic = SdWebUiOptions { dialect: Dialect::Automatic1111, ..SdWebUiOptions::default() };
    let (webui, comfyui) = (lab.sdwebui(automatic).await, lab.comfyui(ComfyUiOptions::default()).await);
    let images = ImageServer::start().await;
    let allowed = images.address.to_string();
    let settings = [("INPUT_ALLOW_HOSTS", allowed.as_str()), ("MAX_ATTEMPTS", "1")];
    let _workers = [lab.worker(&webui, &settings).await, lab.worker(&comfyui, &settings).await];

    let content = |name: &str| {
        fixtures::load(&format!("predecessors/v1alpha2-request-{name}.json"))["body"]["task"]["content"]
            .clone()
    };
    let mut extras = content("extra-single-image");
    extras["image"] = json!(images.url("cat.png"));
    let exception = Fault::Exception { node: None, kind: "ValueError".into(), message: "x".into() };
    for (shape, runtime, task_type, content, fault) in [
        ("extras_success", &webui, "extra-single-image", extras, None),
        ("failure", &webui, "text-to-image", content("text-to-image"), Some(exception.clone())),
        ("comfyui_success", &comfyui, "pipeline", content("pipeline"), None),
        ("comfyui_failure", &comfyui, "pipeline", content("pipeline"), Some(exception)),
    ] {
        let succeeds = fault.is_none();
        if let Some(fault) = fault {
            runtime.simulation.as_ref().unwrap().faults().plan(fault, 1);
        }
        lab.send(&runtime.queue.url, &published(shape, task_type, &content)).await;
        let completion =
            lab.notification(&format!("the completion of {shape}"), |sent| sent["id"] == shape).await;
        let notifications = fixtures::load("predecessors/notifications.json");
        assert_shape(&completion, &notifications[if succeeds { "p1_success" } else { "p1_failure" }]);
        assert_eq!(
            (&completion["result"], &completion["context"]),
            (&json!(succeeds), &json!({ "k": 0 })),
            "{completion}"
        );
        let out = lab.json(completion["output_url"].as_str().unwrap()).await;
        let recorded = &fixtures::load("predecessors/out-files.json")[shape];
        assert_shape(&out, recorded);
        assert_eq!(out["code"], recorded["code"], "{out}");
    }
}

#[tokio::test]
async fn the_first_predecessors_permissions_suffice() {
    if aws::skipped_elsewhere(
        "the_first_predecessors_permissions_suffice",
        "only embedded APIs can be broken",
    ) {
        return;
    }
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    // Its worker's role may put objects, and neither get, head nor list them.
    let faults = lab.aws.embedded.as_ref().unwrap().faults();
    let forbidden = ["GetObject", "HeadObject", "HeadBucket", "ListObjectsV2"];
    for action in forbidden {
        faults.strike(Service::S3, action, AwsFault::Deny, 1_000);
    }
    let mut worker = lab.worker(&runtime, &[]).await;
    let switched_off = "s3:GetObject or s3:ListBucket is not allowed: presigned urls may not open, a redelivered task \
                        runs again, a released task counts as attempted";
    worker.logged(switched_off).await;
    let content = json!({ "prompt": "x", "width": 64, "height": 64 });
    api.submit("sdruntime", "text-to-image", "humble", content).await;
    let completion = lab.completion("humble").await;
    assert!(completion.result, "{completion:?}");
    lab.emptied(&runtime.queue.url).await;
    for action in forbidden {
        assert!(faults.left(Service::S3, action) > 0, "{action} may have worked in the end");
        faults.strike(Service::S3, action, AwsFault::Deny, 0);
    }
    assert_eq!(lab.object(&completion.image_url[0]).await.1, "image/png");
}
