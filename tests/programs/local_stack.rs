//! `local-stack`: the demo, the `curl` line, and what its users attach to it.

use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use integration_tests::lab::free_port;
use integration_tests::process::Process;
use integration_tests::wait;
use local_stack::provision::Clients;
use reqwest::StatusCode;
use serde_json::{Value, json};
use simulated_runtimes::{ComfyUiOptions, Fault, SdWebUiOptions, Simulation};

use crate::served::{Folder, KEY, Served, images, png_size, start};

#[tokio::test]
async fn the_demo_shows_an_image_of_each_runtime_and_ends() {
    let folder = Folder::new();
    let mut demo = start(&folder, &["--demo"]);
    assert!(demo.exited().await.success());
    let mut sizes: Vec<_> = images(&demo).iter().map(|path| png_size(path)).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [(512, 512), (768, 512)], "{:?}", demo.printed());
}

#[tokio::test]
async fn the_demo_fails_when_a_runtime_fails() {
    let simulation = Simulation::start_sdwebui(free_port(), SdWebUiOptions::default()).await.unwrap();
    let broken =
        Fault::Exception { node: None, kind: "RuntimeError".into(), message: "shapes differ".into() };
    simulation.faults().plan(broken, 100);
    let folder = Folder::new();
    let attached = format!("sdruntime=sdwebui:{}", simulation.url());
    let mut demo = start(&folder, &["--demo", "--runtime", &attached]);
    assert!(!demo.exited().await.success());
    let printed = demo.printed().join("\n");
    assert!(printed.contains("failed     demo-sdruntime: runtime_failed: "), "{printed}");
    assert!(demo.lines().join("\n").contains("task demo-sdruntime failed"), "{:?}", demo.lines());
}

#[tokio::test]
async fn attached_runtimes_process_the_tasks() {
    let webui = Simulation::start_sdwebui(free_port(), SdWebUiOptions::default()).await.unwrap();
    let comfyui = Simulation::start_comfyui(free_port(), ComfyUiOptions::default()).await.unwrap();
    let folder = Folder::new();
    // One in place of a simulation, one in addition; with and without a scheme.
    let (replaced, added) =
        (format!("sdruntime=sdwebui:{}", webui.url()), format!("mine=comfyui:{}", comfyui.address()));
    let mut demo = start(&folder, &["--demo", "--runtime", &replaced, "--runtime", &added]);
    assert!(demo.exited().await.success());
    assert_eq!((webui.busy().len(), comfyui.busy().len()), (1, 1));
    assert_eq!(images(&demo).len(), 3, "{:?}", demo.printed());
}

#[tokio::test]
async fn the_printed_curl_line_works_when_pasted() {
    let mut stack = Served::start().await;
    let line = stack
        .process
        .wait_for_output("the curl line", |line| line.trim().starts_with("curl ").then(|| line.to_owned()))
        .await;
    let answer = if Command::new("curl").arg("--version").output().is_ok() {
        // Behind a proxy, requests to loopback addresses must not go through it.
        let pasted = Command::new("sh").args(["-c", &line]).env("NO_PROXY", "*").output().unwrap();
        assert!(pasted.status.success(), "{pasted:?}");
        serde_json::from_slice(&pasted.stdout).unwrap()
    } else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "curl is not installed");
        let (_, body) = line.trim().trim_end_matches('\'').split_once("-d '").unwrap();
        let request = stack.client.post(format!("{}/v1alpha2", stack.url)).header("x-api-key", KEY);
        request.body(body.to_owned()).send().await.unwrap().json::<Value>().await.unwrap()
    };
    assert_eq!(answer["id"], "my-first-task", "{answer}");
    assert_eq!(answer["output_location"], "s3://darkroom-output/output/my-first-task");
    let image = stack.image("my-first-task").await;
    assert!(image.starts_with(&stack.folder.0), "{}", image.display());
    assert_eq!(png_size(&image), (512, 512));
}

