//! The worker's configuration: environment variables, parsed by one pure function that reports every invalid variable at once.

pub mod vars;

use std::path::PathBuf;
use std::time::Duration;

use shared_schema::Limits;
use shared_schema::content::NodeRules;
use validator::Validate;

use crate::cloud::MetricLogOptions;
use crate::health::{HealthListen, Price};
use crate::inputs::guard::AllowedHosts;
use crate::pod::PodOptions;
use crate::runtimes::left_run::UninterruptibleRun;
use crate::runtimes::{REGISTRY, RuntimeOptions, RuntimeType};

pub use vars::ConfigError;
use vars::{EnvReader, described};

/// The worker's configuration. The README of this crate holds the table of variables.
#[derive(Debug, Clone, Validate)]
pub struct Config {
    /// `SQS_QUEUE_URL`: the queue that is consumed.
    pub queue_url: String,
    /// `SNS_TOPIC_ARN`: the topic that results are published to.
    pub completion_topic_arn: String,
    /// `S3_BUCKET`: where results go.
    pub bucket: String,
    /// `RECORD_TABLE`: the DynamoDB table of task records, if tasks are recorded.
    pub record_table: Option<String>,
    /// `RUNTIME_TYPE`: the type of the runtime.
    pub runtime_type: &'static RuntimeType,
    /// `RUNTIME_NAME`: what notifications and logs call it.
    pub runtime_name: String,
    /// `API_BASE_URL` and what else the runtime's client is made from.
    pub runtime: RuntimeOptions,
    /// `EXP_CALLBACK_WHEN_RUNNING`: notify when a task begins, too.
    pub notify_when_running: bool,
    /// `INPUT_ALLOW_HOSTS`: where inputs may come from although the guard would refuse it.
    pub input_allow_hosts: AllowedHosts,
    /// `INPUT_S3_BUCKETS`: buckets that `s3://` inputs may come from.
    pub input_s3_buckets: Vec<String>,
    /// `NODES_ALLOWED` and `NODES_DENIED`: classes of nodes that workflows may and may not have.
    pub node_rules: NodeRules,
    /// `SCRIPTS_ALLOWED`: scripts of SD WebUI that a task may select although they run with parameters of their own.
    pub scripts_allowed: Vec<String>,
    /// `MAX_PIXELS`: width times height of an image that a task asks for.
    #[validate(range(min = 1))]
    pub max_pixels: u64,
    /// `MAX_STEPS`: its sampling steps.
    #[validate(range(min = 1))]
    pub max_steps: u64,
    /// `MAX_IMAGES`: its images.
    #[validate(range(min = 1))]
    pub max_images: u64,
    /// `INPUT_TIMEOUT_SECONDS`: for one input, from name resolution to last byte.
    #[validate(range(min = 1, max = 600))]
    pub input_timeout_seconds: u64,
    /// `INPUT_MAX_PIXELS`: width times height of an input image, all frames of an animation together.
    #[validate(range(min = 1))]
    pub input_max_pixels: u64,
    /// `INPUT_CACHE_BYTES`: fetched inputs that are kept in memory in case they are named again.
    pub input_cache_bytes: u64,
    /// `MAX_TASK_BYTES`: inputs of a task together, and results of a task together.
    #[validate(range(min = 1_048_576))]
    pub max_task_bytes: u64,
    /// `MAX_ATTEMPTS`: attempts before a failure that a retry might cure is final.
    #[validate(range(min = 1, max = 100))]
    pub max_attempts: u32,
    /// `WORKER_CONCURRENCY`: how many jobs the runtime is given at once.
    #[validate(range(min = 1, max = 16))]
    pub worker_concurrency: u32,
    /// `PIPELINE`: prepare the next task and store the last one while one runs.
    pub pipeline: bool,
    /// `STAGED_SECONDS`: how long a prepared task may wait for the runtime before others may have it.
    #[validate(range(min = 1, max = 3_600))]
    pub staged_seconds: u64,
    /// `STUCK_SECONDS`: how long a run may show no sign of life.
    #[validate(range(min = 1, max = 42_000))]
    pub stuck_seconds: u64,
    /// `STATE_FILE`: where the worker keeps what it holds, for the process after it.
    pub state_file: Option<PathBuf>,
    /// `SCRATCH_FOLDER`: where the runtime writes its files, for the worker to delete.
    pub scratch_folder: Option<PathBuf>,
    /// `SCRATCH_LIMIT_BYTES`: what all files there may take; 0 for no limit but the volume's.
    pub scratch_limit_bytes: u64,
    /// `HOSTNAME`: the pod; only a process on the same host adopts the content of the file.
    pub host_name: String,
    /// `VISIBILITY_TIMEOUT_SECONDS`: how long a message stays hidden after each extension.
    #[validate(range(min = 5, max = 43_200))]
    pub visibility_timeout_seconds: u32,
    /// `RECEIVE_WAIT_SECONDS`: the long poll.
    #[validate(range(max = 20))]
    pub receive_wait_seconds: u32,
    /// `RUN_TIMEOUT_SECONDS`: the longest run.
    #[validate(range(min = 1, max = 42_000))]
    pub run_timeout_seconds: u64,
    /// `DRAIN_SECONDS`: how long a running task may still take after SIGTERM before it is released.
    pub drain_seconds: u64,
    /// `GRACE_PERIOD_SECONDS`: the pod's `terminationGracePeriodSeconds`.
    pub grace_period_seconds: u64,
    /// `URL_EXPIRY_SECONDS`: how long presigned URLs work (S3 allows 7 days).
    #[validate(range(min = 1, max = 604_800))]
    pub url_expiry_seconds: u64,
    /// `TRACE_LINK_SECONDS`: a task that waited longer in the queue gets a trace of its own, which links to that of its request; 0 for
    /// never.
    pub trace_link_seconds: u64,
    /// `METRICS_NAMESPACE` and `METRICS_LOG_GROUP`: the namespace and the log group of metrics in CloudWatch, if they are sent there.
    pub cloudwatch: Option<MetricLogOptions>,
    /// `METRICS_INTERVAL_SECONDS`: how often they are sent.
    #[validate(range(min = 1, max = 3_600))]
    pub metrics_interval_seconds: u64,
    /// `GPU_USD_PER_HOUR`: the price of the instance, of which the cost is counted; none for no cost.
    pub gpu_usd_per_hour: Option<Price>,
    /// `HEALTH_LISTEN`: where probes and scrapers ask.
    pub health_listen: HealthListen,
    /// `MARK_POD`: the pod to mark while it is busy, if it is to be.
    pub pod: Option<PodOptions>,
}

