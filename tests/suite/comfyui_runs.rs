//! Runs inside ComfyUI, driven by the worker's client without a queue: they overlap, are stopped, outlive the process that
//! began them, and hang.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use integration_tests::{fixtures, wait};
use serde_json::{Value, json};
use shared_schema::{ErrorCode, Task};
use simulated_runtimes::{Behaviour, ComfyUiOptions, ComfyUiVersion, DEFAULT_MODEL, Fault, Simulation};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use worker::error::TaskError;
use worker::inputs::Input;
use worker::runtimes::{Job, Place, Progress, RunHandle, RunOutput, Runtime, RuntimeOptions, comfyui};

type Ran = Result<RunOutput, TaskError>;

/// A runtime whose runs take that long, unless all is in its cache.
async fn simulation(latency: Duration) -> Simulation {
    started(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), latency).await
}

async fn started(address: SocketAddr, latency: Duration) -> Simulation {
    let behaviour = Behaviour { latency, ..Default::default() };
    let options = ComfyUiOptions { behaviour, ..Default::default() };
    Simulation::start_comfyui(address, options).await.unwrap()
}

/// One that speaks the interface of that version.
async fn of_version(version: ComfyUiVersion, latency: Duration) -> Simulation {
    let behaviour = Behaviour { latency, ..Default::default() };
    let options = ComfyUiOptions { behaviour, version, ..Default::default() };
    Simulation::start_comfyui(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).await.unwrap()
}

/// What one process of a worker has of the runtime.
fn client(simulation: &Simulation) -> Arc<dyn Runtime> {
    client_with(simulation, 64 << 20)
}

fn client_with(simulation: &Simulation, max_task_bytes: u64) -> Arc<dyn Runtime> {
    let api_base_url = Some(simulation.url());
    comfyui::connect(&RuntimeOptions {
        api_base_url,
        dynamic_model: false,
        max_task_bytes,
        stuck_after: Duration::from_secs(600),
        settings_allowed: Vec::new(),
    })
    .unwrap()
}

/// From checkpoint to saved pictures; every seed is different work.
fn sampled(seed: u32, batch: u32) -> Value {
    let mut workflow =
        fixtures::load("comfyui/checkpoint-sampler-progress.json")["request"]["body"]["prompt"].clone();
    workflow["1"]["inputs"]["ckpt_name"] = json!(DEFAULT_MODEL);
    workflow["4"]["inputs"]["batch_size"] = json!(batch);
    workflow["5"]["inputs"]["seed"] = json!(seed);
    workflow["5"]["inputs"]["steps"] = json!(20);
    workflow
}

fn job(workflow: &Value) -> Job {
    let metadata = json!({ "id": "run", "runtime": "comfyui", "tasktype": "pipeline" });
    let task: Task = serde_json::from_value(json!({ "metadata": metadata, "content": workflow })).unwrap();
    Job::new(Arc::new(task), Vec::new())
}

/// A run that the runtime has in its queue.
struct Run {
    stop: CancellationToken,
    progress: Progress,
    handle: RunHandle,
    /// Aborted, it ends as a killed process does.
    running: JoinHandle<Ran>,
}

impl Run {
    async fn begin(runtime: &Arc<dyn Runtime>, simulation: &Simulation, workflow: &Value) -> Self {
        let (handles, mut reported) = mpsc::unbounded_channel();
        let job = Job { handles, ..job(workflow) };
        let (stop, progress) = (job.stop.clone(), job.progress.clone());
        let runtime = Arc::clone(runtime);
        let running = tokio::spawn(async move { runtime.run(job).await });
        let handle = reported.recv().await.expect("a handle");
        let run = Self { stop, progress, handle, running };
        wait::until("the job in the queue", async || queue(simulation).await.place(run.id())).await;
        run
    }

    fn id(&self) -> &str {
        self.handle.0["prompt_id"].as_str().unwrap()
    }

    async fn ended(self) -> Ran {
        self.running.await.unwrap()
    }
}

/// The ids of what runs and what waits.
#[derive(Debug, PartialEq)]
struct Queue {
    running: Vec<String>,
    pending: Vec<String>,
}

impl Queue {
    fn place(&self, id: &str) -> Option<()> {
        self.running.iter().chain(&self.pending).any(|other| other == id).then_some(())
    }
}

/// What a person's browser is.
fn person() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::new()
}

/// Queues a workflow as a person does. Returns the job's id.
async fn persons_job(simulation: &Simulation, workflow: &Value) -> String {
    let body = json!({ "prompt": workflow, "client_id": "person" });
    let posted = person().post(format!("{}/prompt", simulation.url())).json(&body).send().await.unwrap();
    let answer: Value = posted.json().await.unwrap();
    answer["prompt_id"].as_str().unwrap().to_owned()
}

