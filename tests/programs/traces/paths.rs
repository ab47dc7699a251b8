//! Each path of a task.

use std::time::{Duration, SystemTime};

use aws_sdk_sqs::types::QueueAttributeName;
use integration_tests::dead_letters::{self, drain};
use integration_tests::image_server::ImageServer;
use integration_tests::lab::free_port;
use integration_tests::wait;
use local_stack::provision;
use serde_json::json;
use simulated_runtimes::{ComfyUiOptions, Fault, SdWebUiOptions, Setup, Simulation};

use super::{CALLER, TRACE_ID, Traced, assert_connected, counts, named, submit};
use crate::function::rest;

fn prompt() -> serde_json::Value {
    json!({ "prompt": "a secret prompt", "width": 64, "height": 64, "steps": 2, "seed": 7, "batch_size": 2 })
}

#[tokio::test]
async fn a_successful_task_has_a_span_for_each_stage() {
    let Some(traced) = Traced::start("a_successful_task_has_a_span_for_each_stage").await else { return };
    let runtime = traced.lab.sdwebui(SdWebUiOptions::default()).await;
    let completions =
        provision::completion_queue(traced.lab.clients(), &traced.lab.shared, "traced").await.unwrap();
    let function = traced.front_door(&runtime).await;
    let mut worker = traced.worker(&runtime, &[("INPUT_ALLOW_HOSTS", "127.0.0.1")]).await;
    let images = ImageServer::start().await;
    let mut content = prompt();
    content["init_images"] = json!([images.url("cat.png?X-Amz-Signature=secret")]);
    let id = submit(&function, &runtime, "image-to-image", content).await;

    let trace = traced.trace("succeeded").await;
    assert_connected(&trace);
    let expected = [
        ("commit", 1),
        ("delete", 1),
        ("file", 2),
        ("input", 1),
        ("notify", 1),
        ("prepare", 1),
        ("process", 1),
        ("publish", 1),
        ("receive", 1),
        ("request", 1),
        ("run", 1),
        ("store", 1),
        ("validate", 1),
        ("wait", 1),
    ];
    assert_eq!(counts(&trace).into_iter().collect::<Vec<_>>(), expected);
    assert!(trace.iter().all(|span| !span.is_error), "{trace:#?}");
    let everything = format!("{trace:?}");
    assert!(!everything.contains("secret"), "{everything}");

    let process = named(&trace, "process")[0];
    assert_eq!(process.attribute("darkroom.submission"), id);
    assert_eq!(traced.lab.completion("traced").await.trace_id.as_deref(), Some(TRACE_ID));
    let mut task = rest("GET", &format!("/v1/tasks/{id}"));
    task["body"] = json!(null);
    assert_eq!(function.answer(task).await.body["trace_id"], TRACE_ID);
    worker.signal("TERM");
    assert!(worker.exited().await.success());
    for line in worker.lines().iter().filter(|line| line.contains(&id)) {
        assert!(line.contains(TRACE_ID), "{line}");
    }
    assert_eq!(process.attribute("darkroom.attempt"), "1");
    assert_eq!(named(&trace, "input")[0].attribute("server.address"), "127.0.0.1");
    let run = named(&trace, "run")[0];
    assert_eq!((run.attribute("gen_ai.output.type"), run.attribute("gen_ai.request.seed")), ("image", "7"));
    // The runtime and the subscribers continue it.
    let requests = runtime.simulation.as_ref().unwrap().requests();
    let generation = requests.iter().find(|request| request.path.ends_with("img2img")).unwrap();
    assert_eq!(generation.headers["traceparent"], format!("00-{TRACE_ID}-{}-01", run.span_id));
    if traced.lab.aws.embedded.is_some() {
        let (_, attributes) = traced.lab.receive(&completions).await;
        let header = &attributes[&aws_sdk_sqs::types::MessageSystemAttributeName::AwsTraceHeader];
        let notify = named(&trace, "notify")[0];
        assert!(header.contains(&format!("Parent={};Sampled=1", notify.span_id)), "{header}");
    }
}

#[tokio::test]
async fn a_server_of_jobs_continues_the_trace() {
    let Some(traced) = Traced::start("a_server_of_jobs_continues_the_trace").await else { return };
    let simulation = Simulation::of_type("sdcpp", free_port(), Setup::default()).await.unwrap();
    let runtime = traced.lab.runtime("sdruntime", "sdcpp", simulation.url(), Some(simulation), &[]).await;
    let function = traced.front_door(&runtime).await;
    let _worker = traced.worker(&runtime, &[]).await;
    submit(&function, &runtime, "text-to-image", json!({ "prompt": "a cat", "width": 64, "height": 64 }))
        .await;
    let trace = traced.trace("succeeded").await;
    assert_connected(&trace);
    let run = named(&trace, "run")[0];
    let requests = runtime.simulation.as_ref().unwrap().requests();
    let job = requests.iter().find(|request| request.path.ends_with("img_gen")).unwrap();
    assert_eq!(job.headers["traceparent"], format!("00-{TRACE_ID}-{}-01", run.span_id));
}

