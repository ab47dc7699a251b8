//! Runs inside ComfyUI, driven by the worker's client without a queue: with every version, and of workflows that queue
//! themselves again, are cached, or save in ways of their own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use integration_tests::comfyui::{
    Queue, Run, client, client_with, code, http_client, job, persons_job, posts, queue, ran, runs_as,
    sampled, simulation,
};
use integration_tests::{fixtures, wait};
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use shared_schema::notification::WarningCode;
use simulated_runtimes::{Behaviour, ComfyUiOptions, ComfyUiVersion, Fault, Sample, Simulation};
use tokio::sync::mpsc;
use worker::inputs::Input;
use worker::runtimes::{Job, JobPhase, RunHandle, RunOutput};

fn codes(output: &RunOutput) -> Vec<WarningCode> {
    output.warnings.iter().map(|warning| warning.code).collect()
}

/// One with the interface of that version.
async fn of_version(version: ComfyUiVersion, latency: Duration) -> Simulation {
    let behaviour = Behaviour { latency, ..Default::default() };
    let options = ComfyUiOptions { behaviour, version, ..Default::default() };
    Simulation::start_comfyui(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).await.unwrap()
}

#[tokio::test]
async fn results_are_bounded_in_their_sum_and_keep_their_order() {
    let simulation = simulation(Duration::ZERO).await;
    let whole = client(&simulation).run(job(&sampled(1, 9))).await.unwrap();
    let names: Vec<_> = whole.files.iter().map(|file| file.name.clone().unwrap()).collect();
    assert_eq!(names, (1..=9).map(|n| format!("out_{n:05}_.png")).collect::<Vec<_>>());
    let bytes: u64 = whole.files.iter().map(|file| file.bytes.len() as u64).sum();

    let result = client_with(&simulation, bytes - 1).run(job(&sampled(1, 9))).await;

    let error = result.unwrap_err();
    assert_eq!(error.code, ErrorCode::RuntimeFailed);
    assert!(error.message.contains(&(bytes - 1).to_string()), "{error}");
    assert_eq!(client_with(&simulation, bytes).run(job(&sampled(1, 9))).await.unwrap().files.len(), 9);
}

#[tokio::test]
async fn videos_among_the_previews_and_models_that_are_shown_as_paths_are_results() {
    let simulation = simulation(Duration::ZERO).await;
    let video = fixtures::load("cases/08-vhs-temp-video/request.json");
    let output = client(&simulation).run(job(&video)).await.unwrap();
    let names: Vec<_> = output.files.iter().map(|file| file.name.clone().unwrap()).collect();
    assert_eq!(names, ["clip_00001.mp4", "first_00001_.png"]);

    let source = json!({ "class_type": "EmptyImage", "inputs": { "width": 64, "height": 64, "batch_size": 1, "color": 0 } });
    let save = json!({ "class_type": "Save3DAdvanced", "inputs": { "model_3d": ["1", 0], "filename_prefix": "3D/crate" } });
    let output = client(&simulation).run(job(&json!({ "1": source, "2": save }))).await.unwrap();
    let [model] = output.files.as_slice() else { panic!("{:?}", output.files.len()) };
    assert!(model.name.as_deref().unwrap().ends_with("crate_00001_.glb"), "{:?}", model.name);
    assert_eq!(&model.bytes[..], Sample::Glb.bytes());
    assert_eq!(output.warnings, []);
}

#[tokio::test]
async fn memory_is_freed_on_request_of_the_worker() {
    let simulation = simulation(Duration::ZERO).await;
    let runtime = client(&simulation);
    simulation.faults().plan(Fault::OutOfMemory, 1);

    assert_eq!(code(runtime.run(job(&sampled(1, 1))).await), ErrorCode::OutOfMemory);
    assert_eq!(posts(&simulation, "/free"), Vec::<Value>::new());
    runtime.free_memory().await;
    assert_eq!(posts(&simulation, "/free"), [json!({ "unload_models": true, "free_memory": true })]);
}

const VERSIONS: [ComfyUiVersion; 4] =
    [ComfyUiVersion::V0_3, ComfyUiVersion::V0_25, ComfyUiVersion::V0_33, ComfyUiVersion::V0_45];

