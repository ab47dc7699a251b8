//! Makes what a deployment makes: bucket, topics, and per runtime a queue with its dead-letter queue and subscription.
//!
//! Through the AWS APIs, so that it works on the embedded endpoints and on any other.

use anyhow::Context;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;
use shared_schema::message::Route;

use crate::Error;
use crate::aws::REGION;

/// How long a message stays hidden when nobody extends it, in seconds; the worker asks for its own anyway.
const VISIBILITY_SECONDS: u32 = 120;

/// How often a message may be received before SQS moves it to the dead-letter queue: a safety net well above the
/// worker's own attempts.
const MAX_RECEIVE_COUNT: u32 = 20;

/// Clients for one AWS endpoint.
#[derive(Debug, Clone)]
pub struct Clients {
    /// What they are made from.
    pub sdk: SdkConfig,
    /// Buckets and objects, addressed by path.
    pub s3: aws_sdk_s3::Client,
    /// Topics.
    pub sns: aws_sdk_sns::Client,
    /// Queues.
    pub sqs: aws_sdk_sqs::Client,
}

impl Clients {
    /// Clients for the endpoint at `url`, with the credentials `test`/`test`.
    pub fn new(url: &str) -> Self {
        Self::with_access_key(url, "test")
    }

    /// The same with another access key, by which the embedded endpoints know who calls.
    pub fn with_access_key(url: &str, access_key: &str) -> Self {
        let credentials = Credentials::new(access_key, "test", None, None, "local stack");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(url)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        let s3 = aws_sdk_s3::config::Builder::from(&sdk).force_path_style(true).build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            sns: aws_sdk_sns::Client::new(&sdk),
            sqs: aws_sdk_sqs::Client::new(&sdk),
            sdk,
        }
    }
}

/// What all runtimes share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The beginning of every name.
    pub prefix: String,
    /// The bucket for results.
    pub bucket: String,
    /// The topic that tasks are published to.
    pub tasks_topic_arn: String,
    /// The topic that hears of results.
    pub completions_topic_arn: String,
}

/// The queue of one runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeQueue {
    /// Its URL.
    pub url: String,
    /// The URL of its dead-letter queue.
    pub dead_letter_url: String,
}

/// Makes `<prefix>-output`, `<prefix>-tasks` and `<prefix>-completions`, or finds them.
pub async fn shared(clients: &Clients, prefix: &str) -> Result<Shared, Error> {
    let results = format!("{prefix}-output");
    bucket(clients, &results).await?;
    let topic = async |name: String| -> Result<String, Error> {
        let made = clients.sns.create_topic().name(name).send().await.context("a topic cannot be made")?;
        Ok(made.topic_arn.context("a topic without an ARN")?)
    };
    Ok(Shared {
        bucket: results,
        tasks_topic_arn: topic(format!("{prefix}-tasks")).await?,
        completions_topic_arn: topic(format!("{prefix}-completions")).await?,
        prefix: prefix.to_owned(),
    })
}

/// Makes a bucket, or finds it.
pub async fn bucket(clients: &Clients, name: &str) -> Result<(), Error> {
    if clients.s3.head_bucket().bucket(name).send().await.is_err() {
        let made = clients.s3.create_bucket().bucket(name).send().await;
        made.with_context(|| format!("the bucket {name} cannot be made"))?;
    }
    Ok(())
}

/// Lets the task topic take messages of up to so many bytes.
pub async fn take_messages_of(clients: &Clients, shared: &Shared, bytes: u32) -> Result<(), Error> {
    let call = clients.sns.set_topic_attributes().topic_arn(&shared.tasks_topic_arn);
    let call = call.attribute_name("MaximumMessageSize").attribute_value(bytes.to_string());
    call.send().await.context("the size of messages cannot be set")?;
    Ok(())
}

/// Makes `<prefix>-<runtime>` and `<prefix>-<runtime>-dlq`, subscribed to tasks for that runtime or one of its models.
pub async fn runtime_queue(
    clients: &Clients,
    shared: &Shared,
    runtime: &str,
    models: &[String],
) -> Result<RuntimeQueue, Error> {
    let dead_letter_url = queue(clients, &format!("{}-{runtime}-dlq", shared.prefix), None).await?;
    let dead_letter_arn = queue_arn(clients, &dead_letter_url).await?;
    let url = queue(clients, &format!("{}-{runtime}", shared.prefix), Some(&dead_letter_arn)).await?;

    let filter = match models {
        [] => json!({ Route::RUNTIME: [runtime] }),
        models => json!({ "$or": [{ Route::MODEL: models }, { Route::RUNTIME: [runtime] }] }),
    };
    let subscription = clients.sns.subscribe().topic_arn(&shared.tasks_topic_arn).protocol("sqs");
    subscription
        .endpoint(queue_arn(clients, &url).await?)
        .attributes("FilterPolicy", filter.to_string())
        .attributes("FilterPolicyScope", "MessageAttributes")
        .attributes("RedrivePolicy", json!({ "deadLetterTargetArn": dead_letter_arn }).to_string())
        .send()
        .await
        .context("the queue cannot be subscribed")?;
    Ok(RuntimeQueue { url, dead_letter_url })
}

/// Makes `<prefix>-<name>`, a queue that hears of every result, raw.
pub async fn completion_queue(clients: &Clients, shared: &Shared, name: &str) -> Result<String, Error> {
    let url = queue(clients, &format!("{}-{name}", shared.prefix), None).await?;
    let subscription = clients.sns.subscribe().topic_arn(&shared.completions_topic_arn).protocol("sqs");
    subscription
        .endpoint(queue_arn(clients, &url).await?)
        .attributes("RawMessageDelivery", "true")
        .send()
        .await
        .context("the completion queue cannot be subscribed")?;
    Ok(url)
}

async fn queue(clients: &Clients, name: &str, dead_letter_arn: Option<&str>) -> Result<String, Error> {
    let mut call = clients
        .sqs
        .create_queue()
        .queue_name(name)
        .attributes(QueueAttributeName::VisibilityTimeout, VISIBILITY_SECONDS.to_string());
    if let Some(arn) = dead_letter_arn {
        let redrive = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": MAX_RECEIVE_COUNT });
        call = call.attributes(QueueAttributeName::RedrivePolicy, redrive.to_string());
    }
    let made = call.send().await.with_context(|| format!("the queue {name} cannot be made"))?;
    Ok(made.queue_url.context("a queue without a URL")?)
}

/// The ARN of the queue at `url`.
pub(crate) async fn queue_arn(clients: &Clients, url: &str) -> Result<String, Error> {
    let asked =
        clients.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::QueueArn);
    let answer = asked.send().await.context("a queue's attributes cannot be read")?;
    let arn = answer.attributes.and_then(|mut attributes| attributes.remove(&QueueAttributeName::QueueArn));
    Ok(arn.context("a queue without an ARN")?)
}
