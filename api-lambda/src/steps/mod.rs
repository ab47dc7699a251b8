//! The path of a request, one file per step.

mod claim_check;
mod encoding;
mod reply;
mod request;
mod syntax;
mod validate;

pub mod publish;

use axum::body::Body;
use axum::response::Response;

use crate::App;
use crate::error::ApiError;
use publish::Publisher;

/// The versions of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApiVersion {
    /// A bare request to a runtime that names a model.
    V1Alpha1,
    /// A task that names a runtime.
    V1Alpha2,
}

/// Takes a task on. What is answered with success has been published.
pub(crate) async fn submit<P: Publisher>(
    app: &App<P>,
    version: ApiVersion,
    body: Body,
) -> Result<Response, ApiError> {
    let body = request::read(body, app.config.max_body_bytes).await?;
    let accepted = validate::check(&app.contract, version, body)?;
    let published = publish::publish(app, version, accepted).await?;
    Ok(reply::accepted(version, &app.config.s3_output_bucket, &published))
}
