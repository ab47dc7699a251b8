//! The configuration: read from variables once, complete or not at all.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use shared_schema::{Limits, Registry};
use tracing::Level;
use validator::{Validate, ValidationError};

use crate::runtimes;

/// The largest event that Lambda takes in a synchronous call, in bytes (Lambda quotas, "Invocation payload").
const LAMBDA_PAYLOAD_BYTES: usize = 6_291_556;
/// The largest message that an SNS topic accepts by default, in bytes (SNS quotas).
const DEFAULT_MESSAGE_BYTES: usize = 262_144;

/// Below the 3 seconds that a Lambda function has by default, as the predecessors' do: the
/// caller gets an answer that says what to do instead of the gateway's.
const DEFAULT_PUBLISH_MS: u64 = 2_500;

/// The configuration of the front door. The README explains each variable.
#[derive(Debug, Clone, PartialEq, Validate)]
pub struct Config {
    /// The topic that tasks are published to (`SNS_TOPIC_ARN`).
    #[validate(custom(function = "is_topic_arn"))]
    pub sns_topic_arn: String,
    /// The bucket that results are stored in, which answers name (`S3_OUTPUT_BUCKET`).
    #[validate(custom(function = "is_bucket_name"))]
    pub s3_output_bucket: String,
    /// The deployed runtimes (`RUNTIMES` or `RUNTIMES_FILE`); empty means that nothing is known.
    #[validate(custom(function = "runtimes::check"))]
    pub runtimes: Registry,
    /// Width times height of an image, for tasks whose runtime is not known (`MAX_PIXELS`).
    #[validate(range(min = 1, message = "must be at least 1"))]
    pub max_pixels: u64,
    /// Their sampling steps (`MAX_STEPS`).
    #[validate(range(min = 1, message = "must be at least 1"))]
    pub max_steps: u64,
    /// Their images (`MAX_IMAGES`).
    #[validate(range(min = 1, message = "must be at least 1"))]
    pub max_images: u64,
    /// Scripts that they may select beside `Loopback` (`SCRIPTS_ALLOWED`).
    pub scripts_allowed: Vec<String>,
    /// The largest body that is read, in bytes (`MAX_BODY_BYTES`).
    #[validate(range(min = 1_024, max = 6_291_556, message = "must be 1024 to 6291556 bytes"))]
    pub max_body_bytes: usize,
    /// The largest message that is published, with its attribute, in bytes (`MAX_MESSAGE_BYTES`).
    #[validate(range(min = 1_024, max = 1_048_576, message = "must be 1024 to 1048576 bytes"))]
    pub max_message_bytes: usize,
    /// How long publishing may take, retries included, in milliseconds (`PUBLISH_TIMEOUT_MS`). API Gateway waits 29
    /// seconds for a Lambda.
    #[validate(range(min = 100, max = 28_000, message = "must be 100 to 28000 milliseconds"))]
    pub publish_timeout_ms: u64,
    /// The DynamoDB table of task records (`RECORD_TABLE`); without it there is no `v1`.
    pub record_table: Option<String>,
    /// How long a record is kept, in days (`RECORD_DAYS`).
    #[validate(range(min = 1, max = 3_650, message = "must be 1 to 3650 days"))]
    pub record_days: u32,
    /// How many unfinished tasks an owner may have (`MAX_UNFINISHED_TASKS`); 0 for any number.
    pub max_unfinished_tasks: u32,
    /// What the names of the runtimes' queues have before the runtimes' names (`QUEUE_PREFIX`).
    #[validate(custom(function = "is_queue_prefix"))]
    pub queue_prefix: Option<String>,
    /// How long presigned URLs work, in seconds (`URL_EXPIRY_SECONDS`). S3 allows 7 days.
    #[validate(range(min = 60, max = 604_800, message = "must be 60 to 604800 seconds"))]
    pub url_expiry_seconds: u64,
    /// The runtime of Comfy API v2 at `/api/v2` (`COMFY_RUNTIME`); without it the first ComfyUI of the registry.
    pub comfy_runtime: Option<String>,
    /// How long uploaded assets are kept, in days (`ASSET_DAYS`). The bucket must keep their objects longer.
    #[validate(range(min = 1, max = 3_650, message = "must be 1 to 3650 days"))]
    pub asset_days: u32,
    /// The namespace of the metrics that are printed for CloudWatch (`METRICS_NAMESPACE`); without it none are.
    pub metrics_namespace: Option<String>,
    /// How much is logged (`LOG_LEVEL`).
    pub log_level: Level,
}

impl Config {
    /// Reads every variable, and the files that they name; touches nothing else.
    ///
    /// A variable that is set to nothing counts as not set.
    ///
    /// # Errors
    ///
    /// Names every bad variable, not only the first.
    pub fn from_vars(vars: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut vars = Vars { get: vars, problems: Vec::new() };
        let limits = Limits::default();
        let config = Self {
            sns_topic_arn: vars.required("SNS_TOPIC_ARN"),
            s3_output_bucket: vars.required("S3_OUTPUT_BUCKET"),
            runtimes: vars.runtimes(),
            max_pixels: vars.parsed("MAX_PIXELS", limits.max_pixels),
            max_steps: vars.parsed("MAX_STEPS", limits.max_steps),
            max_images: vars.parsed("MAX_IMAGES", limits.max_images),
            scripts_allowed: vars.list("SCRIPTS_ALLOWED"),
            max_body_bytes: vars.parsed("MAX_BODY_BYTES", LAMBDA_PAYLOAD_BYTES),
            max_message_bytes: vars.parsed("MAX_MESSAGE_BYTES", DEFAULT_MESSAGE_BYTES),
            publish_timeout_ms: vars.parsed("PUBLISH_TIMEOUT_MS", DEFAULT_PUBLISH_MS),
            record_table: vars.optional("RECORD_TABLE"),
            record_days: vars.parsed("RECORD_DAYS", 30),
            max_unfinished_tasks: vars.parsed("MAX_UNFINISHED_TASKS", 0),
            queue_prefix: vars.optional("QUEUE_PREFIX"),
            url_expiry_seconds: vars.parsed("URL_EXPIRY_SECONDS", 3_600),
            comfy_runtime: vars.optional("COMFY_RUNTIME"),
            asset_days: vars.parsed("ASSET_DAYS", 14),
            metrics_namespace: vars.optional("METRICS_NAMESPACE"),
            log_level: vars.parsed("LOG_LEVEL", Level::INFO),
        };
        let problems = config.with_broken_rules(vars.problems);
        if problems.is_empty() { Ok(config) } else { Err(ConfigError { problems }) }
    }

