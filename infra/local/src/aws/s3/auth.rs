//! All callers are allowed. Signatures matter for presigned URLs only, which must stop working when they expire or are
//! changed.
//!
//! - A request signed in its `Authorization` header is accepted with any credentials: the header is removed.
//! - A presigned URL of the access key `test`, whose secret is `test`, is verified by `s3s`.
//! - A presigned URL of another access key, whose secret is unknown, is checked for its expiry only.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{StatusCode, Uri, header, uri::PathAndQuery};
use axum::response::Response;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// The access key, and at the same time the secret, whose signatures can be verified.
const KNOWN_KEY: &str = "test";

/// The maximum lifetime of a presigned URL.
const MAX_EXPIRY: Duration = Duration::from_secs(7 * 24 * 3600);

/// The query parameters that make a URL presigned.
const SIGNING_PARAMETERS: [&str; 10] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "AWSAccessKeyId",
    "Expires",
    "Signature",
];

/// The one known secret.
pub(super) struct KnownKey;

#[async_trait::async_trait]
impl S3Auth for KnownKey {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == KNOWN_KEY { Ok(KNOWN_KEY.into()) } else { Err(s3_error!(InvalidAccessKeyId)) }
    }
}

/// Accepts every request without an invalid signature.
pub(super) struct AllowAll;

#[async_trait::async_trait]
impl S3Access for AllowAll {
    async fn check(&self, _: &mut S3AccessContext<'_>) -> S3Result<()> {
        Ok(())
    }
}

/// Leaves in the request only the signature that can be verified, and refuses an expired URL of an unknown key.
pub(super) fn accept(mut request: Request) -> Result<Request, Box<Response>> {
    request.headers_mut().remove(header::AUTHORIZATION);
    let query: Vec<(String, String)> =
        serde_urlencoded::from_str(request.uri().query().unwrap_or_default()).unwrap_or_default();
    let Some(presigned) = Presigned::read(&query) else { return Ok(request) };
    if presigned.access_key == KNOWN_KEY {
        return Ok(request);
    }
    match presigned.expires_at {
        None => {
            Err(refusal("AuthorizationQueryParametersError", "The time of expiry is missing or not valid"))
        }
        Some(expiry) if expiry < OffsetDateTime::now_utc() => {
            Err(refusal("AccessDenied", "Request has expired"))
        }
        Some(_) => {
            *request.uri_mut() = without_signature(request.uri());
            Ok(request)
        }
    }
}

/// The parameters of a presigned URL.
struct Presigned<'a> {
    access_key: &'a str,
    expires_at: Option<OffsetDateTime>,
}

impl<'a> Presigned<'a> {
    /// Signature version 4, or version 2 as boto3 and the AWS CLI still make by default.
    fn read(query: &'a [(String, String)]) -> Option<Self> {
        let parameter =
            |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        if let Some(credential) = parameter("X-Amz-Credential") {
            let access_key = credential.split('/').next().unwrap_or_default();
            return Some(Self {
                access_key,
                expires_at: expiry(parameter("X-Amz-Date"), parameter("X-Amz-Expires")),
            });
        }
        let access_key = parameter("AWSAccessKeyId")?;
        let seconds = parameter("Expires").and_then(|seconds| seconds.parse().ok());
        let expires_at = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        Some(Self { access_key, expires_at })
    }
}

fn expiry(date: Option<&str>, seconds: Option<&str>) -> Option<OffsetDateTime> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let signed_at = PrimitiveDateTime::parse(date?, format).ok()?.assume_utc();
    let lifetime = Duration::from_secs(seconds?.parse().ok()?);
    (lifetime <= MAX_EXPIRY).then(|| signed_at + lifetime)
}

/// The URL with every other parameter exactly as it was written.
fn without_signature(uri: &Uri) -> Uri {
    let remaining: Vec<&str> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !SIGNING_PARAMETERS.contains(&pair.split('=').next().unwrap_or_default()))
        .collect();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(format!("{}?{}", uri.path(), remaining.join("&"))).ok();
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

fn refusal(code: &str, message: &str) -> Box<Response> {
    Box::new(super::error(StatusCode::FORBIDDEN, code, message))
}
