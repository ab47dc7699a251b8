//! Runs inside ComfyUI, driven by the worker's client without a queue: they overlap, are stopped, survive the process that
//! submitted them, and hang.

use std::time::Duration;

use integration_tests::comfyui::{
    Run, client, code, job, persons_job, posts, ran, runs_as, sampled, simulation, simulation_at,
};
use integration_tests::wait;
use serde_json::json;
use shared_schema::ErrorCode;
use simulated_runtimes::Fault;
use worker::runtimes::{JobPhase, RunHandle};

#[tokio::test]
async fn the_next_job_waits_inside_the_runtime() {
    let simulation = simulation(Duration::from_secs(2)).await;
    let runtime = client(&simulation);
    let first = Run::begin(&runtime, &simulation, &sampled(1, 1)).await;
    let second = Run::begin(&runtime, &simulation, &sampled(2, 2)).await;
    runs_as(&simulation, &[first.id()], &[second.id()]).await;
    wait::until("progress", async || first.progress.watch().borrow().share.filter(|share| *share > 0.0))
        .await;
    assert_eq!(second.progress.watch().borrow().share, None, "a pending job has no progress");
    wait::until("the second to be reported as waiting", async || {
        (second.progress.phase() == JobPhase::Waiting).then_some(())
    })
    .await;
    assert!(matches!(first.progress.phase(), JobPhase::Running(_)));
    let second_progress = second.progress.clone();

    let ids = [first.id().to_owned(), second.id().to_owned()];
    let last_progress = first.progress.watch();
    let (first, second) = (first.finished().await.unwrap(), second.finished().await.unwrap());

    assert_eq!((first.files.len(), second.files.len()), (1, 2));
    assert!(matches!(second_progress.phase(), JobPhase::Running(_)));
    assert_eq!(first.report["prompt_id"], ids[0]);
    assert_eq!(ran(&simulation), ids);
    assert!(last_progress.borrow().share > Some(0.5), "progress ended at {last_progress:?}");
}

#[tokio::test]
async fn stopping_the_pending_job_leaves_the_running_one_alone() {
    let simulation = simulation(Duration::from_secs(2)).await;
    let runtime = client(&simulation);
    let first = Run::begin(&runtime, &simulation, &sampled(1, 1)).await;
    let second = Run::begin(&runtime, &simulation, &sampled(2, 1)).await;
    let id = first.id().to_owned();
    runs_as(&simulation, &[&id], &[second.id()]).await;

    second.stop.cancel();

    assert_eq!(code(second.finished().await), ErrorCode::Interrupted);
    assert_eq!(first.finished().await.unwrap().files.len(), 1);
    assert_eq!(ran(&simulation), [id]);
    runs_as(&simulation, &[], &[]).await;
}

#[tokio::test]
async fn stopping_the_running_job_leaves_the_pending_one_alone() {
    let simulation = simulation(Duration::from_secs(2)).await;
    let runtime = client(&simulation);
    let first = Run::begin(&runtime, &simulation, &sampled(1, 1)).await;
    let second = Run::begin(&runtime, &simulation, &sampled(2, 1)).await;
    let ids = [first.id().to_owned(), second.id().to_owned()];
    runs_as(&simulation, &[&ids[0]], &[&ids[1]]).await;

    first.stop.cancel();

    assert_eq!(code(first.finished().await), ErrorCode::Interrupted);
    assert_eq!(second.finished().await.unwrap().files.len(), 1);
    assert_eq!(ran(&simulation), ids);
}

#[tokio::test]
async fn jobs_of_a_killed_process_are_adopted_wherever_they_are() {
    let simulation = simulation(Duration::from_secs(2)).await;
    let killed = client(&simulation);
    let finished = Run::begin(&killed, &simulation, &sampled(1, 1)).await;
    let running = Run::begin(&killed, &simulation, &sampled(2, 2)).await;
    let pending = Run::begin(&killed, &simulation, &sampled(3, 3)).await;
    runs_as(&simulation, &[running.id()], &[pending.id()]).await;
    for run in [&finished, &running, &pending] {
        run.running.abort();
    }

    let successor = client(&simulation);
    let (finished_job, running_job, pending_job) =
        (job(&sampled(1, 1)), job(&sampled(2, 2)), job(&sampled(3, 3)));
    let progress = running_job.progress.clone();
    let (first, second, third) = tokio::join!(
        successor.adopt(finished_job, &finished.handle),
        successor.adopt(running_job, &running.handle),
        successor.adopt(pending_job, &pending.handle),
    );

    for (adopted, run, files) in [(first, &finished, 1), (second, &running, 2), (third, &pending, 3)] {
        let output = adopted.expect("the runtime knows the job").unwrap();
        assert_eq!((output.files.len(), &output.report["prompt_id"]), (files, &json!(run.id())));
    }
    assert_eq!(ran(&simulation), [finished.id(), running.id(), pending.id()], "each ran once");
    assert!(progress.watch().borrow().share > Some(0.0), "no progress of the running one was reported");

    successor.forget(&finished.handle).await;
    assert_eq!(successor.adopt(job(&sampled(1, 1)), &finished.handle).await, None);
}

#[tokio::test]
async fn an_adopted_job_can_be_stopped() {
    let simulation = simulation(Duration::from_secs(30)).await;
    let run = Run::begin(&client(&simulation), &simulation, &sampled(1, 1)).await;
    run.running.abort();
    let adopted = job(&sampled(1, 1));
    adopted.stop.cancel();

    let result = client(&simulation).adopt(adopted, &run.handle).await;

    assert_eq!(code(result.unwrap()), ErrorCode::Interrupted);
    runs_as(&simulation, &[], &[]).await;
}

