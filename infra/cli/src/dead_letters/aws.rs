//! Clients for SQS and S3, with the credentials, region and endpoint of the environment.

use aws_config::BehaviorVersion;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

#[derive(Debug, thiserror::Error)]
#[error("AWS: {what}: {cause}")]
pub(crate) struct Error {
    what: &'static str,
    cause: String,
}

impl Error {
    /// A call that failed: what the service answered, or why it did not.
    pub(super) fn of<E, R>(what: &'static str, error: SdkError<E, R>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug + 'static,
    {
        let answered = error.code().map(|code| format!("{code}: {}", error.message().unwrap_or_default()));
        Self { what, cause: answered.unwrap_or_else(|| causes(&error)) }
    }
}

/// An error and its causes in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text += &format!(": {source}");
        cause = source.source();
    }
    text
}

#[derive(Debug)]
pub(super) struct Clients {
    pub(super) sqs: aws_sdk_sqs::Client,
    pub(super) s3: aws_sdk_s3::Client,
}

impl Clients {
    pub(super) async fn from_env() -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let sdk = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
        // `bucket.127.0.0.1` is no host.
        let has_endpoint = sdk.endpoint_url().is_some();
        let s3 = aws_sdk_s3::config::Builder::from(&sdk).force_path_style(has_endpoint).build();
        Self { sqs: aws_sdk_sqs::Client::new(&sdk), s3: aws_sdk_s3::Client::from_conf(s3) }
    }
}
