//! Amazon S3 by single signed calls. The SDK's client would weigh more in the zip than all else that is S3 here.

pub(crate) mod address;
mod failure;
mod presign;

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::SignableBody;
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use axum::body::Bytes;
use axum::http::{Request, header};
use http_body_util::{BodyExt, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use shared_schema::{ClaimCheck, claim_check};

use crate::Config;
use crate::aws::{ATTEMPTS, FIRST_BACKOFF, TLS};
use crate::signature;
use crate::steps::publish::PublishError;
use failure::Failure;
pub(crate) use presign::Presigned;

/// What is encoded in the path of a URL: everything but `/` and the unreserved characters (Amazon S3 API reference, "Signature
/// calculations").
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The SHA-256 of an empty body.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Whether a call failed because there is no such object.
fn is_missing(error: &PublishError) -> bool {
    matches!(error.code.as_deref(), Some("NoSuchKey" | "http_404"))
}

/// The bucket that the workers store in. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct S3 {
    /// Made when it is first needed: reading the certificates takes milliseconds of a cold start.
    connector: Arc<OnceLock<Connector>>,
    credentials: Option<SharedCredentialsProvider>,
    region: String,
    /// The endpoint of all services, where one is set.
    endpoint: Option<String>,
    bucket: String,
}

impl S3 {
    /// The configured bucket, in the region of the topic, called with the credentials of `sdk`.
    pub(crate) fn new(sdk: &SdkConfig, config: &Config) -> Self {
        Self {
            connector: Arc::default(),
            credentials: sdk.credentials_provider(),
            region: config.topic_region().to_owned(),
            endpoint: sdk.endpoint_url().map(str::to_owned),
            bucket: config.s3_output_bucket.clone(),
        }
    }

    /// The name of the bucket.
    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Stores a task under the key of its claim check. Unbounded in time: its caller bounds it.
    pub(crate) async fn put_task(&self, check: &ClaimCheck, task: Bytes) -> Result<(), PublishError> {
        self.put_hashed(&check.key, "application/json", task, &check.sha256).await
    }

    /// Stores an object of that media type. Unbounded in time: its caller bounds it.
    pub(crate) async fn put(&self, key: &str, content_type: &str, bytes: Bytes) -> Result<(), PublishError> {
        let sha256 = claim_check::sha256(&bytes);
        self.put_hashed(key, content_type, bytes, &sha256).await
    }

    async fn put_hashed(
        &self,
        key: &str,
        content_type: &str,
        bytes: Bytes,
        sha256: &str,
    ) -> Result<(), PublishError> {
        let url = self.url(key).await?;
        let put = || {
            Request::put(&url)
                .header(header::CONTENT_TYPE, content_type)
                .header(header::CONTENT_LENGTH, bytes.len())
                .body(SdkBody::from(bytes.clone()))
                .ok()
        };
        self.call(sha256, put).await.map(drop)
    }

    /// The BLAKE3 of an object of exactly that many bytes; `None` if there is none. Unbounded in time: its caller bounds it.
    pub(crate) async fn digest(&self, key: &str, bytes: u64) -> Result<Option<blake3::Hash>, PublishError> {
        let url = self.url(key).await?;
        let response = match self.call(EMPTY, || Request::get(&url).body(SdkBody::empty()).ok()).await {
            Ok(response) => response,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut body = pin!(response.into_body());
        let mut hasher = blake3::Hasher::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| PublishError::new("the object could not be read"))?;
            if let Some(piece) = frame.data_ref() {
                hasher.update(piece);
            }
            if hasher.count() > bytes {
                break;
            }
        }
        Ok((hasher.count() == bytes).then(|| hasher.finalize()))
    }

    /// The content of an object of at most `limit` bytes; `None` if there is none. Unbounded in time: its caller bounds it.
    pub(crate) async fn get(&self, key: &str, limit: usize) -> Result<Option<Bytes>, PublishError> {
        let url = self.url(key).await?;
        match self.call(EMPTY, || Request::get(&url).body(SdkBody::empty()).ok()).await {
            Ok(response) => {
                let body = Limited::new(response.into_body(), limit).collect().await;
                body.map(|body| Some(body.to_bytes()))
                    .map_err(|_| PublishError::new("the object could not be read"))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the URLs of all objects begin with, up to the key. `None` if the region has no S3.
    pub(crate) async fn root(&self) -> Option<String> {
        let base = address::base(self.endpoint.as_deref(), &self.region, &self.bucket).await?;
        Some(format!("{base}/"))
    }

    /// The URL of an object.
    async fn url(&self, key: &str) -> Result<String, PublishError> {
        let root = self.root().await;
        let root = root.ok_or_else(|| PublishError::new("there is no s3 in the region of the topic"))?;
        Ok(format!("{root}{}", utf8_percent_encode(key, ENCODED)))
    }

    async fn credentials(&self) -> Option<Credentials> {
        self.credentials.as_ref()?.provide_credentials().await.ok()
    }

    /// Makes a call with a body of that SHA-256, again if it fails for a reason that may pass.
    async fn call(
        &self,
        sha256: &str,
        request: impl Fn() -> Option<Request<SdkBody>>,
    ) -> Result<HttpResponse, PublishError> {
        let mut attempt = 1;
        loop {
            match self.attempt(sha256, request()).await {
                Ok(response) => return Ok(response),
                Err(failure) if failure.is_retryable && attempt < ATTEMPTS => {
                    tokio::time::sleep(FIRST_BACKOFF * attempt).await;
                    attempt += 1;
                }
                Err(failure) => return Err(failure.error),
            }
        }
    }

    async fn attempt(
        &self,
        sha256: &str,
        request: Option<Request<SdkBody>>,
    ) -> Result<HttpResponse, Failure> {
        let credentials =
            self.credentials().await.ok_or_else(|| Failure::lasting("there are no credentials for s3"))?;
        let request = request
            .and_then(|call| {
                let body = SignableBody::Precomputed(sha256.to_owned());
                signature::signed(call, body, credentials, ("s3", &self.region), SystemTime::now())
            })
            .and_then(|call| call.try_into().ok())
            .ok_or_else(|| Failure::lasting("the call could not be built"))?;
        let connector = self.connector.get_or_init(|| Connector::builder().tls_provider(TLS).build());
        let response = connector.call(request).await.map_err(|error| Failure::unanswered(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(Failure::answered(response).await) }
    }
}
