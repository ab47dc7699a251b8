//! A restarted worker takes up what the process before it had in the runtime, and clears away what nobody wants.

use std::time::Duration;

use integration_tests::aws;
use integration_tests::lab::{Lab, Runtime};
use integration_tests::wait;
use local_stack::aws::{Fault, Order, Service};
use simulated_runtimes::ComfyUiOptions;

use crate::runs::sampled;

async fn comfyui(lab: &Lab, latency: Duration) -> Runtime {
    let mut options = ComfyUiOptions::default();
    options.behaviour.latency = latency;
    lab.comfyui(options).await
}

fn state_file() -> String {
    let name = format!("darkroom-state-{}.json", uuid::Uuid::new_v4().simple());
    std::env::temp_dir().join(name).to_str().unwrap().to_owned()
}

fn runs(runtime: &Runtime) -> usize {
    runtime.simulation.as_ref().unwrap().busy().len()
}

/// Waits until the runtime has got that many jobs.
async fn posted(runtime: &Runtime, jobs: usize) {
    wait::until("a job in the runtime", async || {
        let asked = runtime.simulation.as_ref().unwrap().requests();
        (asked.iter().filter(|asked| asked.path == "/prompt" && asked.body.is_some()).count() == jobs)
            .then_some(())
    })
    .await;
}

/// Waits until the runtime has been told to forget that many jobs.
async fn forgotten(runtime: &Runtime, jobs: usize) {
    wait::until("a job to be forgotten", async || {
        let asked = runtime.simulation.as_ref().unwrap().requests();
        (asked.iter().filter(|asked| asked.path == "/history").count() == jobs).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_run_of_a_killed_worker_goes_on_under_its_successor() {
    let lab = Lab::start().await;
    let runtime = comfyui(&lab, Duration::from_secs(4)).await;
    let door = lab.front_door(&[&runtime]).await;
    let state_file = state_file();
    let settings = [("STATE_FILE", state_file.as_str())];
    let mut killed = lab.worker(&runtime, &settings).await;
    door.submit("comfyui", "pipeline", "orphan", sampled(1, 2)).await;
    posted(&runtime, 1).await;
    killed.signal("KILL");
    killed.ended().await;

    let _successor = lab.worker(&runtime, &settings).await;

    let ended = lab.ended("orphan").await;
    assert!(ended.result, "{:?}", ended.error);
    assert_eq!(ended.outputs.len(), 2);
    lab.emptied(&runtime.queue.url).await;
    forgotten(&runtime, 1).await;
    assert_eq!(runs(&runtime), 1);
}

#[tokio::test]
async fn a_finished_run_of_a_killed_worker_is_stored_by_its_successor() {
    let name = "a_finished_run_of_a_killed_worker_is_stored_by_its_successor";
    if aws::skipped_elsewhere(name, "only embedded APIs can be broken") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = comfyui(&lab, Duration::ZERO).await;
    let door = lab.front_door(&[&runtime]).await;
    let no_upload = Order::new(Service::S3, "PutObject", Fault::FailBefore).by("first").times(1000);
    lab.aws.embedded.as_ref().unwrap().faults().order(no_upload);
    let state_file = state_file();
    let settings = [("STATE_FILE", state_file.as_str())];
    let mut killed = lab.worker(&runtime, &[&settings[..], &[("AWS_ACCESS_KEY_ID", "first")]].concat()).await;
    door.submit("comfyui", "pipeline", "finished", sampled(1, 3)).await;
    wait::until("the results at the worker", async || {
        let asked = runtime.simulation.as_ref().unwrap().requests();
        (asked.iter().filter(|asked| asked.path.starts_with("/view")).count() == 3).then_some(())
    })
    .await;
    killed.signal("KILL");
    killed.ended().await;

    let _successor = lab.worker(&runtime, &settings).await;

    let ended = lab.ended("finished").await;
    assert!(ended.result, "{:?}", ended.error);
    assert_eq!((ended.outputs.len(), runs(&runtime)), (3, 1));
    forgotten(&runtime, 1).await;
}

/// Without a state file, the successor does not know whose job it is; the task comes back on its own.
#[tokio::test]
async fn the_run_of_a_killed_worker_that_left_no_trace_is_interrupted() {
    let lab = Lab::start().await;
    let runtime = comfyui(&lab, Duration::from_secs(100)).await;
    let door = lab.front_door(&[&runtime]).await;
    let mut killed = lab.worker(&runtime, &[]).await;
    door.submit("comfyui", "pipeline", "orphan", sampled(1, 1)).await;
    posted(&runtime, 1).await;
    killed.signal("KILL");
    killed.ended().await;

    // Ready is who has nothing in the runtime but its own.
    let _successor = lab.worker(&runtime, &[]).await;

    assert_eq!(runs(&runtime), 1);
}
