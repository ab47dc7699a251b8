//! Logs and spans have no bodies, no secrets and no query strings, whatever field of a request they are in.

use std::collections::HashSet;

use integration_tests::collector::Collector;
use integration_tests::image_server::ImageServer;
use integration_tests::lab::{Lab, Runtime, free_port};
use serde_json::{Value, json};
use shared_schema::runtimes::{REGISTRY, RuntimeContract, Sample};
use simulated_runtimes::{Fault, Setup, Simulation};

use crate::function::{Function, rest_post};

/// What must not be logged.
const SECRET: &str = "kX9q7-never-logged";
/// An address with a signature, as presigned URLs have it.
const PRESIGNED: &str = "http://127.0.0.1:9/cat.png?X-Amz-Signature=kX9q7-never-logged";

#[tokio::test]
async fn sdwebui() {
    nothing_is_logged("sdwebui").await;
}

#[tokio::test]
async fn comfyui() {
    nothing_is_logged("comfyui").await;
}

#[tokio::test]
async fn openai_images() {
    nothing_is_logged("openai-images").await;
}

#[tokio::test]
async fn sdcpp() {
    nothing_is_logged("sdcpp").await;
}

/// Front door and worker process requests with the secret in each field; both log as much as they can.
async fn nothing_is_logged(runtime_type: &'static str) {
    let lab = Lab::start().await;
    let collector = Collector::start().await;
    let simulation = Simulation::of_type(runtime_type, free_port(), Setup::default()).await.unwrap();
    let runtime = lab.runtime("sdruntime", runtime_type, simulation.url(), Some(simulation), &[]).await;
    let registry = json!([{ "name": "sdruntime", "type": runtime_type, "models": [] }]);
    let table = ("RECORD_TABLE", lab.shared.record_table.as_str());
    let traces = collector.variables();
    let front_door = [traces.as_slice(), &[table, ("LOG_LEVEL", "debug")]].concat();
    let mut function = Function::start_with(&lab, &registry, &front_door).await;
    let worker = [
        traces.as_slice(),
        &[table, ("RUST_LOG", "trace"), ("MAX_ATTEMPTS", "1"), ("INPUT_ALLOW_HOSTS", "127.0.0.1")],
    ];
    let mut worker = lab.worker(&runtime, &worker.concat()).await;
    let images = ImageServer::start().await;

    let contract = *REGISTRY.iter().find(|contract| contract.name() == runtime_type).unwrap();
    let accepted = submit_all(&function, contract, &images).await;
    lab.emptied(&runtime.queue.url).await;
    submit_quoted(&lab, &function, &runtime, contract).await;
    worker.signal("TERM");
    assert!(worker.exited().await.success());
    function.process.signal("TERM");
    function.process.exited().await;

    let lines = [function.process.printed(), worker.lines()].concat();
    for line in &lines {
        assert!(!line.contains(SECRET), "{line}");
    }
    for span in collector.spans() {
        assert!(!format!("{span:?}").contains(SECRET), "{span:?}");
    }
    let of_tasks: Vec<Value> = worker
        .lines()
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["span"]["name"] == "task")
        .collect();
    for line in &of_tasks {
        let has = |name: &str| line["span"][name].as_str().is_some_and(|text| !text.is_empty());
        assert!(["task.id", "trace_id", "runtime", "submission"].into_iter().all(has), "{line}");
    }
    let logged: HashSet<&str> =
        of_tasks.iter().filter_map(|line| line["span"]["submission"].as_str()).collect();
    assert!(accepted > 5 && logged.len() > 5, "{accepted} tasks were accepted, {} logged", logged.len());
}

/// Submits the samples of a type, with the secret in one field after the other. Returns how many tasks were accepted.
async fn submit_all(function: &Function, contract: &dyn RuntimeContract, images: &ImageServer) -> usize {
    let samples: Vec<Sample> = serde_json::from_str(contract.files().samples).unwrap();
    let mut accepted = 0;
    for Sample { task_type, mut content, fields, .. } in samples {
        for pointer in &fields.image {
            *content.pointer_mut(pointer).unwrap() =
                json!(images.url("cat.png?X-Amz-Signature=kX9q7-never-logged"));
        }
        for content in with_secrets(&content) {
            for body in bodies(task_type.as_str(), &content) {
                let answer = function.answer(secret_event(&body, accepted)).await;
                assert!([202, 400].contains(&answer.status), "{answer:?}");
                accepted += usize::from(answer.status == 202);
            }
        }
    }
    accepted
}

