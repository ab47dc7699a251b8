//! HTTP clients that connect to exactly what they are told: no proxy variables, no redirects.

use std::sync::Arc;

use reqwest::{Client, ClientBuilder, redirect};
use rustls::crypto::ring;

/// A client for `https`, which trusts the system's certificate authorities. Reading them takes milliseconds and memory.
pub(crate) fn client() -> ClientBuilder {
    // The TLS provider belongs to the process: whoever installs one first wins, and any will do.
    ring::default_provider().install_default().ok();
    bare()
}

/// A client for `http` only, as runtimes beside the worker speak it; trusts no certificate authority, so that none is
/// read.
pub(crate) fn plain_client() -> ClientBuilder {
    let provider = Arc::new(ring::default_provider());
    match rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions() {
        Ok(tls) => {
            let trusting_nobody =
                tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
            bare().tls_backend_preconfigured(trusting_nobody)
        }
        // A provider without TLS 1.2 and 1.3; ring has both.
        Err(_) => client(),
    }
}

fn bare() -> ClientBuilder {
    Client::builder().no_proxy().redirect(redirect::Policy::none())
}