async fn queue(simulation: &Simulation) -> Queue {
    let answer = person().get(format!("{}/queue", simulation.url())).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let ids = |jobs: &Value| {
        let jobs = jobs.as_array().unwrap().iter();
        jobs.map(|job| job[1].as_str().unwrap().to_owned()).collect()
    };
    Queue { running: ids(&answer["queue_running"]), pending: ids(&answer["queue_pending"]) }
}

async fn runs_as(simulation: &Simulation, running: &[&str], pending: &[&str]) {
    wait::until("the expected queue", async || {
        let queue = queue(simulation).await;
        (queue.running == running && queue.pending == pending).then_some(())
    })
    .await;
}

/// The ids of the jobs that had the runtime for themselves, in order.
fn ran(simulation: &Simulation) -> Vec<String> {
    simulation.busy().into_iter().map(|interval| interval.label).collect()
}

fn code(result: Ran) -> ErrorCode {
    result.unwrap_err().code
}

fn posts(simulation: &Simulation, path: &str) -> Vec<Value> {
    let asked = simulation.requests().into_iter();
    asked.filter(|asked| asked.path == path).filter_map(|asked| asked.body).collect()
}

#[tokio::test]
async fn the_next_job_waits_inside_the_runtime() {
    let simulation = simulation(Duration::from_secs(2)).await;
    let runtime = client(&simulation);
    let first = Run::begin(&runtime, &simulation, &sampled(1, 1)).await;
    let second = Run::begin(&runtime, &simulation, &sampled(2, 2)).await;
    runs_as(&simulation, &[first.id()], &[second.id()]).await;
    wait::until("progress", async || first.progress.watch().borrow().share.filter(|share| *share > 0.0))
        .await;
    assert_eq!(second.progress.watch().borrow().share, None, "a pending job is not known to be anywhere");
    wait::until("the second to be seen waiting", async || {
        (second.progress.place() == Place::Waiting).then_some(())
    })
    .await;
    assert!(matches!(first.progress.place(), Place::Running(_)));
    let second_progress = second.progress.clone();

    let ids = [first.id().to_owned(), second.id().to_owned()];
    let last_progress = first.progress.watch();
    let (first, second) = (first.ended().await.unwrap(), second.ended().await.unwrap());

    assert_eq!((first.files.len(), second.files.len()), (1, 2));
    assert!(matches!(second_progress.place(), Place::Running(_)));
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

    assert_eq!(code(second.ended().await), ErrorCode::Interrupted);
    assert_eq!(first.ended().await.unwrap().files.len(), 1);
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

    assert_eq!(code(first.ended().await), ErrorCode::Interrupted);
    assert_eq!(second.ended().await.unwrap().files.len(), 1);
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

    let heir = client(&simulation);
    let (finished_job, running_job, pending_job) =
        (job(&sampled(1, 1)), job(&sampled(2, 2)), job(&sampled(3, 3)));
    let progress = running_job.progress.clone();
    let (first, second, third) = tokio::join!(
        heir.adopt(finished_job, &finished.handle),
        heir.adopt(running_job, &running.handle),
        heir.adopt(pending_job, &pending.handle),
    );

    for (adopted, run, files) in [(first, &finished, 1), (second, &running, 2), (third, &pending, 3)] {
        let output = adopted.expect("the runtime knows the job").unwrap();
        assert_eq!((output.files.len(), &output.report["prompt_id"]), (files, &json!(run.id())));
    }
    assert_eq!(ran(&simulation), [finished.id(), running.id(), pending.id()], "each ran once");
    assert!(progress.watch().borrow().share > Some(0.0), "nothing was heard of the running one");

    heir.forget(&finished.handle).await;
    assert_eq!(heir.adopt(job(&sampled(1, 1)), &finished.handle).await, None);
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
async fn what_the_runtime_does_not_know_is_not_adopted() {
    let simulation = simulation(Duration::ZERO).await;
    let runtime = client(&simulation);
    let unknown = "9547f7c5-d1cf-4938-8037-e0b5503ca8e1";
    for handle in [json!({ "prompt_id": unknown, "client_id": "darkroom-x" }), json!(7), json!({})] {
        assert_eq!(runtime.adopt(job(&sampled(1, 1)), &RunHandle(handle)).await, None);
    }
}

#[tokio::test]
async fn a_job_whose_images_came_over_a_lost_socket_is_taken_out_of_the_runtime() {
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
async fn clearing_touches_neither_what_is_kept_nor_a_persons_jobs() {
    let simulation = simulation(Duration::from_secs(2)).await;
    let killed = client(&simulation);
    let running = Run::begin(&killed, &simulation, &sampled(1, 1)).await;
    let persons = persons_job(&simulation, &sampled(2, 1)).await;
    let pending = Run::begin(&killed, &simulation, &sampled(3, 1)).await;
    let kept = Run::begin(&killed, &simulation, &sampled(4, 1)).await;
    runs_as(&simulation, &[running.id()], &[&persons, pending.id(), kept.id()]).await;
    running.running.abort();
    pending.running.abort();

    let heir = client(&simulation);
    let keep = [kept.handle.clone()];
    assert_eq!(heir.clear(&keep).await, Ok(false));
    wait::until("a runtime that is clear", async || heir.clear(&keep).await.unwrap().then_some(())).await;

    runs_as(&simulation, &[&persons], &[kept.id()]).await;
    let ids = [running.id().to_owned(), persons, kept.id().to_owned()];
    kept.ended().await.unwrap();
    assert_eq!(ran(&simulation), ids);
    assert_eq!(heir.clear(&[]).await, Ok(true));
}

#[tokio::test]
async fn a_job_that_hangs_stays_to_be_cleared() {
    let simulation = simulation(Duration::ZERO).await;
    simulation.faults().plan(Fault::Hang, 1);
    let runtime = client(&simulation);
    let hanging = Run::begin(&runtime, &simulation, &sampled(1, 1)).await;
    runs_as(&simulation, &[hanging.id()], &[]).await;
    let next = Run::begin(&runtime, &simulation, &sampled(2, 1)).await;

    assert_eq!(runtime.ready().await, Ok(()), "a job runs, as far as anybody can tell");
    assert_eq!(runtime.clear(&[]).await, Ok(false));
    assert_eq!(runtime.clear(&[]).await, Ok(false));

    runs_as(&simulation, &[hanging.id()], &[]).await;
    assert_eq!(code(next.ended().await), ErrorCode::JobLost);
    let interruption = json!({ "prompt_id": hanging.id() });
    assert_eq!(posts(&simulation, "/interrupt"), [interruption.clone(), interruption]);
}

#[tokio::test]
async fn a_dead_worker_thread_is_told_until_the_runtime_has_restarted() {
    let simulation = simulation(Duration::ZERO).await;
    let runtime = client(&simulation);
    simulation.faults().plan(Fault::DeadWorker, 1);

    assert_eq!(code(runtime.run(job(&sampled(1, 1))).await), ErrorCode::RuntimeStuck);
    runs_as(&simulation, &[], &[]).await;
    assert_eq!(runtime.clear(&[]).await, Ok(true));
    assert_eq!(runtime.ready().await.unwrap_err().code, ErrorCode::RuntimeStuck);

    let address = simulation.address();
    simulation.stop().await;
    assert_eq!(runtime.ready().await.unwrap_err().code, ErrorCode::RuntimeUnavailable);
    let _restarted = started(address, Duration::ZERO).await;
    assert_eq!(runtime.ready().await, Ok(()));
    assert_eq!(runtime.run(job(&sampled(1, 1))).await.unwrap().files.len(), 1);
}

/// What a person, or a former process, left in the queue tells it, too.
#[tokio::test]
async fn a_runtime_whose_worker_thread_is_dead_is_not_ready() {
    let simulation = simulation(Duration::ZERO).await;
    simulation.faults().plan(Fault::DeadWorker, 1);
    persons_job(&simulation, &sampled(1, 1)).await;

    let runtime = client(&simulation);
    assert_eq!(runtime.ready().await.unwrap_err().code, ErrorCode::RuntimeUnavailable);
    wait::until("certainty", async || {
        (runtime.ready().await.unwrap_err().code == ErrorCode::RuntimeStuck).then_some(())
    })
    .await;
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
async fn memory_is_freed_when_the_worker_says_so() {
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
        let simulation = of_version(version, Duration::from_secs(2)).await;
        let runtime = client(&simulation);
        runtime.ready().await.unwrap();
        runtime.settle().await.unwrap();
        let first = Run::begin(&runtime, &simulation, &sampled(1, 1)).await;
        let second = Run::begin(&runtime, &simulation, &sampled(2, 1)).await;
        let third = Run::begin(&runtime, &simulation, &sampled(3, 1)).await;
        let ids = [first.id().to_owned(), second.id().to_owned(), third.id().to_owned()];
        runs_as(&simulation, &[&ids[0]], &[&ids[1], &ids[2]]).await;
        second.stop.cancel();
        assert_eq!(code(second.ended().await), ErrorCode::Interrupted, "{version:?}");
        first.stop.cancel();
        assert_eq!(code(first.ended().await), ErrorCode::Interrupted, "{version:?}");
        assert_eq!(third.ended().await.unwrap().files.len(), 1, "{version:?}");
        assert_eq!(ran(&simulation), [ids[0].clone(), ids[2].clone()], "{version:?}");

        let cancelled = |id: &str| {
            let path = format!("/api/jobs/{id}/cancel");
            simulation.requests().iter().any(|asked| asked.path == path)
        };
        let by_id = matches!(version, ComfyUiVersion::V0_33 | ComfyUiVersion::V0_45);
        assert_eq!((cancelled(&ids[0]), cancelled(&ids[1])), (by_id, by_id), "{version:?}");
        assert_eq!(posts(&simulation, "/interrupt").is_empty(), by_id, "{version:?}");
    }
}

#[tokio::test]
async fn a_workflow_whose_answer_was_lost_is_posted_again_where_the_id_is_refused_if_it_is_known() {
    for (version, may_repeat) in [(ComfyUiVersion::V0_33, false), (ComfyUiVersion::V0_45, true)] {
        let simulation = of_version(version, Duration::ZERO).await;
        let runtime = client(&simulation);
        runtime.settle().await.unwrap();
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

/// Waits until the worker knows of so many jobs of a run, and returns the handle that says so.
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
        // What another person has waiting is neither taken for a part of the run nor in its way.
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
        let history = person().get(format!("{}/history", simulation.url())).send().await.unwrap();
        let history: Value = history.json().await.unwrap();
        assert_eq!(history.as_object().unwrap().keys().collect::<Vec<_>>(), [&persons]);
    }
}

#[tokio::test]
async fn a_run_that_queues_itself_again_is_adopted_and_stopped_as_a_whole() {
    let simulation = of_version(ComfyUiVersion::V0_25, Duration::from_secs(1)).await;
    let killed = client(&simulation);
    let (handles, mut reported) = mpsc::unbounded_channel();
    let job = Job { handles, ..in_batches() };
    let running = tokio::spawn(async move { killed.run(job).await });
    let first = reported.recv().await.expect("a handle");
    wait::until("the second job", async || (simulation.busy().len() == 1).then_some(())).await;
    running.abort();

    // The handle of the first job is enough: the other ones may have been queued while nobody looked.
    let heir = client(&simulation);
    assert_eq!(heir.clear(std::slice::from_ref(&first)).await, Ok(true), "nothing of the run is interrupted");
    let output = heir.adopt(in_batches(), &first).await.expect("the runtime knows the run").unwrap();
    assert_eq!(output.files.len(), 1);
    assert_eq!(simulation.busy().len(), 3);

    let runtime = client(&simulation);
    let (handles, mut reported) = mpsc::unbounded_channel();
    let job = Job { handles, ..in_batches() };
    let (stop, progress) = (job.stop.clone(), job.progress.clone());
    let running = tokio::spawn(async move { runtime.run(job).await });
    handle_with(&mut reported, 2).await;
    assert!(matches!(progress.place(), Place::Running(_)));
    stop.cancel();
    assert_eq!(code(running.await.unwrap()), ErrorCode::Interrupted);
    assert_eq!(queue(&simulation).await, Queue { running: vec![], pending: vec![] });
    wait::until("the end of the last job", async || simulation.running().is_none().then_some(())).await;
    assert!(simulation.busy().len() < 6, "the whole run was worked off");
}

#[tokio::test]
async fn a_cached_run_that_yields_nothing_is_made_once_more() {
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
    assert_eq!(code(runtime.run(job(&text)).await), ErrorCode::NoOutput);
    assert_eq!(posts(&simulation, "/prompt").len(), 4);
}

#[tokio::test]
async fn a_node_that_makes_no_folders_saves_all_the_same() {
    let simulation = simulation(Duration::ZERO).await;
    let mut workflow = sampled(1, 1);
    workflow["8"] = json!({ "class_type": "PrimitiveString", "inputs": { "value": "a caption" } });
    workflow["9"] = json!({ "class_type": "SaveStringKJ", "inputs": {
        "string": ["8", 0], "filename_prefix": "captions/cat", "output_folder": "output" } });
    let output = client(&simulation).run(job(&workflow)).await.unwrap();
    assert_eq!(output.files.len(), 1);
}
