//! Storing in Amazon S3: one signed PUT. The SDK's client would weigh more in the zip than all else that is S3 here.

use std::sync::OnceLock;
use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sns::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use axum::body::Bytes;
use axum::http::{Request, header};
use http_body_util::{BodyExt, Limited};
use shared_schema::ClaimCheck;

use crate::Config;
use crate::aws::{ATTEMPTS, FIRST_BACKOFF, TLS};
use crate::steps::publish::PublishError;

/// The most that is read of an error, in bytes.
const MAX_ERROR_BYTES: usize = 16 * 1024;

/// The bucket that the workers store in.
#[derive(Debug)]
pub(crate) struct S3 {
    /// Made when it is first needed: reading the certificates takes milliseconds of a cold start.
    connector: OnceLock<Connector>,
    credentials: Option<SharedCredentialsProvider>,
    region: String,
    /// The endpoint of all services, where one is set.
    endpoint: Option<String>,
    bucket: String,
}

/// One failed call.
#[derive(Debug)]
struct Failure {
    error: PublishError,
    is_retryable: bool,
}

impl S3 {
    /// The configured bucket, in the region of the topic, called with the credentials of `sdk`.
    pub(crate) fn new(sdk: &SdkConfig, config: &Config) -> Self {
        Self {
            connector: OnceLock::new(),
            credentials: sdk.credentials_provider(),
            region: config.topic_region().to_owned(),
            endpoint: sdk.endpoint_url().map(str::to_owned),
            bucket: config.s3_output_bucket.clone(),
        }
    }

    /// Stores a task under the key of its claim check. Unbounded in time: its caller bounds it.
    pub(crate) async fn put(&self, check: &ClaimCheck, task: Bytes) -> Result<(), PublishError> {
        let base = base(self.endpoint.as_deref(), &self.region, &self.bucket).await;
        let base = base.ok_or_else(|| PublishError::new("there is no s3 in the region of the topic"))?;
        let url = format!("{base}/{}", check.key);
        let mut attempt = 1;
        loop {
            match self.attempt(&url, check, task.clone()).await {
                Ok(()) => return Ok(()),
                Err(failure) if failure.is_retryable && attempt < ATTEMPTS => {
                    tokio::time::sleep(FIRST_BACKOFF * attempt).await;
                    attempt += 1;
                }
                Err(failure) => return Err(failure.error),
            }
        }
    }

    async fn attempt(&self, url: &str, check: &ClaimCheck, task: Bytes) -> Result<(), Failure> {
        let credentials = match &self.credentials {
            Some(provider) => provider.provide_credentials().await.ok(),
            None => None,
        };
        let credentials = credentials.ok_or_else(|| Failure::lasting("there are no credentials for s3"))?;
        let request = Request::put(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, task.len())
            .body(SdkBody::from(task))
            .ok()
            .and_then(|put| signed(put, &check.sha256, credentials, &self.region, SystemTime::now()))
            .and_then(|put| put.try_into().ok())
            .ok_or_else(|| Failure::lasting("the call could not be built"))?;
        let connector = self.connector.get_or_init(|| Connector::builder().tls_provider(TLS).build());
        let response = connector.call(request).await.map_err(|error| Failure::unanswered(&error))?;
        if response.status().is_success() { Ok(()) } else { Err(Failure::answered(response).await) }
    }
}

/// What stands before the key: `https://<bucket>.s3.<region>.<suffix>`; by path where the bucket's name is no host name, or
/// the host is not AWS's.
async fn base(endpoint: Option<&str>, region: &str, bucket: &str) -> Option<String> {
    if let Some(endpoint) = endpoint {
        return Some(format!("{}/{bucket}", endpoint.trim_end_matches('/')));
    }
    let host = host(region).await?;
    // A dot would be a subdomain, which the certificate does not cover.
    let is_host_name = bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    Some(if is_host_name { format!("https://{bucket}.{host}") } else { format!("https://{host}/{bucket}") })
}

/// The host of S3 in a region: that of SNS, whose rules of endpoints are linked, under S3's name. Both services have the
/// partition's suffix.
async fn host(region: &str) -> Option<String> {
    let params = Params::builder().region(region).build().ok()?;
    let resolver = DefaultResolver::new();
    let sns = ResolveEndpoint::resolve_endpoint(&resolver, &params).await.ok()?;
    Some(format!("s3.{}", sns.url().strip_prefix("https://sns.")?))
}

