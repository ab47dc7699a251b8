//! The API `v1` over HTTP.

mod call;
mod error;
mod repeat;
mod task;

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, redirect};
use rustls::crypto::ring;
use serde_json::Value;
use url::Url;

pub(crate) use call::Call;
#[cfg(test)]
pub(crate) use error::Refusal;
pub(crate) use error::{Error, cause};
pub(crate) use task::{Output, Progress, Runtime, Task, TaskPage};

use crate::target::{Target, is_loopback};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Of one request: longer than API Gateway gives a front door (29 s; API Gateway quotas, "Integration timeout").
const REQUEST_TIMEOUT: Duration = Duration::from_secs(35);
/// Without bytes for that long a file's transfer has stopped.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(60);

/// A front door, with the caller's key.
#[derive(Debug)]
pub(crate) struct Api {
    http: Client,
    /// For presigned URLs: without the key.
    pub(crate) files: Client,
    endpoint: Url,
    /// How long a request is repeated.
    patience: Duration,
}

/// What the front door answered: the JSON for `--json`, and the part of it that is used here.
#[derive(Debug, Clone)]
pub(crate) struct Answer<T> {
    pub(crate) json: Value,
    pub(crate) value: T,
}

impl Api {
    pub(crate) fn new(target: &Target, retry_seconds: u32) -> Result<Self, Error> {
        ring::default_provider().install_default().ok();
        let mut headers = HeaderMap::new();
        if let Some(key) = &target.api_key {
            let mut key = HeaderValue::from_str(&key.0).map_err(|_| Error::InvalidKey)?;
            key.set_sensitive(true);
            headers.insert(HeaderName::from_static("x-api-key"), key);
        }
        let agent = concat!("darkroom/", env!("CARGO_PKG_VERSION"));
        let client = || {
            let client = Client::builder().user_agent(agent).connect_timeout(CONNECT_TIMEOUT);
            // A proxy does not reach this machine's loopback addresses.
            if is_loopback(&target.endpoint) { client.no_proxy() } else { client }
        };
        // A redirect would take the key elsewhere.
        let http =
            client().default_headers(headers).redirect(redirect::Policy::none()).timeout(REQUEST_TIMEOUT);
        let files = client().redirect(redirect::Policy::limited(3)).read_timeout(TRANSFER_TIMEOUT);
        let build =
            |client: reqwest::ClientBuilder| client.build().map_err(|error| Error::Client(cause(error)));
        Ok(Self {
            http: build(http)?,
            files: build(files)?,
            endpoint: target.endpoint.clone(),
            patience: Duration::from_secs(retry_seconds.into()),
        })
    }

    /// A task, after up to `wait` seconds if it has not finished before.
    pub(crate) async fn task(&self, id: &str, wait: Option<u64>) -> Result<Answer<Task>, Error> {
        self.send(&Call { wait, ..Call::new(Method::GET, &["tasks", id]) }).await
    }

    /// The runtimes.
    pub(crate) async fn runtimes(&self) -> Result<Answer<Vec<Runtime>>, Error> {
        let Answer { json, value } = self.send(&Call::new(Method::GET, &["runtimes"])).await?;
        let task::RuntimeList { runtimes } = value;
        Ok(Answer { json, value: runtimes })
    }
}
