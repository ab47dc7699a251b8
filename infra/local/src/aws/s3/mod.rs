//! Simple Storage Service: the protocol is the `s3s` crate's, objects are files.

mod attributes;
mod auth;
mod aws_chunked;
mod cors;
mod key_path;
mod listing;
mod multipart;
mod operations;
mod store;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use s3s::host::MultiDomain;
use s3s::service::{S3Service, S3ServiceBuilder};

use self::cors::Cors;
use self::store::Store;
use super::faults::Fault;

/// The S3 endpoint.
pub(super) struct S3 {
    service: S3Service,
    cors: Cors,
}

impl S3 {
    /// Serves the files below `data_dir`. Besides `http://127.0.0.1:port/bucket/key`, clients may use
    /// `http://bucket.localhost:port/key`.
    pub(super) fn new(data_dir: &Path, address: SocketAddr) -> anyhow::Result<Self> {
        let cors = Cors::default();
        let mut builder = S3ServiceBuilder::new(Store::open(data_dir, cors.clone())?);
        builder.set_auth(auth::KnownKey);
        builder.set_access(auth::AllowAll);
        builder
            .set_host(MultiDomain::new(["localhost".to_owned(), format!("localhost:{}", address.port())])?);
        Ok(Self { service: builder.build(), cors })
    }

    /// Runs one call.
    pub(super) async fn call(&self, request: Request) -> Response {
        let bucket = bucket_of(&request);
        if request.method() == Method::OPTIONS {
            return self.cors.preflight(&bucket, request.headers());
        }
        let cors = self.cors.headers(&bucket, request.method(), request.headers());
        let mut response = self.run(request).await;
        response.headers_mut().extend(cors);
        response
    }

    async fn run(&self, request: Request) -> Response {
        let request = match auth::accept(request) {
            Ok(request) => request,
            Err(refusal) => return *refusal,
        };
        let request = match aws_chunked::decode(request).await {
            Ok(request) => request,
            Err(reason) => return error(StatusCode::BAD_REQUEST, "IncompleteBody", &reason),
        };
        match self.service.call(request.map(s3s::Body::http_body_unsync)).await {
            Ok(response) => response.map(Body::new),
            Err(failure) => {
                error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", &format!("{failure:?}"))
            }
        }
    }

    /// The API name of a path-style request's action, which faults name.
    pub(super) fn action(&self, method: &Method, uri: &Uri) -> &'static str {
        let has = |name: &str| {
            let pairs = uri.query().unwrap_or_default().split('&');
            pairs.filter_map(|pair| pair.split('=').next()).any(|known| known == name)
        };
        let path = uri.path().trim_start_matches('/');
        let is_object = path.split_once('/').is_some_and(|(_, key)| !key.is_empty());
        match (method.as_str(), is_object) {
            ("PUT", true) if has("partNumber") => "UploadPart",
            ("PUT", true) => "PutObject",
            ("GET", true) if has("uploadId") => "ListParts",
            ("GET", true) => "GetObject",
            ("HEAD", true) => "HeadObject",
            ("DELETE", true) if has("uploadId") => "AbortMultipartUpload",
            ("DELETE", true) => "DeleteObject",
            ("POST", true) if has("uploads") => "CreateMultipartUpload",
            ("POST", true) => "CompleteMultipartUpload",
            ("PUT", false) if has("cors") => "PutBucketCors",
            ("PUT", false) => "CreateBucket",
            ("HEAD", false) => "HeadBucket",
            ("DELETE", false) => "DeleteBucket",
            ("POST", false) => "DeleteObjects",
            ("GET", false) if path.is_empty() => "ListBuckets",
            ("GET", false) if has("location") => "GetBucketLocation",
            ("GET", false) => "ListObjectsV2",
            ("OPTIONS", _) => "Preflight",
            _ => "Unknown",
        }
    }

    /// The response of a fault.
    pub(super) fn failure(fault: Fault) -> Response {
        match fault {
            Fault::Deny => error(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied"),
            Fault::Conflict => error(
                StatusCode::CONFLICT,
                "ConditionalRequestConflict",
                "The conditional request cannot succeed due to a conflicting operation against this resource.",
            ),
            _ => error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "The test injected this failure."),
        }
    }
}

/// The bucket in the host, or else in the path.
fn bucket_of(request: &Request) -> String {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let path = request.uri().path().trim_start_matches('/').split('/').next();
    host.strip_suffix(".localhost").or(path).unwrap_or_default().to_owned()
}

/// The file of an object.
pub(super) fn object_path(data_dir: &Path, bucket: &str, key: &str) -> PathBuf {
    data_dir.join(bucket).join(key_path::path_of(key))
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let message = quick_xml::escape::escape(message);
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}
