//! Everything that the programs do, once with each type of runtime, to record their calls.

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::dead_letters::{self, Function};
use integration_tests::image_server::{ImageServer, cat};
use integration_tests::lab::{Lab, Runtime, SubmitApi};
use integration_tests::wait;
use local_stack::provision::{self, Clients};
use reqwest::StatusCode;
use serde_json::{Value, json};
use simulated_runtimes::{ComfyUiOptions, Fault, SdWebUiOptions};

use crate::calls::{self, Call};
use crate::{assets, records};

const FRONT_DOOR: &str = "front-door";
pub(crate) const WORKER: &str = "worker";

/// What makes a task larger than a message (262,144 bytes).
const LARGE: usize = 300_000;

/// More unfinished tasks than there are at once, so that they are counted and none is refused.
const QUOTA: u32 = 1_000;

/// The environment of the programs.
pub(crate) struct Scene {
    pub(crate) lab: Lab,
    pub(crate) api: SubmitApi,
    /// The same front door, which allows one unfinished task.
    pub(crate) strict: SubmitApi,
    /// The bucket that inputs come from.
    uploads: String,
}

/// What each program called.
pub(crate) async fn calls() -> BTreeMap<&'static str, BTreeSet<Call>> {
    let lab = Lab::start().await;
    let uploads = format!("{}-uploads", lab.shared.prefix);
    provision::bucket(lab.clients(), &uploads).await.unwrap();
    let put = lab.clients().s3.put_object().bucket(&uploads).key("cat.png").body(cat().into());
    put.send().await.unwrap();
    let webui = Runtime { claim_check: true, ..lab.sdwebui(SdWebUiOptions::default()).await };
    let comfyui = Runtime { claim_check: true, ..lab.comfyui(ComfyUiOptions::default()).await };
    let clients = Clients::with_access_key(&lab.aws.url, FRONT_DOOR);
    let slow = records::slow_runtime(&lab).await;
    let runtimes = [&webui, &comfyui, &slow];
    let api = lab.recording_api_with(&clients, &runtimes, QUOTA).await;
    let strict = lab.recording_api_with(&clients, &runtimes, 1).await;

    let scene = Scene { lab, api, strict, uploads };
    tokio::join!(scene.process_all(&webui), scene.process_all(&comfyui), records::use_v1(&scene, &slow));

    let lab = &scene.lab;
    let records = lab.aws.embedded.as_ref().unwrap().calls();
    let made_by = |access_key| calls::made_by(access_key, lab, &records);
    BTreeMap::from([
        ("front_door", made_by(FRONT_DOOR)),
        ("worker", made_by(WORKER)),
        ("dead_letter", made_by(Function::ACCESS_KEY)),
    ])
}