#[tokio::test]
async fn jobs_of_every_version_run_and_are_cancelled_wherever_they_are() {
    for version in VERSIONS {
        let quick = of_version(version, Duration::ZERO).await;
        assert_eq!(client(&quick).run(job(&sampled(1, 1))).await.unwrap().files.len(), 1, "{version:?}");

        let simulation = of_version(version, Duration::from_secs(30)).await;
        let runtime = client(&simulation);
        runtime.ready().await.unwrap();
        runtime.pin_settings().await.unwrap();
        let first = Run::begin(&runtime, &simulation, &in_many_steps(1)).await;
        let second = Run::begin(&runtime, &simulation, &in_many_steps(2)).await;
        let third = Run::begin(&runtime, &simulation, &in_many_steps(3)).await;
        let ids = [first.id().to_owned(), second.id().to_owned(), third.id().to_owned()];
        runs_as(&simulation, &[&ids[0]], &[&ids[1], &ids[2]]).await;
        second.stop.cancel();
        assert_eq!(code(second.finished().await), ErrorCode::Interrupted, "{version:?}");
        first.stop.cancel();
        assert_eq!(code(first.finished().await), ErrorCode::Interrupted, "{version:?}");
        runs_as(&simulation, &[&ids[2]], &[]).await;
        third.stop.cancel();
        assert_eq!(code(third.finished().await), ErrorCode::Interrupted, "{version:?}");
        assert_eq!(ran(&simulation), [ids[0].clone(), ids[2].clone()], "{version:?}");

        let cancelled = |id: &str| {
            let path = format!("/api/jobs/{id}/cancel");
            simulation.requests().iter().any(|request| request.path == path)
        };
        let by_id = matches!(version, ComfyUiVersion::V0_33 | ComfyUiVersion::V0_45);
        assert_eq!((cancelled(&ids[0]), cancelled(&ids[1])), (by_id, by_id), "{version:?}");
        assert_eq!(posts(&simulation, "/interrupt").is_empty(), by_id, "{version:?}");
    }
}

/// A long workflow that can be interrupted soon: a run stops between two steps.
fn in_many_steps(seed: u32) -> Value {
    let mut workflow = sampled(seed, 1);
    workflow["5"]["inputs"]["steps"] = json!(500);
    workflow
}

#[tokio::test]
async fn a_workflow_whose_response_was_lost_is_posted_again_where_a_known_id_is_rejected() {
    for (version, may_repeat) in [(ComfyUiVersion::V0_33, false), (ComfyUiVersion::V0_45, true)] {
        let simulation = of_version(version, Duration::ZERO).await;
        let runtime = client(&simulation);
        runtime.pin_settings().await.unwrap();
        simulation.faults().plan(Fault::DropAfterWork, 1);
        assert_eq!(runtime.run(job(&sampled(1, 1))).await.unwrap().files.len(), 1, "{version:?}");
        assert_eq!(posts(&simulation, "/prompt").len(), 1, "{version:?}");

        simulation.faults().plan(Fault::DropBeforeWork, 1);
        let result = runtime.run(job(&sampled(2, 1))).await;
        assert_eq!(result.is_ok(), may_repeat, "{version:?}");
        let ids: Vec<_> =
            posts(&simulation, "/prompt").iter().map(|post| post["prompt_id"].clone()).collect();
        assert_eq!(ids.len(), if may_repeat { 3 } else { 2 }, "{version:?}");
        assert!(!may_repeat || ids[1] == ids[2]);
    }
}

/// An animation of so many frames of one pixel.
fn gif(frames: usize) -> Vec<u8> {
    let mut file = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
    for _ in 0..frames {
        file.extend(b"\x21\xf9\x04\0\x0a\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0");
    }
    file.push(0x3b);
    file
}

/// A workflow of VideoHelperSuite that works in three batches, and its animation.
fn in_batches() -> Job {
    let mut workflow = fixtures::load("cases/07-vhs-meta-batch/request.json");
    workflow["2"]["inputs"]["video"] = json!("");
    let input = Input {
        pointer: "/2/inputs/video".to_owned(),
        bytes: gif(48).into(),
        content_type: "image/gif",
        extension: "gif",
    };
    Job { inputs: vec![input], ..job(&workflow) }
}

/// Waits until the worker has found so many jobs of a run, and returns the handle with them.
async fn handle_with(reported: &mut mpsc::UnboundedReceiver<RunHandle>, jobs: usize) -> RunHandle {
    loop {
        let handle = reported.recv().await.expect("a handle");
        if handle.0["queued_again"].as_array().map_or(0, Vec::len) + 1 == jobs {
            return handle;
        }
    }
}

