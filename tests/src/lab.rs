//! A deployment for one test: topics and bucket, a front door, runtimes with their queues, workers as processes.

mod description;
mod runtime;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use local_stack::provision::{self, Clients, Shared};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared_schema::Notification;
use simulated_runtimes::{ComfyUiOptions, SdWebUiOptions, Simulation};

pub use self::runtime::Runtime;
use crate::aws::Aws;
use crate::process::Process;
use crate::wait;

/// A deployment under test.
pub struct Lab {
    /// The AWS APIs.
    pub aws: Aws,
    /// What all runtimes share.
    pub shared: Shared,
    completions_url: String,
    received: Mutex<Vec<Value>>,
}

/// The HTTP API of a front door of the lab.
pub struct SubmitApi {
    /// Where it listens.
    pub url: String,
    client: reqwest::Client,
}

/// Any free port on loopback.
pub fn free_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

impl Lab {
    /// Topics, a bucket, and a queue that receives every notification.
    pub async fn start() -> Self {
        Self::start_with_latency(Duration::ZERO).await
    }

    /// The same; each call to embedded AWS APIs takes so much longer.
    pub async fn start_with_latency(latency: Duration) -> Self {
        let aws = Aws::start_with_latency(latency).await;
        let prefix = format!("t{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        let shared = provision::shared(&aws.clients, &prefix).await.unwrap();
        let completions_url =
            provision::completion_queue(&aws.clients, &shared, "completions").await.unwrap();
        Self { aws, shared, completions_url, received: Mutex::default() }
    }

    /// Clients for the AWS APIs.
    pub fn clients(&self) -> &Clients {
        &self.aws.clients
    }

    /// A simulated SD WebUI with its queue.
    pub async fn sdwebui(&self, options: SdWebUiOptions) -> Runtime {
        let models = options.models.clone();
        let simulation = Simulation::start_sdwebui(free_port(), options).await.unwrap();
        self.runtime("sdruntime", "sdwebui", simulation.url(), Some(simulation), &models).await
    }

    /// A simulated ComfyUI with its queue.
    pub async fn comfyui(&self, options: ComfyUiOptions) -> Runtime {
        let simulation = Simulation::start_comfyui(free_port(), options).await.unwrap();
        self.runtime("comfyui", "comfyui", simulation.url(), Some(simulation), &[]).await
    }

    /// A queue for a runtime that runs outside of the lab.
    pub async fn runtime(
        &self,
        name: &str,
        runtime_type: &'static str,
        url: String,
        simulation: Option<Simulation>,
        models: &[String],
    ) -> Runtime {
        let queue = provision::runtime_queue(&self.aws.clients, &self.shared, name, models).await.unwrap();
        Runtime { name: name.to_owned(), runtime_type, url, queue, simulation, claim_check: false }
    }

    /// The real router of the front door on loopback, with these runtimes in its registry (none: no registry).
    pub async fn submit_api(&self, runtimes: &[&Runtime]) -> SubmitApi {
        self.submit_api_with(self.clients(), runtimes).await
    }

    /// The same, which calls AWS through these clients.
    pub async fn submit_api_with(&self, clients: &Clients, runtimes: &[&Runtime]) -> SubmitApi {
        self.submit_api_from(clients, runtimes, &[]).await
    }

    /// The same with records of tasks, and so with `v1`.
    pub async fn recording_api(&self, runtimes: &[&Runtime]) -> SubmitApi {
        self.recording_api_with(self.clients(), runtimes, 0).await
    }

    /// The same, which calls AWS through these clients, with a quota of unfinished tasks (0: none).
    pub async fn recording_api_with(
        &self,
        clients: &Clients,
        runtimes: &[&Runtime],
        max_unfinished_tasks: u32,
    ) -> SubmitApi {
        let quota = max_unfinished_tasks.to_string();
        let prefix = format!("{}-", self.shared.prefix);
        let variables = [
            ("RECORD_TABLE", self.shared.record_table.as_str()),
            ("MAX_UNFINISHED_TASKS", &quota),
            ("QUEUE_PREFIX", &prefix),
        ];
        self.submit_api_from(clients, runtimes, &variables).await
    }

    async fn submit_api_from(
        &self,
        clients: &Clients,
        runtimes: &[&Runtime],
        more: &[(&'static str, &str)],
    ) -> SubmitApi {
        let entry = |runtime: &&Runtime| {
            let models: &[&str] = if runtime.simulation.is_some() && runtime.runtime_type == "sdwebui" {
                &[simulated_runtimes::DEFAULT_MODEL]
            } else {
                &[]
            };
            json!({ "name": runtime.name, "type": runtime.runtime_type, "models": models,
                    "claim_check": runtime.claim_check })
        };
        let registry: Vec<Value> = runtimes.iter().map(entry).collect();
        let mut variables: HashMap<&str, String> =
            more.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        variables.extend([
            ("SNS_TOPIC_ARN", self.shared.tasks_topic_arn.clone()),
            ("S3_OUTPUT_BUCKET", self.shared.bucket.clone()),
        ]);
        if !registry.is_empty() {
            variables.insert("RUNTIMES", json!(registry).to_string());
        }
        let config = api_lambda::Config::from_vars(|name| variables.get(name).cloned()).unwrap();
        let publisher = api_lambda::Aws::new(&clients.sdk, &config);
        let store = api_lambda::TaskStore::new(&clients.sdk, &config);
        let router = api_lambda::router(api_lambda::App::new(config, publisher).with_store(store));
        let listener = tokio::net::TcpListener::bind(free_port()).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        SubmitApi { url, client: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    /// The variables of a worker of that runtime.
    pub fn worker_variables(&self, runtime: &Runtime, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut variables: HashMap<String, String> = [
            ("AWS_ENDPOINT_URL", self.aws.url.as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("SQS_QUEUE_URL", &runtime.queue.url),
            ("SNS_TOPIC_ARN", &self.shared.completions_topic_arn),
            ("S3_BUCKET", &self.shared.bucket),
            ("RUNTIME_TYPE", runtime.runtime_type),
            ("RUNTIME_NAME", &runtime.name),
            ("API_BASE_URL", &runtime.url),
            ("HEALTH_LISTEN", "127.0.0.1:0"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        variables.into_iter().collect()
    }

    /// A worker of that runtime, as a process of its own, ready to receive.
    pub async fn worker(&self, runtime: &Runtime, more: &[(&str, &str)]) -> Process {
        let mut process = Process::start("worker", &self.worker_variables(runtime, more));
        process.logged("ready").await;
        process
    }

    /// Sends a body to a queue, as it is.
    pub async fn send(&self, queue_url: &str, body: &str) {
        self.aws.clients.sqs.send_message().queue_url(queue_url).message_body(body).send().await.unwrap();
    }

    /// Waits for the completion notification of the task with that id.
    pub async fn completion(&self, id: &str) -> Notification {
        let what = format!("the completion of task {id}");
        let found = self.notification(&what, |sent| sent["id"] == id && sent.get("result").is_some()).await;
        serde_json::from_value(found).unwrap()
    }

    /// Waits for so many completion notifications of tasks with that id, and returns all of them.
    pub async fn completions(&self, id: &str, times: usize) -> Vec<Notification> {
        wait::until(&format!("{times} notifications of {id}"), async || {
            let all = self.notifications().await.into_iter();
            let found = all.filter(|sent| sent["id"] == id && sent.get("result").is_some());
            let found: Vec<Notification> = found.map(|sent| serde_json::from_value(sent).unwrap()).collect();
            (found.len() >= times).then_some(found)
        })
        .await
    }

    /// Waits for a notification that matches.
    pub async fn notification(&self, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
        wait::until(what, async || {
            if let Some(found) = self.received.lock().unwrap().iter().find(|sent| matches(sent)) {
                return Some(found.clone());
            }
            self.poll_notifications().await;
            None
        })
        .await
    }

    /// Every notification so far.
    pub async fn notifications(&self) -> Vec<Value> {
        self.poll_notifications().await;
        self.received.lock().unwrap().clone()
    }

    /// Waits up to a second for notifications, and returns those that are new.
    pub async fn poll_notifications(&self) -> Vec<Value> {
        let sqs = &self.aws.clients.sqs;
        let poll = sqs.receive_message().queue_url(&self.completions_url).max_number_of_messages(10);
        let received = poll.wait_time_seconds(1).send().await.unwrap().messages.unwrap_or_default();
        let mut new = Vec::new();
        for message in received {
            new.push(serde_json::from_str(&message.body.unwrap()).unwrap());
            let handle = message.receipt_handle.unwrap();
            sqs.delete_message()
                .queue_url(&self.completions_url)
                .receipt_handle(handle)
                .send()
                .await
                .unwrap();
        }
        self.received.lock().unwrap().extend(new.clone());
        new
    }

    /// Waits until a queue holds nothing, neither visible nor in flight.
    pub async fn emptied(&self, queue_url: &str) {
        wait::until("an empty queue", async || {
            let (visible, in_flight) = self.counts(queue_url).await;
            (visible == 0 && in_flight == 0).then_some(())
        })
        .await;
    }

    /// How many messages of a queue are visible, and how many in flight.
    pub async fn counts(&self, queue_url: &str) -> (u32, u32) {
        let (visible, hidden) = (
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        );
        let call = self.aws.clients.sqs.get_queue_attributes().queue_url(queue_url);
        let answer =
            call.attribute_names(visible.clone()).attribute_names(hidden.clone()).send().await.unwrap();
        let attributes = answer.attributes.unwrap();
        (attributes[&visible].parse().unwrap(), attributes[&hidden].parse().unwrap())
    }

    /// Receives the next message of a queue: its body, and its system attributes.
    pub async fn receive(&self, queue_url: &str) -> (Value, HashMap<MessageSystemAttributeName, String>) {
        let message = wait::until("a message", async || {
            let poll = self.aws.clients.sqs.receive_message().queue_url(queue_url).wait_time_seconds(1);
            let poll = poll.message_system_attribute_names(MessageSystemAttributeName::All);
            poll.send().await.unwrap().messages.unwrap_or_default().pop()
        })
        .await;
        (serde_json::from_str(&message.body.unwrap()).unwrap(), message.attributes.unwrap_or_default())
    }

    /// The object at an `s3://` address: its bytes and its media type.
    pub async fn object(&self, uri: &str) -> (Vec<u8>, String) {
        let (bucket, key) = uri.strip_prefix("s3://").unwrap().split_once('/').unwrap();
        let object = self.aws.clients.s3.get_object().bucket(bucket).key(key).send().await.unwrap();
        let content_type = object.content_type().unwrap_or_default().to_owned();
        (object.body.collect().await.unwrap().to_vec(), content_type)
    }

    /// The JSON at an `s3://` address.
    pub async fn json(&self, uri: &str) -> Value {
        serde_json::from_slice(&self.object(uri).await.0).unwrap()
    }

    /// Puts an object into the bucket.
    pub async fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        let call = self.aws.clients.s3.put_object().bucket(&self.shared.bucket).key(key);
        call.body(body.into().into()).send().await.unwrap();
    }

    /// The keys of the bucket that begin so.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let call = self.aws.clients.s3.list_objects_v2().bucket(&self.shared.bucket).prefix(prefix);
        let listed = call.send().await.unwrap().contents.unwrap_or_default();
        listed.into_iter().filter_map(|object| object.key).collect()
    }
}

impl SubmitApi {
    /// Posts a body and returns status and answer.
    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let answer =
            self.client.post(format!("{}{path}", self.url)).body(body.to_string()).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Sends a request with headers, and returns the response with its JSON.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Option<&Value>,
    ) -> (StatusCode, HeaderMap, Value) {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.json().await.unwrap();
        description::check(&method, path, status, &body);
        (status, headers, body)
    }

    /// Submits a task that must be accepted.
    pub async fn submit(&self, runtime: &str, task_type: &str, id: &str, content: Value) -> Value {
        let metadata = json!({ "id": id, "runtime": runtime, "tasktype": task_type, "prefix": "output" });
        let body = json!({ "task": { "metadata": metadata, "content": content } });
        let (status, answer) = self.post("/v1alpha2", &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }
}
