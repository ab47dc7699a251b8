//! Creates the resources of a deployment: bucket, topics, table, and per runtime a queue with its dead-letter queue and subscription.
//!
//! Through the AWS APIs, so that it works on the embedded endpoints and on any other.

mod table;

use anyhow::Context;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::types::{CorsConfiguration, CorsRule};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;
use shared_schema::message::Route;

use crate::Error;
use crate::aws::REGION;

/// The default visibility timeout, in seconds; the worker sets its own.
const VISIBILITY_SECONDS: u32 = 120;

/// How often a message may be received before SQS moves it to the dead-letter queue: a safety net well above the
/// worker's own attempts.
const MAX_RECEIVE_COUNT: u32 = 20;

/// Clients for one AWS endpoint.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Their shared configuration.
    pub sdk: SdkConfig,
    /// Tables.
    pub dynamodb: aws_sdk_dynamodb::Client,
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

    /// The same with another access key, by which the embedded endpoints identify the caller.
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
            dynamodb: aws_sdk_dynamodb::Client::new(&sdk),
            s3: aws_sdk_s3::Client::from_conf(s3),
            sns: aws_sdk_sns::Client::new(&sdk),
            sqs: aws_sdk_sqs::Client::new(&sdk),
            sdk,
        }
    }
}

/// The resources that all runtimes share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The prefix of every name.
    pub prefix: String,
    /// The bucket for results.
    pub bucket: String,
    /// The topic that tasks are published to.
    pub tasks_topic_arn: String,
    /// The topic that results are published to.
    pub completions_topic_arn: String,
    /// The table for the records of tasks.
    pub record_table: String,
}

/// The queue of one runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeQueue {
    /// Its URL.
    pub url: String,
    /// The URL of its dead-letter queue.
    pub dead_letter_url: String,
}

/// Creates unless they exist: the bucket `<prefix>-output`, the topics `<prefix>-tasks` and `<prefix>-completions`, and the
/// table `<prefix>-tasks`.
pub async fn shared(clients: &Clients, prefix: &str) -> Result<Shared, Error> {
    let results = format!("{prefix}-output");
    bucket(clients, &results).await?;
    let record_table = format!("{prefix}-tasks");
    table::create(clients, &record_table).await?;
    let topic = async |name: String| -> Result<String, Error> {
        let created =
            clients.sns.create_topic().name(name).send().await.context("a topic cannot be created")?;
        Ok(created.topic_arn.context("a topic without an ARN")?)
    };
    Ok(Shared {
        bucket: results,
        tasks_topic_arn: topic(format!("{prefix}-tasks")).await?,
        completions_topic_arn: topic(format!("{prefix}-completions")).await?,
        record_table,
        prefix: prefix.to_owned(),
    })
}

/// Creates a bucket unless it exists.
pub async fn bucket(clients: &Clients, name: &str) -> Result<(), Error> {
    if clients.s3.head_bucket().bucket(name).send().await.is_err() {
        let created = clients.s3.create_bucket().bucket(name).send().await;
        created.with_context(|| format!("the bucket {name} cannot be created"))?;
    }
    Ok(())
}

/// Allows web pages to store files in the bucket by presigned URLs, which contain the permission.
pub async fn allow_uploads(clients: &Clients, shared: &Shared) -> Result<(), Error> {
    let rule = CorsRule::builder()
        .allowed_origins("*")
        .allowed_methods("PUT")
        .allowed_headers("content-type")
        .max_age_seconds(3_600)
        .build();
    let rules = rule.and_then(|rule| CorsConfiguration::builder().cors_rules(rule).build());
    let rules = rules.context("the rules for web pages are incomplete")?;
    let put = clients.s3.put_bucket_cors().bucket(&shared.bucket).cors_configuration(rules).send().await;
    put.with_context(|| format!("the bucket {} cannot be opened for web pages", shared.bucket))?;
    Ok(())
}

/// Sets the maximum message size of the task topic, in bytes.
pub async fn set_max_message_size(clients: &Clients, shared: &Shared, bytes: u32) -> Result<(), Error> {
    let call = clients.sns.set_topic_attributes().topic_arn(&shared.tasks_topic_arn);
    let call = call.attribute_name("MaximumMessageSize").attribute_value(bytes.to_string());
    call.send().await.context("the maximum message size cannot be set")?;
    Ok(())
}

/// Creates `<prefix>-<runtime>` and `<prefix>-<runtime>-dlq`, subscribed to tasks for that runtime or one of its models.
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

/// Creates `<prefix>-<name>`, a queue that receives every notification, with raw message delivery.
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
    let created = call.send().await.with_context(|| format!("the queue {name} cannot be created"))?;
    Ok(created.queue_url.context("a queue without a URL")?)
}

/// The ARN of the queue at `url`.
pub(crate) async fn queue_arn(clients: &Clients, url: &str) -> Result<String, Error> {
    let request =
        clients.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::QueueArn);
    let response = request.send().await.context("a queue's attributes cannot be read")?;
    let arn = response.attributes.and_then(|mut attributes| attributes.remove(&QueueAttributeName::QueueArn));
    Ok(arn.context("a queue without an ARN")?)
}
