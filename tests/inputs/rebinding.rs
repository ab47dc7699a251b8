//! DNS rebinding: the address that was checked is the address that is connected to.
//!
//! In these tests 127.0.0.2 is an address that inputs may come from (by its network), and 127.0.0.1 one that they may not.

use std::net::{Ipv4Addr, SocketAddr};

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use integration_tests::image_server::{ImageServer, cat};
use shared_schema::ErrorCode;

use crate::fetcher::Guarded;

const OPEN: &str = "127.0.0.2";
const SECRET: &str = "127.0.0.1";

/// A server at each of the two addresses, on one port.
async fn servers() -> (ImageServer, ImageServer) {
    let secret = ImageServer::start().await;
    let open = ImageServer::start_at(SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), secret.address.port())));
    (open.await, secret)
}

fn guarded() -> Guarded {
    Guarded::new("127.0.0.2/32", &[])
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_a_connection() {
    let (open, secret) = servers().await;
    let guarded = guarded();
    guarded.names.answer(&[OPEN, SECRET]);
    let url = format!("http://rebind.test:{}/cat.png", open.address.port());
    assert_eq!(guarded.fetch(&url).await.unwrap(), cat());
    assert_eq!(guarded.names.queries(), ["rebind.test"]);
    assert!(secret.requested_paths().is_empty());
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_the_next_time_is_refused() {
    let (open, secret) = servers().await;
    let guarded = guarded();
    guarded.names.answer(&[OPEN, SECRET]);
    // The connection is closed, so that the redirect needs another one.
    open.respond_with("away", |_| {
        (StatusCode::FOUND, [(header::LOCATION, "/cat.png"), (header::CONNECTION, "close")]).into_response()
    });
    let url = format!("http://rebind.test:{}/away", open.address.port());
    let error = guarded.fetch(&url).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InputRefused);
    assert_eq!(guarded.names.queries().len(), 2);
    assert_eq!((open.requested_paths().len(), secret.requested_paths().len()), (1, 0));
}

#[tokio::test]
async fn of_a_mixed_answer_only_the_addresses_that_pass_are_connected_to() {
    let (open, secret) = servers().await;
    for answer in ["127.0.0.1 127.0.0.2", "127.0.0.2 127.0.0.1", "::1 127.0.0.1 127.0.0.2 10.0.0.1"] {
        let guarded = guarded();
        guarded.names.answer(&[answer]);
        let url = format!("http://mixed.test:{}/cat.png", open.address.port());
        assert_eq!(guarded.fetch(&url).await.unwrap(), cat(), "{answer}");
    }
    assert_eq!((open.requested_paths().len(), secret.requested_paths().len()), (3, 0));
}

#[tokio::test]
async fn a_name_without_an_address_is_worth_another_try() {
    let guarded = guarded();
    guarded.names.answer(&[""]);
    let error = guarded.fetch("http://nowhere.test/x.png").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InputUnavailable);
    assert!(error.is_retryable());
}