#[tokio::test]
async fn both_attempts_of_a_retried_task_are_in_its_trace() {
    let Some(traced) = Traced::start("both_attempts_of_a_retried_task_are_in_its_trace").await else {
        return;
    };
    let runtime = traced.lab.sdwebui(SdWebUiOptions::default()).await;
    let function = traced.front_door(&runtime).await;
    let _worker = traced.worker(&runtime, &[]).await;
    runtime.simulation.as_ref().unwrap().faults().plan(Fault::PlainText { status: 500 }, 1);
    submit(&function, &runtime, "text-to-image", prompt()).await;

    let trace = traced.trace("succeeded").await;
    assert_connected(&trace);
    let attempts = named(&trace, "process");
    let of =
        |outcome: &str| attempts.iter().find(|span| span.attribute("darkroom.outcome") == outcome).unwrap();
    let (first, second) = (of("released"), of("succeeded"));
    assert_eq!((first.is_error, first.attribute("error.type")), (true, "runtime_bad_answer"), "{first:?}");
    assert_eq!((second.is_error, second.attribute("darkroom.attempt")), (false, "2"), "{second:?}");
    assert_eq!(first.parent_id, second.parent_id, "both continue the publication");
    assert_eq!((counts(&trace)["run"], counts(&trace)["release"], counts(&trace)["delete"]), (2, 1, 1));
}

#[tokio::test]
async fn a_failed_task_is_a_failed_span() {
    let Some(traced) = Traced::start("a_failed_task_is_a_failed_span").await else { return };
    let runtime = traced.lab.sdwebui(SdWebUiOptions::default()).await;
    let function = traced.front_door(&runtime).await;
    let _worker = traced.worker(&runtime, &[("MAX_ATTEMPTS", "1")]).await;
    runtime.simulation.as_ref().unwrap().faults().plan(Fault::NoImages, 1);
    submit(&function, &runtime, "text-to-image", prompt()).await;

    let trace = traced.trace("failed").await;
    assert_connected(&trace);
    for name in ["run", "process"] {
        let span = named(&trace, name)[0];
        assert_eq!((span.is_error, span.attribute("error.type")), (true, "no_output"), "{span:?}");
    }
    assert_eq!((counts(&trace)["commit"], counts(&trace)["notify"], counts(&trace)["delete"]), (1, 1, 1));
}

#[tokio::test]
async fn a_canceled_task_is_in_the_trace_of_its_request() {
    let Some(traced) = Traced::start("a_canceled_task_is_in_the_trace_of_its_request").await else { return };
    let runtime = traced.lab.sdwebui(SdWebUiOptions::default()).await;
    let function = traced.front_door(&runtime).await;
    let id = submit(&function, &runtime, "text-to-image", prompt()).await;
    let mut cancel = rest("POST", &format!("/v1/tasks/{id}/cancel"));
    cancel["body"] = json!(null);
    assert_eq!(function.answer(cancel).await.status, 200);
    let _worker = traced.worker(&runtime, &[]).await;

    let trace = traced.trace("canceled").await;
    assert_connected(&trace);
    assert_eq!(named(&trace, "process")[0].attribute("error.type"), "canceled");
}

#[tokio::test]
async fn the_dead_letter_function_continues_the_trace() {
    let Some(traced) = Traced::start("the_dead_letter_function_continues_the_trace").await else { return };
    let runtime = traced.lab.sdwebui(SdWebUiOptions::default()).await;
    let sqs = &traced.lab.clients().sqs;
    let asked = sqs.get_queue_attributes().queue_url(&runtime.queue.dead_letter_url);
    let answer = asked.attribute_names(QueueAttributeName::QueueArn).send().await.unwrap();
    let arn = &answer.attributes.unwrap()[&QueueAttributeName::QueueArn];
    let policy = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": 1 }).to_string();
    let call = sqs.set_queue_attributes().queue_url(&runtime.queue.url);
    call.attributes(QueueAttributeName::RedrivePolicy, policy).send().await.unwrap();
    let function = traced.front_door(&runtime).await;
    submit(&function, &runtime, "text-to-image", prompt()).await;
    wait::until("the message to be given up", async || {
        let call = sqs.receive_message().queue_url(&runtime.queue.url).visibility_timeout(0);
        call.send().await.unwrap();
        (traced.lab.counts(&runtime.queue.dead_letter_url).await.0 == 1).then_some(())
    })
    .await;
    let dead_letters =
        dead_letters::Function::with_variables(&traced.lab, &traced.collector.variables()).await;
    drain(&traced.lab, &runtime.queue.dead_letter_url, &dead_letters).await;

    let trace = traced.trace("dead_lettered").await;
    assert_connected(&trace);
    let process = named(&trace, "process")[0];
    assert_eq!(
        (process.service.as_str(), process.attribute("darkroom.dead_letter")),
        ("darkroom-dead-letters", "true")
    );
    assert_eq!((counts(&trace)["commit"], counts(&trace)["notify"]), (1, 1));
}

