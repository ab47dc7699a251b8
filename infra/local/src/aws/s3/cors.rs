//! Cross-origin requests of web pages, as the CORS configuration of a bucket allows them (Amazon S3 user guide, "How does
//! Amazon S3 evaluate the CORS configuration on a bucket?").

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use s3s::dto::CORSRule;

use super::error;

/// The headers of a request that decide about the response.
const VARY: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Headers, Access-Control-Request-Method");

/// The rules of each bucket. They are not persisted. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Cors(Arc<RwLock<HashMap<String, Vec<CORSRule>>>>);

impl Cors {
    /// Replaces the rules of a bucket.
    pub(super) fn put(&self, bucket: String, rules: Vec<CORSRule>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(bucket, rules);
    }

    /// The response to a preflight request (`OPTIONS`).
    pub(super) fn preflight(&self, bucket: &str, request: &HeaderMap) -> Response {
        let text = |name: HeaderName| request.get(name).and_then(|value| value.to_str().ok());
        let Some(origin) = text(header::ORIGIN) else {
            return bad_request("Insufficient information. Origin request header needed.");
        };
        let Some(method) = text(header::ACCESS_CONTROL_REQUEST_METHOD) else {
            return bad_request("Invalid Access-Control-Request-Method: null");
        };
        let wanted = text(header::ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default().to_lowercase();
        let wanted: Vec<&str> = wanted.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let Some(rules) = self.rules(bucket) else {
            return forbidden("CORSResponse: CORS is not enabled for this bucket.");
        };
        let rule = rules.iter().find(|rule| allows(rule, origin, method) && allows_headers(rule, &wanted));
        let Some(rule) = rule else { return forbidden("CORSResponse: This CORS request is not allowed.") };
        let mut headers = headers_of(rule, origin);
        set(&mut headers, header::ACCESS_CONTROL_ALLOW_HEADERS, &wanted.join(", "));
        if let Some(seconds) = rule.max_age_seconds {
            set(&mut headers, header::ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
        }
        (StatusCode::OK, headers).into_response()
    }

    /// What the response to another request gets in addition. Nothing without an `Origin` or a rule: then the browser keeps the
    /// response from the page.
    pub(super) fn headers(&self, bucket: &str, method: &Method, request: &HeaderMap) -> HeaderMap {
        let origin = request.get(header::ORIGIN).and_then(|value| value.to_str().ok());
        let (Some(origin), Some(rules)) = (origin, self.rules(bucket)) else { return HeaderMap::new() };
        let rule = rules.iter().find(|rule| allows(rule, origin, method.as_str()));
        rule.map(|rule| headers_of(rule, origin)).unwrap_or_default()
    }

    fn rules(&self, bucket: &str) -> Option<Vec<CORSRule>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(bucket).cloned()
    }
}

fn allows(rule: &CORSRule, origin: &str, method: &str) -> bool {
    rule.allowed_origins.iter().any(|pattern| matches(pattern, origin))
        && rule.allowed_methods.iter().any(|allowed| allowed == method)
}

fn allows_headers(rule: &CORSRule, wanted: &[&str]) -> bool {
    let patterns: Vec<String> =
        rule.allowed_headers.iter().flatten().map(|pattern| pattern.to_lowercase()).collect();
    wanted.iter().all(|name| patterns.iter().any(|pattern| matches(pattern, name)))
}

/// A pattern has one `*` at most.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((begin, end)) => text.strip_prefix(begin).is_some_and(|rest| rest.ends_with(end)),
    }
}

fn headers_of(rule: &CORSRule, origin: &str) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([(header::VARY, VARY)]);
    set(&mut headers, header::ACCESS_CONTROL_ALLOW_METHODS, &rule.allowed_methods.join(", "));
    if rule.allowed_origins.iter().any(|pattern| pattern == "*") {
        set(&mut headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    } else {
        set(&mut headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        set(&mut headers, header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    }
    if let Some(exposed) = &rule.expose_headers {
        set(&mut headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, &exposed.join(", "));
    }
    headers
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn bad_request(message: &str) -> Response {
    error(StatusCode::BAD_REQUEST, "BadRequest", message)
}

fn forbidden(message: &str) -> Response {
    error(StatusCode::FORBIDDEN, "AccessForbidden", message)
}
