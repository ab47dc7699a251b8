//! While one task runs, the next is prepared and the previous one stored; no message is received long before it is needed.

use std::time::{Duration, Instant};

use integration_tests::aws;
use integration_tests::image_server::cat;
use integration_tests::lab::{Lab, Runtime};
use integration_tests::wait;
use local_stack::aws::{Fault, Order, Service};
use serde_json::{Value, json};
use simulated_runtimes::{ProgressReports, SdWebUiOptions};

fn small() -> Value {
    json!({ "prompt": "x", "width": 64, "height": 64, "steps": 20 })
}

async fn webui(lab: &Lab, latency: Duration) -> Runtime {
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = latency;
    lab.sdwebui(options).await
}

#[tokio::test]
async fn the_next_task_runs_while_the_previous_ones_results_are_stored() {
    let name = "the_next_task_runs_while_the_previous_ones_results_are_stored";
    if aws::skipped_elsewhere(name, "only embedded APIs can be slowed down") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = webui(&lab, Duration::ZERO).await;
    let api = lab.submit_api(&[&runtime]).await;
    for id in ["one", "two"] {
        api.submit("sdruntime", "text-to-image", id, small()).await;
    }
    // The first task's upload lasts until the second one has run.
    let upload = Order::new(Service::S3, "PutObject", Fault::DelayBefore(Duration::from_secs(5)));
    lab.aws.embedded.as_ref().unwrap().faults().order(upload);
    let _worker = lab.worker(&runtime, &[]).await;
    wait::until("both runs", async || (runtime.simulation.as_ref().unwrap().busy().len() == 2).then_some(()))
        .await;
    assert!(lab.keys("output/").await.is_empty(), "something was stored before the second run");
    for id in ["one", "two"] {
        assert!(lab.completion(id).await.result);
    }
}

