//! `local-stack --config`: a deployment's file, run here.

use std::path::Path;

use integration_tests::wait;
use local_stack::provision::Clients;
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::served::{Folder, Served, images, png_size, start};

fn example(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/examples").join(name);
    file.to_str().unwrap().to_owned()
}

/// A file of a test's own.
fn written(folder: &Folder, text: &str) -> String {
    std::fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("config.yaml");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

fn v1alpha1(id: &str, model: &str) -> Value {
    json!({
        "alwayson_scripts": { "task": "text-to-image", "sd_model_checkpoint": model, "id_task": id, "uid": "1",
                              "save_dir": "output" },
        "prompt": "x", "width": 64, "height": 64, "steps": 2,
    })
}

fn v1alpha2(id: &str, runtime: &str, task_type: &str, content: Value) -> Value {
    let metadata = json!({ "id": id, "runtime": runtime, "tasktype": task_type, "prefix": "output" });
    json!({ "task": { "metadata": metadata, "content": content } })
}

fn workflow(node: &str) -> Value {
    json!({
        "1": { "class_type": node, "inputs": { "width": 64, "height": 64, "batch_size": 1, "color": 0 } },
        "2": { "class_type": "SaveImage", "inputs": { "images": ["1", 0], "filename_prefix": "x" } },
    })
}

/// The completion notification of a task in a subscribed queue: raw, without an envelope.
async fn completion(stack: &Served, queue: &str, id: &str) -> Value {
    let sqs = Clients::new(&stack.aws_url).sqs;
    let url = sqs.get_queue_url().queue_name(queue).send().await.unwrap().queue_url.unwrap();
    wait::until("the notification in the queue", async || {
        let poll = sqs.receive_message().queue_url(&url).wait_time_seconds(1);
        let message = poll.send().await.unwrap().messages.unwrap_or_default().pop()?;
        let sent: Value = serde_json::from_str(message.body.as_deref().unwrap()).unwrap();
        (sent["id"] == id && sent.get("result").is_some()).then_some(sent)
    })
    .await
}

#[tokio::test]
async fn a_complete_file_applies_to_front_door_and_workers() {
    let mut stack = Served::start_with(&["--config", &example("full.yaml")]).await;

    let steep = v1alpha2("steep", "sdruntime", "text-to-image", json!({ "prompt": "x", "steps": 101 }));
    let batch = v1alpha2("batch", "sdruntime", "extra-batch-images", json!({ "imageList": [] }));
    let denied = v1alpha2("denied", "comfyui", "pipeline", workflow("LoadImageFromUrl"));
    for (body, pointer) in [
        (steep, "/task/content/steps"),
        (batch, "/task/metadata/tasktype"),
        (denied, "/task/content/1/class_type"),
    ] {
        let (status, answer) = stack.post("/v1alpha2", &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        let pointers = answer["violations"].as_array().unwrap().iter().map(|wrong| &wrong["pointer"]);
        assert!(pointers.clone().any(|named| named == pointer), "{pointer}: {answer}");
    }
    let (status, answer) = stack.post("/v1alpha1", &v1alpha1("nobodys", "unheard-of.safetensors")).await;
    assert_eq!(
        (status, &answer["violations"][0]["code"]),
        (StatusCode::BAD_REQUEST, &json!("unknown_model"))
    );

    // `notifyRunning` and `dynamicModel` of the one, neither of the other.
    let (status, answer) = stack.post("/v1alpha1", &v1alpha1("switched", "dreamshaper_8.safetensors")).await;
    assert_eq!((status, &answer["runtime"]), (StatusCode::OK, &json!("sdruntime")), "{answer}");
    let flow = v1alpha2("flow", "comfyui", "pipeline", workflow("EmptyImage"));
    assert_eq!(stack.post("/v1alpha2", &flow).await.0, StatusCode::OK);
    for (id, queue) in [("switched", "studio-results-shop"), ("flow", "studio-results-newsroom")] {
        let completion = completion(&stack, queue, id).await;
        assert_eq!(completion["result"], true, "{completion}");
        let image = stack.image(id).await;
        assert!(image.starts_with(stack.folder.0.join("studio-output")), "{}", image.display());
    }
    let (status, task) = stack.get(&format!("/v1/tasks/{}", answer["submission"].as_str().unwrap())).await;
    assert_eq!((status, &task["cost"]["currency"]), (StatusCode::OK, &json!("USD")), "{task}");
    let time = |field: &str| OffsetDateTime::parse(task[field].as_str().unwrap(), &Rfc3339).unwrap();
    let kept = time("expires_at") - time("created_at");
    // Expiry times are whole seconds.
    assert_eq!((kept + time::Duration::SECOND).whole_days(), 90, "{task}");

    // Larger than the topic's own default, which `api.messageBytes` raises.
    let long = json!({ "prompt": "x".repeat(400_000), "width": 64, "height": 64, "steps": 2 });
    let long = v1alpha2("long", "sdruntime", "text-to-image", long);
    assert_eq!(stack.post("/v1alpha2", &long).await.0, StatusCode::OK);
    stack.image("long").await;
    assert!(!stack.folder.0.join("studio-output/_darkroom/tasks").exists(), "it went by claim check");

    stack.process.signal("TERM");
    assert!(stack.process.exited().await.success());
    let printed = stack.process.printed().join("\n");
    assert!(printed.contains("  running    switched") && !printed.contains("  running    flow"), "{printed}");
    for address in ["pictures@example.com", "https://hooks.example.com/darkroom"] {
        assert_eq!(printed.matches(&format!("skipped     {address}")).count(), 1, "{printed}");
    }
}

#[tokio::test]
async fn tasks_are_recorded_as_the_file_says() {
    let folder = Folder::new();
    let file = |records: &str| {
        let runtime = "runtimes: [{ name: flows, type: comfyui }]";
        written(
            &folder,
            &format!("region: us-west-2\nmodelBucket: my-models\nrecords: {records}\n{runtime}\n"),
        )
    };
    let task = json!({ "runtime": "flows", "type": "pipeline", "content": workflow("EmptyImage") });

    let off = Served::start_with(&["--config", &file("{ enabled: false }")]).await;
    let (status, problem) = off.post("/v1/tasks", &task).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_IMPLEMENTED, &json!("records_disabled")));

    let quota = file("{ maxUnfinishedTasks: 1 }");
    let limited = Served::start_with(&["--latency-ms", "600000", "--config", &quota]).await;
    let (status, first) = limited.post("/v1/tasks", &task).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{first}");
    let (status, problem) = limited.post("/v1/tasks", &task).await;
    assert_eq!((status, &problem["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("too_many_tasks")));
}

#[tokio::test]
async fn tasks_that_name_only_a_model_go_to_the_runtime_that_serves_it() {
    let folder = Folder::new();
    let file = written(
        &folder,
        "
region: us-west-2
modelBucket: my-company-models
runtimes:
  - { name: first, type: sdwebui, model: one.safetensors }
  - { name: second, type: sdwebui, model: two.safetensors, models: [three.ckpt], dynamicModel: true,
      inputs: { buckets: [my-company-uploads] } }
",
    );
    let mut stack = Served::start_with(&["--config", &file]).await;
    for (id, model, runtime) in
        [("a", "one.safetensors", "first"), ("b", "two.safetensors", "second"), ("c", "three.ckpt", "second")]
    {
        let (status, answer) = stack.post("/v1alpha1", &v1alpha1(id, model)).await;
        assert_eq!((status, &answer["runtime"]), (StatusCode::OK, &json!(runtime)), "{answer}");
    }
    for id in ["a", "b", "c"] {
        stack.image(id).await;
    }

    // The bucket that inputs may come from is there to be filled: files in its folder are its objects.
    let uploads = stack.folder.0.join("my-company-uploads");
    std::fs::copy(stack.image("a").await, uploads.join("cat.png")).unwrap();
    for (runtime, succeeds) in [("second", true), ("first", false)] {
        let content =
            json!({ "init_images": ["s3://my-company-uploads/cat.png"], "width": 64, "height": 64 });
        let id = format!("uploaded-{runtime}");
        let task = v1alpha2(&id, runtime, "image-to-image", content);
        assert_eq!(stack.post("/v1alpha2", &task).await.0, StatusCode::OK);
        let end =
            if succeeds { format!("succeeded  {id}") } else { format!("failed     {id}: input_refused") };
        stack.process.wait_for_output(&end, |line| line.contains(&end).then_some(())).await;
    }
}

/// The queues that a topic is subscribed to, by name.
async fn subscribed(stack: &Served, topic: &str) -> Vec<String> {
    let call = Clients::new(&stack.aws_url).sns.list_subscriptions_by_topic();
    let listed = call.topic_arn(format!("arn:aws:sns:us-east-1:000000000000:{topic}")).send().await.unwrap();
    let endpoints =
        listed.subscriptions.unwrap().into_iter().filter_map(|subscription| subscription.endpoint);
    let mut names: Vec<_> = endpoints.map(|arn| arn.rsplit(':').next().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn another_file_on_the_same_folder_applies_to_former_subscriptions() {
    let folder = Folder::new();
    let file = |queues: &str, runtimes: &str| {
        let file =
            format!("modelBucket: my-company-models\nregion: us-west-2\n{queues}\nruntimes:\n{runtimes}");
        written(&folder, &file)
    };
    let before = file(
        "subscriptions: { queues: [shop, newsroom] }",
        "  - { name: first, type: sdwebui, model: one.safetensors }
  - { name: second, type: sdwebui, model: two.safetensors }",
    );
    let mut stack = Served::start_with(&["--config", &before]).await;
    let clients = Clients::new(&stack.aws_url);
    // A person subscribes queues of their own to both topics.
    for topic in ["tasks", "completions"] {
        let made = clients.sqs.create_queue().queue_name(format!("my-{topic}")).send().await.unwrap();
        assert!(made.queue_url.is_some());
        let call =
            clients.sns.subscribe().topic_arn(format!("arn:aws:sns:us-east-1:000000000000:darkroom-{topic}"));
        let call = call.protocol("sqs").endpoint(format!("arn:aws:sqs:us-east-1:000000000000:my-{topic}"));
        call.attributes("RawMessageDelivery", "true").send().await.unwrap();
    }
    stack.process.signal("TERM");
    assert!(stack.process.exited().await.success());

    let after = file(
        "subscriptions: { queues: [newsroom, press] }",
        "  - { name: first, type: sdwebui, model: one.safetensors, models: [two.safetensors], dynamicModel: true }",
    );
    let mut stack = Served::start_in(stack.folder, &["--config", &after]).await;
    assert_eq!(subscribed(&stack, "darkroom-tasks").await, ["darkroom-first", "my-tasks"]);
    let completion_queues =
        ["darkroom-_console", "darkroom-results-newsroom", "darkroom-results-press", "my-completions"];
    assert_eq!(subscribed(&stack, "darkroom-completions").await, completion_queues);

    // The filter policy of the runtime that stays is the new one.
    let (status, answer) = stack.post("/v1alpha1", &v1alpha1("moved", "two.safetensors")).await;
    assert_eq!((status, &answer["runtime"]), (StatusCode::OK, &json!("first")), "{answer}");
    stack.image("moved").await;
    for queue in ["darkroom-results-newsroom", "darkroom-results-press", "my-completions"] {
        assert_eq!(completion(&stack, queue, "moved").await["result"], true, "{queue}");
    }
}

#[tokio::test]
async fn the_demo_fits_its_samples_to_the_file_and_names_runtimes_without_one() {
    let folder = Folder::new();
    let file = written(
        &folder,
        "
region: us-west-2
modelBucket: my-company-models
runtimes:
  - { name: small, type: sdwebui, model: one.safetensors, limits: { maxPixels: 65536, maxSteps: 3 } }
  - { name: enlarger, type: sdwebui, model: two.safetensors, taskTypes: [extra-single-image, extra-batch-images] }
  - { name: flows, type: comfyui, nodes: { denied: [KSampler] } }
  - { name: exotic, type: comfyui, nodes: { allowed: [Exotic] } }
",
    );
    let data = Folder::new();
    let mut demo = start(&data, &["--demo", "--config", &file]);
    assert!(demo.exited().await.success(), "{:?}", demo.printed());
    let mut sizes: Vec<_> = images(&demo).iter().map(|path| png_size(path)).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [(128, 128), (256, 256), (768, 512)], "{:?}", demo.printed());
    let printed = demo.printed().join("\n");
    assert!(printed.contains("  skipped    exotic accepts none of the samples: "), "{printed}");
}

#[tokio::test]
async fn an_invalid_file_is_refused_with_all_of_its_errors() {
    let folder = Folder::new();
    let file = written(&folder, "region: nowhere\nmodelBucket: my-company-models\nruntimes: []\n");
    let mut process = start(&folder, &["--config", &file]);
    assert!(!process.exited().await.success());
    let log = process.lines().join("\n");
    assert!(log.contains(&format!("{file} cannot be deployed:")), "{log}");
    assert!(
        log.contains("\n  region: must look like ") && log.contains("\n  runtimes: must NOT have"),
        "{log}"
    );
}
