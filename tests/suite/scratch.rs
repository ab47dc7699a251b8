//! The scratch folder that worker and ComfyUI share: files of runs are deleted, and it does not fill up.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use integration_tests::health_port::HealthPort;
use integration_tests::image_server::cat;
use integration_tests::lab::{Lab, Runtime};
use integration_tests::process::Process;
use integration_tests::wait;
use reqwest::Method;
use serde_json::{Value, json};
use simulated_runtimes::{CallFault, ComfyUiOptions, DEFAULT_MODEL, Fault, Order};

/// The limit of the folder in tests that fill it.
const LIMIT: usize = 10 << 20;

/// More than nine tenths of it.
const NEARLY_ALL: usize = LIMIT / 100 * 95;

/// The volumes of one pod.
struct Pod {
    scratch: PathBuf,
    state: PathBuf,
}

impl Pod {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("darkroom-pod-{}", uuid::Uuid::new_v4().simple()));
        let pod = Self { scratch: folder.join("scratch"), state: folder.join("state.json") };
        fs::create_dir_all(&pod.scratch).unwrap();
        pod
    }

    /// A ComfyUI that writes to the pod's folder. Each of its runs takes so long.
    async fn comfyui(&self, lab: &Lab, latency: Duration) -> Runtime {
        let mut options = ComfyUiOptions { folder: Some(self.scratch.clone()), ..ComfyUiOptions::default() };
        options.behaviour.latency = latency;
        lab.comfyui(options).await
    }

    fn settings(&self) -> [(&str, &str); 2] {
        [("SCRATCH_FOLDER", self.scratch.to_str().unwrap()), ("STATE_FILE", self.state.to_str().unwrap())]
    }

    fn file(&self, path: &str, size: usize) -> PathBuf {
        let path = self.scratch.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, vec![7; size]).unwrap();
        path
    }

    /// The folders of runs in the folder of that kind.
    fn runs(&self, kind: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.scratch.join(kind).join("darkroom")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn all_runs(&self) -> Vec<PathBuf> {
        ["input", "output", "temp"].into_iter().flat_map(|kind| self.runs(kind)).collect()
    }

    async fn without_runs(&self) {
        wait::until("no folder of a run", async || self.all_runs().is_empty().then_some(())).await;
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        fs::remove_dir_all(self.scratch.parent().unwrap()).ok();
    }
}

