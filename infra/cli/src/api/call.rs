//! One request to the API, repeated where that is safe and can help.

use std::time::Instant;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::error::{Error, Refusal};
use super::repeat::Repeats;
use super::{Answer, Api, cause};
use crate::output;

/// The most bytes of a response: a page of 100 tasks has a few hundred kilobytes.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// A request. Each is safe to repeat: those that create something have an idempotency key.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    /// The segments of the path after `/v1`.
    pub(crate) path: &'a [&'a str],
    pub(crate) query: &'a [(String, String)],
    pub(crate) body: Option<&'a Value>,
    pub(crate) idempotency_key: Option<&'a str>,
    /// The seconds that the response may wait for the end of the task.
    pub(crate) wait: Option<u64>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: Method, path: &'a [&'a str]) -> Self {
        Self { method, path, query: &[], body: None, idempotency_key: None, wait: None }
    }
}

impl Api {
    /// Sends a request until there is a response that no repetition can change, or the time for repetitions is over.
    pub(crate) async fn send<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<Answer<T>, Error> {
        let url = self.url(call);
        let mut repeats = Repeats::new(Instant::now() + self.patience);
        let json = loop {
            let (error, retry_after) = match self.send_once(url.clone(), call).await {
                Ok(json) => break json,
                Err(failed) => failed,
            };
            let Some(pause) = repeats.next(&error, retry_after) else { return Err(error) };
            output::note(&format!("{error}; sending it again in {:.1} s", pause.as_secs_f64()));
            tokio::time::sleep(pause).await;
        };
        let value = T::deserialize(&json).map_err(|error| Error::NotUnderstood(error.to_string()))?;
        Ok(Answer { json, value })
    }

    fn url(&self, call: &Call<'_>) -> Url {
        let mut url = self.endpoint.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        url
    }

    /// The JSON of a successful response; or the error, with the pause that the server asks for.
    async fn send_once(&self, url: Url, call: &Call<'_>) -> Result<Value, (Error, Option<u64>)> {
        let mut request = self.http.request(call.method.clone(), url);
        if let Some(body) = call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        if let Some(key) = call.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(wait) = call.wait {
            request = request.header("Prefer", format!("wait={wait}"));
        }
        let unreachable = |error: reqwest::Error| {
            (Error::Unreachable { endpoint: self.endpoint.to_string(), cause: cause(error) }, None)
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let retry_after = retry_after(&response);
        let body = body(response)
            .await
            .map_err(unreachable)?
            .ok_or_else(|| (Error::NotUnderstood(format!("it has more than {MAX_BYTES} bytes")), None))?;
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|error| (Error::NotUnderstood(error.to_string()), None));
        }
        Err((Error::Refused(Refusal::parse(status, &body)), retry_after))
    }
}

/// The seconds of `Retry-After`. Its other form, a date, is not used by the front door.
fn retry_after(response: &Response) -> Option<u64> {
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

/// The body, unless it is too large.
async fn body(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}
