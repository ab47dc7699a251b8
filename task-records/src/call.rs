//! Calls to DynamoDB.

use std::future::Future;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use tracing::Instrument;

use crate::RecordError;

/// Makes a call, within a span: what the SDK logs of it carries the name of the call, and its time is known apart from ours.
///
/// The call is on the heap. The futures of the SDK are so large that an unoptimised program would copy them through its stack.
pub(crate) fn make<T>(
    action: &'static str,
    call: impl Future<Output = T> + Send,
) -> impl Future<Output = T> + Send {
    Box::pin(call).instrument(tracing::debug_span!("dynamodb", action))
}

/// The result of a call.
pub(crate) fn result<T, E: ProvideErrorMetadata>(
    action: &'static str,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
) -> impl Future<Output = Result<T, RecordError>> + Send {
    let call = make(action, call);
    async move { call.await.map_err(|error| RecordError::new(action, &error)) }
}

/// The result of a conditional call; `None` if its condition did not hold.
pub(crate) fn unless_condition_failed<T, E: ProvideErrorMetadata>(
    action: &'static str,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
) -> impl Future<Output = Result<Option<T>, RecordError>> + Send {
    let call = make(action, call);
    async move {
        match call.await {
            Ok(result) => Ok(Some(result)),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(None),
            Err(error) => Err(RecordError::new(action, &error)),
        }
    }
}