#[tokio::test]
async fn a_run_that_queues_itself_again_is_one_run() {
    for latency in [Duration::ZERO, Duration::from_millis(700)] {
        let simulation = of_version(ComfyUiVersion::V0_33, latency).await;
        let runtime = client(&simulation);
        let (handles, mut reported) = mpsc::unbounded_channel();
        let job = Job { handles, ..in_batches() };
        // A person's pending job is neither considered a part of the run nor does it block the run.
        let running = {
            let runtime = Arc::clone(&runtime);
            tokio::spawn(async move { runtime.run(job).await })
        };
        let first = reported.recv().await.expect("a handle");
        let persons = persons_job(&simulation, &sampled(9, 1)).await;

        let output = running.await.unwrap().unwrap();
        let [video] = output.files.as_slice() else { panic!("{:?}", output.files) };
        assert!(video.name.as_ref().unwrap().ends_with(".mp4"), "{:?}", video.name);
        let handle = handle_with(&mut reported, 3).await;
        assert_eq!(handle.0["prompt_id"], first.0["prompt_id"]);
        wait::until("the person's job", async || ran(&simulation).contains(&persons).then_some(())).await;
        assert_eq!(ran(&simulation).len(), 4);

        runtime.forget(&handle).await;
        let history = http_client().get(format!("{}/history", simulation.url())).send().await.unwrap();
        let history: Value = history.json().await.unwrap();
        assert_eq!(history.as_object().unwrap().keys().collect::<Vec<_>>(), [&persons]);
    }
}

#[tokio::test]
async fn a_run_that_queues_itself_again_is_adopted_as_a_whole() {
    let simulation = of_version(ComfyUiVersion::V0_25, Duration::from_secs(1)).await;
    let killed = client(&simulation);
    let (handles, mut reported) = mpsc::unbounded_channel();
    let job = Job { handles, ..in_batches() };
    let running = tokio::spawn(async move { killed.run(job).await });
    let first = reported.recv().await.expect("a handle");
    wait::until("the second job", async || (!simulation.busy().is_empty()).then_some(())).await;
    running.abort();

    // The handle of the first job is enough: the other ones may have been queued while no worker watched.
    let successor = client(&simulation);
    assert_eq!(
        successor.interrupt_orphans(std::slice::from_ref(&first)).await,
        Ok(true),
        "nothing of the run is interrupted"
    );
    let output = successor.adopt(in_batches(), &first).await.expect("the runtime knows the run").unwrap();
    assert_eq!(output.files.len(), 1);
    assert_eq!(simulation.busy().len(), 3);
}

#[tokio::test]
async fn a_run_that_queues_itself_again_is_stopped_as_a_whole() {
    // Each of three jobs.
    let simulation = of_version(ComfyUiVersion::V0_25, Duration::from_secs(5)).await;
    let runtime = client(&simulation);
    let (handles, mut reported) = mpsc::unbounded_channel();
    let job = Job { handles, ..in_batches() };
    let (stop, progress) = (job.stop.clone(), job.progress.clone());
    let running = tokio::spawn(async move { runtime.run(job).await });
    handle_with(&mut reported, 2).await;
    assert!(matches!(progress.phase(), JobPhase::Running(_)));
    stop.cancel();
    assert_eq!(code(running.await.unwrap()), ErrorCode::Interrupted);
    assert_eq!(queue(&simulation).await, Queue { running: vec![], pending: vec![] });
    wait::until("the completion of the last job", async || simulation.running().is_none().then_some(()))
        .await;
    assert!(simulation.busy().len() < 3, "the whole run was executed");
}

#[tokio::test]
async fn a_cached_run_that_yields_nothing_runs_once_more() {
    let simulation = simulation(Duration::ZERO).await;
    let runtime = client(&simulation);
    let mut workflow = sampled(1, 1);
    workflow["7"] = json!({ "class_type": "SaveByExpansion", "inputs": { "images": ["6", 0] } });
    for posted in [1, 3] {
        assert_eq!(runtime.run(job(&workflow)).await.unwrap().files.len(), 1);
        assert_eq!(posts(&simulation, "/prompt").len(), posted);
    }
    // What yields nothing anyway is not run again and again.
    let text = json!({ "1": { "class_type": "SaveStringKJ", "inputs": {
        "string": ["2", 0], "filename_prefix": "text", "output_folder": "output" } },
        "2": { "class_type": "PrimitiveString", "inputs": { "value": "x" } } });
    // The second time with the node in the cache that the other one uses.
    for posted in [4, 5] {
        assert_eq!(code(runtime.run(job(&text)).await), ErrorCode::NoOutput);
        assert_eq!(posts(&simulation, "/prompt").len(), posted);
    }
}

