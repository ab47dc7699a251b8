//! HTTP clients that connect to exactly the given address: no proxy variables, no redirects.

use std::sync::Arc;

use reqwest::{Client, ClientBuilder, redirect};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// A client for `https`, which trusts the system's certificate authorities. Reading them takes milliseconds and memory.
pub(crate) fn client() -> ClientBuilder {
    // The TLS provider is global to the process: the first one that is installed stays, and any will do.
    ring::default_provider().install_default().ok();
    bare()
}

/// A client for `http` only, as runtimes beside the worker speak it; trusts no certificate authority, so that none is
/// read.
pub(crate) fn plain_client() -> ClientBuilder {
    client_trusting(RootCertStore::empty()).unwrap_or_else(|_| client())
}

/// A client for `https` that trusts these certificate authorities and no others. The error is a provider without TLS 1.2
/// and 1.3; ring has both.
pub(crate) fn client_trusting(authorities: RootCertStore) -> Result<ClientBuilder, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let tls = tls.with_root_certificates(authorities).with_no_client_auth();
    Ok(bare().tls_backend_preconfigured(tls))
}

fn bare() -> ClientBuilder {
    Client::builder().no_proxy().redirect(redirect::Policy::none())
}
