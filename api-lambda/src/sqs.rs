//! The lengths of the runtimes' queues, by single signed calls to Amazon SQS. The SDK's client would weigh more in the zip.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::SignableBody;
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_types::body::SdkBody;
use axum::http::{Request, header};
use futures_util::stream::{self, StreamExt};
use http_body_util::{BodyExt, Limited};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared_schema::RuntimeName;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::Config;
use crate::aws::TLS;
use crate::s3::address;
use crate::signature;

/// How long lengths are used again: callers that poll cost a call of each queue per that time and function.
const FRESH: Duration = Duration::from_secs(5);
/// How long a call may take: the response does not wait longer for what it can do without.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How many queues are asked at once.
const AT_ONCE: usize = 10;
/// The most that is read of a response, in bytes.
const MAX_BYTES: usize = 16 * 1024;

const WAITING: &str = "ApproximateNumberOfMessages";
const IN_FLIGHT: &str = "ApproximateNumberOfMessagesNotVisible";

/// How many tasks a runtime has. SQS counts approximately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Backlog {
    /// Tasks that no worker has received, or that wait for another attempt.
    waiting: u64,
    /// Tasks that a worker has.
    in_flight: u64,
}

/// The queues of the runtimes. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Queues {
    /// Made when it is first needed: reading the certificates takes milliseconds of a cold start.
    connector: Arc<OnceLock<Connector>>,
    credentials: SharedCredentialsProvider,
    region: String,
    account: String,
    /// The endpoint of all services, where one is set.
    endpoint: Option<String>,
    /// What a queue's name has before the runtime's.
    prefix: String,
    known: Arc<Mutex<Option<Known>>>,
}

/// When the queues were asked last, and the lengths of those that answered.
type Known = (Instant, Vec<Option<Backlog>>);

impl Queues {
    /// The queues that begin with the configured prefix, in account and region of the topic. None without a prefix.
    pub(crate) fn new(sdk: &SdkConfig, config: &Config) -> Option<Self> {
        Some(Self {
            connector: Arc::default(),
            credentials: sdk.credentials_provider()?,
            region: config.topic_region().to_owned(),
            account: config.topic_account().to_owned(),
            endpoint: sdk.endpoint_url().map(|url| url.trim_end_matches('/').to_owned()),
            prefix: config.queue_prefix.clone()?,
            known: Arc::default(),
        })
    }

    /// The backlog of each runtime, in their order; none where it cannot be read. They must be the same in each call.
    pub(crate) async fn backlogs(&self, runtimes: &[&RuntimeName]) -> Vec<Option<Backlog>> {
        // Other requests wait for this one instead of asking, too.
        let mut known = self.known.lock().await;
        if let Some((_, backlogs)) = known.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return backlogs.clone();
        }
        let calls: Vec<_> = runtimes.iter().map(|runtime| self.backlog(runtime)).collect();
        let backlogs: Vec<_> = stream::iter(calls).buffered(AT_ONCE).collect().await;
        *known = Some((Instant::now(), backlogs.clone()));
        backlogs
    }

    async fn backlog(&self, runtime: &RuntimeName) -> Option<Backlog> {
        let read = timeout(TIMEOUT, self.read(runtime)).await.unwrap_or(Err("there was no response in time"));
        read.inspect_err(|why| tracing::warn!(%runtime, why, "the length of a queue could not be read")).ok()
    }

    async fn read(&self, runtime: &RuntimeName) -> Result<Backlog, &'static str> {
        let base = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => {
                let host = address::host("sqs", &self.region).await;
                format!("https://{}", host.ok_or("there is no sqs in the region of the topic")?)
            }
        };
        let queue = format!("{base}/{}/{}{runtime}", self.account, self.prefix);
        let body = json!({ "QueueUrl": queue, "AttributeNames": [WAITING, IN_FLIGHT] }).to_string();
        let credentials =
            self.credentials.provide_credentials().await.map_err(|_| "there are no credentials")?;
        let request = Request::post(format!("{base}/"))
            .header(header::CONTENT_TYPE, "application/x-amz-json-1.0")
            .header("x-amz-target", "AmazonSQS.GetQueueAttributes")
            .body(SdkBody::from(body.as_str()))
            .ok()
            .and_then(|call| {
                let body = SignableBody::Bytes(body.as_bytes());
                signature::signed(call, body, credentials, ("sqs", &self.region), SystemTime::now())
            })
            .and_then(|call| call.try_into().ok())
            .ok_or("the call could not be built")?;
        let connector = self.connector.get_or_init(|| Connector::builder().tls_provider(TLS).build());
        let response = connector.call(request).await.map_err(|_| "sqs could not be reached")?;
        if !response.status().is_success() {
            return Err("sqs refused the call");
        }
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
        parse(&body.map_err(|_| "the response could not be read")?.to_bytes())
            .ok_or("the response is not understood")
    }
}

/// The response of `GetQueueAttributes` (SQS API reference): numbers are texts.
fn parse(body: &[u8]) -> Option<Backlog> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Response {
        attributes: Attributes,
    }
    #[derive(Deserialize)]
    struct Attributes {
        #[serde(rename = "ApproximateNumberOfMessages")]
        waiting: String,
        #[serde(rename = "ApproximateNumberOfMessagesNotVisible")]
        in_flight: String,
    }
    let Response { attributes: Attributes { waiting, in_flight } } = serde_json::from_slice(body).ok()?;
    Some(Backlog { waiting: waiting.parse().ok()?, in_flight: in_flight.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_numbers_are_needed() {
        let body = format!(r#"{{"Attributes": {{"{WAITING}": "7", "{IN_FLIGHT}": "2"}}}}"#);
        assert_eq!(parse(body.as_bytes()), Some(Backlog { waiting: 7, in_flight: 2 }));
        let body = format!(r#"{{"Attributes": {{"{WAITING}": "7"}}}}"#);
        assert_eq!(parse(body.as_bytes()), None);
        assert_eq!(parse(b"<html>"), None);
    }
}
