//! The whole system in one process: the same front door and workers that run on AWS, on embedded AWS APIs.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use deployment_config::{Config, Runtime, Subscriptions};
use shared_schema::Registry;
use task_traces::Traces;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Error;
use crate::aws::{AwsOptions, EmbeddedAws};
use crate::config;
use crate::dead_letters;
use crate::front_door;
use crate::provision::{self, Clients, Shared};
use crate::runtimes::Running;
use crate::stale_subscriptions;

/// How long running tasks may continue when the stack stops, in seconds, instead of the minutes of a deployment: a local
/// stack stops quickly.
const DRAIN_SECONDS: u64 = 5;

/// What to start.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// Where the front door listens, on loopback.
    pub listen: SocketAddr,
    /// Where the AWS APIs listen, on loopback.
    pub aws_listen: SocketAddr,
    /// The folder that stores buckets, as folders and files.
    pub data_dir: PathBuf,
    /// The key that clients send as `x-api-key`.
    pub api_key: String,
    /// What is deployed.
    pub config: Config,
    /// Where real runtimes listen, by their names; the others are simulated.
    pub attached: HashMap<String, String>,
    /// The duration of a simulated run.
    pub latency: Duration,
}

/// A running stack.
pub struct Stack {
    /// Where the front door listens: `http://127.0.0.1:8080`.
    pub url: String,
    /// The embedded AWS APIs.
    pub aws: EmbeddedAws,
    /// Clients for them.
    pub clients: Clients,
    /// The resources that were created.
    pub shared: Shared,
    /// The key for the front door.
    pub api_key: String,
    /// The runtimes that the front door checks tasks against.
    pub registry: Registry,
    /// The runtimes, each with a worker.
    pub runtimes: Vec<Running>,
    /// The subscribers to results.
    pub subscriptions: Subscriptions,
    /// Queues that held messages when the stack started, and how many.
    pub restored: Vec<(String, usize)>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Stack {
    /// Starts everything and returns when the front door accepts requests.
    ///
    /// # Errors
    ///
    /// When an address is not on loopback or is in use, or a folder cannot be created.
    pub async fn start(options: StackOptions) -> Result<Self, Error> {
        Ok(Self::start_all(options).await?)
    }

    async fn start_all(options: StackOptions) -> anyhow::Result<Self> {
        ensure!(options.listen.ip().is_loopback(), "{} is not a loopback address", options.listen);
        let listener = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("cannot listen on {}", options.listen))?;
        let url = format!("http://{}", listener.local_addr()?);
        let aws = EmbeddedAws::start(AwsOptions {
            listen: options.aws_listen,
            data_dir: options.data_dir.clone(),
            latency: Duration::ZERO,
            record_calls: false,
            persist_messages: true,
        })
        .await?;
        let restored = aws.message_counts();
        let clients = Clients::new(&aws.url());
        let config = options.config;
        let shared = provision::shared(&clients, &config.name).await?;
        provision::set_max_message_size(&clients, &shared, config.api.message_bytes).await?;
        provision::allow_uploads(&clients, &shared).await?;
        stale_subscriptions::unsubscribe(&clients, &shared, &config).await?;
        for queue in &config.subscriptions.queues {
            provision::completion_queue(&clients, &shared, &format!("results-{queue}")).await?;
        }

        let mut stack = Self {
            url,
            clients,
            shared,
            api_key: options.api_key,
            registry: deployment_config::registry(&config.runtimes),
            runtimes: Vec::new(),
            subscriptions: config.subscriptions.clone(),
            restored,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            aws,
        };
        for runtime in &config.runtimes {
            let runtime = match options.attached.get(&runtime.name) {
                Some(url) => Running::attached(runtime.clone(), url.clone()),
                None => Running::simulated(runtime.clone(), options.latency).await?,
            };
            stack.start_worker(&config, &runtime).await?;
            stack.runtimes.push(runtime);
        }
        stack.start_front_door(&config, listener)?;
        Ok(stack)
    }

    /// The folder of the bucket.
    pub fn bucket_folder(&self, data_dir: &Path) -> PathBuf {
        data_dir.join(&self.shared.bucket)
    }

    /// Graceful shutdown: workers finish or release their tasks, then the rest stops. Returns the queues that still hold
    /// messages, which the next stack on the same folder restores, and how many.
    pub async fn stop(self) -> Vec<(String, usize)> {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        for simulation in self.runtimes.into_iter().filter_map(|runtime| runtime.simulation) {
            simulation.stop().await;
        }
        let stored = self.aws.message_counts();
        self.aws.stop().await;
        stored
    }

