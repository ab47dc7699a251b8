//! A runtime whose process is broken fails no task, whether its error is a known one or not; and a task that fails on a healthy
//! runtime does not stop it.

mod known_task;
mod order;
mod server_errors;

use std::path::PathBuf;

use integration_tests::health_port::HealthPort;
use integration_tests::lab::{Lab, Runtime, SubmitApi};
use integration_tests::process::Process;
use integration_tests::wait;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use simulated_runtimes::{ComfyUiOptions, Fault, SdWebUiOptions, Simulation};

const TASKS: usize = 30;

const CHECKING: &str = "checking the runtime with the known-good task";

/// What PyTorch raises once a kernel has failed.
fn cuda_error() -> Fault {
    let message = "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be asynchronously \
                   reported at some other API call";
    Fault::Broken { kind: "RuntimeError".into(), message: message.into() }
}

/// An error that is on no list.
fn unlisted_error() -> Fault {
    Fault::Broken { kind: "RuntimeError".into(), message: "shapes differ".into() }
}

/// The same in one run only.
fn exception(node: Option<&str>) -> Fault {
    let node = node.map(str::to_owned);
    Fault::Exception { node, kind: "RuntimeError".into(), message: "shapes differ".into() }
}

async fn runtime(lab: &Lab, runtime_type: &str) -> Runtime {
    match runtime_type {
        "comfyui" => lab.comfyui(ComfyUiOptions::default()).await,
        _ => lab.sdwebui(SdWebUiOptions::default()).await,
    }
}

fn simulation(runtime: &Runtime) -> &Simulation {
    runtime.simulation.as_ref().unwrap()
}

async fn submit(api: &SubmitApi, runtime: &Runtime, id: &str) {
    if runtime.runtime_type == "comfyui" {
        let inputs = json!({ "width": 64, "height": 64, "batch_size": 1, "color": id.len() + id.bytes().map(usize::from).sum::<usize>() });
        submit_workflow(api, id, inputs).await;
    } else {
        let content = json!({ "prompt": id, "width": 64, "height": 64, "steps": 2 });
        api.submit(&runtime.name, "text-to-image", id, content).await;
    }
}

async fn submit_workflow(api: &SubmitApi, id: &str, inputs: Value) {
    let source = json!({ "class_type": "EmptyImage", "inputs": inputs });
    let save = json!({ "class_type": "SaveImage", "inputs": { "filename_prefix": id, "images": ["1", 0] } });
    api.submit("comfyui", "pipeline", id, json!({ "1": source, "2": save })).await;
}

