//! The environment of a failing call: a lab of its own, with one runtime, one worker and one task.

use std::time::Duration;

use integration_tests::comfy_api;
use integration_tests::image_server::{ImageServer, cat};
use integration_tests::lab::{Lab, Runtime, SubmitApi};
use integration_tests::process::Process;
use integration_tests::wait;
use local_stack::aws::{self, EmbeddedAws};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simulated_runtimes::{Behaviour, ComfyUiOptions, ComfyUiVersion, Fault, SdWebUiOptions, Simulation};

use crate::task::{ASSET, PROMPT, Task};

/// The access key id of the worker: AWS faults are injected into its calls only.
pub(crate) const WORKER: &str = "worker";

/// The scenario in which a worker makes the call of a case.
#[derive(Clone)]
pub(crate) struct Scenario {
    /// The task that it works on.
    pub(crate) task: Task,
    /// How long a run takes, in milliseconds.
    pub(crate) run_ms: u64,
    /// Variables beyond the usual ones.
    pub(crate) variables: &'static [(&'static str, &'static str)],
    /// Another failure, so often, which causes the call.
    pub(crate) runtime_fault: Option<(Fault, u32)>,
    /// The queue denies the first deletion of the message, so that it is redelivered although its task is committed.
    pub(crate) is_redelivered: bool,
    /// The fault is injected and the task sent before the worker starts.
    pub(crate) at_the_start: bool,
    /// The version of the runtime's interface, if it is ComfyUI.
    pub(crate) comfyui: ComfyUiVersion,
    /// Tasks are recorded.
    pub(crate) is_recorded: bool,
    /// Orphaned runs are in the runtime when the worker starts.
    pub(crate) orphans: bool,
}

impl Scenario {
    /// A task without any other failure, sent to a worker that is ready.
    pub(crate) fn of(task: Task) -> Self {
        Self {
            task,
            run_ms: 0,
            variables: &[],
            runtime_fault: None,
            is_redelivered: false,
            at_the_start: false,
            comfyui: ComfyUiVersion::default(),
            is_recorded: false,
            orphans: false,
        }
    }

    /// The same with records of tasks.
    pub(crate) fn recorded(self) -> Self {
        Self { is_recorded: true, ..self }
    }

    /// The same with the newest ComfyUI.
    pub(crate) fn with_current_comfyui(self) -> Self {
        Self { comfyui: ComfyUiVersion::V0_45, ..self }
    }

    /// The same with longer runs.
    pub(crate) fn running(self, run_ms: u64) -> Self {
        Self { run_ms, ..self }
    }

    /// The same with more variables.
    pub(crate) fn with(self, variables: &'static [(&'static str, &'static str)]) -> Self {
        Self { variables, ..self }
    }

    /// The same with runs that fail, so often.
    pub(crate) fn failing(self, fault: Fault, times: u32) -> Self {
        Self { runtime_fault: Some((fault, times)), ..self }
    }

    /// The same with a message that is redelivered once although its task is committed.
    pub(crate) fn with_redelivery(self) -> Self {
        Self { is_redelivered: true, ..self }
    }

    /// The same while the worker starts.
    pub(crate) fn at_the_start(self) -> Self {
        Self { at_the_start: true, ..self }
    }

    /// The same while the worker starts at a runtime with orphaned runs.
    pub(crate) fn with_orphans(self) -> Self {
        Self { orphans: true, ..self.at_the_start() }
    }
}

/// The environment of a scenario.
pub(crate) struct Environment {
    /// AWS APIs and the completion topic.
    pub(crate) lab: Lab,
    /// The server of the task's images.
    pub(crate) images: ImageServer,
    /// The runtime with its queue.
    pub(crate) runtime: Runtime,
    api: SubmitApi,
    /// The orphaned jobs of ComfyUI.
    orphans: Vec<String>,
}

