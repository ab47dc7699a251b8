//! Sends batches of spans over HTTP. The SDK exports them in a thread of its own, which must not block on a socket of Tokio: so the
//! calls are tasks of the runtime that the program has.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;

use crate::signature::Signer;

/// The most bytes of a response: it lists rejected spans at most.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// The HTTP client of the exporter.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    connector: Arc<Connector>,
    signer: Option<Signer>,
    timeout: Duration,
    runtime: Handle,
    /// Whether the last export failed: a failure that lasts is logged once.
    is_failing: Arc<AtomicBool>,
}

impl Sender {
    pub(crate) fn new(url: &str, timeout: Duration, credentials: Option<SharedCredentialsProvider>) -> Self {
        // Reading certificates takes milliseconds of the start, and an agent beside the program needs none.
        let connector = if url.starts_with("https:") {
            Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).build()
        } else {
            Connector::builder().build_http()
        };
        let signer = credentials.and_then(|credentials| Signer::of(url, credentials));
        Self {
            connector: Arc::new(connector),
            signer,
            timeout,
            runtime: Handle::current(),
            is_failing: Arc::default(),
        }
    }

    async fn send(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = match &self.signer {
            Some(signer) => signer.signed(request, SystemTime::now()).await?,
            None => request,
        };
        let request = request.map(SdkBody::from).try_into()?;
        let response = self.connector.call(request).await?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_RESPONSE_BYTES).collect().await?;
        Ok(Response::builder().status(status).body(body.to_bytes())?)
    }

    fn note(&self, result: &Result<Response<Bytes>, HttpError>) {
        let why = match result {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("the endpoint answers {}", response.status())),
            Err(error) => Some(root_cause(error.as_ref())),
        };
        match (why, self.is_failing.load(Ordering::Relaxed)) {
            (Some(why), false) => {
                self.is_failing.store(true, Ordering::Relaxed);
                tracing::warn!(why, "spans cannot be exported");
            }
            (None, true) => {
                self.is_failing.store(false, Ordering::Relaxed);
                tracing::warn!("spans are exported again");
            }
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (sender, timeout) = (self.clone(), self.timeout);
        let sending = self.runtime.spawn(async move {
            let result = match tokio::time::timeout(timeout, sender.clone().send(request)).await {
                Ok(result) => result,
                Err(elapsed) => Err(elapsed.into()),
            };
            sender.note(&result);
            result
        });
        sending.await?
    }
}

fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}
