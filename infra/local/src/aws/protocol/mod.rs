//! The protocols of SQS and DynamoDB (JSON) and SNS (Query). A call of either becomes the same [`Call`], whose input has the shape of the
//! JSON protocol, and every answer starts as the JSON protocol's.

mod error;
mod form;
mod input;
mod json;
mod query;

use axum::http::HeaderMap;
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use self::error::ServiceError;
pub(crate) use self::form::Form;
pub(crate) use self::input::{flag, integer};
pub(crate) use self::json::respond as json;

/// One call of an action.
#[derive(Debug)]
pub(crate) struct Call {
    /// The action's API name, such as `SendMessage`.
    pub(crate) action: String,
    /// The parameters in the JSON protocol's shape; values that came by the Query protocol are texts.
    pub(crate) input: Value,
    /// Scheme and authority by which the client reaches us, for URLs in answers.
    pub(crate) base_url: String,
    /// The `X-Amzn-Trace-Id` header.
    pub(crate) trace_header: Option<String>,
    protocol: Protocol,
}

#[derive(Debug, Clone, Copy)]
enum Protocol {
    Json,
    Query,
}

impl Call {
    /// A call of the AWS JSON 1.0 protocol; `target` is the `X-Amz-Target` header.
    pub(crate) fn from_json(target: &str, headers: &HeaderMap, body: &[u8]) -> Result<Self, ServiceError> {
        let action = target.rsplit('.').next().unwrap_or(target).to_owned();
        let input = if body.is_empty() {
            Ok(Value::Object(Default::default()))
        } else {
            serde_json::from_slice(body)
        }
        .map_err(|error| ServiceError::same("SerializationException", error.to_string()))?;
        Ok(Self::new(action, input, headers, Protocol::Json))
    }

    /// A call of the Query protocol; `form` is its body or, for a GET, its query string.
    pub(crate) fn from_query(form: Form, headers: &HeaderMap) -> Self {
        let action = form.action().to_owned();
        let input = form.into_input();
        Self::new(action, input, headers, Protocol::Query)
    }

    fn new(action: String, input: Value, headers: &HeaderMap, protocol: Protocol) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            action,
            input,
            base_url: format!("http://{}", text("host").unwrap_or("localhost")),
            trace_header: text("x-amzn-trace-id").map(str::to_owned),
            protocol,
        }
    }

    /// The parameters as the action's own type.
    pub(crate) fn input<T: DeserializeOwned>(&self) -> Result<T, ServiceError> {
        T::deserialize(&self.input).map_err(|error| {
            ServiceError::same("InvalidParameterValue", format!("The request is not valid: {error}"))
        })
    }

    /// Writes the outcome in the protocol of the call.
    pub(crate) fn answer(&self, outcome: Result<Value, ServiceError>) -> Response {
        let request_id = uuid::Uuid::new_v4().to_string();
        match (self.protocol, outcome) {
            (Protocol::Json, Ok(output)) => json::success(&output, &request_id),
            (Protocol::Json, Err(error)) => json::failure(&error, &request_id),
            (Protocol::Query, Ok(output)) => query::success(&self.action, &output, &request_id),
            (Protocol::Query, Err(error)) => query::failure(&error, &request_id),
        }
    }
}