    /// What tasks may ask for whose runtime is not known.
    pub fn limits(&self) -> Limits {
        let Self { max_pixels, max_steps, max_images, .. } = *self;
        Limits { max_pixels, max_steps, max_images, max_bytes: None }
    }

    /// How long uploaded assets are kept.
    pub(crate) fn asset_lifetime(&self) -> Duration {
        Duration::from_secs(u64::from(self.asset_days) * 24 * 60 * 60)
    }

    /// The region of the topic: the only one whose SNS knows it.
    pub fn topic_region(&self) -> &str {
        self.sns_topic_arn.split(':').nth(3).unwrap_or_default()
    }

    /// The account of the topic, whose queues the runtimes' are.
    pub(crate) fn topic_account(&self) -> &str {
        self.sns_topic_arn.split(':').nth(4).unwrap_or_default()
    }

    /// Adds the rules that a value breaks, unless its variable is reported already.
    fn with_broken_rules(&self, mut problems: Vec<Problem>) -> Vec<Problem> {
        let Err(errors) = self.validate() else { return problems };
        let mut broken: Vec<Problem> = errors
            .field_errors()
            .into_iter()
            .flat_map(|(field, errors)| {
                errors.iter().map(move |error| Problem {
                    variable: field.to_uppercase(),
                    message: error.message.clone().unwrap_or_default().into_owned(),
                })
            })
            .filter(|new| problems.iter().all(|known| known.variable != new.variable))
            .collect();
        problems.append(&mut broken);
        problems
    }
}

/// What is wrong with the variables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad configuration")?;
        self.problems.iter().try_for_each(|Problem { variable, message }| write!(f, "; {variable} {message}"))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    variable: String,
    message: String,
}

/// The variables, and what turned out to be wrong with them so far.
struct Vars<F> {
    get: F,
    problems: Vec<Problem>,
}

impl<F: Fn(&str) -> Option<String>> Vars<F> {
    fn optional(&self, variable: &str) -> Option<String> {
        (self.get)(variable).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn required(&mut self, variable: &str) -> String {
        self.optional(variable).unwrap_or_else(|| {
            self.report(variable, "is not set");
            String::new()
        })
    }

    fn parsed<T: FromStr>(&mut self, variable: &str, default: T) -> T
    where
        T::Err: fmt::Display,
    {
        match self.optional(variable).map(|text| text.parse()) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                self.report(variable, format!("cannot be read: {error}"));
                default
            }
        }
    }

    /// The items of a list by comma.
    fn list(&self, variable: &str) -> Vec<String> {
        let text = self.optional(variable).unwrap_or_default();
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    fn runtimes(&mut self) -> Registry {
        let root = self.optional("LAMBDA_TASK_ROOT").unwrap_or_else(|| ".".to_owned());
        let (variable, read) = match (self.optional("RUNTIMES"), self.optional("RUNTIMES_FILE")) {
            (None, None) => return Registry::default(),
            (Some(_), Some(_)) => ("RUNTIMES", Err("and RUNTIMES_FILE are both set; set one".to_owned())),
            (Some(json), None) => ("RUNTIMES", runtimes::from_json(&json, Path::new(&root))),
            (None, Some(file)) => ("RUNTIMES_FILE", runtimes::from_file(&Path::new(&root).join(file))),
        };
        read.unwrap_or_else(|message| {
            self.report(variable, message);
            Registry::default()
        })
    }

    fn report(&mut self, variable: &str, message: impl Into<String>) {
        self.problems.push(Problem { variable: variable.to_owned(), message: message.into() });
    }
}

/// `arn:<partition>:sns:<region>:<account>:<topic>`.
fn is_topic_arn(arn: &str) -> Result<(), ValidationError> {
    match arn.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", partition, "sns", region, account, topic]
            if [partition, region, account, topic].iter().all(|part| !part.is_empty()) =>
        {
            Ok(())
        }
        _ => Err(ValidationError::new("arn").with_message("must be the ARN of an SNS topic".into())),
    }
}

/// The characters and lengths that S3 has ever allowed (S3 user guide, "General purpose bucket naming rules").
fn is_bucket_name(name: &str) -> Result<(), ValidationError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if (3..=255).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(ValidationError::new("bucket").with_message("must be the name of an S3 bucket".into()))
}

/// The characters of a queue's name (SQS developer guide, "Amazon SQS queue names").
fn is_queue_prefix(prefix: &str) -> Result<(), ValidationError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if (1..=80).contains(&prefix.len()) && prefix.bytes().all(allowed) {
        return Ok(());
    }
    let message = "must have 1 to 80 letters, digits, `-` and `_`";
    Err(ValidationError::new("queue").with_message(message.into()))
}

#[cfg(test)]
mod tests;
