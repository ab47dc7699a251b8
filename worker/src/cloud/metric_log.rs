//! The log group from which CloudWatch extracts the metrics of the workers.

use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use task_metrics::Document;
use uuid::Uuid;

use super::CloudError;

/// Where metrics go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricLogOptions {
    /// The namespace of the metrics (`METRICS_NAMESPACE`).
    pub namespace: String,
    /// The log group, which exists (`METRICS_LOG_GROUP`).
    pub group: String,
}

/// One stream of the log group: this process's.
#[derive(Debug, Clone)]
pub struct MetricLog {
    client: Client,
    namespace: String,
    group: String,
    stream: String,
}

impl MetricLog {
    /// The stream is named after the host, which in Kubernetes is the pod, and the process.
    pub fn new(sdk: &SdkConfig, options: &MetricLogOptions, host_name: &str) -> Self {
        let MetricLogOptions { namespace, group } = options.clone();
        // A stream's name may have neither of these (CloudWatch Logs API, `CreateLogStream`).
        let host_name = host_name.replace([':', '*'], "-");
        let stream = format!("{host_name}/{}", Uuid::new_v4());
        Self { client: Client::new(sdk), namespace, group, stream }
    }

    /// Sends documents, oldest first: few enough for one call, which takes 1 MB and 24 hours (CloudWatch Logs API, `PutLogEvents`).
    /// The first call creates the stream.
    pub async fn put(&self, documents: &[Document]) -> Result<(), CloudError> {
        match self.put_events(documents).await {
            Err(error) if error.is_not_found() => {
                self.create_stream().await?;
                self.put_events(documents).await
            }
            done => done,
        }
    }

    async fn put_events(&self, documents: &[Document]) -> Result<(), CloudError> {
        let events = documents.iter().flat_map(|document| {
            let texts = document.texts(&self.namespace).into_iter();
            // Building fails only without a time or a text.
            texts.filter_map(|text| {
                InputLogEvent::builder().timestamp(document.timestamp_ms()).message(text).build().ok()
            })
        });
        let call = self.client.put_log_events().log_group_name(&self.group).log_stream_name(&self.stream);
        let sent = call.set_log_events(Some(events.collect())).send().await;
        sent.map(drop).map_err(|error| CloudError::new("logs", "put_log_events", &error))
    }

    async fn create_stream(&self) -> Result<(), CloudError> {
        let call = self.client.create_log_stream().log_group_name(&self.group).log_stream_name(&self.stream);
        call.send().await.map(drop).map_err(|error| CloudError::new("logs", "create_log_stream", &error))
    }
}
