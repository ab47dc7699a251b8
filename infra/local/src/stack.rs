//! The whole system in one process: the same front door and workers that run on AWS, on embedded AWS APIs.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use simulated_runtimes::Simulation;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::aws::{AwsOptions, EmbeddedAws};
use crate::dead_letters;
use crate::front_door;
use crate::provision::{self, Clients, Shared};
use crate::runtimes::RuntimeSpec;

/// The beginning of every name in the local stack.
pub const NAME_PREFIX: &str = "darkroom";

/// How long running tasks may still take when the stack stops, in seconds.
const DRAIN_SECONDS: u64 = 5;

/// What to start.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// Where the front door listens, on loopback.
    pub listen: SocketAddr,
    /// Where the AWS APIs listen, on loopback.
    pub aws_listen: SocketAddr,
    /// Where buckets are kept, as folders and files.
    pub data_dir: PathBuf,
    /// The key that clients send as `x-api-key`.
    pub api_key: String,
    /// The runtimes, each with a worker.
    pub runtimes: Vec<RuntimeSpec>,
}

/// A running stack.
pub struct Stack {
    /// Where the front door listens: `http://127.0.0.1:8080`.
    pub url: String,
    /// The embedded AWS APIs.
    pub aws: EmbeddedAws,
    /// Clients for them.
    pub clients: Clients,
    /// What was made in them.
    pub shared: Shared,
    /// The key for the front door.
    pub api_key: String,
    /// The runtimes, with the URL of each.
    pub runtimes: Vec<(RuntimeSpec, String)>,
    simulations: Vec<Simulation>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Stack {
    /// Starts everything and returns when the front door answers.
    ///
    /// # Errors
    ///
    /// When an address is not on loopback or taken, or a folder cannot be made.
    pub async fn start(options: StackOptions) -> anyhow::Result<Self> {
        ensure!(options.listen.ip().is_loopback(), "{} is not a loopback address", options.listen);
        let listener = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("cannot listen on {}", options.listen))?;
        let url = format!("http://{}", listener.local_addr()?);
        let aws = EmbeddedAws::start(AwsOptions {
            listen: options.aws_listen,
            data_dir: options.data_dir.clone(),
            latency: Duration::ZERO,
            keeps_calls: false,
        })
        .await?;
        let clients = Clients::new(&aws.url());
        let shared = provision::shared(&clients, NAME_PREFIX).await?;

        let mut stack = Self {
            url,
            clients,
            shared,
            api_key: options.api_key,
            runtimes: Vec::new(),
            simulations: Vec::new(),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            aws,
        };
        for spec in options.runtimes {
            stack.start_runtime(spec).await?;
        }
        stack.start_front_door(listener)?;
        Ok(stack)
    }

    /// The folder that a bucket is kept in.
    pub fn bucket_folder(&self, data_dir: &Path) -> PathBuf {
        data_dir.join(&self.shared.bucket)
    }

    /// Stops: workers give back or finish what they have, then the rest ends.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        for simulation in self.simulations {
            simulation.stop().await;
        }
        self.aws.stop().await;
    }

    async fn start_runtime(&mut self, spec: RuntimeSpec) -> anyhow::Result<()> {
        let queue = provision::runtime_queue(&self.clients, &self.shared, &spec.name, &spec.models()).await?;
        let (url, simulation) = spec.start().await?;
        self.simulations.extend(simulation);
        self.empty_dead_letters(queue.dead_letter_url)?;

        let aws = self.aws.address();
        let variables = HashMap::from([
            ("SQS_QUEUE_URL", queue.url),
            ("SNS_TOPIC_ARN", self.shared.completions_topic_arn.clone()),
            ("S3_BUCKET", self.shared.bucket.clone()),
            ("RUNTIME_TYPE", spec.runtime_type.clone()),
            ("RUNTIME_NAME", spec.name.clone()),
            ("API_BASE_URL", url.clone()),
            ("EXP_CALLBACK_WHEN_RUNNING", "true".to_owned()),
            // The stack's own presigned URLs may be inputs of further tasks.
            ("INPUT_ALLOW_HOSTS", format!("{aws},localhost:{}", aws.port())),
            ("INPUT_S3_BUCKETS", self.shared.bucket.clone()),
            ("DRAIN_SECONDS", DRAIN_SECONDS.to_string()),
            // The workers share one process, and nobody probes them.
            ("HEALTH_LISTEN", "off".to_owned()),
        ]);
        let config = worker::config::Config::from_vars(|name| variables.get(name).cloned())?;
        let cloud = worker::cloud::Cloud::new(&self.clients.sdk, &config);
        let (name, stopping) = (spec.name.clone(), self.stopping.clone());
        self.tasks.spawn(async move {
            if let Err(error) = worker::supervisor::run(config, cloud, stopping).await {
                tracing::error!(runtime = %name, %error, "worker ended");
            }
        });
        self.runtimes.push((spec, url));
        Ok(())
    }

    fn empty_dead_letters(&self, queue_url: String) -> anyhow::Result<()> {
        let variables = HashMap::from([
            ("SNS_TOPIC_ARN", self.shared.completions_topic_arn.clone()),
            ("S3_BUCKET", self.shared.bucket.clone()),
        ]);
        let config = worker::dead_letter::Config::from_vars(|name| variables.get(name).cloned())?;
        let (clients, stopping) = (self.clients.clone(), self.stopping.clone());
        self.tasks.spawn(async move {
            let emptying = dead_letters::empty(&clients, &queue_url, &config);
            if let Some(Err(error)) = stopping.run_until_cancelled(emptying).await {
                tracing::error!(queue = queue_url, %error, "dead letters are not ended any more");
            }
        });
        Ok(())
    }

    fn start_front_door(&self, listener: TcpListener) -> anyhow::Result<()> {
        let entry = |spec: &RuntimeSpec| {
            let models = spec.models();
            json!({ "name": spec.name, "type": spec.runtime_type, "models": models, "claim_check": true })
        };
        let entries: Vec<Value> = self.runtimes.iter().map(|(spec, _)| entry(spec)).collect();
        let variables = HashMap::from([
            ("SNS_TOPIC_ARN", self.shared.tasks_topic_arn.clone()),
            ("S3_OUTPUT_BUCKET", self.shared.bucket.clone()),
            ("RUNTIMES", json!(entries).to_string()),
        ]);
        let config = api_lambda::Config::from_vars(|name| variables.get(name).cloned())?;
        let publisher = api_lambda::Aws::new(&self.clients.sdk, &config);
        let router = api_lambda::router(api_lambda::App::new(config, publisher));
        let router = front_door::protected(router, self.api_key.clone());
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move {
            let served =
                axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await;
            if let Err(error) = served {
                tracing::error!(%error, "front door ended");
            }
        });
        Ok(())
    }
}