    /// Creates the queue of a runtime and starts its worker.
    async fn start_worker(&self, config: &Config, runtime: &Running) -> anyhow::Result<()> {
        let Running { deployed, url, .. } = runtime;
        let models = deployed.served_models();
        let queue = provision::runtime_queue(&self.clients, &self.shared, &deployed.name, &models).await?;
        self.process_dead_letters(config, queue.dead_letter_url)?;
        for bucket in &deployed.inputs.buckets {
            provision::bucket(&self.clients, bucket).await?;
        }

        let mut variables = config::worker_variables(config, deployed);
        variables.extend([
            ("SQS_QUEUE_URL", queue.url),
            ("SNS_TOPIC_ARN", self.shared.completions_topic_arn.clone()),
            ("S3_BUCKET", self.shared.bucket.clone()),
            ("RECORD_TABLE", self.record_table(config)),
            ("API_BASE_URL", url.clone()),
            ("INPUT_ALLOW_HOSTS", self.input_hosts(deployed)),
            ("INPUT_S3_BUCKETS", self.input_buckets(deployed)),
            ("DRAIN_SECONDS", DRAIN_SECONDS.to_string()),
            // The workers share one process, and have no probes.
            ("HEALTH_LISTEN", "off".to_owned()),
        ]);
        let config = worker::config::Config::from_vars(|name| variables.get(name).cloned())?;
        let cloud = worker::cloud::Cloud::new(&self.clients.sdk, &config);
        let traces = Traces::from_env(worker::spans::WORKER, None);
        let (name, stopping) = (deployed.name.clone(), self.stopping.clone());
        self.tasks.spawn(async move {
            if let Err(error) = worker::supervisor::run(config, cloud, traces, stopping).await {
                tracing::error!(runtime = %name, %error, "worker failed");
            }
        });
        Ok(())
    }

    /// The stack's own presigned URLs may be inputs of further tasks.
    fn input_hosts(&self, deployed: &Runtime) -> String {
        let aws = self.aws.address();
        let own = [aws.to_string(), format!("localhost:{}", aws.port())];
        own.iter().chain(&deployed.inputs.hosts).cloned().collect::<Vec<_>>().join(",")
    }

    /// And so may its results.
    fn input_buckets(&self, deployed: &Runtime) -> String {
        [&self.shared.bucket]
            .into_iter()
            .chain(&deployed.inputs.buckets)
            .cloned()
            .collect::<Vec<_>>()
            .join(",")
    }

    /// The table of records; empty, as if it were not set, where tasks are not recorded.
    fn record_table(&self, config: &Config) -> String {
        if config.records.enabled { self.shared.record_table.clone() } else { String::new() }
    }

    fn process_dead_letters(&self, config: &Config, queue_url: String) -> anyhow::Result<()> {
        let variables = HashMap::from([
            ("SNS_TOPIC_ARN", self.shared.completions_topic_arn.clone()),
            ("S3_BUCKET", self.shared.bucket.clone()),
            ("URL_EXPIRY_SECONDS", config.results.url_seconds.to_string()),
            ("RECORD_TABLE", self.record_table(config)),
            ("RUNTIME_TYPES", config::runtime_types(config)),
        ]);
        let config = worker::dead_letter::Config::from_vars(|name| variables.get(name).cloned())?;
        let (clients, stopping) = (self.clients.clone(), self.stopping.clone());
        self.tasks.spawn(async move {
            let processing = dead_letters::process(&clients, &queue_url, &config);
            if let Some(Err(error)) = stopping.run_until_cancelled(processing).await {
                tracing::error!(queue = queue_url, %error, "dead letters are no longer processed");
            }
        });
        Ok(())
    }

    fn start_front_door(&self, config: &Config, listener: TcpListener) -> anyhow::Result<()> {
        let variables = HashMap::from([
            ("SNS_TOPIC_ARN", self.shared.tasks_topic_arn.clone()),
            ("S3_OUTPUT_BUCKET", self.shared.bucket.clone()),
            ("RUNTIMES", serde_json::to_string(&self.registry)?),
            ("MAX_MESSAGE_BYTES", config.api.message_bytes.to_string()),
            ("RECORD_TABLE", self.record_table(config)),
            ("RECORD_DAYS", config.records.days.to_string()),
            ("MAX_UNFINISHED_TASKS", config.records.max_unfinished_tasks.to_string()),
            ("URL_EXPIRY_SECONDS", config.results.url_seconds.to_string()),
            ("QUEUE_PREFIX", format!("{}-", self.shared.prefix)),
        ]);
        let config = api_lambda::Config::from_vars(|name| variables.get(name).cloned())?;
        let publisher = api_lambda::Aws::new(&self.clients.sdk, &config);
        let store = api_lambda::TaskStore::new(&self.clients.sdk, &config);
        let traces = Traces::from_env(api_lambda::trace::SERVICE, None);
        let app = api_lambda::App::new(config, publisher).with_store(store).with_traces(traces);
        let router = api_lambda::router(app);
        let router = front_door::protected(router, self.api_key.clone());
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move {
            let served =
                axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await;
            if let Err(error) = served {
                tracing::error!(%error, "front door stopped");
            }
        });
        Ok(())
    }
}
