//! Responses of servers that are no images: the error names what it is and what to do.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use futures_util::stream;
use integration_tests::image_server::{ImageServer, cat};
use shared_schema::ErrorCode;

use crate::fetcher::{FIELD, Guarded};

#[tokio::test]
async fn each_wrong_file_is_named() {
    let images = ImageServer::start().await;
    let guarded = Guarded::allowing(&images, &[]);
    let half = cat()[..cat().len() / 2].to_vec();
    for (path, body, named) in [
        ("share", b"<!DOCTYPE html><html><body>SECRET</body></html>".to_vec(), "web page (HTML)"),
        ("denied", b"<?xml version='1.0'?><Error><Code>SECRET</Code></Error>".to_vec(), "XML or HTML"),
        ("json", b"{\"error\": \"SECRET\"}".to_vec(), "JSON"),
        ("empty.png", Vec::new(), "empty"),
        ("lfs.png", b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "Git LFS"),
        ("photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec(), "HEIC"),
        ("half.png", half, "damaged or incomplete"),
    ] {
        let url = images.respond_with(path, move |_| body.clone().into_response());
        let error = guarded.fetch(&format!("{url}?signature=SECRET")).await.unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (ErrorCode::InputNotMedia, Some(FIELD)));
        assert!(!error.is_retryable());
        assert!(error.message.contains(named) && !error.message.contains("SECRET"), "{path}: {error:?}");
    }
}

#[tokio::test]
async fn a_page_is_answered_with_the_link_to_send() {
    let images = ImageServer::start().await;
    let error = Guarded::allowing(&images, &[]).fetch(&images.url("page.html")).await.unwrap_err();
    assert!(error.message.contains("link to the file itself"), "{error:?}");
}

#[tokio::test]
async fn bytes_decide_and_neither_length_nor_type_is_needed() {
    let images = ImageServer::start().await;
    let guarded = Guarded::allowing(&images, &[]);
    let typed = images
        .respond_with("typed-text.png", |_| ([(header::CONTENT_TYPE, "text/plain")], cat()).into_response());
    let unmeasured = images.respond_with("nolength.png", |_| {
        Body::from_stream(stream::iter([Ok::<_, Infallible>(cat())])).into_response()
    });
    images.redirects("drive", StatusCode::SEE_OTHER, images.url("cat.png").as_bytes());
    for url in [typed, unmeasured, images.url("drive")] {
        assert_eq!(guarded.fetch(&url).await.unwrap(), cat(), "{url}");
    }
}

#[tokio::test]
async fn a_request_to_a_briefly_busy_server_is_retried_once() {
    let images = ImageServer::start().await;
    let guarded = Guarded::allowing(&images, &[]);
    for (path, busy, fetched) in [("once", 1, true), ("twice", 2, false)] {
        let asked = AtomicUsize::new(0);
        let url = images.respond_with(path, move |_| {
            if asked.fetch_add(1, Ordering::Relaxed) < busy {
                (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "0")]).into_response()
            } else {
                cat().into_response()
            }
        });
        let result = guarded.fetch(&url).await;
        assert_eq!(result.map_err(|error| error.is_retryable()).is_ok(), fetched, "{path}");
    }
    let later = images.respond_with("later", |_| {
        (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "3600")]).into_response()
    });
    assert!(guarded.fetch(&later).await.unwrap_err().is_retryable());
    assert_eq!(images.requested_paths().iter().filter(|path| *path == "later").count(), 1);
}

#[tokio::test]
async fn a_transfer_that_is_shorter_than_announced_is_worth_a_retry() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut asked = [0; 1024];
            let _ = connection.read(&mut asked).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", cat().len());
            let _ = connection.write_all(&[head.as_bytes(), &cat()[..20]].concat()).await;
            let _ = connection.shutdown().await;
        }
    });
    let error = Guarded::new(&address, &[]).fetch(&format!("http://{address}/short.png")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InputUnavailable);
    assert!(error.is_retryable());

    let images = ImageServer::start().await;
    let partial = images.respond_with("partial.png", |_| {
        (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, "bytes 0-19/99")], cat()[..20].to_vec())
            .into_response()
    });
    let error = Guarded::allowing(&images, &[]).fetch(&partial).await.unwrap_err();
    assert!(!error.is_retryable() && error.field.as_deref() == Some(FIELD), "{error:?}");
}
