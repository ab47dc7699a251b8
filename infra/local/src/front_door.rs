//! The front door on loopback, behind a check of the API key with the responses of API Gateway. Comfy API v2 has the key as
//! Bearer key.

use api_lambda::Caller;
use api_lambda::comfy::{self, ComfyError};
use api_lambda::router::PUBLIC;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;
use task_records::Owner;

use crate::guard;

/// The owner of the tasks that are submitted with the key.
const OWNER: &str = "local";

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Adds the check of the API key, and a check against cross-site requests of a browser on this machine.
pub fn protected(front_door: Router, api_key: String) -> Router {
    front_door
        .layer(middleware::from_fn_with_state(api_key, check_key))
        .layer(middleware::from_fn(refuse_other_sites))
}

async fn check_key(State(api_key): State<String>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().trim_end_matches('/');
    let is_comfy = comfy::is_path(path);
    let (name, scheme) = if is_comfy { (header::AUTHORIZATION, "Bearer ") } else { (API_KEY, "") };
    let given = request.headers().get(name).map(HeaderValue::as_bytes);
    let given = given.and_then(|given| given.strip_prefix(scheme.as_bytes()));
    if is_public(path) || given == Some(api_key.as_bytes()) {
        // There is one key, so there is one owner of tasks.
        request.extensions_mut().insert(Caller(Owner::new(OWNER)));
        return next.run(request).await;
    }
    if is_comfy {
        return ComfyError::unauthorized().into_response();
    }
    let body = Json(json!({ "message": "Forbidden" }));
    (StatusCode::FORBIDDEN, [(ERROR_TYPE, "ForbiddenException")], body).into_response()
}

/// Whether a path needs no key, at the root or below a stage.
fn is_public(path: &str) -> bool {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let is_pattern_of = |public: &&str, parts: &[&str]| {
        let wanted: Vec<&str> = public.trim_matches('/').split('/').collect();
        let mut pairs = wanted.iter().zip(parts);
        wanted.len() == parts.len() && pairs.all(|(wanted, part)| wanted.starts_with('{') || wanted == part)
    };
    PUBLIC.iter().any(|public| is_pattern_of(public, &parts) || is_pattern_of(public, &parts[1..]))
}

async fn refuse_other_sites(request: Request, next: Next) -> Response {
    match guard::check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => *refusal,
    }
}
