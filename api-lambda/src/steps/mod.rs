//! The path of a request, one file per step.

mod claim_check;
mod encoding;
pub(crate) mod record;
mod reply;
pub(crate) mod request;
mod syntax;
mod validate;

pub mod publish;

use axum::body::Body;
use axum::response::Response;
use shared_schema::Submission;
use task_records::Owner;

use crate::error::ApiError;
use crate::{App, trace};
use publish::{Identity, Publisher};

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
    owner: Owner,
    body: Body,
) -> Result<Response, ApiError> {
    let body = request::read(body, app.config.max_body_bytes).await?;
    let accepted =
        trace::validating(|| validate::check(&app.contract, version, &app.config.s3_output_bucket, body))?;
    let recorded = app.store.as_ref().map(|_| owner);
    let identity = Identity { submission: Submission::mint(), owner: recorded, is_kept: false };
    record::create(app, version, &accepted, &identity).await;
    let published = publish::publish(app, accepted, &identity).await;
    record::complete(app, &identity, published.is_ok()).await;
    let published = published?;
    Ok(reply::accepted(version, &app.config.s3_output_bucket, &published))
}
