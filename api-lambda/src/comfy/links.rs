//! The addresses of jobs and assets.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::http::{Uri, header};
use serde::Serialize;

use super::BASE;

/// Makes links below the base address of a request. They are paths: the SDKs resolve them against the host, so a path keeps the
/// stage of API Gateway, and no host of the caller's choice gets the key.
#[derive(Debug, Clone)]
pub(super) struct Links {
    base: String,
    /// The scheme and the host of the request.
    origin: String,
}

/// The links of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct JobLinks {
    /// The job.
    #[serde(rename = "self")]
    pub(super) this: String,
    /// Its events.
    events: String,
    /// Cancels it.
    cancel: String,
}

impl<S: Sync> FromRequestParts<S> for Links {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        Ok(Self::new(uri, host))
    }
}

impl Links {
    /// The links for a request to that address, which has a host on Lambda, or with that `Host`.
    fn new(uri: &Uri, host: Option<&str>) -> Self {
        let path = uri.path();
        let base = path.find(BASE).map_or(path, |at| &path[..at + BASE.len()]);
        let host = uri.authority().map(|authority| authority.as_str()).or(host).unwrap_or("localhost");
        let scheme = uri.scheme_str().unwrap_or("http");
        Self { base: base.to_owned(), origin: format!("{scheme}://{host}") }
    }

    /// The links of a job.
    pub(super) fn job(&self, id: &str) -> JobLinks {
        let this = format!("{}/jobs/{id}", self.base);
        JobLinks { events: format!("{this}/events"), cancel: format!("{this}/cancel"), this }
    }

    /// The absolute address of an asset's bytes, which needs the key.
    pub(super) fn content(&self, id: &str) -> String {
        format!("{}{}/assets/{id}/content", self.origin, self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_the_stage_and_the_runtime() {
        let links = |uri: &'static str| Links::new(&Uri::from_static(uri), Some("h:1"));
        assert_eq!(links("/api/v2/jobs").job("x").this, "/api/v2/jobs/x");
        let staged = links("/prod/runtimes/a/api/v2/jobs/x/cancel");
        assert_eq!(staged.job("y").cancel, "/prod/runtimes/a/api/v2/jobs/y/cancel");
        assert_eq!(staged.content("y"), "http://h:1/prod/runtimes/a/api/v2/assets/y/content");
        assert_eq!(links("https://g/api/v2/jobs").content("y"), "https://g/api/v2/assets/y/content");
    }
}
