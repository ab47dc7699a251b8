//! Who sends a request.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
use task_records::Owner;

/// The caller of a request: the owner of the tasks that it submits.
#[derive(Debug, Clone)]
pub struct Caller(pub Owner);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    /// The caller that a server before the router has authenticated, or the API key of API Gateway.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let key = match parts.extensions.request_context_ref() {
            Some(RequestContext::ApiGatewayV1(context)) => context.identity.api_key_id.as_deref(),
            _ => None,
        };
        Ok(Self(key.map_or_else(Owner::anonymous, Owner::new)))
    }
}
