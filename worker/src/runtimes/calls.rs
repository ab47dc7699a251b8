//! HTTP calls to a runtime's server: responses are bounded, and no request is retried.

use std::error::Error;
use std::time::Duration;

use reqwest::{ClientBuilder, RequestBuilder, Response, retry};
use shared_schema::ErrorCode;
use task_traces::TraceContext;
use task_traces::context::TRACEPARENT;
use url::Url;

use crate::error::TaskError;
use crate::http;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a response may contain beside the images, in bytes: parameters, infotexts and settings.
pub(super) const TEXT_BYTES: u64 = 1 << 20;

/// A client of the server at `root`. A generation that is sent again runs again, so no request is retried.
pub(super) fn client(root: &Url) -> ClientBuilder {
    let builder = if root.scheme() == "https" { http::client() } else { http::plain_client() };
    builder.retry(retry::never()).connect_timeout(CONNECT_TIMEOUT)
}

/// Finishes a client.
pub(super) fn build(builder: ClientBuilder) -> Result<reqwest::Client, String> {
    builder.build().map_err(|error| format!("the HTTP client cannot be created: {error}"))
}

/// The request with the current span as its parent: servers that trace their runs continue it.
pub(super) fn traced(request: RequestBuilder) -> RequestBuilder {
    match TraceContext::current() {
        Some(context) => request.header(TRACEPARENT, context.traceparent()),
        None => request,
    }
}

/// The largest response, in bytes, with results of so many bytes: base64 has four characters for three bytes.
pub(super) fn max_response_bytes(max_task_bytes: u64) -> u64 {
    max_task_bytes.div_ceil(3).saturating_mul(4).saturating_add(TEXT_BYTES)
}

/// The body of a response, of at most so many bytes.
pub(super) async fn body(mut response: Response, max_bytes: u64) -> Result<Vec<u8>, TaskError> {
    let announced = response.content_length().unwrap_or_default().min(max_bytes);
    let mut body = Vec::with_capacity(announced as usize);
    while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
        if (body.len() + chunk.len()) as u64 > max_bytes {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Whether there is no server, or only a proxy without one.
pub(super) async fn is_gone(probe: RequestBuilder) -> bool {
    match probe.send().await {
        Ok(response) => matches!(response.status().as_u16(), 502 | 503),
        Err(error) => error.is_connect() && !error.is_timeout(),
    }
}

/// Final: the same task would have results of the same size again.
pub(super) fn too_large() -> TaskError {
    let message = "the results are larger than one task may yield; ask for fewer or smaller images";
    TaskError::new(ErrorCode::RuntimeFailed, message)
}

/// No connection, or one that broke. The URL is omitted: it may contain a login.
pub(super) fn unavailable(error: reqwest::Error) -> TaskError {
    let what = match (error.is_connect(), error.is_timeout()) {
        (true, _) => "the runtime cannot be reached",
        (false, true) => "the runtime does not answer in time",
        (false, false) => "the connection to the runtime broke",
    };
    let error = error.without_url();
    let mut root: &dyn Error = &error;
    while let Some(source) = root.source() {
        root = source;
    }
    TaskError::new(ErrorCode::RuntimeUnavailable, format!("{what}: {root}"))
}