impl Environment {
    /// Starts everything but the worker.
    pub(crate) async fn of(scenario: &Scenario) -> Self {
        let lab = Lab::start().await;
        let images = ImageServer::start().await;
        let behaviour = Behaviour { latency: Duration::from_millis(scenario.run_ms), ..Behaviour::default() };
        let models = scenario.task.models();
        let runtime = if scenario.task.is_workflow() {
            let version = scenario.comfyui;
            lab.comfyui(ComfyUiOptions { behaviour, models, version, ..ComfyUiOptions::default() }).await
        } else {
            lab.sdwebui(SdWebUiOptions { behaviour, models, ..SdWebUiOptions::default() }).await
        };
        let runtime = Runtime { claim_check: true, ..runtime };
        let registry: &[&Runtime] = if scenario.task.names_model() { &[] } else { &[&runtime] };
        let api = match scenario.is_recorded {
            true => lab.recording_api(registry).await,
            false => lab.submit_api(registry).await,
        };
        let s3 = &lab.clients().s3;
        let put = s3.put_object().bucket(&lab.shared.bucket).key("in/cat.png").body(cat().into());
        put.send().await.unwrap();
        if scenario.task == Task::WorkflowFromAsset {
            let (status, asset) = comfy_api::upload(&api, &cat(), ASSET, &[]).await;
            assert_eq!(status, StatusCode::CREATED, "{asset}");
        }

        let mut environment = Self { lab, images, runtime, orphans: Vec::new(), api };
        if let Some((fault, times)) = &scenario.runtime_fault {
            environment.simulation().faults().plan(fault.clone(), *times);
        }
        if scenario.is_redelivered {
            let refused = aws::Order::new(aws::Service::Sqs, "DeleteMessage", aws::Fault::Deny).by(WORKER);
            environment.aws().faults().order(refused);
        }
        if scenario.orphans {
            environment.orphans = environment.leave_orphans(&scenario.task).await;
        }
        environment
    }

    /// The AWS APIs, which inject faults.
    pub(crate) fn aws(&self) -> &EmbeddedAws {
        self.lab.aws.embedded.as_ref().unwrap()
    }

    /// The runtime, which injects faults.
    pub(crate) fn simulation(&self) -> &Simulation {
        self.runtime.simulation.as_ref().unwrap()
    }

    /// Starts the worker.
    pub(crate) fn worker(&self, scenario: &Scenario) -> Process {
        let images = self.images.address.to_string();
        let usual = [
            ("AWS_ACCESS_KEY_ID", WORKER),
            ("VISIBILITY_TIMEOUT_SECONDS", "5"),
            ("RUN_TIMEOUT_SECONDS", "100"),
            ("MAX_ATTEMPTS", "2"),
            ("INPUT_ALLOW_HOSTS", images.as_str()),
            ("INPUT_S3_BUCKETS", self.lab.shared.bucket.as_str()),
        ];
        let recorded = [("RECORD_TABLE", self.lab.shared.record_table.as_str())];
        let recorded = if scenario.is_recorded { &recorded[..] } else { &[] };
        let variables = [&usual[..], recorded, scenario.variables].concat();
        Process::start("worker", &self.lab.worker_variables(&self.runtime, &variables))
    }

    /// Sends the task of the scenario.
    pub(crate) async fn send(&self, task: &Task) {
        match task.content(self) {
            // Only `v1` knows assets.
            Some((task_type, content)) if *task == Task::WorkflowFromAsset => {
                let body = json!({
                    "runtime": self.runtime.name, "type": task_type, "name": task.id(), "content": content,
                });
                let (status, answer) = self.api.post("/v1/tasks", &body).await;
                assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
            }
            Some((task_type, content)) => {
                self.api.submit(&self.runtime.name, task_type, task.id(), content).await;
            }
            None => self.lab.send(&self.runtime.queue.url, "{nope").await,
        }
    }

    /// The status in the record of the task.
    pub(crate) async fn recorded_status(&self) -> Value {
        let (_, _, list) = self.api.send(Method::GET, "/v1/tasks", &[], None).await;
        list["tasks"][0]["status"].clone()
    }

    /// Whether a job of the runtime, by its label, is one of the task.
    pub(crate) fn is_of_task(&self, label: &str) -> bool {
        match self.runtime.runtime_type {
            "comfyui" => self.orphans.iter().all(|orphan| orphan != label),
            _ => label == PROMPT,
        }
    }

    /// Leaves runs in the runtime as a killed worker does. Returns their ids in ComfyUI.
    async fn leave_orphans(&self, task: &Task) -> Vec<String> {
        let (client, url) = (reqwest::Client::builder().no_proxy().build().unwrap(), &self.runtime.url);
        let Some((_, mut content)) = task.content(self) else { return Vec::new() };
        let mut orphans = Vec::new();
        if task.is_workflow() {
            let body = json!({ "prompt": content, "client_id": "darkroom-orphan" });
            // The second one waits behind the first.
            for _ in 0..2 {
                let answer = client.post(format!("{url}/prompt")).json(&body).send().await.unwrap();
                let answer: Value = answer.json().await.unwrap();
                orphans.push(answer["prompt_id"].as_str().unwrap().to_owned());
            }
        } else {
            content["prompt"] = Value::from("an orphan");
            tokio::spawn(client.post(format!("{url}/sdapi/v1/txt2img")).json(&content).send());
        }
        wait::until("the orphan to run", async || self.simulation().running()).await;
        orphans
    }
}
