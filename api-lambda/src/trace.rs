//! The spans of a request, and the trace that it continues.

use axum::http::HeaderMap;
use lambda_http::Context;
use task_traces::context::{TRACEPARENT, XRAY_HEADER};
use task_traces::{SpanName, TraceContext};

use crate::error::ApiError;

/// The name of this program in traces.
pub const SERVICE: &str = "darkroom-api";

/// A request, from its arrival to its response.
pub const REQUEST: SpanName = SpanName::server("request");
/// The check of a task.
pub const VALIDATE: SpanName = SpanName::internal("validate");
/// A task on its way to the topic, with its claim check if it has one.
pub const PUBLISH: SpanName = SpanName::producer("publish");

/// All of them.
pub const SPANS: [SpanName; 3] = [REQUEST, VALIDATE, PUBLISH];

/// Checks a task, within a span.
pub(crate) fn validating<T>(check: impl FnOnce() -> Result<T, ApiError>) -> Result<T, ApiError> {
    let span = VALIDATE.start();
    check().inspect_err(|error| span.failed(error.code().as_str()))
}

/// The trace of a request. A caller's own trace comes first; then that of Lambda, which continues the one of API Gateway; a
/// server that is no Lambda has only the header of X-Ray.
pub(crate) fn incoming(headers: &HeaderMap, lambda: Option<&Context>) -> Option<TraceContext> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    header(TRACEPARENT)
        .and_then(TraceContext::from_traceparent)
        .or_else(|| TraceContext::from_xray(lambda?.xray_trace_id.as_deref()?))
        .or_else(|| TraceContext::from_xray(header(XRAY_HEADER)?))
}
