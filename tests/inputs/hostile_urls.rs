//! The corpus of hostile addresses: each is refused, directly and as the target of a redirect.

use axum::http::StatusCode;
use integration_tests::image_server::ImageServer;
use shared_schema::ErrorCode;

use crate::fetcher::{FIELD, Guarded};

/// An address of the corpus, and what its name resolves to.
fn corpus() -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    let lines = include_str!("../corpus/hostile-urls.txt").lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
        match line.split_once(" => ") {
            Some((url, addresses)) => (url, Some(addresses)),
            None => (line, None),
        }
    })
}

async fn assert_refused(guarded: &Guarded, what: &str, url: &str, addresses: Option<&str>) {
    guarded.names.answer(addresses.as_slice());
    let asked = guarded.names.queries().len();
    let error = guarded.fetch(url).await.expect_err(what);
    assert_eq!(
        (error.code, error.field.as_deref()),
        (ErrorCode::InputRefused, Some(FIELD)),
        "{what}: {error:?}"
    );
    assert_eq!(guarded.names.queries().len() - asked, addresses.iter().len(), "{what}: names were looked up");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn every_hostile_address_is_refused() {
    assert!(corpus().count() >= 120);
    let guarded = Guarded::new("", &[]);
    for (url, addresses) in corpus() {
        assert_refused(&guarded, url, url, addresses).await;
    }
}

#[tokio::test]
async fn every_hostile_address_is_refused_as_the_target_of_a_redirect() {
    let images = ImageServer::start().await;
    let guarded = Guarded::allowing(&images, &[]);
    let statuses = [301, 302, 303, 307, 308].map(|status| StatusCode::from_u16(status).unwrap());
    // Anything else is a path on the server that redirects.
    let absolute =
        corpus().filter(|(url, _)| url.split('/').next().is_some_and(|scheme| scheme.ends_with(':')));
    for (n, (url, addresses)) in absolute.filter(|(url, _)| url.contains("://")).enumerate() {
        let redirect = images.redirects("away", statuses[n % statuses.len()], url.as_bytes());
        // What does not fit a header as plain text is refused before it is read.
        let addresses = addresses.filter(|_| url.is_ascii());
        assert_refused(&guarded, &format!("redirect to {url}"), &redirect, addresses).await;
    }
    assert!(images.requested_paths().iter().all(|path| path == "away"), "{:?}", images.requested_paths());
}

#[tokio::test]
async fn every_redirect_of_a_chain_is_checked() {
    let images = ImageServer::start().await;
    let guarded = Guarded::allowing(&images, &[]);
    let inside = images.redirects("3", StatusCode::FOUND, b"http://[::ffff:169.254.169.254]/latest/");
    let second = images.redirects("2", StatusCode::FOUND, inside.as_bytes());
    let relative = images.redirects("1", StatusCode::FOUND, b"/2");
    for url in [inside, second, relative] {
        assert_refused(&guarded, &url, &url, None).await;
    }
    let endless = images.redirects("endless", StatusCode::FOUND, b"/endless");
    assert_refused(&guarded, "endless redirects", &endless, None).await;
    assert_eq!(images.requested_paths().iter().filter(|path| *path == "endless").count(), 6);
}

#[tokio::test]
async fn an_allowed_server_cannot_lead_to_another_port_of_its_machine() {
    let images = ImageServer::start().await;
    let secret = ImageServer::start().await;
    let guarded = Guarded::allowing(&images, &[]);
    let away = images.redirects("away", StatusCode::SEE_OTHER, secret.url("x.png").as_bytes());
    assert_refused(&guarded, "another port", &away, None).await;
    assert!(secret.requested_paths().is_empty());
}
