//! Readiness, settings and interrupts, with recorded answers.

use std::sync::Arc;

use integration_tests::wait;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use worker::runtimes::{Runtime, sdwebui};

use super::player::Player;
use super::{by_hand, call, calls, options};
use crate::task;

#[tokio::test]
pub(super) async fn a_server_with_a_model_is_ready_and_its_settings_are_pinned() {
    // This one still reports an earlier interrupt, which does not affect readiness.
    let progress = call("idle-controls", "GET", "progress?skip_current_image=true");
    let player = Player::start(vec![progress, options(), call("model-switch", "POST", "options")]).await;
    let runtime = sdwebui::connect(&task::options(&player.url)).unwrap();

    assert_eq!(runtime.ready().await, Ok(()));
    assert_eq!(runtime.pin_settings().await, Ok(()));

    let pinned = player.requests("POST", "options")[0].json();
    let recorded = &options()["response"]["body"];
    for name in ["samples_format", "CLIP_stop_at_last_layers"] {
        assert_eq!(pinned[name].as_f64(), recorded[name].as_f64(), "{name}");
        assert_eq!(pinned[name].as_str(), recorded[name].as_str(), "{name}");
    }
    for name in
        ["sd_model_checkpoint", "sd_checkpoint_hash", "api_enable_requests", "api_forbid_local_requests"]
    {
        assert_eq!(pinned.get(name), None);
    }
    assert_eq!(player.unanswered(), Vec::<String>::new());
}

/// Stops the recorded generation as soon as the server has it.
async fn stopped(played: Vec<Value>) -> (Player, Arc<dyn Runtime>) {
    let player = Player::start(played).await;
    let runtime = sdwebui::connect(&task::options(&player.url)).unwrap();
    let content = generation("progress-and-interrupt")["request"]["body"].clone();
    let job = task::job("text-to-image", &content, Vec::new());
    let stop = job.stop.clone();
    let running = tokio::spawn({
        let runtime = Arc::clone(&runtime);
        async move { runtime.run(job).await }
    });
    player.called("txt2img").await;
    stop.cancel();

    // The server answers with success and an unfinished picture.
    assert_eq!(running.await.unwrap().unwrap_err().code, ErrorCode::Interrupted);
    assert_eq!(player.requests("POST", "txt2img")[0].json()["steps"], content["steps"]);
    assert_eq!(player.unanswered(), Vec::<String>::new());
    (player, runtime)
}

fn generation(name: &str) -> Value {
    call(name, "POST", "txt2img")
}

#[tokio::test]
pub(super) async fn an_interrupted_run_yields_nothing_and_the_next_one_runs() {
    let mut played = calls("progress-and-interrupt");
    let progresses = played.iter().filter(|call| call["request"]["method"] == "GET").count();
    played.extend([options(), generation("txt2img")]);
    let (player, runtime) = stopped(played).await;

    // With what was recorded while it ran, while it ended, and afterwards, when `/progress` still says `interrupted`.
    for _ in 0..progresses {
        assert_eq!(runtime.ready().await, Ok(()));
    }
    let content = generation("txt2img")["request"]["body"].clone();
    let output = runtime.run(task::job("text-to-image", &content, Vec::new())).await.unwrap();
    assert_eq!(output.files.len(), 1);
    assert_eq!(player.requests("POST", "interrupt")[0].json(), json!({}));
    assert_eq!(player.requests("POST", "txt2img").len(), 2);
}

#[tokio::test]
pub(super) async fn any_success_status_of_a_control_call_is_accepted() {
    let recorded = calls("idle-controls").into_iter().filter(|call| call["request"]["method"] == "POST");
    let answers = recorded.map(|call| call["response"].clone());
    // SD.Next answers all of them like this: by hand, it was not recorded.
    let nothing = by_hand("POST", "interrupt", 204, json!(""))["response"].clone();
    for answer in answers.chain([nothing]) {
        let mut interrupt = call("progress-and-interrupt", "POST", "interrupt");
        interrupt["response"] = answer;

        let (player, _) = stopped(vec![interrupt, generation("progress-and-interrupt")]).await;

        assert!(!player.requests("POST", "interrupt").is_empty());
    }
}

/// By hand: SD.Next was not recorded.
#[tokio::test]
async fn a_rescan_may_be_answered_without_a_body() {
    let rescan = by_hand("POST", "refresh-checkpoints", 204, json!(""));
    let models = call("models-and-options", "GET", "sd-models");
    let none_yet = by_hand("GET", "sd-models", 200, json!([]));
    let player = Player::start(vec![none_yet, models, rescan, generation("txt2img")]).await;
    let runtime = sdwebui::connect(&task::options(&player.url)).unwrap();
    let mut content = generation("txt2img")["request"]["body"].clone();
    content["override_settings"] = json!({ "sd_model_checkpoint": "sd15_b" });

    let output = runtime.run(task::job("text-to-image", &content, Vec::new())).await.unwrap();

    assert_eq!(output.report["generation"]["model"], "sd15_b");
    assert_eq!(player.requests("POST", "refresh-checkpoints").len(), 1);
}

/// A run that was interrupted is answered with success: an unfinished picture of another run is no result.
#[tokio::test]
async fn a_run_that_an_interrupt_of_another_one_hit_runs_again() {
    let mut played = calls("progress-and-interrupt");
    // Both are answered as soon as one interrupt has arrived; the third call repeats the second one.
    played.extend([generation("progress-and-interrupt"), generation("txt2img")]);
    let player = Player::start(played).await;
    let runtime = sdwebui::connect(&task::options(&player.url)).unwrap();
    let content = generation("txt2img")["request"]["body"].clone();
    let begin = |job| {
        let runtime = Arc::clone(&runtime);
        tokio::spawn(async move { runtime.run(job).await })
    };
    let stopped = task::job("text-to-image", &content, Vec::new());
    let stop = stopped.stop.clone();
    let first = begin(stopped);
    player.called("txt2img").await;
    let second = begin(task::job("text-to-image", &content, Vec::new()));
    wait::until("both", async || (player.requests("POST", "txt2img").len() == 2).then_some(())).await;

    stop.cancel();

    assert_eq!(first.await.unwrap().unwrap_err().code, ErrorCode::Interrupted);
    let output = second.await.unwrap().unwrap();
    assert_eq!(player.requests("POST", "txt2img").len(), 3);
    let infotexts = |call: Value| {
        let info: Value = serde_json::from_str(call["response"]["body"]["info"].as_str().unwrap()).unwrap();
        info["infotexts"].clone()
    };
    assert_ne!(infotexts(generation("txt2img")), infotexts(generation("progress-and-interrupt")));
    assert_eq!(output.report["generation"]["infotexts"], infotexts(generation("txt2img")));
}