#[tokio::test]
async fn a_job_that_the_runtime_does_not_know_is_not_adopted() {
    let simulation = simulation(Duration::ZERO).await;
    let runtime = client(&simulation);
    let unknown = "9547f7c5-d1cf-4938-8037-e0b5503ca8e1";
    for handle in [json!({ "prompt_id": unknown, "client_id": "darkroom-x" }), json!(7), json!({})] {
        assert_eq!(runtime.adopt(job(&sampled(1, 1)), &RunHandle(handle)).await, None);
    }
}

#[tokio::test]
async fn a_job_whose_images_came_over_a_lost_socket_is_removed_from_the_runtime() {
    let simulation = simulation(Duration::from_secs(30)).await;
    let mut workflow = sampled(1, 1);
    workflow["7"]["class_type"] = json!("SaveImageWebsocket");
    workflow["7"]["inputs"].as_object_mut().unwrap().remove("filename_prefix");
    let run = Run::begin(&client(&simulation), &simulation, &workflow).await;
    run.running.abort();

    assert_eq!(client(&simulation).adopt(job(&workflow), &run.handle).await, None);
    runs_as(&simulation, &[], &[]).await;
}

#[tokio::test]
async fn interrupting_orphans_spares_kept_jobs_and_a_persons_jobs() {
    let simulation = simulation(Duration::from_secs(2)).await;
    let killed = client(&simulation);
    let running = Run::begin(&killed, &simulation, &sampled(1, 1)).await;
    let persons = persons_job(&simulation, &sampled(2, 1)).await;
    let pending = Run::begin(&killed, &simulation, &sampled(3, 1)).await;
    let kept = Run::begin(&killed, &simulation, &sampled(4, 1)).await;
    runs_as(&simulation, &[running.id()], &[&persons, pending.id(), kept.id()]).await;
    running.running.abort();
    pending.running.abort();

    let successor = client(&simulation);
    let keep = [kept.handle.clone()];
    assert_eq!(successor.interrupt_orphans(&keep).await, Ok(false));
    wait::until("a runtime without orphans", async || {
        successor.interrupt_orphans(&keep).await.unwrap().then_some(())
    })
    .await;

    runs_as(&simulation, &[&persons], &[kept.id()]).await;
    let ids = [running.id().to_owned(), persons, kept.id().to_owned()];
    kept.finished().await.unwrap();
    assert_eq!(ran(&simulation), ids);
    assert_eq!(successor.interrupt_orphans(&[]).await, Ok(true));
}

#[tokio::test]
async fn a_job_that_hangs_stays_an_orphan() {
    let simulation = simulation(Duration::ZERO).await;
    simulation.faults().plan(Fault::Hang, 1);
    let runtime = client(&simulation);
    let hanging = Run::begin(&runtime, &simulation, &sampled(1, 1)).await;
    runs_as(&simulation, &[hanging.id()], &[]).await;
    let next = Run::begin(&runtime, &simulation, &sampled(2, 1)).await;

    assert_eq!(runtime.ready().await, Ok(()), "a job appears to run");
    assert_eq!(runtime.interrupt_orphans(&[]).await, Ok(false));
    assert_eq!(runtime.interrupt_orphans(&[]).await, Ok(false));

    runs_as(&simulation, &[hanging.id()], &[]).await;
    assert_eq!(code(next.finished().await), ErrorCode::JobLost);
    let interruption = json!({ "prompt_id": hanging.id() });
    assert_eq!(posts(&simulation, "/interrupt"), [interruption.clone(), interruption]);
}

#[tokio::test]
async fn a_dead_worker_thread_is_reported_until_the_runtime_restarts() {
    let simulation = simulation(Duration::ZERO).await;
    let runtime = client(&simulation);
    simulation.faults().plan(Fault::DeadWorker, 1);

    assert_eq!(code(runtime.run(job(&sampled(1, 1))).await), ErrorCode::RuntimeStuck);
    runs_as(&simulation, &[], &[]).await;
    assert_eq!(runtime.interrupt_orphans(&[]).await, Ok(true));
    assert_eq!(runtime.ready().await.unwrap_err().code, ErrorCode::RuntimeStuck);

    let address = simulation.address();
    simulation.stop().await;
    assert_eq!(runtime.ready().await.unwrap_err().code, ErrorCode::RuntimeUnavailable);
    let _restarted = simulation_at(address, Duration::ZERO).await;
    assert_eq!(runtime.ready().await, Ok(()));
    assert_eq!(runtime.run(job(&sampled(1, 1))).await.unwrap().files.len(), 1);
}

/// A pending job of a person, or of a former process, shows it, too.
#[tokio::test]
async fn a_runtime_whose_worker_thread_is_dead_is_not_ready() {
    let simulation = simulation(Duration::ZERO).await;
    simulation.faults().plan(Fault::DeadWorker, 1);
    persons_job(&simulation, &sampled(1, 1)).await;

    let runtime = client(&simulation);
    assert_eq!(runtime.ready().await.unwrap_err().code, ErrorCode::RuntimeUnavailable);
    wait::until("the runtime to be reported as stuck", async || {
        (runtime.ready().await.unwrap_err().code == ErrorCode::RuntimeStuck).then_some(())
    })
    .await;
}
