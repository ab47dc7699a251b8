//! How progress is reported.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use simulated_runtimes::{Behaviour, ComfyUiOptions, ProgressReports, SdWebUiOptions, Simulation};

use crate::{any_port, client, until};

const LATENCY: Duration = Duration::from_millis(400);

/// What `/progress` answers during a run of that content, each with the time since the start.
async fn progress_of(progress: ProgressReports, mut content: Value) -> Vec<(f64, Duration)> {
    let behaviour = Behaviour { latency: LATENCY, progress, ..Default::default() };
    let options = SdWebUiOptions { behaviour, ..Default::default() };
    let simulation = Simulation::start_sdwebui(any_port(), options).await.unwrap();
    content["width"] = json!(64);
    content["height"] = json!(64);
    let hold = simulation.hold().await;
    let api = format!("{}/sdapi/v1", simulation.url());
    let running = tokio::spawn(client().post(format!("{api}/txt2img")).json(&content).send());
    until(&simulation, |simulation| simulation.running().is_some()).await;
    let begun = simulation.running().unwrap().1;
    let mut hold = Some(hold);
    let mut answers = Vec::new();
    loop {
        let answer = client().get(format!("{api}/progress")).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        if answer["state"]["job"] == "" && hold.is_none() {
            break;
        }
        if answer["state"]["job"] != "" {
            answers.push((answer["progress"].as_f64().unwrap(), begun.elapsed()));
            hold = None;
        }
    }
    assert!(running.await.unwrap().unwrap().status().is_success());
    answers
}

fn shares(answers: &[(f64, Duration)]) -> Vec<f64> {
    answers.iter().map(|(share, _)| *share).collect()
}

fn assert_only(shares: &[f64], possible: impl Fn(u32) -> f64) {
    let possible: Vec<f64> = (0..=20).map(possible).collect();
    for share in shares {
        assert!(possible.iter().any(|other| (other - share).abs() < 1e-9), "{share} is none of {possible:?}");
    }
    assert!(shares.is_sorted(), "{shares:?}");
}

/// As recorded: 1 % before the first step, then as much more as steps are done.
#[tokio::test]
async fn progress_follows_the_steps_of_the_sampler() {
    let answers = progress_of(ProgressReports::Stepped, json!({"steps": 20})).await;
    assert_only(&shares(&answers), |step| (0.01 + f64::from(step) / 20.0).min(1.0));
}

#[tokio::test]
async fn a_second_pass_is_a_separate_job() {
    // Forge fails a second pass without the modules of its model.
    let content = json!({
        "steps": 10, "enable_hr": true, "hr_scale": 2.0, "hr_second_pass_steps": 5,
        "hr_additional_modules": ["Use same choices"],
    });
    let answers = progress_of(ProgressReports::Stepped, content).await;
    assert_only(&shares(&answers), |step| (0.01 + f64::from(step) / 20.0).min(1.0));
    // The 10 steps of the first pass weigh 10 of 30; each of the 5 of the second weighs 4.
    let second = answers.iter().filter(|(share, _)| *share > 0.51);
    for (share, at) in second {
        let steps = ((share - 0.51) * 10.0).round();
        assert!(*at >= LATENCY.mul_f64((10.0 + 4.0 * steps) / 30.0), "{share} after {at:?}");
    }
}

#[tokio::test]
async fn flat_and_late_progress_stays_at_its_first_value_for_long() {
    for (reports, quiet) in [(ProgressReports::Flat, 0.5), (ProgressReports::Late, 0.8)] {
        let answers = progress_of(reports, json!({"steps": 20})).await;
        assert_only(&shares(&answers), |step| (0.01 + f64::from(step) / 20.0).min(1.0));
        for (share, at) in answers.iter().filter(|(share, _)| *share > 0.01) {
            assert!(*at >= LATENCY.mul_f64(quiet), "{share} after {at:?}");
        }
    }
}

#[tokio::test]
async fn missing_progress_is_0_throughout() {
    let answers = progress_of(ProgressReports::Missing, json!({"steps": 20})).await;
    assert!(answers.iter().all(|(share, _)| *share == 0.0), "{answers:?}");
}

#[tokio::test]
async fn a_comfyui_without_progress_sends_only_which_node_runs() {
    for (progress, expected) in [(ProgressReports::Stepped, true), (ProgressReports::Missing, false)] {
        let options =
            ComfyUiOptions { behaviour: Behaviour { progress, ..Default::default() }, ..Default::default() };
        let simulation = Simulation::start_comfyui(any_port(), options).await.unwrap();
        let url = format!("ws://{}/ws?clientId=me", simulation.address());
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let prompt = json!({
            "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "out"}},
        });
        let body = json!({"prompt": prompt, "client_id": "me"});
        client().post(format!("{}/prompt", simulation.url())).json(&body).send().await.unwrap();
        let mut kinds = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Some(Ok(frame)) = socket.next().await {
            assert!(Instant::now() < deadline, "{kinds:?}");
            let Ok(frame) = serde_json::from_str::<Value>(frame.to_text().unwrap_or_default()) else {
                continue;
            };
            kinds.push(frame["type"].as_str().unwrap().to_owned());
            if frame["type"] == "executing" && frame["data"]["node"].is_null() {
                break;
            }
        }
        assert!(kinds.contains(&"executing".to_owned()) && kinds.contains(&"execution_success".to_owned()));
        assert_eq!(kinds.iter().any(|kind| kind.starts_with("progress")), expected, "{kinds:?}");
    }
}
