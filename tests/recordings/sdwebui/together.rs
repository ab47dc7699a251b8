//! Several runs at once, which no recording has: against the simulation, which keeps the order of real servers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use integration_tests::lab::free_port;
use integration_tests::wait;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use simulated_runtimes::{Behaviour, Fault, SdWebUiOptions, Simulation};
use tokio::task::JoinHandle;
use worker::error::TaskError;
use worker::runtimes::{Job, RunOutput, Runtime, RuntimeOptions, sdwebui};

use crate::task;

const LATENCY: Duration = Duration::from_millis(800);

struct Server {
    simulation: Simulation,
    runtime: Arc<dyn Runtime>,
}

type Running = JoinHandle<Result<RunOutput, TaskError>>;

impl Server {
    async fn start() -> Self {
        Self::with_latency(LATENCY).await
    }

    async fn with_latency(latency: Duration) -> Self {
        let behaviour = Behaviour { latency, ..Behaviour::default() };
        let models = ["first.safetensors", "second.safetensors"].map(str::to_owned).to_vec();
        let options = SdWebUiOptions { models, behaviour, ..SdWebUiOptions::default() };
        let simulation = Simulation::start_sdwebui(free_port(), options).await.unwrap();
        let may_switch = RuntimeOptions { dynamic_model: true, ..task::options(&simulation.url()) };
        Self { runtime: sdwebui::connect(&may_switch).unwrap(), simulation }
    }

    /// Begins a run, and returns when the server has it.
    async fn run(&self, job: Job) -> Running {
        let before = self.posted("txt2img").len();
        let running = self.begin(job);
        wait::until("the call", async || (self.posted("txt2img").len() > before).then_some(())).await;
        running
    }

    fn begin(&self, job: Job) -> Running {
        let runtime = Arc::clone(&self.runtime);
        tokio::spawn(async move { runtime.run(job).await })
    }

    /// Begins a run that is unknown to the worker, as a former process may have left it.
    fn leave_orphan(&self, steps: u32) {
        let other = sdwebui::connect(&task::options(&self.simulation.url())).unwrap();
        tokio::spawn(async move { other.run(with("left", json!({ "steps": steps }))).await });
    }

    /// When that endpoint was posted to.
    fn posted(&self, endpoint: &str) -> Vec<Instant> {
        let path = format!("/sdapi/v1/{endpoint}");
        let requests = self.simulation.requests().into_iter();
        requests.filter(|request| request.method == "POST" && request.path == path).map(|it| it.at).collect()
    }

    async fn until_no_orphans(&self) {
        wait::until("a clear server", async || {
            self.runtime.interrupt_orphans(&[]).await.unwrap().then_some(())
        })
        .await;
    }

    /// The prompts in the order in which they ran, each with whether it ran to its end.
    fn ran(&self) -> Vec<(String, bool)> {
        let busy = self.simulation.busy().into_iter();
        busy.map(|job| (job.label, job.end - job.start >= LATENCY)).collect()
    }
}

fn job(prompt: &str) -> Job {
    with(prompt, json!({}))
}

fn with(prompt: &str, more: Value) -> Job {
    let mut content = json!({ "prompt": prompt, "width": 64, "height": 64, "steps": 40 });
    content.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    task::job("text-to-image", &content, Vec::new())
}

fn to_the_end(prompt: &str) -> (String, bool) {
    (prompt.to_owned(), true)
}

fn cut_short(prompt: &str) -> (String, bool) {
    (prompt.to_owned(), false)
}

#[tokio::test]
async fn a_run_that_is_submitted_ahead_of_time_needs_no_round_trip() {
    let server = Server::start().await;
    let first = server.run(job("a")).await;
    let second = server.run(job("b")).await;

    for running in [first, second] {
        assert_eq!(running.await.unwrap().unwrap().files.len(), 1);
    }
    assert_eq!(server.ran(), [to_the_end("a"), to_the_end("b")]);
    let end_of_first = server.simulation.busy()[0].end;
    assert!(server.posted("txt2img").iter().all(|posted| *posted < end_of_first));
}

