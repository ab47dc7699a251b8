//! Publishing to Amazon SNS. The SDK's types and errors stop here.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::Builder;
use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::config::timeout::TimeoutConfig;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::operation::RequestId;
use aws_sdk_sns::operation::publish::PublishError as SdkPublishError;
use aws_sdk_sns::types::MessageAttributeValue;
use task_traces::context::XRAY_HEADER;

use crate::Config;
use crate::aws::{ATTEMPTS, FIRST_BACKOFF};
use crate::steps::publish::{Message, PublishError};

/// The topic that tasks are published to.
#[derive(Debug)]
pub(crate) struct Sns {
    client: Client,
    topic_arn: String,
}

impl Sns {
    /// The configured topic, called with the credentials, endpoint and HTTP client of `sdk`.
    pub(crate) fn new(sdk: &SdkConfig, config: &Config) -> Self {
        let whole = Duration::from_millis(config.publish_timeout_ms);
        // An attempt that hangs leaves time for another one.
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(whole)
            .operation_attempt_timeout(whole / 2)
            .connect_timeout(whole / 4)
            .build();
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_BACKOFF);
        let sns = Builder::from(sdk).timeout_config(timeouts).retry_config(retries).build();
        Self { client: Client::from_conf(sns), topic_arn: config.sns_topic_arn.clone() }
    }

    /// Returns `Ok` only when SNS has taken the message.
    pub(crate) async fn publish(&self, message: Message) -> Result<(), PublishError> {
        let attribute = MessageAttributeValue::builder()
            .data_type(Message::DATA_TYPE)
            .string_value(message.value)
            .build()
            .map_err(|_| PublishError::new("the attribute could not be built"))?;
        // SNS passes the header on to the queue. In a Lambda the SDK sends that of the invocation, if there is none.
        let header = message.trace.map(|trace| trace.xray());
        self.client
            .publish()
            .topic_arn(&self.topic_arn)
            .message(message.body)
            .message_attributes(message.attribute, attribute)
            .set_message_group_id(message.group)
            .customize()
            .mutate_request(move |request| {
                if let Some(header) = &header {
                    request.headers_mut().insert(XRAY_HEADER, header.clone());
                }
            })
            .send()
            .await
            .map(drop)
            .map_err(|error| classified(&error))
    }
}

/// What the log may say of an SDK error: its kind and code. Its text names topics and roles.
fn classified(error: &SdkError<SdkPublishError>) -> PublishError {
    let reason = match error {
        SdkError::TimeoutError(_) => "sns did not answer in time",
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "sns did not answer in time",
        SdkError::DispatchFailure(_) => "sns could not be reached",
        SdkError::ResponseError(_) => "sns answered something unreadable",
        SdkError::ServiceError(refusal) if refusal.raw().status().is_server_error() => "sns is out of order",
        SdkError::ServiceError(_) => "sns refused the message",
        _ => "the call could not be built",
    };
    PublishError {
        reason,
        code: error.code().map(str::to_owned),
        request_id: error.request_id().map(str::to_owned),
        // Earlier attempts may have been received, but it was the same message, which is refused.
        is_unpublished: matches!(error, SdkError::ServiceError(refusal) if refusal.raw().status().is_client_error()),
    }
}