/// What is left of the grace period, after draining, for giving the task back and ending the process.
pub const SHUTDOWN_MARGIN_SECONDS: u64 = 10;

/// The longest that SQS hides a message after a receipt: 12 hours (SQS quotas).
const MAX_HIDDEN_SECONDS: u64 = 43_200;

/// Where Kubernetes mounts a pod's service account.
const SERVICE_ACCOUNT_FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

impl Config {
    /// Reads the variables through `var`. An empty variable counts as unset, as charts leave them.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut vars = EnvReader::new(&var);
        let runtime_type = vars.runtime_type();
        let max_task_bytes = vars.parsed("MAX_TASK_BYTES", 268_435_456);
        let stuck_seconds = vars.parsed("STUCK_SECONDS", 600);
        let limits = Limits::default();
        let config = Self {
            queue_url: vars.required("SQS_QUEUE_URL"),
            completion_topic_arn: vars.required("SNS_TOPIC_ARN"),
            bucket: vars.required("S3_BUCKET"),
            record_table: vars.text("RECORD_TABLE"),
            runtime_name: vars.text("RUNTIME_NAME").unwrap_or_else(|| runtime_type.name().to_owned()),
            runtime_type,
            runtime: RuntimeOptions {
                api_base_url: vars.text("API_BASE_URL"),
                dynamic_model: vars.flag("DYNAMIC_SD_MODEL", false),
                max_task_bytes,
                stuck_after: Duration::from_secs(stuck_seconds),
                settings_allowed: vars.list("SETTINGS_ALLOWED"),
                uninterruptible_run: vars.parsed("UNINTERRUPTIBLE_RUN", UninterruptibleRun::default()),
            },
            notify_when_running: vars.flag("EXP_CALLBACK_WHEN_RUNNING", false),
            input_allow_hosts: vars.parsed("INPUT_ALLOW_HOSTS", AllowedHosts::default()),
            input_s3_buckets: vars.list("INPUT_S3_BUCKETS"),
            node_rules: NodeRules { allowed: vars.list("NODES_ALLOWED"), denied: vars.list("NODES_DENIED") },
            scripts_allowed: vars.list("SCRIPTS_ALLOWED"),
            max_pixels: vars.parsed("MAX_PIXELS", limits.max_pixels),
            max_steps: vars.parsed("MAX_STEPS", limits.max_steps),
            max_images: vars.parsed("MAX_IMAGES", limits.max_images),
            input_timeout_seconds: vars.parsed("INPUT_TIMEOUT_SECONDS", 30),
            input_max_pixels: vars.parsed("INPUT_MAX_PIXELS", 67_108_864),
            input_cache_bytes: vars.parsed("INPUT_CACHE_BYTES", 4_194_304),
            max_task_bytes,
            max_attempts: vars.parsed("MAX_ATTEMPTS", 3),
            worker_concurrency: vars.parsed("WORKER_CONCURRENCY", 1),
            pipeline: vars.flag("PIPELINE", true),
            staged_seconds: vars.parsed("STAGED_SECONDS", 30),
            stuck_seconds,
            state_file: vars.text("STATE_FILE").map(PathBuf::from),
            scratch_folder: vars.text("SCRATCH_FOLDER").map(PathBuf::from),
            scratch_limit_bytes: vars.parsed("SCRATCH_LIMIT_BYTES", 0),
            host_name: vars.text("HOSTNAME").unwrap_or_default(),
            visibility_timeout_seconds: vars.parsed("VISIBILITY_TIMEOUT_SECONDS", 120),
            receive_wait_seconds: vars.parsed("RECEIVE_WAIT_SECONDS", 20),
            run_timeout_seconds: vars.parsed("RUN_TIMEOUT_SECONDS", 1800),
            drain_seconds: vars.parsed("DRAIN_SECONDS", 45),
            grace_period_seconds: vars.parsed("GRACE_PERIOD_SECONDS", 60),
            url_expiry_seconds: vars.parsed("URL_EXPIRY_SECONDS", 86_400),
            trace_link_seconds: vars.parsed("TRACE_LINK_SECONDS", 0),
            cloudwatch: vars.cloudwatch(),
            metrics_interval_seconds: vars.parsed("METRICS_INTERVAL_SECONDS", 60),
            gpu_usd_per_hour: vars.price(),
            health_listen: vars.parsed("HEALTH_LISTEN", HealthListen::default()),
            pod: vars.pod(),
        };
        let mut wrong = vars.wrong;
        if let Err(error) = (config.runtime_type.check_options)(&config.runtime) {
            wrong.push(error);
        }
        if let Err(errors) = config.validate() {
            wrong.extend(described(&errors));
        }
        wrong.extend(contradictions(&config));
        if wrong.is_empty() { Ok(config) } else { Err(ConfigError(wrong)) }
    }

    /// What a task may ask for. The size of its content is the front door's to check: a predecessor's adds to it.
    pub fn limits(&self) -> Limits {
        let Self { max_pixels, max_steps, max_images, .. } = *self;
        Limits { max_pixels, max_steps, max_images, max_bytes: None }
    }

    /// How long a message stays hidden after each extension.
    pub fn visibility_timeout(&self) -> Duration {
        Duration::from_secs(self.visibility_timeout_seconds.into())
    }

    /// The long poll, never so long that a message comes with a lease that is half over.
    pub fn receive_wait(&self) -> Duration {
        Duration::from_secs(self.receive_wait_seconds.min(self.visibility_timeout_seconds / 3).into())
    }

    /// How long a prepared task may wait for the runtime.
    pub fn staged_timeout(&self) -> Duration {
        Duration::from_secs(self.staged_seconds)
    }

    /// How long a run may make no progress.
    pub fn stuck_timeout(&self) -> Duration {
        Duration::from_secs(self.stuck_seconds)
    }

    /// The time from the start of graceful shutdown after which unfinished tasks are released.
    pub fn shutdown_deadline(&self) -> Duration {
        Duration::from_secs(self.grace_period_seconds.saturating_sub(SHUTDOWN_MARGIN_SECONDS / 2))
    }

    /// The time in the queue, in milliseconds, after which a task gets a trace of its own.
    pub fn trace_link_ms(&self) -> Option<u64> {
        (self.trace_link_seconds > 0).then(|| self.trace_link_seconds.saturating_mul(1_000))
    }

    /// How often metrics are sent to CloudWatch.
    pub fn metrics_interval(&self) -> Duration {
        Duration::from_secs(self.metrics_interval_seconds)
    }

    /// How long presigned URLs work.
    pub fn url_expiry(&self) -> Duration {
        Duration::from_secs(self.url_expiry_seconds)
    }
}

