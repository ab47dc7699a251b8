//! Answers of the AWS JSON 1.0 protocol.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::ServiceError;

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

pub(super) fn success(output: &Value, request_id: &str) -> Response {
    respond(StatusCode::OK, output, request_id)
}

/// The shape's name goes into the body, the Query protocol's code into a header: older SDKs compare the latter.
pub(super) fn failure(error: &ServiceError, request_id: &str) -> Response {
    let body = json!({"__type": format!("com.amazonaws.sqs#{}", error.code), "message": error.message});
    let mut response = respond(error.status, &body, request_id);
    if let Ok(code) = format!("{};{}", error.query_code, error.fault()).parse() {
        response.headers_mut().insert("x-amzn-query-error", code);
    }
    response
}

/// A response in the media type of the protocol.
pub(crate) fn respond(status: StatusCode, body: &Value, request_id: &str) -> Response {
    let headers = [(header::CONTENT_TYPE.as_str(), CONTENT_TYPE), ("x-amzn-requestid", request_id)];
    (status, headers, body.to_string()).into_response()
}