async fn metric(port: &HealthPort, line: &str) -> u64 {
    let text = port.get("/metrics").await.unwrap().text().await.unwrap();
    let line = text
        .lines()
        .find(|sample| sample.starts_with(line))
        .unwrap_or_else(|| panic!("no {line} in:\n{text}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

/// How often the runtime was found broken, by known errors and by checks.
async fn found_broken(port: &HealthPort, runtime: &Runtime) -> [u64; 2] {
    let name = &runtime.name;
    let line = |sign| format!("darkroom_worker_runtime_broken_total{{runtime=\"{name}\",sign=\"{sign}\"}}");
    [metric(port, &line("words")).await, metric(port, &line("check")).await]
}

/// Thirty tasks for a runtime that breaks after its first run, until it is restarted.
async fn fails_no_task(runtime_type: &str, fault: Fault, sign: &str) {
    let lab = Lab::start().await;
    let mut runtime = runtime(&lab, runtime_type).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    let port = HealthPort::of(&mut worker).await;
    submit(&api, &runtime, "before").await;
    assert!(lab.completion("before").await.result);

    simulation(&runtime).faults().plan(fault, 1);
    for n in 0..TASKS {
        submit(&api, &runtime, &format!("task-{n}")).await;
    }
    port.until("/runtime-livez", Err("runtime_broken")).await;
    assert_eq!(port.probe("/readyz").await, Err("runtime_broken".to_owned()));
    assert_eq!(port.probe("/healthz").await, Ok(()));
    wait::until("all tasks to be released", async || {
        (lab.counts(&runtime.queue.url).await == (u32::try_from(TASKS).unwrap(), 0)).then_some(())
    })
    .await;
    assert_eq!(lab.notifications().await.len(), 1, "a task completed in the broken runtime");

    runtime.restart().await;
    port.until("/runtime-livez", Ok(())).await;
    for n in 0..TASKS {
        let completion = lab.completion(&format!("task-{n}")).await;
        assert!(completion.result, "{:?}", completion.error);
    }
    lab.emptied(&runtime.queue.url).await;
    let signs = if sign == "words" { [1, 0] } else { [0, 1] };
    assert_eq!(found_broken(&port, &runtime).await, signs);
}

#[tokio::test]
async fn a_webui_that_breaks_with_a_known_error_fails_no_task() {
    fails_no_task("sdwebui", cuda_error(), "words").await;
}

#[tokio::test]
async fn a_comfyui_that_breaks_with_a_known_error_fails_no_task() {
    fails_no_task("comfyui", cuda_error(), "words").await;
}

#[tokio::test]
async fn a_webui_that_breaks_with_an_unlisted_error_fails_no_task() {
    fails_no_task("sdwebui", unlisted_error(), "check").await;
}

#[tokio::test]
async fn a_comfyui_that_breaks_with_an_unlisted_error_fails_no_task() {
    fails_no_task("comfyui", unlisted_error(), "check").await;
}

#[tokio::test]
async fn another_pod_processes_the_tasks_of_a_broken_runtime() {
    let lab = Lab::start().await;
    let broken = runtime(&lab, "sdwebui").await;
    let api = lab.submit_api(&[&broken]).await;
    simulation(&broken).faults().plan(cuda_error(), 1);
    let mut first = lab.worker(&broken, &[]).await;
    submit(&api, &broken, "moves").await;
    HealthPort::of(&mut first).await.until("/runtime-livez", Err("runtime_broken")).await;
    let healthy =
        Simulation::start_sdwebui("127.0.0.1:0".parse().unwrap(), SdWebUiOptions::default()).await.unwrap();
    let _second = lab.worker(&broken, &[("API_BASE_URL", &healthy.url())]).await;
    let completion = lab.completion("moves").await;
    assert!(completion.result, "{:?}", completion.error);
}

#[tokio::test]
async fn a_task_that_fails_on_a_healthy_runtime_fails_with_its_own_error_and_stops_nothing() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, "comfyui").await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    let port = HealthPort::of(&mut worker).await;
    submit(&api, &runtime, "before").await;
    assert!(lab.completion("before").await.result);

    // More memory than there is: one alone, then many in a row.
    for ids in [vec!["alone"], vec!["a", "b", "c", "d", "e", "f", "g", "h"]] {
        for id in &ids {
            let inputs =
                json!({ "width": 8192, "height": 8192, "batch_size": 128, "color": id.as_bytes()[0] });
            submit_workflow(&api, id, inputs).await;
        }
        for id in &ids {
            let error = lab.completion(id).await.error.unwrap();
            assert_eq!((error.code, error.attempts), (ErrorCode::OutOfMemory, 1), "{id}: {}", error.message);
        }
    }
    assert_eq!(port.probe("/runtime-livez").await, Ok(()));
    submit(&api, &runtime, "after").await;
    assert!(lab.completion("after").await.result);
    assert_eq!(found_broken(&port, &runtime).await, [0, 0]);
}

#[tokio::test]
async fn a_callers_text_in_an_error_breaks_nothing() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, "sdwebui").await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    let text = "CUDA error: device-side assert triggered";
    let echo =
        Fault::Exception { node: None, kind: "ValueError".into(), message: format!("{text} is too short") };
    simulation(&runtime).faults().plan(echo, 1);
    api.submit("sdruntime", "text-to-image", "echo", json!({ "prompt": text, "width": 64, "height": 64 }))
        .await;
    assert_eq!(lab.completion("echo").await.error.unwrap().code, ErrorCode::RuntimeFailed);
    assert_eq!(HealthPort::of(&mut worker).await.probe("/runtime-livez").await, Ok(()));
}

