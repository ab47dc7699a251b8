//! Calls to DynamoDB.

use std::future::Future;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use tracing::Instrument;

use crate::RecordError;

/// Makes a call, within a span: what the SDK logs of it carries the name of the call, and its time is known apart from ours.
pub(crate) async fn make<T>(action: &'static str, call: impl Future<Output = T>) -> T {
    call.instrument(tracing::debug_span!("dynamodb", action)).await
}

/// The result of a call.
pub(crate) async fn result<T, E: ProvideErrorMetadata>(
    action: &'static str,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, RecordError> {
    make(action, call).await.map_err(|error| RecordError::new(action, &error))
}

/// The result of a conditional call; `None` if its condition did not hold.
pub(crate) async fn unless_condition_failed<T, E: ProvideErrorMetadata>(
    action: &'static str,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<Option<T>, RecordError> {
    match make(action, call).await {
        Ok(result) => Ok(Some(result)),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(None),
        Err(error) => Err(RecordError::new(action, &error)),
    }
}
