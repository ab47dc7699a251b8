//! The dead-letter Lambda as its users run it: the shipped program, invoked with Lambda events made from a dead-letter queue.

use std::time::Duration;

use local_stack::event_source::EventSource;
use serde_json::Value;

use crate::lab::Lab;
use crate::process::Process;
use crate::runtime_api::{Outcome, RuntimeApi, lambda_variables};
use crate::wait;

/// The timeout of the function, unless a test needs a shorter one.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(30);

/// The visibility timeout, in seconds: a message that the function could not complete is redelivered after it.
const VISIBILITY_TIMEOUT_SECONDS: u32 = 5;

/// A running dead-letter function.
pub struct Function {
    /// Its process.
    pub process: Process,
    api: RuntimeApi,
}

impl Function {
    /// The access key id that it calls AWS with.
    pub const ACCESS_KEY: &str = "dead-letter";

    /// Starts one for the lab's bucket and completion topic.
    pub async fn start(lab: &Lab) -> Self {
        Self::start_with(lab, FUNCTION_TIMEOUT).await
    }

    /// Starts one with that timeout per event.
    pub async fn start_with(lab: &Lab, timeout: Duration) -> Self {
        Self::start_from(lab, timeout, &[]).await
    }

    /// Starts one with further variables.
    pub async fn with_variables(lab: &Lab, variables: &[(&'static str, &str)]) -> Self {
        Self::start_from(lab, FUNCTION_TIMEOUT, variables).await
    }

    /// Starts one that updates the records of tasks.
    pub async fn recording(lab: &Lab) -> Self {
        Self::start_from(lab, FUNCTION_TIMEOUT, &[("RECORD_TABLE", &lab.shared.record_table)]).await
    }

    async fn start_from(lab: &Lab, timeout: Duration, more: &[(&'static str, &str)]) -> Self {
        let api = RuntimeApi::start_with(timeout).await;
        let mut variables = lambda_variables("dead-letter", &api.address.to_string());
        variables.insert("AWS_ENDPOINT_URL", lab.aws.url.clone());
        variables.insert("AWS_ACCESS_KEY_ID", Self::ACCESS_KEY.to_owned());
        variables.insert("SNS_TOPIC_ARN", lab.shared.completions_topic_arn.clone());
        variables.insert("S3_BUCKET", lab.shared.bucket.clone());
        variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let variables: Vec<(String, String)> =
            variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { process: Process::start("dead-letter", &variables), api }
    }

    /// Invokes it with an event.
    pub async fn invoke(&self, event: Value) -> Outcome {
        self.api.invoke(event).await
    }
}

/// A dead-letter queue as an event source of the function, polled as Lambda does.
pub async fn source(lab: &Lab, queue_url: &str) -> EventSource {
    EventSource::new(lab.clients(), queue_url, VISIBILITY_TIMEOUT_SECONDS).await.unwrap()
}

impl Function {
    /// Invokes the function with the messages in the queue, and deletes those that it has completed.
    pub async fn consume(&self, source: &EventSource) {
        let messages = source.receive(1).await.unwrap();
        if !messages.is_empty()
            && let Ok(answer) = self.invoke(source.event(&messages)).await
        {
            source.delete_processed(&messages, &answer).await.unwrap();
        }
    }
}

/// Invokes the function until the queue is empty.
pub async fn drain(lab: &Lab, queue_url: &str, function: &Function) {
    let source = source(lab, queue_url).await;
    wait::until("an empty dead-letter queue", async || {
        function.consume(&source).await;
        (lab.counts(queue_url).await == (0, 0)).then_some(())
    })
    .await;
}
