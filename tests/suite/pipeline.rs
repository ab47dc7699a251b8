//! While one task runs, the next is prepared and the last one stored; no message is taken long before it is needed.

use std::time::Duration;

use integration_tests::aws;
use integration_tests::lab::{Lab, Runtime};
use integration_tests::wait;
use local_stack::aws::{Fault, Order, Service};
use serde_json::{Value, json};
use simulated_runtimes::SdWebUiOptions;

fn small() -> Value {
    json!({ "prompt": "x", "width": 64, "height": 64, "steps": 20 })
}

async fn webui(lab: &Lab, latency: Duration) -> Runtime {
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = latency;
    lab.sdwebui(options).await
}

#[tokio::test]
async fn the_next_task_runs_while_the_last_ones_results_are_stored() {
    let name = "the_next_task_runs_while_the_last_ones_results_are_stored";
    if aws::skipped_elsewhere(name, "only embedded APIs can be slowed down") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = webui(&lab, Duration::ZERO).await;
    let door = lab.front_door(&[&runtime]).await;
    for id in ["one", "two"] {
        door.submit("sdruntime", "text-to-image", id, small()).await;
    }
    // The first task's upload lasts until the second one has run.
    let upload = Order::new(Service::S3, "PutObject", Fault::DelayBefore(Duration::from_secs(5)));
    lab.aws.embedded.as_ref().unwrap().faults().order(upload);
    let _worker = lab.worker(&runtime, &[]).await;
    wait::until("both runs", async || (runtime.simulation.as_ref().unwrap().busy().len() == 2).then_some(()))
        .await;
    assert!(lab.keys("output/").await.is_empty(), "something was stored before the second run");
    for id in ["one", "two"] {
        assert!(lab.ended(id).await.result);
    }
}

#[tokio::test]
async fn a_message_is_not_taken_long_before_the_runtime_needs_it() {
    let lab = Lab::start().await;
    let runtime = webui(&lab, Duration::from_secs(8)).await;
    let door = lab.front_door(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    door.submit("sdruntime", "text-to-image", "first", small()).await;
    wait::until("the first run", async || (lab.counts(&runtime.queue.url).await.1 == 1).then_some(())).await;
    door.submit("sdruntime", "text-to-image", "second", small()).await;
    // In the first half of the run, the second message stays where others could take it.
    let half = tokio::time::Instant::now() + Duration::from_secs(4);
    while tokio::time::Instant::now() < half {
        assert_eq!(lab.counts(&runtime.queue.url).await, (1, 1), "the second message was taken too early");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    wait::until("the second message to be taken during the first run", async || {
        let taken = lab.counts(&runtime.queue.url).await == (0, 2);
        (taken && runtime.simulation.as_ref().unwrap().busy().is_empty()).then_some(())
    })
    .await;
    for id in ["first", "second"] {
        assert!(lab.ended(id).await.result);
    }
}

#[tokio::test]
async fn a_staged_task_is_visible_to_others_within_a_second_of_the_signal() {
    let name = "a_staged_task_is_visible_to_others_within_a_second_of_the_signal";
    if aws::skipped_elsewhere(name, "other endpoints take too long to say what is taken") {
        return;
    }
    // A task is staged for about a second only. On a slow machine the signal may come too late for it.
    for _ in 0..5 {
        if is_given_back_at_once().await {
            return;
        }
    }
    panic!("the signal never met a staged task");
}

/// `false` when the staged task was handed to the runtime before the signal came.
async fn is_given_back_at_once() -> bool {
    let lab = Lab::start().await;
    let runtime = webui(&lab, Duration::from_secs(4)).await;
    let door = lab.front_door(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    for id in ["runs", "staged"] {
        door.submit("sdruntime", "text-to-image", id, small()).await;
    }
    wait::until("both to be taken", async || (lab.counts(&runtime.queue.url).await == (0, 2)).then_some(()))
        .await;
    let signalled = std::time::Instant::now();
    worker.signal("TERM");
    let posted = || {
        let requests = runtime.simulation.as_ref().unwrap().requests();
        requests.iter().filter(|asked| asked.path.ends_with("/txt2img")).count()
    };
    let visible = wait::until("the staged one to be visible, or handed over", async || {
        let visible = lab.counts(&runtime.queue.url).await.0 == 1;
        (visible || posted() == 2).then_some(visible)
    })
    .await;
    if !visible {
        return false;
    }
    assert!(signalled.elapsed() < Duration::from_secs(1), "{:?}", signalled.elapsed());
    assert!(worker.ended().await.success());
    assert!(lab.ended("runs").await.result);
    // It was no attempt: the next delivery is the second one, and still the first attempt.
    let [journal] = lab.keys("_darkroom/attempts/").await.try_into().unwrap();
    let journal = lab.json(&format!("s3://{}/{journal}", lab.shared.bucket)).await;
    assert_eq!(journal, json!({ "given_back": 1, "attempts": [] }));
    true
}

#[tokio::test]
async fn without_the_pipeline_one_task_is_worked_on_at_a_time() {
    let lab = Lab::start().await;
    let runtime = webui(&lab, Duration::from_millis(700)).await;
    let door = lab.front_door(&[&runtime]).await;
    for id in ["one", "two", "three"] {
        door.submit("sdruntime", "text-to-image", id, small()).await;
    }
    let _worker = lab.worker(&runtime, &[("PIPELINE", "false")]).await;
    while lab.everything_told().await.len() < 3 {
        let (visible, in_flight) = lab.counts(&runtime.queue.url).await;
        assert!(in_flight <= 1, "{in_flight} taken, {visible} left");
    }
}