impl Scene {
    /// Every way in which a worker receives and completes a task, and then the dead letters.
    async fn process_all(&self, runtime: &Runtime) {
        let lab = &self.lab;
        let queue = &runtime.queue.url;
        let images = ImageServer::start().await;
        let allowed = images.address.to_string();
        let settings = [
            ("AWS_ACCESS_KEY_ID", WORKER),
            ("INPUT_S3_BUCKETS", self.uploads.as_str()),
            ("INPUT_ALLOW_HOSTS", allowed.as_str()),
            ("MAX_ATTEMPTS", "2"),
            ("RECORD_TABLE", lab.shared.record_table.as_str()),
        ];
        let mut worker = lab.worker(runtime, &settings).await;

        // Committed, and notified with a URL that works; then the message is redelivered, as if its deletion had failed.
        let done = self.submit(runtime, "done", plain(runtime, "")).await;
        let completion = lab.completion(&id(runtime, "done")).await;
        let opened = reqwest::get(completion.outputs[0].url.as_ref().unwrap()).await.unwrap();
        assert_eq!(opened.status(), StatusCode::OK, "{completion:?}");
        records::open_result(&self.api, done["metadata"]["submission"].as_str().unwrap()).await;
        lab.send(queue, &done.to_string()).await;
        lab.emptied(queue).await;

        // By claim check, and with an input from a bucket.
        let image = format!("s3://{}/cat.png", self.uploads);
        for (name, content) in
            [("large", plain(runtime, &"x".repeat(LARGE))), ("input", with_image(runtime, &image))]
        {
            self.submit(runtime, name, content).await;
            let completion = lab.completion(&id(runtime, name)).await;
            assert!(completion.result, "{name}: {:?}", completion.error);
        }

        // Failed, redelivered, and failed finally.
        runtime.simulation.as_ref().unwrap().faults().plan(Fault::NotJson, 2);
        self.submit(runtime, "failed", plain(runtime, "y")).await;
        let error = lab.completion(&id(runtime, "failed")).await.error.unwrap();
        assert_eq!(error.attempts, 2, "{error:?}");

        lab.send(queue, "{nope").await;
        lab.emptied(queue).await;
        if runtime.runtime_type == "comfyui" {
            assets::use_assets(&self.api).await;
        }

        // Released, because the worker stops.
        self.submit(runtime, "given-back", with_image(runtime, &images.url("silent"))).await;
        wait::until("the request for the input", async || {
            (!images.requested_paths().is_empty()).then_some(())
        })
        .await;
        worker.signal("TERM");
        assert!(worker.exited().await.success());
        assert_eq!(lab.counts(queue).await, (1, 0), "the task was not released");

        self.dead_letter(runtime, &done).await;
    }

    /// Lets the dead-letter function complete a committed task, one without a result, and an unreadable message.
    async fn dead_letter(&self, runtime: &Runtime, done: &Value) {
        let function = Function::recording(&self.lab).await;
        let mut dead = done.clone();
        dead["metadata"]["id"] = json!(id(runtime, "dead"));
        dead["metadata"]["submission"] = json!(id(runtime, "dead"));
        let queue = &runtime.queue.dead_letter_url;
        for body in [done.to_string(), dead.to_string(), "{nope".to_owned()] {
            self.lab.send(queue, &body).await;
        }
        dead_letters::drain(&self.lab, queue, &function).await;
        assert!(self.lab.completion(&id(runtime, "dead")).await.error.is_some());
    }

    /// Submits a task, and returns the message that it became.
    async fn submit(&self, runtime: &Runtime, name: &str, content: Value) -> Value {
        let metadata = json!({ "id": id(runtime, name), "runtime": runtime.name, "tasktype": task_type(runtime, &content),
                               "prefix": "output" });
        let mut task = json!({ "metadata": metadata, "content": content });
        let (status, answer) = self.api.post("/v1alpha2", &json!({ "task": task })).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        task["metadata"]["submission"] = answer["submission"].clone();
        task
    }
}

fn id(runtime: &Runtime, name: &str) -> String {
    format!("{name}-{}", runtime.name)
}

fn task_type(runtime: &Runtime, content: &Value) -> &'static str {
    match runtime.runtime_type {
        "comfyui" => "pipeline",
        _ if content.get("init_images").is_some() => "image-to-image",
        _ => "text-to-image",
    }
}

/// A task with this text in it.
fn plain(runtime: &Runtime, text: &str) -> Value {
    if runtime.runtime_type == "comfyui" {
        let inputs = json!({ "width": 64, "height": 64, "batch_size": 1, "color": 0x20_40_60 });
        return saved(json!({ "class_type": "EmptyImage", "inputs": inputs, "_meta": { "title": text } }));
    }
    json!({ "prompt": text, "width": 64, "height": 64, "steps": 2 })
}

/// A task that needs the image at that address.
fn with_image(runtime: &Runtime, address: &str) -> Value {
    if runtime.runtime_type == "comfyui" {
        return saved(json!({ "class_type": "LoadImage", "inputs": { "image": address } }));
    }
    json!({ "init_images": [address], "prompt": "x", "width": 64, "height": 64, "steps": 2 })
}

fn saved(source: Value) -> Value {
    let save = json!({ "class_type": "SaveImage", "inputs": { "filename_prefix": "x", "images": ["1", 0] } });
    json!({ "1": source, "2": save })
}