#[tokio::test]
async fn only_requests_with_the_key_and_from_this_machine_are_accepted() {
    let stack = Served::start().await;
    let task = format!("{}/v1alpha2", stack.url);
    let without = stack.client.post(&task).body("{}");
    let wrong = stack.client.post(&task).header("x-api-key", "guessed").body("{}");
    for request in [without, wrong] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert_eq!(answer.headers()["x-amzn-errortype"], "ForbiddenException");
        assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "message": "Forbidden" }));
    }
    let right = stack.client.post(&task).header("x-api-key", KEY).body("{}").send().await.unwrap();
    assert_eq!(right.status(), StatusCode::BAD_REQUEST);

    let health = format!("{}/healthz", stack.url);
    assert_eq!(stack.client.get(&health).send().await.unwrap().status(), StatusCode::OK);
    for url in [health.as_str(), stack.aws_url.as_str()] {
        for (header, value) in
            [("host", "rebound.example.com"), ("origin", "https://example.com"), ("origin", "null")]
        {
            let answer = stack.client.get(url).header(header, value).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{url} {header}: {value}");
        }
    }
}

#[tokio::test]
async fn a_web_hook_is_confirmed_and_then_notified() {
    let mut stack = Served::start().await;
    let (hook, received) = hook().await;
    let sns = Clients::new(&stack.aws_url).sns;
    let topic = "arn:aws:sns:us-east-1:000000000000:darkroom-completions";
    sns.subscribe().topic_arn(topic).protocol("http").endpoint(hook).send().await.unwrap();
    let first_received = async |kind: &str, matches: &dyn Fn(&Value) -> bool| {
        wait::until(kind, async || {
            let received = received.lock().unwrap();
            received.iter().find(|(type_, body)| type_ == kind && matches(body)).map(|(_, body)| body.clone())
        })
        .await
    };
    let confirmation = first_received("SubscriptionConfirmation", &|_| true).await;
    let confirmed = stack.client.get(confirmation["SubscribeURL"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(confirmed.status(), StatusCode::OK);

    stack.submit("hooked").await;
    let is_completion = |body: &Value| body["Message"].as_str().unwrap().contains("\"result\":true");
    let envelope = first_received("Notification", &is_completion).await;
    assert_eq!(envelope["TopicArn"], topic);
    let notification: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
    assert_eq!(notification["id"], "hooked");
    let image = std::fs::read(stack.image("hooked").await).unwrap();
    let fetched = stack.client.get(notification["outputs"][0]["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(fetched.headers()["content-type"], "image/png");
    assert_eq!(fetched.bytes().await.unwrap(), image);
}

type Received = Arc<Mutex<Vec<(String, Value)>>>;

/// A web hook, and the type and body of each message that it received.
async fn hook() -> (String, Received) {
    let received = Received::default();
    let recorder = Arc::clone(&received);
    let hear = async move |headers: HeaderMap, body: String| {
        let kind = headers["x-amz-sns-message-type"].to_str().unwrap().to_owned();
        recorder.lock().unwrap().push((kind, serde_json::from_str(&body).unwrap()));
    };
    let listener = tokio::net::TcpListener::bind(free_port()).await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", post(hear))).await });
    (url, received)
}

#[tokio::test]
async fn a_message_of_a_user_in_the_completion_topic_does_not_stop_the_stack() {
    let mut stack = Served::start().await;
    let sns = Clients::new(&stack.aws_url).sns;
    for message in ["hello", r#"{"status": "completed"}"#] {
        let publish = sns.publish().topic_arn("arn:aws:sns:us-east-1:000000000000:darkroom-completions");
        publish.message(message).send().await.unwrap();
    }
    stack.submit("after").await;
    stack.image("after").await;
}

#[tokio::test]
async fn a_dead_lettered_task_is_printed_as_failed() {
    let mut stack = Served::start().await;
    let metadata = json!({ "id": "deadly", "runtime": "sdruntime", "tasktype": "text-to-image" });
    let task = json!({ "metadata": metadata, "content": { "prompt": "x" } });
    let sqs = Clients::new(&stack.aws_url).sqs;
    let queue = sqs.get_queue_url().queue_name("darkroom-sdruntime-dlq").send().await.unwrap();
    let sent = sqs.send_message().set_queue_url(queue.queue_url).message_body(task.to_string());
    sent.send().await.unwrap();
    let failed = |line: &str| line.trim().starts_with("failed     deadly: dead_lettered: ").then_some(());
    stack.process.wait_for_output("the failure", failed).await;
}

#[tokio::test]
async fn ctrl_c_stops_it() {
    let mut stack = Served::start().await;
    stack.submit("done").await;
    stack.image("done").await;
    let signalled = Instant::now();
    stack.process.signal("INT");
    assert_eq!(stack.process.exited().await.code(), Some(0));
    // A long poll lasts for 20 s.
    assert!(signalled.elapsed() < Duration::from_secs(15), "it took {:?}", signalled.elapsed());
}

/// Stops a stack with tasks in progress, and starts another one on its folder: every task completes once.
async fn restarted(signal: &str) {
    let ids = ["one", "two", "three", "four"];
    let mut stack = Served::start_with(&["--latency-ms", "600000"]).await;
    for id in ids {
        stack.submit(id).await;
    }
    let sqs = Clients::new(&stack.aws_url).sqs;
    let queue = sqs.get_queue_url().queue_name("darkroom-sdruntime").send().await.unwrap().queue_url.unwrap();
    wait::until("a task in the worker", async || {
        let name = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        let call = sqs.get_queue_attributes().queue_url(&queue).attribute_names(name.clone());
        let in_flight = call.send().await.unwrap().attributes.unwrap().remove(&name).unwrap();
        (in_flight != "0").then_some(())
    })
    .await;
    stack.process.signal(signal);
    let status = stack.process.exited().await;
    let all = "4 messages in darkroom-sdruntime";
    if signal == "TERM" {
        assert!(status.success());
        let printed = stack.process.printed().join("\n");
        assert!(printed.contains(&format!("stored      {all}")), "{printed}");
    }
    let Served { folder, process: first, .. } = stack;

    let mut stack = Served::start_in(folder, &[]).await;
    let restored = |line: &str| line.contains(&format!("restored    {all}")).then_some(());
    stack.process.wait_for_output("what was restored", restored).await;
    for id in ids {
        stack.image(id).await;
        let folder = stack.folder.0.join("darkroom-output/output").join(id);
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let outs = files.filter(|path| path.extension().is_some_and(|extension| extension == "out"));
        assert_eq!(outs.count(), 1, "{id}");
    }
    // Nothing of them remains for a third one.
    stack.process.signal("TERM");
    assert!(stack.process.exited().await.success());
    let printed = stack.process.printed().join("\n");
    assert!(!printed.contains("kept  "), "{printed}");
    for id in ids {
        let completions = |process: &Process| {
            let is_one = |line: &&String| {
                line.contains(&format!("succeeded  {id}")) || line.contains(&format!("failed     {id}"))
            };
            process.printed().iter().filter(is_one).count()
        };
        assert_eq!((completions(&first), completions(&stack.process)), (0, 1), "{id}");
    }
}

#[tokio::test]
async fn a_stack_that_is_stopped_keeps_its_tasks_for_the_next_one() {
    restarted("TERM").await;
}

#[tokio::test]
async fn a_stack_that_is_killed_loses_no_task() {
    restarted("KILL").await;
}

#[tokio::test]
async fn a_port_that_is_in_use_is_named() {
    let taken = TcpListener::bind(free_port()).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (taken, other) in [("--listen", "--aws-listen"), ("--aws-listen", "--listen")] {
        let folder = Folder::new();
        let arguments = ["--data-dir", folder.path(), taken, &address, other, "127.0.0.1:0"];
        let mut process = Process::start_with("local-stack", &arguments, &[]);
        assert!(!process.exited().await.success());
        let log = process.lines().join("\n");
        assert!(log.contains(&format!("cannot listen on {address}")), "{log}");
    }
}
