//! Presigned URLs.

use std::time::{Duration, SystemTime};

use axum::http::{Method, header};

use super::{S3, signature};

/// How long a URL works that temporary credentials of unknown expiry have signed, at most.
const UNKNOWN_CREDENTIALS: Duration = Duration::from_secs(3_600);

/// A URL that works without credentials for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Presigned {
    /// The URL.
    pub(crate) url: String,
    /// Until when it works.
    pub(crate) expires_at: SystemTime,
}

impl S3 {
    /// A URL to read an object. `None` if it cannot be signed.
    pub(crate) async fn presigned_get(&self, key: &str, lifetime: Duration) -> Option<Presigned> {
        self.presigned(&Method::GET, key, &[], lifetime).await
    }

    /// A URL to store an object of exactly that media type and size: S3 refuses others, since both headers are signed. `None`
    /// if it cannot be signed.
    pub(crate) async fn presigned_put(
        &self,
        key: &str,
        content_type: &str,
        bytes: u64,
        lifetime: Duration,
    ) -> Option<Presigned> {
        let length = bytes.to_string();
        let headers = [
            (header::CONTENT_TYPE.as_str(), content_type),
            (header::CONTENT_LENGTH.as_str(), length.as_str()),
        ];
        self.presigned(&Method::PUT, key, &headers, lifetime).await
    }

    async fn presigned(
        &self,
        method: &Method,
        key: &str,
        headers: &[(&str, &str)],
        lifetime: Duration,
    ) -> Option<Presigned> {
        let credentials = self.credentials().await?;
        let now = SystemTime::now();
        let lifetime = match (credentials.expiry(), credentials.session_token()) {
            (Some(expiry), _) => lifetime.min(expiry.duration_since(now).ok()?),
            (None, Some(_)) => lifetime.min(UNKNOWN_CREDENTIALS),
            (None, None) => lifetime,
        };
        let url = self.url(key).await.ok()?;
        let request = signature::Unsigned { method, url: &url, headers };
        let url = signature::presigned(request, credentials, &self.region, now, lifetime)?;
        Some(Presigned { url, expires_at: now + lifetime })
    }
}
