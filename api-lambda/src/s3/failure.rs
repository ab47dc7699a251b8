//! Failed calls to S3.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use http_body_util::{BodyExt, Limited};

use crate::steps::publish::PublishError;

/// The most that is read of an error, in bytes.
const MAX_ERROR_BYTES: usize = 16 * 1024;

/// One failed call.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: PublishError,
    pub(super) is_retryable: bool,
}

impl Failure {
    pub(super) fn lasting(reason: &'static str) -> Self {
        Self { error: PublishError::new(reason), is_retryable: false }
    }

    pub(super) fn unanswered(error: &ConnectorError) -> Self {
        let reason = if error.is_user() { "the call could not be made" } else { "s3 could not be reached" };
        Self { error: PublishError::new(reason), is_retryable: !error.is_user() }
    }

    /// What the log may say of an answer: its code. Its text names users and buckets.
    pub(super) async fn answered(response: HttpResponse) -> Self {
        let status = response.status();
        let is_retryable = status.is_server_error() || status.as_u16() == 429;
        let request_id = response.headers().get("x-amz-request-id").map(str::to_owned);
        let body = Limited::new(response.into_body(), MAX_ERROR_BYTES).collect().await;
        let text = body.map(|body| body.to_bytes()).unwrap_or_default();
        let code =
            code(&String::from_utf8_lossy(&text)).unwrap_or_else(|| format!("http_{}", status.as_u16()));
        let reason = if is_retryable { "s3 is out of order" } else { "s3 refused the task" };
        Self {
            error: PublishError { code: Some(code), request_id, ..PublishError::new(reason) },
            is_retryable,
        }
    }
}

/// What stands in the `Code` of an error of S3's.
fn code(xml: &str) -> Option<String> {
    let (_, rest) = xml.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    Some(code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_an_error_is_read() {
        let xml =
            "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>User: arn</Message></Error>";
        assert_eq!(code(xml).as_deref(), Some("AccessDenied"));
        assert_eq!(code("<html>"), None);
    }
}
