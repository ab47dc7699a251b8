//! Refuses requests that a web page made through a browser: the listener is on loopback and accepts any
//! credentials, so DNS rebinding (a foreign name that resolves to 127.0.0.1) and cross-site requests would
//! otherwise reach it.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use url::{Host, Url};

/// Answers 403 unless `Host` names this machine's loopback and `Origin`, where there is one, does too.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), Box<Response>> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(|host| is_loopback(&format!("http://{host}/"))) {
        return Err(refusal("the Host header does not name a loopback address"));
    }
    let origin_is_local =
        headers.get_all(header::ORIGIN).iter().all(|origin| origin.to_str().is_ok_and(is_loopback));
    if !origin_is_local {
        return Err(refusal("the Origin header names another site"));
    }
    Ok(())
}

fn is_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn refusal(reason: &'static str) -> Box<Response> {
    tracing::warn!(reason, "cross-site request refused");
    Box::new((StatusCode::FORBIDDEN, reason).into_response())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn loopback_names_and_addresses_are_accepted_with_any_port() {
        for host in
            ["localhost", "localhost:4566", "s3.localhost:1", "127.0.0.1", "127.8.9.1:80", "[::1]:4566"]
        {
            assert!(is_loopback(&format!("http://{host}/")), "{host}");
        }
    }

    #[test]
    fn other_names_and_addresses_are_refused() {
        for host in
            ["example.com", "localhost.example.com", "10.0.0.1", "0.0.0.0", "[::2]", "notlocalhost", ""]
        {
            assert!(!is_loopback(&format!("http://{host}/")), "{host}");
        }
        assert!(!is_loopback("null"));
    }
}
