//! The one call to the Kubernetes API: patching this pod.

use std::error::Error;
use std::io;
use std::iter;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use serde_json::Value;
use url::Url;

use super::PodOptions;
use crate::http;

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a updating the pod annotations failed.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// The cluster's certificate authority is not where it should be.
    #[error("MARK_POD: the cluster's certificate authority {} cannot be used: {cause}", path.display())]
    Authority {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// Host, port, namespace and name make no address.
    #[error("MARK_POD: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT make no address")]
    Address,
    /// The client cannot be made.
    #[error("MARK_POD: no client can be made: {0}")]
    Client(String),
    /// The service account's token cannot be read.
    #[error("the service account's token cannot be read: {0}")]
    Token(#[from] io::Error),
    /// The API server cannot be reached, is not whom the authority vouches for, or does not answer in time.
    #[error("the kubernetes api cannot be reached: {0}")]
    Unreachable(String),
    /// The API server refuses; 403 when the service account may not patch pods.
    #[error("the kubernetes api answered {0}")]
    Refused(StatusCode),
}

/// The API object of this pod.
#[derive(Debug)]
pub(super) struct PodApi {
    client: Client,
    url: Url,
    token: PathBuf,
}

impl PodApi {
    /// A client that trusts the cluster's own authority and no other.
    pub(super) fn new(options: &PodOptions) -> Result<Self, PodError> {
        let trusting = http::client_trusting(authorities(&options.service_account.join("ca.crt"))?)
            .map_err(|error| PodError::Client(error.to_string()))?;
        let client = trusting
            .https_only(true)
            .timeout(CALL_TIMEOUT)
            .build()
            .map_err(|error| PodError::Client(error.to_string()))?;
        Ok(Self { client, url: url(options)?, token: options.service_account.join("token") })
    }

    /// Merges `patch` into the object. The token is read each time, since the kubelet rotates it.
    pub(super) async fn patch(&self, patch: &Value) -> Result<(), PodError> {
        let token = tokio::fs::read_to_string(&self.token).await?;
        let request = self.client.patch(self.url.clone()).bearer_auth(token.trim());
        let request = request.header(CONTENT_TYPE, "application/merge-patch+json").body(patch.to_string());
        let answer = request.send().await.map_err(|error| PodError::Unreachable(innermost(&error)))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(PodError::Refused(status)),
        }
    }
}

/// The cause of all: the outer errors only say that a request failed, and for which URL.
fn innermost(error: &dyn Error) -> String {
    iter::successors(Some(error), |&error| error.source()).last().unwrap_or(error).to_string()
}

fn authorities(path: &Path) -> Result<RootCertStore, PodError> {
    let unusable = |cause: String| PodError::Authority { path: path.to_owned(), cause };
    let certificates: Result<Vec<_>, pem::Error> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let mut store = RootCertStore::empty();
    for certificate in certificates.map_err(|error| unusable(error.to_string()))? {
        store.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if store.is_empty() { Err(unusable("it holds no certificate".to_owned())) } else { Ok(store) }
}

fn url(options: &PodOptions) -> Result<Url, PodError> {
    let PodOptions { api_host: host, api_port: port, namespace, name, .. } = options;
    let host = if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.clone() };
    let mut url = Url::parse(&format!("https://{host}:{port}")).map_err(|_| PodError::Address)?;
    url.path_segments_mut().map_err(|()| PodError::Address)?.extend([
        "api",
        "v1",
        "namespaces",
        namespace,
        "pods",
        name,
    ]);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_of(host: &str) -> String {
        let options = PodOptions {
            name: "comfyui-7d9f".to_owned(),
            namespace: "darkroom".to_owned(),
            api_host: host.to_owned(),
            api_port: 6443,
            service_account: PathBuf::new(),
        };
        url(&options).unwrap().to_string()
    }

    #[test]
    fn the_api_is_found_at_addresses_of_either_family() {
        let pod = "6443/api/v1/namespaces/darkroom/pods/comfyui-7d9f";
        assert_eq!(url_of("172.20.0.1"), format!("https://172.20.0.1:{pod}"));
        assert_eq!(url_of("fd00::1"), format!("https://[fd00::1]:{pod}"));
    }
}