#[tokio::test]
async fn an_adopted_run_is_in_the_trace_of_its_request() {
    let Some(traced) = Traced::start("an_adopted_run_is_in_the_trace_of_its_request").await else { return };
    let workflow =
        integration_tests::fixtures::load("comfyui/interrupted.json")["request"]["body"]["prompt"].clone();
    let checkpoint = workflow["1"]["inputs"]["ckpt_name"].as_str().unwrap().to_owned();
    let mut options = ComfyUiOptions { models: vec![checkpoint], ..ComfyUiOptions::default() };
    options.behaviour.latency = Duration::from_secs(4);
    let runtime = traced.lab.comfyui(options).await;
    let function = traced.front_door(&runtime).await;
    let folder = std::env::temp_dir().join(format!("darkroom-pod-{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir(&folder).unwrap();
    let state = folder.join("state.json").to_str().unwrap().to_owned();
    let pod = [("STATE_FILE", state.as_str()), ("HOSTNAME", "pod")];
    // The first worker exports nothing: stages of a killed one lack their parent.
    let silent = [pod.as_slice(), &[("OTEL_BSP_SCHEDULE_DELAY", "60000")]].concat();
    let mut first = traced.worker(&runtime, &silent).await;
    submit(&function, &runtime, "pipeline", workflow).await;
    let posted = async || {
        let requests = runtime.simulation.as_ref().unwrap().requests();
        requests.into_iter().find(|request| request.method == "POST" && request.path.ends_with("/prompt"))
    };
    let posted = wait::until("the job", posted).await;
    first.signal("KILL");
    first.exited().await;
    let mut second = traced.worker(&runtime, &pod).await;
    second.logged("adopting the run of the previous process").await;

    let trace = traced.trace("succeeded").await;
    assert_connected(&trace);
    assert_eq!(named(&trace, "process")[0].attribute("darkroom.adopted"), "true");
    let header = posted.headers["traceparent"].to_str().unwrap();
    assert!(header.starts_with(&format!("00-{TRACE_ID}-")) && !header.contains(CALLER), "{header}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_message_without_a_trace_starts_one() {
    let Some(traced) = Traced::start("a_message_without_a_trace_starts_one").await else { return };
    let runtime = traced.lab.sdwebui(SdWebUiOptions::default()).await;
    let _worker = traced.worker(&runtime, &[]).await;
    let metadata =
        json!({ "id": "former", "runtime": "sdruntime", "tasktype": "text-to-image", "prefix": "output" });
    let task = json!({ "metadata": metadata, "content": prompt() });
    traced.lab.send(&runtime.queue.url, &task.to_string()).await;
    let trace = traced
        .collector
        .until("a trace", |spans| {
            let process = spans.iter().find(|span| span.attribute("darkroom.outcome") == "succeeded")?;
            assert_eq!(process.parent_id, "");
            Some(spans.iter().filter(|span| span.trace_id == process.trace_id).count())
        })
        .await;
    assert_eq!(trace, 11);
}

#[tokio::test]
async fn a_task_that_waited_long_has_a_trace_of_its_own_with_a_link() {
    let Some(traced) = Traced::start("a_task_that_waited_long_has_a_trace_of_its_own_with_a_link").await
    else {
        return;
    };
    let runtime = traced.lab.sdwebui(SdWebUiOptions::default()).await;
    let function = traced.front_door(&runtime).await;
    submit(&function, &runtime, "text-to-image", prompt()).await;
    let submitted = SystemTime::now();
    wait::until("a message that is older than a second", async || {
        (submitted.elapsed().unwrap() > Duration::from_secs(1)).then_some(())
    })
    .await;
    let _worker = traced.worker(&runtime, &[("TRACE_LINK_SECONDS", "1")]).await;
    traced
        .collector
        .until("a linked trace", |spans| {
            let process = spans.iter().find(|span| span.attribute("darkroom.outcome") == "succeeded")?;
            assert_ne!(process.trace_id, TRACE_ID);
            assert_eq!(
                (process.parent_id.as_str(), process.links.as_slice()),
                ("", &[TRACE_ID.to_owned()][..])
            );
            Some(())
        })
        .await;
}