#[tokio::test]
async fn only_the_first_run_in_the_queue_reports_progress() {
    let server = Server::start().await;
    let (first, second) = (job("a"), job("b"));
    let (first_progress, second_progress) = (first.progress.watch(), second.progress.clone());
    let running = [server.run(first).await, server.run(second).await];

    wait::until("progress", async || first_progress.borrow().share).await;
    assert_eq!(second_progress.watch().borrow().share, None);
    assert!(server.simulation.busy().is_empty());
    wait::until("progress of the second", async || second_progress.watch().borrow().share).await;
    assert_eq!(server.simulation.busy().len(), 1);
    for running in running {
        running.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_interrupted_run_does_not_affect_the_next_one() {
    let server = Server::start().await;
    let stopped = job("a");
    let stop = stopped.stop.clone();
    let first = server.run(stopped).await;
    let second = server.run(job("b")).await;

    stop.cancel();
    assert_eq!(first.await.unwrap().unwrap_err().code, ErrorCode::Interrupted);

    assert_eq!(second.await.unwrap().unwrap().files.len(), 1);
    let ran = server.ran();
    assert_eq!((&ran[0], ran.last()), (&cut_short("a"), Some(&to_the_end("b"))));
}

#[tokio::test]
async fn a_run_that_is_stopped_while_it_waits_is_interrupted_in_its_turn() {
    let server = Server::start().await;
    let first = server.run(job("a")).await;
    let stopped = job("b");
    let stop = stopped.stop.clone();
    let second = server.run(stopped).await;

    stop.cancel();
    assert_eq!(second.await.unwrap().unwrap_err().code, ErrorCode::Interrupted);
    assert_eq!(server.ran(), [], "the caller waited for another run");

    assert_eq!(first.await.unwrap().unwrap().files.len(), 1);
    server.until_no_orphans().await;
    assert_eq!(server.ran(), [to_the_end("a"), cut_short("b")]);
}

#[tokio::test]
async fn the_model_is_switched_when_nothing_runs() {
    let server = Server::start().await;
    let second_model = json!({ "alwayson_scripts": { "sd_model_checkpoint": "second" } });
    let first = server.run(job("a")).await;
    let second = server.begin(with("b", second_model.clone()));
    let third = server.begin(with("c", second_model));

    let model = |output: RunOutput| output.report["generation"]["model"].clone();
    assert_eq!(model(first.await.unwrap().unwrap()), "first");
    assert_eq!(model(second.await.unwrap().unwrap()), "second");
    assert_eq!(model(third.await.unwrap().unwrap()), "second");

    let [switched] = server.posted("options")[..] else { panic!("not one switch") };
    assert!(server.simulation.busy()[0].end < switched);
}

#[tokio::test]
async fn settings_are_overridden_when_nothing_else_runs() {
    let server = Server::start().await;
    let first = server.run(job("a")).await;
    let overriding =
        server.begin(with("b", json!({ "override_settings": { "eta_noise_seed_delta": 31337 } })));
    let third = server.begin(job("c"));

    for running in [first, overriding, third] {
        running.await.unwrap().unwrap();
    }
    let (busy, posted) = (server.simulation.busy(), server.posted("txt2img"));
    let position = busy.iter().position(|job| job.label == "b").unwrap();
    assert!(busy[..position].iter().all(|before| before.end < posted[position]), "{busy:?}");
    assert!(posted[position + 1..].iter().all(|after| busy[position].end < *after), "{busy:?}");
}

#[tokio::test]
async fn memory_is_freed_when_nothing_runs() {
    let server = Server::start().await;
    let running = server.run(job("a")).await;

    server.runtime.free_memory().await;

    running.await.unwrap().unwrap();
    let (unloaded, reloaded) = (server.posted("unload-checkpoint")[0], server.posted("reload-checkpoint")[0]);
    assert!(server.simulation.busy()[0].end < unloaded && unloaded < reloaded);
}

#[tokio::test]
async fn runs_of_another_process_are_interrupted() {
    let server = Server::with_latency(Duration::from_secs(600)).await;
    assert_eq!(server.runtime.interrupt_orphans(&[]).await, Ok(true));
    server.leave_orphan(6_000);
    server.leave_orphan(6_000);
    wait::until("both", async || (server.posted("txt2img").len() == 2).then_some(())).await;

    wait::until("the first look", async || {
        (server.runtime.interrupt_orphans(&[]).await == Ok(false)).then_some(())
    })
    .await;
    server.until_no_orphans().await;

    let left: Vec<_> = server.ran().into_iter().filter(|(prompt, _)| prompt == "left").collect();
    assert_eq!(left.len(), 2);
}

/// Such a server reports it as running for ever.
#[tokio::test]
async fn failed_upscaling_is_not_waited_for() {
    let server = Server::start().await;
    let pixel =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg==";
    // Another client's: the worker requests no upscaler that does not exist.
    let body = json!({ "image": pixel, "upscaler_1": "No such" });
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/sdapi/v1/extra-single-image", server.simulation.url());
    assert_eq!(client.post(url).json(&body).send().await.unwrap().status().as_u16(), 500);

    assert_eq!(server.runtime.interrupt_orphans(&[]).await, Ok(false));
    server.until_no_orphans().await;
}

#[tokio::test]
async fn a_hanging_server_always_has_orphans() {
    let server = Server::start().await;
    server.simulation.faults().plan(Fault::Hang, 1);
    server.leave_orphan(1);
    wait::until("the first look", async || {
        (server.runtime.interrupt_orphans(&[]).await == Ok(false)).then_some(())
    })
    .await;

    wait::until("a few interrupts", async || (server.posted("interrupt").len() > 2).then_some(())).await;

    assert_eq!(server.runtime.interrupt_orphans(&[]).await, Ok(false));
}

/// The run of a live worker is no orphan.
#[tokio::test]
async fn a_run_that_a_worker_waits_for_is_no_orphan() {
    let server = Server::start().await;
    let running = server.run(job("a")).await;

    assert_eq!(server.runtime.interrupt_orphans(&[]).await, Ok(true));

    running.await.unwrap().unwrap();
    assert_eq!((server.ran(), server.posted("interrupt").len()), (vec![to_the_end("a")], 0));
}

/// Waits until the server reports the run in that state, then sends the command as another client.
async fn command_when(server: &Server, command: &str, is_time: impl Fn(&Value) -> bool) {
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let api = format!("{}/sdapi/v1", server.simulation.url());
    wait::until("the moment", async || {
        let answer = client.get(format!("{api}/progress")).send().await.unwrap();
        is_time(&answer.json::<Value>().await.unwrap()["state"]).then_some(())
    })
    .await;
    client.post(format!("{api}/{command}")).send().await.unwrap();
}

/// The server resets its interrupt flag when the next run begins, which is posted already.
#[tokio::test]
async fn a_run_that_another_client_interrupts_is_no_success_even_if_another_one_is_pending() {
    let server = Server::with_latency(Duration::from_secs(30)).await;
    // A step takes 3 s, and the run continues to the end of the step in which it is interrupted.
    let first = server.run(with("a", json!({ "steps": 10 }))).await;
    let _second = server.run(with("b", json!({ "steps": 10 }))).await;

    command_when(&server, "interrupt", |state| state["sampling_step"] == 1).await;

    let error = first.await.unwrap().unwrap_err();
    assert_eq!((error.code, error.is_retryable()), (ErrorCode::Interrupted, true));
}

/// And its flag for a skipped batch when the next batch begins.
#[tokio::test]
async fn a_batch_that_another_client_skips_is_no_success() {
    let server = Server::with_latency(Duration::from_secs(12)).await;
    let running = server.run(with("a", json!({ "steps": 2, "n_iter": 2 }))).await;

    command_when(&server, "skip", |state| state["sampling_step"] == 1).await;

    assert_eq!(running.await.unwrap().unwrap_err().code, ErrorCode::Interrupted);
}

/// The interrupt need not be observed: the images of the other batches are missing.
#[tokio::test]
async fn missing_batches_are_no_success() {
    let server = Server::with_latency(Duration::from_secs(8)).await;
    let first = server.run(with("a", json!({ "steps": 400, "n_iter": 2 }))).await;
    let second = server.run(with("b", json!({ "steps": 1 }))).await;

    command_when(&server, "interrupt", |state| state["sampling_step"].as_u64() > Some(0)).await;

    assert_eq!(first.await.unwrap().unwrap_err().code, ErrorCode::Interrupted);
    assert_eq!(second.await.unwrap().unwrap().files.len(), 1);
}

#[tokio::test]
async fn upscaling_that_another_client_interrupts_is_no_success() {
    let server = Server::with_latency(Duration::from_secs(4)).await;
    let pixel =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg==";
    let listed = json!({ "data": pixel, "name": "x" });
    let content = json!({ "imageList": [listed, listed, listed, listed], "upscaler_1": "Nearest" });
    let extras = || task::job("extra-batch-images", &content, Vec::new());
    let first = server.begin(extras());
    wait::until("the call", async || server.posted("extra-batch-images").first().map(|_| ())).await;
    let second = server.run(job("b")).await;

    command_when(&server, "interrupt", |state| state["job"] == "extras" && state["job_no"] == 2).await;

    assert_eq!(first.await.unwrap().unwrap_err().code, ErrorCode::Interrupted);
    second.await.unwrap().unwrap();
    assert_eq!(server.begin(extras()).await.unwrap().unwrap().files.len(), 4);
}
