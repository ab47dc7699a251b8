//! Jobs as they were recorded: run, taken out of the queue, not interrupted, not known.

use serde_json::json;
use shared_schema::ErrorCode;
use worker::runtimes::{JobPhase, Process};

use super::{Player, calls, calls_about, client, handle, small};
use crate::task;

/// The recorded job that ran, and the one that waited behind it.
const GENERATING: &str = "job_6b0a128d_00000001";
const WAITING: &str = "job_6b0a128d_00000002";

#[tokio::test]
pub(super) async fn a_recorded_job_becomes_a_file() {
    let lifecycle = calls("job-lifecycle");
    let content = lifecycle[0]["request"]["body"].clone();
    let id = lifecycle[0]["response"]["body"]["id"].clone();
    let player = Player::start([lifecycle, calls("capabilities")].concat()).await;
    let job = task::job("text-to-image", &content, Vec::new());
    let progress = job.progress.clone();

    let (output, run) = task::run(&*client(&player), job).await;

    let output = output.unwrap();
    assert_eq!((output.files.len(), output.warnings.len()), (1, 0));
    assert_eq!(run.0, id);
    assert_eq!(output.report["job"]["id"], id);
    assert_eq!(player.requests("POST", "img_gen")[0].json(), content);
    assert!(matches!(progress.phase(), JobPhase::Running(_)));
}

#[tokio::test]
pub(super) async fn a_job_that_waits_is_taken_out_of_the_queue() {
    let player = Player::start(calls_about("job-cancel-and-errors", WAITING)).await;
    let job = task::job("text-to-image", &small(), Vec::new());
    let (stop, progress) = (job.stop.clone(), job.progress.clone());
    let runtime = client(&player);

    let stopping = async {
        assert_eq!(progress.until(|phase| *phase != JobPhase::Unknown).await, JobPhase::Waiting);
        stop.cancel();
    };
    let ((result, run), ()) = tokio::join!(task::run(&*runtime, job), stopping);

    assert_eq!(result.unwrap_err().code, ErrorCode::Interrupted);
    assert_eq!(run, handle(WAITING));
    assert_eq!(player.requests("POST", &format!("jobs/{WAITING}/cancel")).len(), 1);
    assert!(runtime.interrupt_orphans(&[]).await.unwrap(), "nothing is left");
}

#[tokio::test]
async fn a_job_that_runs_is_not_interrupted_so_the_runtime_counts_as_stuck() {
    let player = Player::start(calls_about("job-cancel-and-errors", GENERATING)).await;
    let job = task::job("text-to-image", &small(), Vec::new());
    let (stop, progress) = (job.stop.clone(), job.progress.clone());
    let runtime = client(&player);

    let stopping = async {
        progress.until(|phase| matches!(phase, JobPhase::Running(_))).await;
        stop.cancel();
    };
    let ((result, _), ()) = tokio::join!(task::run(&*runtime, job), stopping);

    assert_eq!(result.unwrap_err().code, ErrorCode::RuntimeStuck);
    // The worker polls, until the job is over or the process was restarted.
    assert_eq!(runtime.interrupt_orphans(&[]).await.unwrap_err().code, ErrorCode::RuntimeUnavailable);
    assert_eq!(runtime.process(Some(&handle(GENERATING))).await, Process::Same);
}

#[tokio::test]
async fn a_job_that_the_server_does_not_know_runs_anew() {
    let player = Player::start(calls("job-cancel-and-errors")).await;
    let runtime = client(&player);
    let job = task::job("text-to-image", &small(), Vec::new());
    assert!(runtime.adopt(job, &handle("nope")).await.is_none());
    assert_eq!(runtime.process(Some(&handle("nope"))).await, Process::Fresh);
    assert!(runtime.interrupt_orphans(&[]).await.unwrap());
}

#[tokio::test]
async fn a_job_that_was_begun_by_another_process_is_followed_by_its_id() {
    let lifecycle = calls("job-lifecycle");
    let id = lifecycle[0]["response"]["body"]["id"].as_str().unwrap().to_owned();
    let player = Player::start(lifecycle).await;
    let job = task::job("text-to-image", &small(), Vec::new());
    let adopted = client(&player).adopt(job, &handle(&id)).await.unwrap();
    assert_eq!(adopted.unwrap().files.len(), 1);
    assert_eq!(player.requests("POST", "img_gen").len(), 0);
}

/// A handle comes out of a file. It must not lead to another path of the server.
#[tokio::test]
async fn a_handle_that_is_no_id_is_not_looked_for() {
    let player = Player::start(Vec::new()).await;
    for id in [json!("../capabilities"), json!(""), json!(7), json!({ "id": "a" })] {
        let job = task::job("text-to-image", &small(), Vec::new());
        assert!(client(&player).adopt(job, &worker::runtimes::RunHandle(id)).await.is_none());
    }
}

#[tokio::test]
async fn a_server_that_is_gone_has_no_jobs() {
    let player = Player::start(Vec::new()).await;
    let mut options = task::options(&player.url);
    options.api_base_url = Some("http://127.0.0.1:1".to_owned());
    let runtime = worker::runtimes::sdcpp::connect(&options).unwrap();
    assert_eq!(runtime.process(None).await, Process::Gone);
    assert_eq!(runtime.process(Some(&handle("a"))).await, Process::Gone);
    assert_eq!(runtime.ready().await.unwrap_err().code, ErrorCode::RuntimeUnavailable);
}