/// The rules across variables.
fn contradictions(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    if config.drain_seconds.saturating_add(SHUTDOWN_MARGIN_SECONDS) > config.grace_period_seconds {
        found.push(format!(
            "DRAIN_SECONDS ({}) must be at least {SHUTDOWN_MARGIN_SECONDS} below GRACE_PERIOD_SECONDS ({})",
            config.drain_seconds, config.grace_period_seconds
        ));
    }
    if config.worker_concurrency > 1 && !config.runtime_type.takes_several {
        found.push(format!(
            "WORKER_CONCURRENCY ({}) must be 1 for RUNTIME_TYPE {}, which cannot distinguish its jobs",
            config.worker_concurrency,
            config.runtime_type.name()
        ));
    }
    let longest_seconds =
        config.run_timeout_seconds.saturating_add(u64::from(config.visibility_timeout_seconds));
    if longest_seconds > MAX_HIDDEN_SECONDS {
        found.push(format!(
            "RUN_TIMEOUT_SECONDS and VISIBILITY_TIMEOUT_SECONDS together ({longest_seconds}) must not exceed the \
             {MAX_HIDDEN_SECONDS} seconds for which SQS hides a message"
        ));
    }
    found
}

/// The variables that mean more than one value.
impl EnvReader<'_> {
    fn cloudwatch(&mut self) -> Option<MetricLogOptions> {
        match (self.text("METRICS_NAMESPACE"), self.text("METRICS_LOG_GROUP")) {
            (Some(namespace), Some(group)) => Some(MetricLogOptions { namespace, group }),
            (None, None) => None,
            _ => {
                self.wrong.push("METRICS_NAMESPACE and METRICS_LOG_GROUP must be set together".to_owned());
                None
            }
        }
    }

    fn price(&mut self) -> Option<Price> {
        let text = self.text("GPU_USD_PER_HOUR")?;
        let price = text.parse().ok().and_then(Price::new);
        if price.is_none() {
            self.wrong.push("GPU_USD_PER_HOUR must be a number of dollars, 0 or more".to_owned());
        }
        price
    }

    fn pod(&mut self) -> Option<PodOptions> {
        let marked = self.flag("MARK_POD", false);
        let mut needed = |name: &str| {
            self.text(name).unwrap_or_else(|| {
                if marked {
                    self.wrong.push(format!("{name} is missing, and MARK_POD needs it"));
                }
                String::new()
            })
        };
        let (name, namespace) = (needed("POD_NAME"), needed("POD_NAMESPACE"));
        let api_host = needed("KUBERNETES_SERVICE_HOST");
        let api_port = self.parsed("KUBERNETES_SERVICE_PORT", 443);
        let service_account = self.text("SERVICE_ACCOUNT_FOLDER");
        let service_account = service_account.as_deref().unwrap_or(SERVICE_ACCOUNT_FOLDER).into();
        marked.then_some(PodOptions { name, namespace, api_host, api_port, service_account })
    }

    fn runtime_type(&mut self) -> &'static RuntimeType {
        let name = self.required("RUNTIME_TYPE").to_ascii_lowercase();
        RuntimeType::by_name(&name).unwrap_or_else(|| {
            let known: Vec<&str> = REGISTRY.iter().map(RuntimeType::name).collect();
            self.wrong.push(format!("RUNTIME_TYPE must be one of {}", known.join(", ")));
            &REGISTRY[0]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn parse(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let vars: HashMap<&str, &str> = vars.iter().copied().collect();
        Config::from_vars(|name| vars.get(name).map(|value| (*value).to_owned()))
    }

    const PREDECESSOR: [(&str, &str); 5] = [
        ("SQS_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/000000000000/q"),
        ("SNS_TOPIC_ARN", "arn:aws:sns:us-east-1:000000000000:t"),
        ("S3_BUCKET", "b"),
        ("RUNTIME_TYPE", "sdwebui"),
        ("DYNAMIC_SD_MODEL", "false"),
    ];

    #[test]
    fn a_predecessors_variables_suffice() {
        let config = parse(&PREDECESSOR).unwrap();
        assert_eq!(config.runtime_name, "sdwebui");
        assert_eq!(config.max_attempts, 3);
    }

    #[test]
    fn every_bad_variable_is_reported_at_once() {
        let ConfigError(wrong) = parse(&[
            ("RUNTIME_TYPE", "fooocus"),
            ("MAX_ATTEMPTS", "many"),
            ("DRAIN_SECONDS", "60"),
            ("VISIBILITY_TIMEOUT_SECONDS", "4"),
            ("DYNAMIC_SD_MODEL", "perhaps"),
            ("HEALTH_LISTEN", "8390"),
        ])
        .unwrap_err();
        let wrong = wrong.join("\n");
        for name in [
            "SQS_QUEUE_URL",
            "SNS_TOPIC_ARN",
            "S3_BUCKET",
            "RUNTIME_TYPE",
            "MAX_ATTEMPTS",
            "DRAIN_SECONDS",
            "VISIBILITY_TIMEOUT_SECONDS",
            "DYNAMIC_SD_MODEL",
            "HEALTH_LISTEN",
        ] {
            assert!(wrong.contains(name), "{name} is not in:\n{wrong}");
        }
    }

    #[test]
    fn annotating_the_pod_needs_its_name_and_namespace() {
        assert_eq!(parse(&PREDECESSOR).unwrap().pod, None);
        let marked = [PREDECESSOR.as_slice(), &[("MARK_POD", "true"), ("POD_NAME", "p")]].concat();
        let ConfigError(wrong) = parse(&marked).unwrap_err();
        let missing = |name| format!("{name} is missing, and MARK_POD needs it");
        assert_eq!(wrong, [missing("POD_NAMESPACE"), missing("KUBERNETES_SERVICE_HOST")]);
    }

    #[test]
    fn the_readme_lists_the_variables_that_the_code_reads() {
        let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
        let _ = Config::from_vars(|name| {
            asked.borrow_mut().insert(name.to_owned());
            None
        });
        let readme = include_str!("../../README.md");
        let rows = readme.lines().filter(|line| line.starts_with("| `") && line.contains("<!--var-->"));
        let listed: std::collections::BTreeSet<String> =
            rows.filter_map(|line| line.split('`').nth(1)).map(str::to_owned).collect();
        assert_eq!(listed, asked.into_inner());
    }
}
