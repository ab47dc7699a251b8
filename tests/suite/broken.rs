//! A runtime whose process can do no further work costs no task, whether it says so or not; and a task that fails on a sound
//! runtime does not stop it.

mod known_task;
mod order;
mod server_errors;

use std::path::PathBuf;

use integration_tests::health_port::HealthPort;
use integration_tests::lab::{FrontDoor, Lab, Runtime};
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

/// What nobody has on a list.
fn nameless() -> Fault {
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

async fn submit(door: &FrontDoor, runtime: &Runtime, id: &str) {
    if runtime.runtime_type == "comfyui" {
        let inputs = json!({ "width": 64, "height": 64, "batch_size": 1, "color": id.len() + id.bytes().map(usize::from).sum::<usize>() });
        submit_workflow(door, id, inputs).await;
    } else {
        let content = json!({ "prompt": id, "width": 64, "height": 64, "steps": 2 });
        door.submit(&runtime.name, "text-to-image", id, content).await;
    }
}

async fn submit_workflow(door: &FrontDoor, id: &str, inputs: Value) {
    let source = json!({ "class_type": "EmptyImage", "inputs": inputs });
    let save = json!({ "class_type": "SaveImage", "inputs": { "filename_prefix": id, "images": ["1", 0] } });
    door.submit("comfyui", "pipeline", id, json!({ "1": source, "2": save })).await;
}

async fn metric(port: &HealthPort, line: &str) -> u64 {
    let text = port.get("/metrics").await.unwrap().text().await.unwrap();
    let line =
        text.lines().find(|said| said.starts_with(line)).unwrap_or_else(|| panic!("no {line} in:\n{text}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

/// How often the runtime was found broken, by its own words and by checks.
async fn found_broken(port: &HealthPort, runtime: &Runtime) -> [u64; 2] {
    let name = &runtime.name;
    let line = |sign| format!("darkroom_worker_runtime_broken_total{{runtime=\"{name}\",sign=\"{sign}\"}}");
    [metric(port, &line("words")).await, metric(port, &line("check")).await]
}

/// Thirty tasks before a runtime that breaks after its first run, until it is restarted.
async fn costs_no_task(runtime_type: &str, fault: Fault, sign: &str) {
    let lab = Lab::start().await;
    let mut runtime = runtime(&lab, runtime_type).await;
    let door = lab.front_door(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    let port = HealthPort::of(&mut worker).await;
    submit(&door, &runtime, "before").await;
    assert!(lab.ended("before").await.result);

    simulation(&runtime).faults().plan(fault, 1);
    for n in 0..TASKS {
        submit(&door, &runtime, &format!("task-{n}")).await;
    }
    port.until("/runtime-livez", Err("runtime_broken")).await;
    assert_eq!(port.probe("/readyz").await, Err("runtime_broken".to_owned()));
    assert_eq!(port.probe("/healthz").await, Ok(()));
    wait::until("all tasks to be given back", async || {
        (lab.counts(&runtime.queue.url).await == (u32::try_from(TASKS).unwrap(), 0)).then_some(())
    })
    .await;
    assert_eq!(lab.everything_told().await.len(), 1, "something ended in the broken runtime");

    runtime.restart().await;
    port.until("/runtime-livez", Ok(())).await;
    for n in 0..TASKS {
        let ended = lab.ended(&format!("task-{n}")).await;
        assert!(ended.result, "{:?}", ended.error);
    }
    lab.emptied(&runtime.queue.url).await;
    let signs = if sign == "words" { [1, 0] } else { [0, 1] };
    assert_eq!(found_broken(&port, &runtime).await, signs);
}

#[tokio::test]
async fn a_webui_that_says_that_it_is_broken_costs_no_task() {
    costs_no_task("sdwebui", cuda_error(), "words").await;
}

#[tokio::test]
async fn a_comfyui_that_says_that_it_is_broken_costs_no_task() {
    costs_no_task("comfyui", cuda_error(), "words").await;
}

#[tokio::test]
async fn a_webui_that_breaks_without_known_words_costs_no_task() {
    costs_no_task("sdwebui", nameless(), "check").await;
}

#[tokio::test]
async fn a_comfyui_that_breaks_without_known_words_costs_no_task() {
    costs_no_task("comfyui", nameless(), "check").await;
}

#[tokio::test]
async fn another_pod_does_the_tasks_of_a_broken_runtime() {
    let lab = Lab::start().await;
    let broken = runtime(&lab, "sdwebui").await;
    let door = lab.front_door(&[&broken]).await;
    simulation(&broken).faults().plan(cuda_error(), 1);
    let mut first = lab.worker(&broken, &[]).await;
    submit(&door, &broken, "moves").await;
    HealthPort::of(&mut first).await.until("/runtime-livez", Err("runtime_broken")).await;
    let sound =
        Simulation::start_sdwebui("127.0.0.1:0".parse().unwrap(), SdWebUiOptions::default()).await.unwrap();
    let _second = lab.worker(&broken, &[("API_BASE_URL", &sound.url())]).await;
    let ended = lab.ended("moves").await;
    assert!(ended.result, "{:?}", ended.error);
}

#[tokio::test]
async fn a_task_that_fails_on_a_sound_runtime_fails_with_its_own_error_and_stops_nothing() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, "comfyui").await;
    let door = lab.front_door(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    let port = HealthPort::of(&mut worker).await;
    submit(&door, &runtime, "before").await;
    assert!(lab.ended("before").await.result);

    // More memory than there is: one alone, then many in a row.
    for ids in [vec!["alone"], vec!["a", "b", "c", "d", "e", "f", "g", "h"]] {
        for id in &ids {
            let inputs =
                json!({ "width": 8192, "height": 8192, "batch_size": 128, "color": id.as_bytes()[0] });
            submit_workflow(&door, id, inputs).await;
        }
        for id in &ids {
            let error = lab.ended(id).await.error.unwrap();
            assert_eq!((error.code, error.attempts), (ErrorCode::OutOfMemory, 1), "{id}: {}", error.message);
        }
    }
    assert_eq!(port.probe("/runtime-livez").await, Ok(()));
    submit(&door, &runtime, "after").await;
    assert!(lab.ended("after").await.result);
    assert_eq!(found_broken(&port, &runtime).await, [0, 0]);
}

#[tokio::test]
async fn a_callers_text_in_an_error_breaks_nothing() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, "sdwebui").await;
    let door = lab.front_door(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    let text = "CUDA error: device-side assert triggered";
    let echo =
        Fault::Exception { node: None, kind: "ValueError".into(), message: format!("{text} is too short") };
    simulation(&runtime).faults().plan(echo, 1);
    door.submit("sdruntime", "text-to-image", "echo", json!({ "prompt": text, "width": 64, "height": 64 }))
        .await;
    assert_eq!(lab.ended("echo").await.error.unwrap().code, ErrorCode::RuntimeFailed);
    assert_eq!(HealthPort::of(&mut worker).await.probe("/runtime-livez").await, Ok(()));
}

#[tokio::test]
async fn a_task_that_breaks_every_runtime_fails_in_the_end_and_says_so() {
    let lab = Lab::start().await;
    let mut runtime = runtime(&lab, "sdwebui").await;
    let door = lab.front_door(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    let port = HealthPort::of(&mut worker).await;
    simulation(&runtime).faults().plan(cuda_error(), 1);
    submit(&door, &runtime, "poison").await;
    for _ in 0..2 {
        port.until("/runtime-livez", Err("runtime_broken")).await;
        runtime.restart().await;
        simulation(&runtime).faults().plan(cuda_error(), 1);
        port.until("/runtime-livez", Ok(())).await;
    }
    let ended = lab.ended("poison").await;
    let error = ended.error.unwrap();
    assert_eq!((error.code, error.attempts), (ErrorCode::RuntimeBroken, 3), "{}", error.message);
    assert!(error.message.contains("in each of 3 attempts"), "{}", error.message);
    assert_eq!(lab.json(&ended.output_url).await["attempts"][1]["code"], "runtime_broken");
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
        // Short: some endpoints keep the long poll of a killed worker, which may receive a message that nobody gets.
        let visibility = ("VISIBILITY_TIMEOUT_SECONDS", "20");
        let settings =
            [("STATE_FILE", path.as_str()), ("HOSTNAME", "pod-a"), ("DYNAMIC_SD_MODEL", "true"), visibility];
        Process::start("worker", &lab.worker_variables(runtime, &settings))
    }

    fn file(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// What the worker keeps for the process after it.
    fn state(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.file()).unwrap()).unwrap()
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The runtime says that it is broken, and its worker is killed. The task waits for both.
async fn break_and_kill(door: &FrontDoor, runtime: &Runtime, mut worker: Process) {
    let port = HealthPort::of(&mut worker).await;
    simulation(runtime).faults().plan(cuda_error(), 1);
    submit(door, runtime, "survives").await;
    port.until("/runtime-livez", Err("runtime_broken")).await;
    worker.signal("KILL");
    worker.ended().await;
}

async fn stays_known(runtime_type: &str) {
    let lab = Lab::start().await;
    let mut runtime = runtime(&lab, runtime_type).await;
    let door = lab.front_door(&[&runtime]).await;
    let volume = Volume::new();
    break_and_kill(&door, &runtime, volume.start(&lab, &runtime)).await;

    let mut second = volume.start(&lab, &runtime);
    let port = HealthPort::of(&mut second).await;
    assert_eq!(port.probe("/runtime-livez").await, Err("runtime_broken".to_owned()));
    second.signal("KILL");
    second.ended().await;

    // Nobody sees the runtime go: only what it says of itself shows that it is another process.
    runtime.restart().await;
    let mut third = volume.start(&lab, &runtime);
    third.logged("the runtime was restarted").await;
    HealthPort::of(&mut third).await.until("/readyz", Ok(())).await;
    let ended = lab.ended("survives").await;
    assert!(ended.result, "{:?}", ended.error);
}

#[tokio::test]
async fn a_restarted_worker_knows_that_its_webui_is_broken_until_that_was_restarted() {
    stays_known("sdwebui").await;
}

#[tokio::test]
async fn a_restarted_worker_knows_that_its_comfyui_is_broken_until_that_was_restarted() {
    stays_known("comfyui").await;
}