/// Submits a task whose run raises an exception with a text that quotes the prompt.
async fn submit_quoted(lab: &Lab, function: &Function, runtime: &Runtime, contract: &dyn RuntimeContract) {
    let samples: Vec<Sample> = serde_json::from_str(contract.files().samples).unwrap();
    let Sample { task_type, mut content, fields, .. } = samples.into_iter().next().unwrap();
    let prompt = format!("a house at {SECRET}, as in {PRESIGNED}");
    *content.pointer_mut(&fields.prompt[0]).unwrap() = json!(prompt);
    let message = format!("cannot encode '{prompt}'");
    let fault = Fault::Exception { node: None, kind: "ValueError".to_owned(), message };
    runtime.simulation.as_ref().unwrap().faults().plan(fault, 1);
    let body =
        json!({ "runtime": "sdruntime", "type": task_type.as_str(), "name": "quoted", "content": content });
    assert_eq!(function.answer(rest_post("/v1/tasks", &body)).await.status, 202);
    let failure = lab.completion("quoted").await.error.unwrap();
    assert!(failure.message.contains(SECRET), "the notification has the whole message: {failure:?}");
    lab.emptied(&runtime.queue.url).await;
}

/// A request, with the secret in each field beside the content.
fn bodies(task_type: &str, content: &Value) -> [Value; 3] {
    let body = json!({ "runtime": "sdruntime", "type": task_type, "name": "task", "content": content });
    let mut labelled = body.clone();
    labelled["labels"] = json!({ "label": SECRET });
    let mut unknown = body.clone();
    unknown["unknown"] = json!(SECRET);
    [body, labelled, unknown]
}

/// The event, with the secret in headers and query. Each request has an idempotency key of its own.
fn secret_event(body: &Value, n: usize) -> Value {
    let mut event = rest_post("/v1/tasks", body);
    let key = format!("{SECRET}-{n}");
    for (name, value) in [
        ("x-api-key", SECRET),
        ("authorization", &format!("Bearer {SECRET}")),
        ("cookie", SECRET),
        ("user-agent", SECRET),
        ("idempotency-key", &key),
    ] {
        event["headers"][name] = json!(value);
        event["multiValueHeaders"][name] = json!([value]);
    }
    event["queryStringParameters"] = json!({ "X-Amz-Signature": SECRET });
    event["multiValueQueryStringParameters"] = json!({ "X-Amz-Signature": [SECRET] });
    event
}

/// The content as it is, and with the secret in place of each value, in each text, in an address, and as a further field.
fn with_secrets(content: &Value) -> Vec<Value> {
    let mut pointers = Vec::new();
    collect(content, "", &mut pointers);
    let mut contents = vec![content.clone()];
    for pointer in pointers {
        let at = content.pointer(&pointer).unwrap();
        let mut values = vec![json!(SECRET), json!(PRESIGNED), json!([SECRET]), json!({ SECRET: SECRET })];
        if let Some(text) = at.as_str() {
            values.push(json!(format!("{text}, {SECRET}")));
        }
        if let Some(object) = at.as_object() {
            let mut object = object.clone();
            object.insert("unknown_field".to_owned(), json!(SECRET));
            values = vec![Value::Object(object)];
        }
        contents.extend(values.into_iter().map(|value| {
            let mut content = content.clone();
            *content.pointer_mut(&pointer).unwrap() = value;
            content
        }));
    }
    contents
}

/// The pointers of all values but the names that operators need: node classes and models.
fn collect(value: &Value, pointer: &str, pointers: &mut Vec<String>) {
    let is_name = ["/class_type", "/ckpt_name", "/model"].iter().any(|name| pointer.ends_with(name));
    if is_name {
        return;
    }
    pointers.push(pointer.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                collect(value, &format!("{pointer}/{name}"), pointers);
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                collect(item, &format!("{pointer}/{n}"), pointers);
            }
        }
        _ => {}
    }
}