/// From a checkpoint and an input image to a picture, its preview, and a text file.
fn workflow(seed: u32) -> Value {
    let data = base64_simd::STANDARD.encode_to_string(cat());
    json!({
        "1": { "class_type": "LoadImage", "inputs": { "image": format!("data:image/png;base64,{data}") } },
        "2": { "class_type": "CheckpointLoaderSimple", "inputs": { "ckpt_name": DEFAULT_MODEL } },
        "3": { "class_type": "CLIPTextEncode", "inputs": { "clip": ["2", 1], "text": "a cat" } },
        "4": { "class_type": "VAEEncode", "inputs": { "pixels": ["1", 0], "vae": ["2", 2] } },
        "5": { "class_type": "KSampler", "inputs": {
            "model": ["2", 0], "positive": ["3", 0], "negative": ["3", 0], "latent_image": ["4", 0], "seed": seed, "steps": 20,
            "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 0.5 } },
        "6": { "class_type": "VAEDecode", "inputs": { "samples": ["5", 0], "vae": ["2", 2] } },
        "7": { "class_type": "SaveImage", "inputs": { "images": ["6", 0], "filename_prefix": "cat" } },
        "8": { "class_type": "PreviewImage", "inputs": { "images": ["6", 0] } },
        "9": { "class_type": "SaveStringKJ", "inputs": {
            "string": "a cat", "filename_prefix": "text", "output_folder": "output", "file_extension": ".txt" } },
    })
}

async fn runs_in(runtime: &Runtime) {
    wait::until("a job in the runtime", async || {
        let requests = runtime.simulation.as_ref().unwrap().requests();
        requests
            .iter()
            .any(|request| request.method == "POST" && request.path.ends_with("/prompt"))
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_files_of_every_task_are_deleted_when_it_is_complete() {
    let lab = Lab::start().await;
    let pod = Pod::new();
    let runtime = pod.comfyui(&lab, Duration::ZERO).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &pod.settings()).await;
    let example = pod.file("input/example.png", 1);
    for n in 0..8 {
        api.submit("comfyui", "pipeline", &format!("stored-{n}"), workflow(n)).await;
    }
    for n in 0..8 {
        let completion = lab.completion(&format!("stored-{n}")).await;
        assert!(completion.result, "{:?}", completion.error);
        assert_eq!(completion.outputs.len(), 1);
    }
    runtime.simulation.as_ref().unwrap().faults().plan(Fault::OutOfMemory, 2);
    api.submit("comfyui", "pipeline", "failed", workflow(8)).await;
    assert!(!lab.completion("failed").await.result);

    pod.without_runs().await;
    assert!(example.exists(), "the operator of the runtime put it there");
    let previews = fs::read_dir(pod.scratch.join("temp")).unwrap().filter_map(Result::ok);
    assert!(previews.filter(|entry| entry.path().is_file()).count() >= 8, "the runtime wrote no files");
}

#[tokio::test]
async fn inputs_of_a_task_that_never_reached_the_queue_are_deleted() {
    let lab = Lab::start().await;
    let pod = Pod::new();
    let runtime = pod.comfyui(&lab, Duration::ZERO).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[&pod.settings()[..], &[("MAX_ATTEMPTS", "1")]].concat()).await;
    let refused = Order::new(Method::POST, "/upload/image", CallFault::FailAfter).skip(1).times(1000);
    runtime.simulation.as_ref().unwrap().call_faults().order(refused);
    let mut two_inputs = workflow(1);
    two_inputs["10"] = two_inputs["1"].clone();
    two_inputs["11"] =
        json!({ "class_type": "SaveImage", "inputs": { "images": ["10", 0], "filename_prefix": "second" } });
    api.submit("comfyui", "pipeline", "refused", two_inputs).await;
    assert!(!lab.completion("refused").await.result);
    lab.emptied(&runtime.queue.url).await;
    worker.signal("TERM");
    worker.exited().await;
    assert_eq!(pod.all_runs(), Vec::<PathBuf>::new());
    assert!(pod.scratch.join("input/darkroom").exists(), "nothing was uploaded");
}

#[tokio::test]
async fn a_stopped_worker_leaves_no_files() {
    let lab = Lab::start().await;
    let pod = Pod::new();
    let runtime = pod.comfyui(&lab, Duration::from_secs(60)).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[&pod.settings()[..], &[("DRAIN_SECONDS", "0")]].concat()).await;
    api.submit("comfyui", "pipeline", "released", workflow(1)).await;
    runs_in(&runtime).await;
    assert_eq!((pod.runs("input").len(), pod.runs("output").len()), (1, 1));

    worker.signal("TERM");
    assert!(worker.exited().await.success());
    assert_eq!(pod.all_runs(), Vec::<PathBuf>::new());
    lab.receive(&runtime.queue.url).await;
}

#[tokio::test]
async fn files_of_a_killed_worker_are_deleted_unless_the_run_is_adopted() {
    let lab = Lab::start().await;
    let pod = Pod::new();
    let runtime = pod.comfyui(&lab, Duration::from_secs(60)).await;
    let api = lab.submit_api(&[&runtime]).await;
    let settings = |name: &'static str| [&pod.settings()[..], &[("HOSTNAME", name)]].concat();
    let mut first = lab.worker(&runtime, &settings("pod-a")).await;
    api.submit("comfyui", "pipeline", "running", workflow(1)).await;
    runs_in(&runtime).await;
    let held = pod.all_runs();
    assert_eq!(held.len(), 2, "{held:?}");
    first.signal("KILL");
    first.exited().await;
    let left = pod.file(&format!("output/darkroom/{}/deep/x.png", uuid::Uuid::new_v4()), 1);
    let mut second = lab.worker(&runtime, &settings("pod-a")).await;
    second.logged("adopting the run of the previous process").await;
    assert!(!left.exists());
    assert!(held.iter().all(|folder| folder.exists()), "the run continues");
    second.signal("KILL");
    second.exited().await;

    // Another pod's claims are not its own.
    let _third = lab.worker(&runtime, &settings("pod-b")).await;
    assert_eq!(pod.all_runs(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn nothing_is_received_while_other_files_fill_the_folder() {
    let lab = Lab::start().await;
    let pod = Pod::new();
    let runtime = pod.comfyui(&lab, Duration::ZERO).await;
    let api = lab.submit_api(&[&runtime]).await;
    let limit = LIMIT.to_string();
    let settings = [&pod.settings()[..], &[("SCRATCH_LIMIT_BYTES", &limit)]].concat();
    let model = pod.file("user/model.bin", NEARLY_ALL);
    let mut worker = Process::start("worker", &lab.worker_variables(&runtime, &settings));
    let port = HealthPort::of(&mut worker).await;
    port.until("/readyz", Err("disk_space_low")).await;
    let full = worker.logged("the scratch folder is nearly full, no tasks are received").await;
    assert_eq!(full["reserved"], LIMIT / 10, "{full}");
    assert_eq!(port.probe("/runtime-livez").await, Ok(()), "a restart would not help");
    api.submit("comfyui", "pipeline", "waits", workflow(1)).await;
    assert_eq!(lab.counts(&runtime.queue.url).await, (1, 0));

    fs::remove_file(model).unwrap();
    assert!(lab.completion("waits").await.result);
    port.until("/readyz", Ok(())).await;
    let metrics = port.get("/metrics").await.unwrap().text().await.unwrap();
    assert!(metrics.contains("darkroom_worker_scratch_free_bytes{runtime=\"comfyui\"} "), "{metrics}");
}

#[tokio::test]
async fn previews_and_stray_results_are_deleted_when_space_is_low() {
    let lab = Lab::start().await;
    let pod = Pod::new();
    let runtime = pod.comfyui(&lab, Duration::ZERO).await;
    let api = lab.submit_api(&[&runtime]).await;
    let limit = LIMIT.to_string();
    let settings = [&pod.settings()[..], &[("SCRATCH_LIMIT_BYTES", &limit)]].concat();
    let _worker = lab.worker(&runtime, &settings).await;
    let strays =
        [pod.file("temp/preview.png", NEARLY_ALL / 2), pod.file("output/3d/model.glb", NEARLY_ALL / 2)];
    let preview = json!({
        "1": { "class_type": "EmptyImage", "inputs": { "width": 64, "height": 64, "batch_size": 1, "color": 1 } },
        "2": { "class_type": "PreviewImage", "inputs": { "images": ["1", 0] } },
    });
    // The second run comes from the runtime's cache, and its file has been deleted.
    for id in ["first", "again"] {
        api.submit("comfyui", "pipeline", id, preview.clone()).await;
        let completion = lab.completion(id).await;
        assert!(completion.result, "{id}: {:?}", completion.error);
        wait::until("the strays to be gone", async || strays.iter().all(|file| !file.exists()).then_some(()))
            .await;
    }
    lab.emptied(&runtime.queue.url).await;
}

#[tokio::test]
async fn a_worker_without_the_folder_deletes_nothing_and_logs_a_warning() {
    let lab = Lab::start().await;
    let pod = Pod::new();
    let runtime = pod.comfyui(&lab, Duration::ZERO).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    worker
        .logged("no scratch folder: the runtime's files are not deleted, and free space is not monitored")
        .await;
    api.submit("comfyui", "pipeline", "stays", workflow(1)).await;
    assert!(lab.completion("stays").await.result);
    lab.emptied(&runtime.queue.url).await;
    worker.signal("TERM");
    worker.exited().await;
    assert_eq!(pod.all_runs().len(), 2);

    let missing = Path::new("/nowhere").to_str().unwrap();
    let variables = lab.worker_variables(&runtime, &[("SCRATCH_FOLDER", missing)]);
    let mut second = Process::start("worker", &variables);
    assert!(!second.exited().await.success());
    assert!(second.lines().join("\n").contains("SCRATCH_FOLDER cannot be used"), "{:?}", second.lines());
}
