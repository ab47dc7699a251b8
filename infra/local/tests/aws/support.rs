//! What every test needs: running endpoints, clients for them, and waiting for a condition.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use local_stack::aws::{AwsOptions, CallRecord, EmbeddedAws};
use serde_json::Value;

/// Endpoints of one test and clients for them.
pub(crate) struct Aws {
    pub(crate) endpoints: EmbeddedAws,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) sns: aws_sdk_sns::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) data_dir: DataDir,
}

/// A folder that is deleted after its test.
pub(crate) struct DataDir(pub(crate) PathBuf);

impl std::ops::Deref for DataDir {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A folder that does not exist yet.
pub(crate) fn folder() -> DataDir {
    DataDir(std::env::temp_dir().join(format!("embedded-aws-{}", uuid::Uuid::new_v4())))
}

/// Endpoints on a free port that restore what others persisted in the folder.
pub(crate) fn persistent(folder: &Path) -> AwsOptions {
    AwsOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        data_dir: folder.to_owned(),
        latency: Duration::ZERO,
        record_calls: false,
        persist_messages: true,
    }
}

/// Starts the endpoints on a free port with an empty data folder.
pub(crate) async fn start() -> Aws {
    let data_dir = folder();
    let options = AwsOptions { record_calls: true, persist_messages: false, ..persistent(&data_dir) };
    let endpoints = EmbeddedAws::start(options).await.unwrap();
    let config = sdk_config(&endpoints, "test", "test");
    Aws {
        s3: aws_sdk_s3::Client::new(&config),
        sns: aws_sdk_sns::Client::new(&config),
        sqs: aws_sdk_sqs::Client::new(&config),
        endpoints,
        data_dir,
    }
}

pub(crate) fn sdk_config(endpoints: &EmbeddedAws, access_key: &str, secret: &str) -> SdkConfig {
    let credentials = Credentials::new(access_key, secret, None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoints.url())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

impl Aws {
    /// A client for S3 with that access key id.
    pub(crate) fn client_of(&self, access_key: &str) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::new(&sdk_config(&self.endpoints, access_key, "test"))
    }

    /// Waits for the record of a call of that action.
    pub(crate) async fn logged(&self, action: &str) -> CallRecord {
        let found = async {
            loop {
                if let Some(call) = self.endpoints.calls().into_iter().find(|call| call.action == action) {
                    return call;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), found).await.expect("the call was not logged")
    }

    /// A queue's URL.
    pub(crate) async fn queue(&self, name: &str) -> String {
        self.sqs.create_queue().queue_name(name).send().await.unwrap().queue_url.unwrap()
    }

    /// A topic's ARN.
    pub(crate) async fn topic(&self, name: &str) -> String {
        self.sns.create_topic().name(name).send().await.unwrap().topic_arn.unwrap()
    }

    /// Subscribes a queue with these attributes and gives the subscription's ARN.
    pub(crate) async fn subscribe(&self, topic: &str, queue: &str, attributes: &[(&str, &str)]) -> String {
        let mut call = self.sns.subscribe().topic_arn(topic).protocol("sqs").endpoint(queue_arn(queue));
        for (name, value) in attributes {
            call = call.attributes(*name, *value);
        }
        call.send().await.unwrap().subscription_arn.unwrap()
    }

    /// Waits up to two seconds for one message, and deletes it.
    pub(crate) async fn next_message(&self, queue_url: &str) -> Option<aws_sdk_sqs::types::Message> {
        self.receive(queue_url, 2).await
    }

    /// One message that is there already, deleted.
    pub(crate) async fn message_now(&self, queue_url: &str) -> Option<aws_sdk_sqs::types::Message> {
        self.receive(queue_url, 0).await
    }

    async fn receive(&self, queue_url: &str, wait_seconds: i32) -> Option<aws_sdk_sqs::types::Message> {
        let received = self
            .sqs
            .receive_message()
            .queue_url(queue_url)
            .wait_time_seconds(wait_seconds)
            .message_attribute_names("All")
            .message_system_attribute_names(aws_sdk_sqs::types::MessageSystemAttributeName::All)
            .send()
            .await
            .unwrap();
        let message = received.messages.unwrap_or_default().pop()?;
        let handle = message.receipt_handle.clone().unwrap();
        self.sqs.delete_message().queue_url(queue_url).receipt_handle(handle).send().await.unwrap();
        Some(message)
    }

    /// A queue attribute that is a number.
    pub(crate) async fn count(&self, queue_url: &str, name: &str) -> usize {
        let name = aws_sdk_sqs::types::QueueAttributeName::from(name);
        let answer =
            self.sqs.get_queue_attributes().queue_url(queue_url).attribute_names(name.clone()).send();
        answer.await.unwrap().attributes.unwrap()[&name].parse().unwrap()
    }
}

pub(crate) fn queue_arn(queue_url: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{}", queue_url.rsplit('/').next().unwrap())
}

/// A client for plain HTTP.
pub(crate) fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}
