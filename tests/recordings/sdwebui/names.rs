//! Names that servers replace silently, against the simulation, which replaces them as the servers do.

use std::sync::Arc;

use integration_tests::lab::free_port;
use integration_tests::wait;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use simulated_runtimes::{Behaviour, Dialect, SdWebUiOptions, Simulation};
use worker::error::TaskError;
use worker::runtimes::{RunOutput, Runtime, sdwebui};

use crate::task;

pub(super) struct Server {
    pub(super) simulation: Simulation,
    runtime: Arc<dyn Runtime>,
}

impl Server {
    async fn start(dialect: Dialect) -> Self {
        Self::with(dialect, Behaviour::default()).await
    }

    async fn with(dialect: Dialect, behaviour: Behaviour) -> Self {
        let models = ["first.safetensors", "second.safetensors"].map(str::to_owned).to_vec();
        Self::of(SdWebUiOptions { models, dialect, behaviour, ..SdWebUiOptions::default() }).await
    }

    pub(super) async fn of(options: SdWebUiOptions) -> Self {
        let simulation = Simulation::start_sdwebui(free_port(), options).await.unwrap();
        let runtime = sdwebui::connect(&task::options(&simulation.url())).unwrap();
        runtime.pin_settings().await.unwrap();
        Self { simulation, runtime }
    }

    pub(super) async fn run(&self, more: Value) -> Result<RunOutput, TaskError> {
        self.runtime.run(task::job("text-to-image", &content(more), Vec::new())).await
    }

    /// The last body of that call.
    pub(super) fn sent(&self, path: &str) -> Value {
        let path = format!("/sdapi/v1/{path}");
        let sent = self.simulation.requests().into_iter().rfind(|it| it.method == "POST" && it.path == path);
        sent.unwrap().body.unwrap()
    }

    async fn option(&self, name: &str) -> Value {
        let url = format!("{}/sdapi/v1/options", self.simulation.url());
        client().get(url).send().await.unwrap().json::<Value>().await.unwrap()[name].clone()
    }
}

fn client() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn content(more: Value) -> Value {
    let mut content = json!({ "prompt": "a dog", "width": 64, "height": 64, "steps": 2 });
    content.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    content
}

fn format(output: &RunOutput) -> &'static str {
    match &output.files[0].bytes[..4] {
        b"\x89PNG" => "png",
        b"RIFF" => "webp",
        _ => "jpg",
    }
}

pub(super) const ALL: [Dialect; 3] = [Dialect::Automatic1111, Dialect::Forge, Dialect::SdNext];

#[tokio::test]
async fn a_name_that_the_server_does_not_have_is_refused_at_its_field() {
    let unit = json!({ "enabled": true, "module": "canny", "model": "nope [12345678]", "image": "AAAA" });
    for (asked, field) in [
        (json!({ "sampler_name": "NoSuch" }), "/content/sampler_name"),
        (json!({ "scheduler": "NoSuch" }), "/content/scheduler"),
        (json!({ "enable_hr": true, "hr_upscaler": "NoSuch" }), "/content/hr_upscaler"),
        (json!({ "script_name": "NoSuch" }), "/content/script_name"),
        (
            json!({ "alwayson_scripts": { "ControlNet": { "args": [unit] } } }),
            "/content/alwayson_scripts/ControlNet/args/0/model",
        ),
    ] {
        for dialect in ALL {
            let server = Server::start(dialect).await;
            let error = server.run(asked.clone()).await.unwrap_err();
            assert_eq!(
                (error.code, error.field.as_deref()),
                (ErrorCode::RuntimeRejected, Some(field)),
                "{dialect:?}"
            );
            assert_eq!(server.simulation.busy().len(), 0);
        }
    }
}

#[tokio::test]
async fn other_spellings_of_a_name_are_sent_as_the_server_lists_them() {
    for dialect in ALL {
        let server = Server::start(dialect).await;
        for (asked, sent) in [
            ("euler a", "Euler a"),
            ("k_dpmpp_2m", "DPM++ 2M"),
            ("Euler", "Euler"),
            ("DPM++ 2M Karras", "DPM++ 2M Karras"),
        ] {
            if (dialect, asked) == (Dialect::SdNext, "DPM++ 2M Karras") {
                continue;
            }
            let output = server.run(json!({ "sampler_name": asked })).await.unwrap();
            assert_eq!(server.sent("txt2img")["sampler_name"], sent, "{dialect:?}");
            assert_eq!(output.warnings, [], "{asked}");
        }
    }
}

#[tokio::test]
async fn a_model_is_sent_as_the_server_lists_it() {
    for dialect in ALL {
        let server = Server::start(dialect).await;
        for asked in ["second.safetensors", "second", "sd15\\second.safetensors [0123456789]"] {
            let output =
                server.run(json!({ "override_settings": { "sd_model_checkpoint": asked } })).await.unwrap();
            let ran = &output.report["generation"]["model"];
            assert_eq!(ran, "second", "{dialect:?} {asked}");
        }
        for none in [json!(""), Value::Null] {
            let settings = json!({ "sd_model_checkpoint": none, "sd_vae": "" });
            let output = server.run(json!({ "override_settings": settings })).await.unwrap();
            assert_eq!(output.report["generation"]["model"], "first", "{dialect:?}");
        }
        let asked =
            json!({ "override_settings": { "sd_model_checkpoint": "nope.safetensors [0123456789]" } });
        let error = server.run(asked).await.unwrap_err();
        assert_eq!((error.code, error.is_retryable()), (ErrorCode::ModelNotFound, false));
    }
}

