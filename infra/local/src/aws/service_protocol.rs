//! The service and the protocol of a request, by its headers, path and body.

use axum::http::request::Parts;
use axum::http::{Method, header};

use super::faults::Service;
use super::protocol::{Call, Form, ServiceError};

/// The protocol of a request to SQS, DynamoDB or SNS.
pub(super) enum ServiceProtocol {
    /// SQS and DynamoDB: the JSON protocol, with the `X-Amz-Target`.
    Json(String),
    /// SNS: the Query protocol with the parameters in the body.
    Form,
    /// SNS: the Query protocol with the parameters in the URL, as in a `SubscribeURL`.
    QueryString,
}

impl ServiceProtocol {
    /// `None` for S3, whose requests have neither a target nor an `Action`.
    pub(super) fn of(parts: &Parts) -> Option<Self> {
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(target) = text("x-amz-target") {
            return Some(Self::Json(target.to_owned()));
        }
        let is_form = text(header::CONTENT_TYPE.as_str())
            .is_some_and(|content_type| content_type.starts_with("application/x-www-form-urlencoded"));
        if parts.method == Method::POST && is_form {
            return Some(Self::Form);
        }
        let has_action =
            parts.uri.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("Action=")));
        (parts.method == Method::GET && has_action).then_some(Self::QueryString)
    }

    pub(super) fn read(self, parts: &Parts, body: &[u8]) -> Result<(Service, Call), ServiceError> {
        let form = match self {
            Self::Json(target) => {
                let service = match target.split_once('.') {
                    Some(("AmazonSQS", _)) => Service::Sqs,
                    Some(("DynamoDB_20120810", _)) => Service::DynamoDb,
                    _ => return Err(ServiceError::unknown_action(&target)),
                };
                return Ok((service, Call::from_json(&target, &parts.headers, body)?));
            }
            Self::Form => Form::parse(body)?,
            Self::QueryString => Form::parse(parts.uri.query().unwrap_or_default().as_bytes())?,
        };
        Ok((Service::Sns, Call::from_query(form, &parts.headers)))
    }
}
