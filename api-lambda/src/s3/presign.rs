//! Presigned URLs.

use std::time::{Duration, SystemTime};

use axum::http::Method;

use super::S3;
use crate::signature;

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
        self.presigned_get_as(key, &[], lifetime).await
    }

    /// The same with headers that the response is to have, such as `response-content-type` (Amazon S3 API reference,
    /// `GetObject`).
    pub(crate) async fn presigned_get_as(
        &self,
        key: &str,
        response: &[(&str, &str)],
        lifetime: Duration,
    ) -> Option<Presigned> {
        let query = serde_urlencoded::to_string(response).ok()?.replace('+', "%20");
        self.presigned(&Method::GET, key, &query, &[], lifetime).await
    }

    /// A URL to store an object with exactly these headers: S3 refuses other values, since they are signed. `None` if it cannot
    /// be signed.
    pub(crate) async fn presigned_put(
        &self,
        key: &str,
        headers: &[(&str, &str)],
        lifetime: Duration,
    ) -> Option<Presigned> {
        self.presigned(&Method::PUT, key, "", headers, lifetime).await
    }

    async fn presigned(
        &self,
        method: &Method,
        key: &str,
        query: &str,
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
        let mut url = self.url(key).await.ok()?;
        if !query.is_empty() {
            url = format!("{url}?{query}");
        }
        let request = signature::Unsigned { method, url: &url, headers };
        let url = signature::presigned(request, credentials, &self.region, now, lifetime)?;
        Some(Presigned { url, expires_at: now + lifetime })
    }
}