/// The request with its signature (AWS Signature Version 4), under which S3 takes only a body with that SHA-256.
fn signed(
    mut request: Request<SdkBody>,
    sha256: &str,
    credentials: Credentials,
    region: &str,
    now: SystemTime,
) -> Option<Request<SdkBody>> {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = credentials.into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("s3")
        .time(now)
        .settings(settings)
        .build()
        .ok()?
        .into();
    let uri = request.uri().to_string();
    let headers =
        request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let body = SignableBody::Precomputed(sha256.to_owned());
    let signable = SignableRequest::new(request.method().as_str(), uri, headers, body).ok()?;
    let (instructions, _) = sign(signable, &params).ok()?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    Some(request)
}

impl Failure {
    fn lasting(reason: &'static str) -> Self {
        Self { error: PublishError::new(reason), is_retryable: false }
    }

    fn unanswered(error: &ConnectorError) -> Self {
        let reason = if error.is_user() { "the call could not be made" } else { "s3 could not be reached" };
        Self { error: PublishError::new(reason), is_retryable: !error.is_user() }
    }

    /// What the log may say of an answer: its code. Its text names users and buckets.
    async fn answered(response: HttpResponse) -> Self {
        let status = response.status();
        let is_retryable = status.is_server_error() || status.as_u16() == 429;
        let request_id = response.headers().get("x-amz-request-id").map(str::to_owned);
        let body = Limited::new(response.into_body(), MAX_ERROR_BYTES).collect().await;
        let text = body.map(|body| body.to_bytes()).unwrap_or_default();
        let code =
            code(&String::from_utf8_lossy(&text)).unwrap_or_else(|| format!("http_{}", status.as_u16()));
        let reason = if is_retryable { "s3 is out of order" } else { "s3 refused the task" };
        Self { error: PublishError { reason, code: Some(code), request_id }, is_retryable }
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
    use std::time::Duration;

    #[tokio::test]
    async fn buckets_are_called_by_host_and_where_that_cannot_be_by_path() {
        for (endpoint, bucket, expected) in [
            (None, "out-1", "https://out-1.s3.eu-west-1.amazonaws.com"),
            (None, "out.1", "https://s3.eu-west-1.amazonaws.com/out.1"),
            (Some("http://h:1/"), "out-1", "http://h:1/out-1"),
        ] {
            assert_eq!(base(endpoint, "eu-west-1", bucket).await.as_deref(), Some(expected));
        }
    }

    #[tokio::test]
    async fn every_partition_has_its_own_suffix() {
        for (region, suffix) in [
            ("us-east-1", "amazonaws.com"),
            ("eu-central-1", "amazonaws.com"),
            ("cn-north-1", "amazonaws.com.cn"),
            ("us-gov-west-1", "amazonaws.com"),
            ("us-gov-east-1", "amazonaws.com"),
            ("us-iso-east-1", "c2s.ic.gov"),
            ("us-isob-east-1", "sc2s.sgov.gov"),
            ("eusc-de-east-1", "amazonaws.eu"),
        ] {
            let expected = format!("https://out-1.s3.{region}.{suffix}");
            assert_eq!(base(None, region, "out-1").await, Some(expected));
        }
    }

    #[test]
    fn the_signature_is_that_of_the_example_in_the_documentation() {
        // Amazon S3 API reference, "Examples: Signature calculations", "PUT object".
        let put = Request::put("https://examplebucket.s3.amazonaws.com/test%24file.text")
            .header(header::DATE, "Fri, 24 May 2013 00:00:00 GMT")
            .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
            .body(SdkBody::empty())
            .unwrap();
        let (key, secret) = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let credentials = Credentials::new(key, secret, None, None, "example");
        let sha256 = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
        let midnight = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let put = signed(put, sha256, credentials, "us-east-1", midnight).unwrap();
        let authorization = put.headers()[header::AUTHORIZATION].to_str().unwrap();
        let expected = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
        assert!(authorization.ends_with(expected), "{authorization}");
        assert_eq!(put.headers()["x-amz-content-sha256"], sha256);
    }

    #[test]
    fn the_code_of_an_error_is_read() {
        let xml =
            "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>User: arn</Message></Error>";
        assert_eq!(code(xml).as_deref(), Some("AccessDenied"));
        assert_eq!(code("<html>"), None);
    }
}
