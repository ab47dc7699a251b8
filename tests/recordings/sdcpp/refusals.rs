//! What the server refuses or fails at, and answers that cannot be used.

use serde_json::{Value, json};
use shared_schema::ErrorCode;
use worker::error::TaskError;
use worker::runtimes::Process;

use super::{Player, by_hand, calls, client, handle, job, small};
use crate::task;

/// The recorded answers to `img_gen` with that status.
fn refusals(name: &str, status: u16) -> Vec<Value> {
    let is_it =
        |call: &Value| call["request"]["path"] == "/sdcpp/v1/img_gen" && call["response"]["status"] == status;
    calls(name).into_iter().filter(is_it).collect()
}

/// The error of a task whose submission is answered so.
async fn refused(call: Value) -> TaskError {
    let player = Player::start([vec![call], calls("capabilities")].concat()).await;
    client(&player).run(task::job("text-to-image", &small(), Vec::new())).await.unwrap_err()
}

#[tokio::test]
pub(super) async fn each_refusal_says_whose_fault_it_is() {
    for (name, status, code, words) in [
        ("job-cancel-and-errors", 400, ErrorCode::RuntimeRejected, "parse error"),
        ("unrecorded", 400, ErrorCode::RuntimeRejected, "invalid generation parameters"),
        ("unrecorded", 500, ErrorCode::OutOfMemory, "std::bad_alloc"),
    ] {
        let error = refused(refusals(name, status).remove(0)).await;
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(words), "{error}");
        assert!(error.reason.is_some());
    }
    for (status, code) in [(502, ErrorCode::RuntimeUnavailable), (500, ErrorCode::RuntimeBadAnswer)] {
        assert_eq!(refused(by_hand("POST", "img_gen", status, json!("<html>"))).await.code, code);
    }
}

#[tokio::test]
async fn a_full_queue_is_waited_for() {
    let full = refusals("unrecorded", 429);
    let lifecycle = calls("job-lifecycle");
    let player = Player::start([full, lifecycle, calls("capabilities")].concat()).await;
    let output = client(&player).run(task::job("text-to-image", &small(), Vec::new())).await.unwrap();
    assert_eq!(output.files.len(), 1);
    assert_eq!(player.requests("POST", "img_gen").len(), 2);
}

#[tokio::test]
async fn an_expired_job_runs_anew_in_the_same_process() {
    let player = Player::start(calls("unrecorded")).await;
    let runtime = client(&player);
    let job = task::job("text-to-image", &small(), Vec::new());
    assert!(runtime.adopt(job, &handle("expired")).await.is_none());
    assert_eq!(runtime.process(Some(&handle("expired"))).await, Process::Same);
}

#[tokio::test]
async fn a_failed_job_is_told_in_the_servers_words() {
    let player = Player::start(calls("unrecorded")).await;
    let job = task::job("text-to-image", &small(), Vec::new());
    let error = client(&player).adopt(job, &handle("failed")).await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::RuntimeFailed);
    assert!(error.message.ends_with("generate_image returned no results"), "{error}");
    assert_eq!(error.reason.unwrap()["code"], "generation_failed");
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_leaves_nothing_behind() {
    let image = |text: Value| json!({ "images": [{ "b64_json": text, "index": 0 }], "output_format": "png" });
    for (state, code) in [
        (job("a", "completed", image(json!("not base64!"))), ErrorCode::RuntimeBadAnswer),
        (job("a", "completed", image(json!(""))), ErrorCode::RuntimeBadAnswer),
        (job("a", "completed", image(Value::Null)), ErrorCode::RuntimeBadAnswer),
        (job("a", "completed", Value::Null), ErrorCode::RuntimeBadAnswer),
        (job("a", "completed", json!({ "images": [] })), ErrorCode::NoOutput),
        (job("a", "resting", Value::Null), ErrorCode::RuntimeBadAnswer),
        (job("a", "cancelled", Value::Null), ErrorCode::Interrupted),
        (json!("<html>"), ErrorCode::RuntimeBadAnswer),
    ] {
        let calls = vec![
            by_hand("GET", "jobs/a", 200, state.clone()),
            by_hand("POST", "jobs/a/cancel", 200, state.clone()),
        ];
        let player = Player::start(calls).await;
        let runtime = client(&player);
        let job = task::job("text-to-image", &small(), Vec::new());
        let error = runtime.adopt(job, &handle("a")).await.unwrap().unwrap_err();
        assert_eq!(error.code, code, "{state}");
        assert!(runtime.interrupt_orphans(&[]).await.unwrap(), "{state}");
    }
    let accepted = by_hand("POST", "img_gen", 202, json!({ "id": "../capabilities" }));
    assert_eq!(refused(accepted).await.code, ErrorCode::RuntimeBadAnswer);
}
