//! While one task runs, the next is prepared and the last one stored; no message is taken long before it is needed.

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
    let simulation = runtime.simulation.as_ref().unwrap();
    let door = lab.front_door(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    // From this one the worker knows how long such a run takes.
    door.submit("sdruntime", "text-to-image", "before", small()).await;
    assert!(lab.ended("before").await.result);
    door.submit("sdruntime", "text-to-image", "first", small()).await;
    let (_, begun) = wait::until("the first run", async || simulation.running()).await;
    door.submit("sdruntime", "text-to-image", "second", small()).await;
    // At the beginning of the run, the second message stays where others could take it.
    let quarter = begun + Duration::from_secs(2);
    loop {
        let counts = lab.counts(&runtime.queue.url).await;
        if Instant::now() >= quarter {
            break;
        }
        assert_eq!(counts, (1, 1), "the second message was taken too early");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    wait::until("the second message to be taken during the first run", async || {
        let taken = lab.counts(&runtime.queue.url).await == (0, 2);
        (taken && simulation.busy().len() == 1).then_some(())
    })
    .await;
    for id in ["first", "second"] {
        assert!(lab.ended(id).await.result);
    }
}

#[tokio::test]
async fn a_staged_task_is_visible_to_others_while_the_run_before_it_goes_on() {
    let name = "a_staged_task_is_visible_to_others_while_the_run_before_it_goes_on";
    if aws::skipped_elsewhere(name, "other endpoints take too long to say what is taken") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = webui(&lab, Duration::from_secs(8)).await;
    let door = lab.front_door(&[&runtime]).await;
    // The first task's input takes long. So the worker expects as much of the next, and receives it that much earlier; but that
    // one has no input, and is staged for some four seconds.
    let (s3, bucket) = (&lab.clients().s3, &lab.shared.bucket);
    s3.put_object().bucket(bucket).key("in/slow.png").body(cat().into()).send().await.unwrap();
    let slow = Order::new(Service::S3, "GetObject", Fault::DelayBefore(Duration::from_secs(3)));
    lab.aws.embedded.as_ref().unwrap().faults().order(slow.about("in/slow.png"));
    let mut worker = lab.worker(&runtime, &[("INPUT_S3_BUCKETS", bucket)]).await;
    let input = format!("s3://{bucket}/in/slow.png");
    let from_image = json!({ "prompt": "x", "init_images": [input], "width": 64, "height": 64, "steps": 20 });
    door.submit("sdruntime", "image-to-image", "runs", from_image).await;
    door.submit("sdruntime", "text-to-image", "staged", small()).await;
    wait::until("both to be taken", async || (lab.counts(&runtime.queue.url).await == (0, 2)).then_some(()))
        .await;
    // The run goes on for as long as the staged one is not visible: it waits for nothing.
    let hold = runtime.simulation.as_ref().unwrap().hold().await;
    worker.signal("TERM");
    wait::until("the staged one to be visible", async || {
        (lab.counts(&runtime.queue.url).await.0 == 1).then_some(())
    })
    .await;
    drop(hold);
    assert!(worker.ended().await.success());
    assert!(lab.ended("runs").await.result);
    let requests = runtime.simulation.as_ref().unwrap().requests();
    assert!(!requests.iter().any(|asked| asked.path.ends_with("/txt2img")), "it was handed over");
    // It was no attempt: the next delivery is the second one, and still the first attempt.
    let [journal] = lab.keys("_darkroom/attempts/").await.try_into().unwrap();
    let journal = lab.json(&format!("s3://{}/{journal}", lab.shared.bucket)).await;
    assert_eq!(journal, json!({ "given_back": 1, "attempts": [] }));
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

/// For each way in which progress is reported, and with runs of 2 and 3 s, whose end a forecast from steps of 5 % missed.
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
        let door = lab.front_door(&[&runtime]).await;
        for id in ["one", "two", "three", "four"] {
            door.submit("sdruntime", "text-to-image", id, small()).await;
        }
        let _worker = lab.worker(&runtime, &[]).await;
        for id in ["one", "two", "three", "four"] {
            assert!(lab.ended(id).await.result);
        }
        let simulation = runtime.simulation.as_ref().unwrap();
        let requests = simulation.requests().into_iter();
        let posted: Vec<_> =
            requests.filter(|asked| asked.path.ends_with("/txt2img")).map(|asked| asked.at).collect();
        let busy = simulation.busy();
        assert_eq!((posted.len(), busy.len()), (4, 4));
        // The first run may end before the worker knows how long it takes.
        for (before, posted) in busy.iter().zip(&posted[1..]).skip(1) {
            assert!(*posted < before.end, "{progress:?}: {:?} too late", *posted - before.end);
        }
    }))
    .await;
}