#[tokio::test]
async fn a_message_is_not_received_long_before_the_runtime_needs_it() {
    let lab = Lab::start().await;
    let runtime = webui(&lab, Duration::from_secs(8)).await;
    let simulation = runtime.simulation.as_ref().unwrap();
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    // From this one the worker estimates how long such a run takes.
    api.submit("sdruntime", "text-to-image", "before", small()).await;
    assert!(lab.completion("before").await.result);
    api.submit("sdruntime", "text-to-image", "first", small()).await;
    let (_, begun) = wait::until("the first run", async || simulation.running()).await;
    api.submit("sdruntime", "text-to-image", "second", small()).await;
    // At the beginning of the run, the second message stays visible to other workers.
    let quarter = begun + Duration::from_secs(2);
    loop {
        let counts = lab.counts(&runtime.queue.url).await;
        if Instant::now() >= quarter {
            break;
        }
        assert_eq!(counts, (1, 1), "the second message was received too early");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    wait::until("the second message to be received during the first run", async || {
        let received = lab.counts(&runtime.queue.url).await == (0, 2);
        (received && simulation.busy().len() == 1).then_some(())
    })
    .await;
    for id in ["first", "second"] {
        assert!(lab.completion(id).await.result);
    }
}

#[tokio::test]
async fn a_staged_task_is_released_while_the_run_before_it_continues() {
    let name = "a_staged_task_is_released_while_the_run_before_it_continues";
    if aws::skipped_elsewhere(name, "other endpoints update their counts too slowly") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = webui(&lab, Duration::from_secs(8)).await;
    let api = lab.submit_api(&[&runtime]).await;
    // The first task's input takes long. So the worker expects the same of the next, and receives it that much earlier; but that
    // one has no input, and is staged for some four seconds.
    let (s3, bucket) = (&lab.clients().s3, &lab.shared.bucket);
    s3.put_object().bucket(bucket).key("in/slow.png").body(cat().into()).send().await.unwrap();
    let slow = Order::new(Service::S3, "GetObject", Fault::DelayBefore(Duration::from_secs(3)));
    lab.aws.embedded.as_ref().unwrap().faults().order(slow.about("in/slow.png"));
    let mut worker = lab.worker(&runtime, &[("INPUT_S3_BUCKETS", bucket)]).await;
    let input = format!("s3://{bucket}/in/slow.png");
    let from_image = json!({ "prompt": "x", "init_images": [input], "width": 64, "height": 64, "steps": 20 });
    api.submit("sdruntime", "image-to-image", "runs", from_image).await;
    api.submit("sdruntime", "text-to-image", "staged", small()).await;
    wait::until("both messages to be received", async || {
        (lab.counts(&runtime.queue.url).await == (0, 2)).then_some(())
    })
    .await;
    // The run continues until the staged message is visible: the release does not wait for it.
    let hold = runtime.simulation.as_ref().unwrap().hold().await;
    worker.signal("TERM");
    wait::until("the staged one to be visible", async || {
        (lab.counts(&runtime.queue.url).await.0 == 1).then_some(())
    })
    .await;
    drop(hold);
    assert!(worker.exited().await.success());
    assert!(lab.completion("runs").await.result);
    let requests = runtime.simulation.as_ref().unwrap().requests();
    assert!(!requests.iter().any(|request| request.path.ends_with("/txt2img")), "it was submitted");
    // It was no attempt: the next delivery is the second one, and still the first attempt.
    let [journal] = lab.keys("_darkroom/attempts/").await.try_into().unwrap();
    let journal = lab.json(&format!("s3://{}/{journal}", lab.shared.bucket)).await;
    assert_eq!(journal, json!({ "given_back": 1, "attempts": [] }));
}

#[tokio::test]
async fn without_the_pipeline_one_task_is_processed_at_a_time() {
    let lab = Lab::start().await;
    let runtime = webui(&lab, Duration::from_millis(700)).await;
    let api = lab.submit_api(&[&runtime]).await;
    for id in ["one", "two", "three"] {
        api.submit("sdruntime", "text-to-image", id, small()).await;
    }
    let _worker = lab.worker(&runtime, &[("PIPELINE", "false")]).await;
    while lab.notifications().await.len() < 3 {
        let (visible, in_flight) = lab.counts(&runtime.queue.url).await;
        assert!(in_flight <= 1, "{in_flight} in flight, {visible} visible");
    }
}

/// For each way in which progress is reported, and with runs of 2 and 3 s, whose end an estimate from steps of 5 % missed.
#[tokio::test]
async fn the_next_call_is_posted_before_the_run_before_it_ends() {
    use ProgressReports::{Flat, Late, Missing, Stepped};
    let cells = [(Stepped, 2), (Flat, 3), (Late, 2), (Missing, 3)];
    futures_util::future::join_all(cells.map(async |(progress, seconds)| {
        let lab = Lab::start().await;
        let mut options = SdWebUiOptions::default();
        options.behaviour.latency = Duration::from_secs(seconds);
        options.behaviour.progress = progress;
        let runtime = lab.sdwebui(options).await;
        let api = lab.submit_api(&[&runtime]).await;
        for id in ["one", "two", "three", "four"] {
            api.submit("sdruntime", "text-to-image", id, small()).await;
        }
        let _worker = lab.worker(&runtime, &[]).await;
        for id in ["one", "two", "three", "four"] {
            assert!(lab.completion(id).await.result);
        }
        let simulation = runtime.simulation.as_ref().unwrap();
        let requests = simulation.requests().into_iter();
        let posted: Vec<_> =
            requests.filter(|request| request.path.ends_with("/txt2img")).map(|request| request.at).collect();
        let busy = simulation.busy();
        assert_eq!((posted.len(), busy.len()), (4, 4));
        // The first run may end before the worker has an estimate.
        for (before, posted) in busy.iter().zip(&posted[1..]).skip(1) {
            assert!(*posted < before.end, "{progress:?}: {:?} too late", *posted - before.end);
        }
    }))
    .await;
}