#[tokio::test]
async fn a_node_whose_expansion_the_cache_hides_runs_again_even_if_other_nodes_have_outputs() {
    let simulation = simulation(Duration::ZERO).await;
    let runtime = client(&simulation);
    let mut workflow = sampled(1, 1);
    workflow["8"] = json!({ "class_type": "SaveByExpansion", "inputs": { "images": ["6", 0] } });
    for posted in [1, 3] {
        let output = runtime.run(job(&workflow)).await.unwrap();
        assert_eq!((output.files.len(), posts(&simulation, "/prompt").len()), (2, posted));
        let nodes = output.report["outputs"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(nodes, ["7", "8.0.0.1"]);
    }
}

#[tokio::test]
async fn a_file_that_its_node_reports_in_vain_is_named_and_the_others_are_stored() {
    let simulation = simulation(Duration::ZERO).await;
    simulation.faults().plan(Fault::MissingFile, 1);
    let output = client(&simulation).run(job(&sampled(1, 3))).await.unwrap();
    assert_eq!((output.files.len(), codes(&output)), (2, vec![WarningCode::FilesOmitted]));
}

#[tokio::test]
async fn blocked_nodes_are_named_with_or_without_a_reason() {
    for (verbose, code_of_warning) in [(true, WarningCode::OutputBlocked), (false, WarningCode::FilesOmitted)]
    {
        let simulation = simulation(Duration::ZERO).await;
        let mut workflow = sampled(1, 1);
        workflow["8"] = json!({ "class_type": "TestExecutionBlocker", "inputs": {
            "input": ["6", 0], "block": true, "verbose": verbose } });
        workflow["9"] = json!({ "class_type": "ImageInvert", "inputs": { "image": ["8", 0] } });
        workflow["10"] = json!({ "class_type": "SaveImage", "inputs": {
            "images": ["9", 0], "filename_prefix": "blocked" } });
        let output = client(&simulation).run(job(&workflow)).await.unwrap();
        assert_eq!(output.files.len(), 1);
        assert!(codes(&output).contains(&code_of_warning), "{:?}", output.warnings);
        assert!(output.warnings.iter().any(|warning| warning.message.contains("10 (SaveImage)")));
        let has_reason = output.warnings.iter().any(|warning| warning.message.contains("Blocked Execution"));
        assert_eq!(has_reason, verbose);

        workflow.as_object_mut().unwrap().remove("7");
        // The output of a blocked node comes from the cache without a message.
        workflow["5"]["inputs"]["seed"] = json!(2);
        let error = client(&simulation).run(job(&workflow)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NoOutput);
        assert_eq!(error.message.contains("Blocked Execution"), verbose, "{error}");

        workflow["8"]["inputs"]["block"] = json!(false);
        let output = client(&simulation).run(job(&workflow)).await.unwrap();
        assert_eq!((output.files.len(), output.warnings), (1, Vec::new()));
    }
}

#[tokio::test]
async fn an_adopted_run_without_outputs_because_of_the_cache_runs_again() {
    let simulation = simulation(Duration::ZERO).await;
    let runtime = client(&simulation);
    let mut workflow = sampled(1, 1);
    workflow["7"] = json!({ "class_type": "SaveByExpansion", "inputs": { "images": ["6", 0] } });
    assert_eq!(runtime.run(job(&workflow)).await.unwrap().files.len(), 1);
    let cached = persons_job(&simulation, &workflow).await;
    wait::until("the cached run", async || ran(&simulation).contains(&cached).then_some(())).await;

    let handle = RunHandle(json!({ "prompt_id": cached, "client_id": "person" }));
    assert_eq!(runtime.adopt(job(&workflow), &handle).await, None);
    assert_eq!(posts(&simulation, "/history").last(), Some(&json!({ "delete": [cached] })));
    assert_eq!(runtime.run(job(&workflow)).await.unwrap().files.len(), 1);
}

#[tokio::test]
async fn a_node_that_creates_no_folders_saves_all_the_same() {
    let simulation = simulation(Duration::ZERO).await;
    let mut workflow = sampled(1, 1);
    workflow["8"] = json!({ "class_type": "PrimitiveString", "inputs": { "value": "a caption" } });
    workflow["9"] = json!({ "class_type": "SaveStringKJ", "inputs": {
        "string": ["8", 0], "filename_prefix": "captions/cat", "output_folder": "output" } });
    let output = client(&simulation).run(job(&workflow)).await.unwrap();
    // The node does not report what it saves.
    assert_eq!((output.files.len(), codes(&output)), (1, vec![WarningCode::FilesOmitted]));
    assert!(output.warnings[0].message.contains("9 (SaveStringKJ)"), "{:?}", output.warnings);
}