#[tokio::test]
async fn the_second_pass_works_on_every_server() {
    for dialect in ALL {
        let server = Server::start(dialect).await;
        let asked = json!({ "enable_hr": true, "hr_scale": 2, "hr_upscaler": "Latent" });
        assert_eq!(server.run(asked).await.unwrap().files.len(), 1, "{dialect:?}");
        let sent = server.sent("txt2img");
        // Only Forge gets its own field.
        assert_eq!(sent.get("hr_additional_modules").is_some(), dialect == Dialect::Forge);
    }
}

#[tokio::test]
async fn the_format_of_images_is_the_tasks_own_and_no_other_tasks() {
    for (dialect, own, other) in [
        (Dialect::Automatic1111, "png", "jpg"),
        (Dialect::Forge, "png", "webp"),
        (Dialect::SdNext, "jpg", "png"),
    ] {
        let server = Server::start(dialect).await;
        let asked = json!({ "override_settings": { "samples_format": other } });
        assert_eq!(format(&server.run(asked).await.unwrap()), other, "{dialect:?}");
        assert_eq!(format(&server.run(json!({})).await.unwrap()), own, "{dialect:?}");
        wait::until("the own format", async || (server.option("samples_format").await == own).then_some(()))
            .await;
    }
}

/// Nor does a run that was stopped leave its format.
#[tokio::test]
async fn the_format_is_reset_after_a_run_that_was_stopped() {
    let latency = std::time::Duration::from_secs(600);
    let server = Server::with(Dialect::Forge, Behaviour { latency, ..Behaviour::default() }).await;
    let asked = content(json!({ "steps": 6_000, "override_settings": { "samples_format": "jpg" } }));
    let job = task::job("text-to-image", &asked, Vec::new());
    let (stop, runtime) = (job.stop.clone(), Arc::clone(&server.runtime));
    let running = tokio::spawn(async move { runtime.run(job).await });
    wait::until("its format", async || (server.option("samples_format").await == "jpg").then_some(())).await;

    stop.cancel();

    assert_eq!(running.await.unwrap().unwrap_err().code, ErrorCode::Interrupted);
    wait::until("the own format", async || (server.option("samples_format").await == "png").then_some(()))
        .await;
}

/// A worker that was killed in mid-run has left a task's format: the next process resets it by the handle.
#[tokio::test]
async fn the_format_is_reset_by_the_next_process() {
    let latency = std::time::Duration::from_secs(600);
    let server = Server::with(Dialect::Forge, Behaviour { latency, ..Behaviour::default() }).await;
    let asked = content(json!({ "steps": 6_000, "override_settings": { "samples_format": "jpg" } }));
    let mut job = task::job("text-to-image", &asked, Vec::new());
    let (handles, mut reported) = tokio::sync::mpsc::unbounded_channel();
    job.handles = handles;
    let runtime = Arc::clone(&server.runtime);
    let running = tokio::spawn(async move { runtime.run(job).await });
    let handle = reported.recv().await.unwrap();
    wait::until("its format", async || (server.option("samples_format").await == "jpg").then_some(())).await;
    running.abort();

    let next = sdwebui::connect(&task::options(&server.simulation.url())).unwrap();
    next.pin_settings().await.unwrap();
    let job = task::job("text-to-image", &asked, Vec::new());
    assert!(next.adopt(job, &handle).await.is_none());

    assert_eq!(server.option("samples_format").await, "png");
}

/// Another client interrupts, or skips, during the run.
#[tokio::test]
async fn a_run_that_another_client_cut_short_is_no_success() {
    for (dialect, command) in [
        (Dialect::Automatic1111, "interrupt"),
        (Dialect::Automatic1111, "skip"),
        (Dialect::Forge, "interrupt"),
        (Dialect::Forge, "skip"),
    ] {
        let latency = std::time::Duration::from_secs(600);
        let server = Server::with(dialect, Behaviour { latency, ..Behaviour::default() }).await;
        let runtime = Arc::clone(&server.runtime);
        let job = task::job("text-to-image", &content(json!({ "steps": 6_000 })), Vec::new());
        let running = tokio::spawn(async move { runtime.run(job).await });
        let url = server.simulation.url();
        let progress = format!("{url}/sdapi/v1/progress");
        wait::until("the run", async || {
            let state =
                client().get(&progress).send().await.unwrap().json::<Value>().await.unwrap()["state"].take();
            (state["job_count"] == 1).then_some(())
        })
        .await;

        client().post(format!("{url}/sdapi/v1/{command}")).send().await.unwrap();

        let error = running.await.unwrap().unwrap_err();
        assert_eq!(error.code, ErrorCode::Interrupted, "{dialect:?} {command}");
        assert!(error.is_retryable());
    }
}
