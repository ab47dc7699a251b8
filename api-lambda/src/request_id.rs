//! The id of a request: a header of each response, a field of each error, and a field of the log line.

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

/// The header that has the id.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static REQUEST_ID: String;
}

/// Processes a request with that id, and adds it to the response.
pub(crate) async fn scope(id: String, processing: impl Future<Output = Response>) -> Response {
    let header = HeaderValue::from_str(&id).ok();
    let mut response = REQUEST_ID.scope(id, processing).await;
    if let Some(header) = header {
        response.headers_mut().insert(HEADER, header);
    }
    response
}

/// The id of the request that is being processed.
pub(crate) fn current() -> Option<String> {
    REQUEST_ID.try_with(Clone::clone).ok()
}