#[tokio::test]
async fn a_task_that_breaks_every_runtime_fails_with_runtime_broken() {
    let lab = Lab::start().await;
    let mut runtime = runtime(&lab, "sdwebui").await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    let port = HealthPort::of(&mut worker).await;
    simulation(&runtime).faults().plan(cuda_error(), 1);
    submit(&api, &runtime, "poison").await;
    for _ in 0..2 {
        port.until("/runtime-livez", Err("runtime_broken")).await;
        runtime.restart().await;
        simulation(&runtime).faults().plan(cuda_error(), 1);
        port.until("/runtime-livez", Ok(())).await;
    }
    let completion = lab.completion("poison").await;
    let error = completion.error.unwrap();
    assert_eq!((error.code, error.attempts), (ErrorCode::RuntimeBroken, 3), "{}", error.message);
    assert!(error.message.contains("in each of 3 attempts"), "{}", error.message);
    assert_eq!(lab.json(&completion.output_url).await["attempts"][1]["code"], "runtime_broken");
}

/// A folder that outlives a worker's process, as a pod's volume does.
struct Volume(PathBuf);

impl Volume {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("darkroom-broken-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn start(&self, lab: &Lab, runtime: &Runtime) -> Process {
        let path = self.file().to_str().unwrap().to_owned();
        // Short: some endpoints keep the long poll of a killed worker open, which may receive a message for no one.
        let visibility = ("VISIBILITY_TIMEOUT_SECONDS", "20");
        let settings =
            [("STATE_FILE", path.as_str()), ("HOSTNAME", "pod-a"), ("DYNAMIC_SD_MODEL", "true"), visibility];
        Process::start("worker", &lab.worker_variables(runtime, &settings))
    }

    fn file(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// The state that the worker keeps for the next process.
    fn state(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.file()).unwrap()).unwrap()
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The runtime breaks, and its worker is killed. The task waits for both.
async fn break_and_kill(api: &SubmitApi, runtime: &Runtime, mut worker: Process) {
    let port = HealthPort::of(&mut worker).await;
    simulation(runtime).faults().plan(cuda_error(), 1);
    submit(api, runtime, "survives").await;
    port.until("/runtime-livez", Err("runtime_broken")).await;
    worker.signal("KILL");
    worker.exited().await;
}

async fn broken_state_is_kept(runtime_type: &str) {
    let lab = Lab::start().await;
    let mut runtime = runtime(&lab, runtime_type).await;
    let api = lab.submit_api(&[&runtime]).await;
    let volume = Volume::new();
    break_and_kill(&api, &runtime, volume.start(&lab, &runtime)).await;

    let mut second = volume.start(&lab, &runtime);
    let port = HealthPort::of(&mut second).await;
    assert_eq!(port.probe("/runtime-livez").await, Err("runtime_broken".to_owned()));
    second.signal("KILL");
    second.exited().await;

    // No worker observes the restart: only the runtime's own state shows that it is another process.
    runtime.restart().await;
    let mut third = volume.start(&lab, &runtime);
    third.logged("the runtime was restarted").await;
    HealthPort::of(&mut third).await.until("/readyz", Ok(())).await;
    let completion = lab.completion("survives").await;
    assert!(completion.result, "{:?}", completion.error);
}

#[tokio::test]
async fn a_restarted_worker_considers_its_webui_broken_until_the_webui_restarts() {
    broken_state_is_kept("sdwebui").await;
}

#[tokio::test]
async fn a_restarted_worker_considers_its_comfyui_broken_until_the_comfyui_restarts() {
    broken_state_is_kept("comfyui").await;
}
