//! The cache of inputs: saves transfers, and is never stale.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use integration_tests::image_server::{ImageServer, cat};
use shared_schema::ErrorCode;

use crate::fetcher::Guarded;

/// A picture that has versions, and how often it was sent.
#[derive(Clone, Default)]
struct Picture {
    version: Arc<Mutex<u8>>,
    sent: Arc<AtomicUsize>,
}

impl Picture {
    fn bytes(&self) -> Vec<u8> {
        [cat(), vec![*self.version.lock().unwrap()]].concat()
    }

    fn change(&self) {
        *self.version.lock().unwrap() += 1;
    }

    fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// Answers as a server with versions does.
    fn answer(&self, asked: &HeaderMap) -> Response {
        let etag = format!("\"v{}\"", *self.version.lock().unwrap());
        if asked.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
            return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        ([(header::ETAG, etag)], self.bytes()).into_response()
    }

    fn on(&self, images: &ImageServer, path: &str) -> String {
        let picture = self.clone();
        images.respond_with(path, move |asked| picture.answer(asked))
    }
}

#[tokio::test]
async fn an_unchanged_input_is_sent_once_and_a_changed_one_is_never_stale() {
    let images = ImageServer::start().await;
    let guarded = Guarded::allowing(&images, &[]);
    let picture = Picture::default();
    let url = picture.on(&images, "x.png");
    for _ in 0..3 {
        assert_eq!(guarded.fetch(&url).await.unwrap(), picture.bytes());
    }
    assert_eq!((picture.sent(), images.requested_paths().len()), (1, 3));
    picture.change();
    for _ in 0..2 {
        assert_eq!(guarded.fetch(&url).await.unwrap(), picture.bytes());
    }
    assert_eq!((picture.sent(), images.requested_paths().len()), (2, 5));
}

#[tokio::test]
async fn an_input_behind_a_redirect_is_cached_and_the_redirect_is_not() {
    let images = ImageServer::start().await;
    let guarded = Guarded::allowing(&images, &[]);
    let (first, second) = (Picture::default(), Picture::default());
    second.change();
    first.on(&images, "first.png");
    second.on(&images, "second.png");
    let url = images.redirects("x", StatusCode::FOUND, b"/first.png");
    assert_eq!(guarded.fetch(&url).await.unwrap(), first.bytes());
    assert_eq!(guarded.fetch(&url).await.unwrap(), first.bytes());
    images.redirects("x", StatusCode::FOUND, b"/second.png");
    assert_eq!(guarded.fetch(&url).await.unwrap(), second.bytes());
    assert_eq!((first.sent(), second.sent()), (1, 1));
}

#[tokio::test]
async fn an_input_that_is_no_longer_served_is_not_taken_from_the_cache() {
    let images = ImageServer::start().await;
    let guarded = Guarded::allowing(&images, &[]);
    let url = Picture::default().on(&images, "x.png");
    guarded.fetch(&url).await.unwrap();
    images.respond_with("x.png", |_| StatusCode::FORBIDDEN.into_response());
    assert_eq!(guarded.fetch(&url).await.unwrap_err().code, ErrorCode::InputNotFound);
    images.respond_with("x.png", |_| StatusCode::SERVICE_UNAVAILABLE.into_response());
    assert_eq!(guarded.fetch(&url).await.unwrap_err().code, ErrorCode::InputUnavailable);
}

#[tokio::test]
async fn queries_and_credentials_are_part_of_the_address() {
    let images = ImageServer::start().await;
    let guarded = Guarded::allowing(&images, &[]);
    let picture = Picture::default();
    let url = picture.on(&images, "x.png");
    for query in ["", "?sig=1", "?sig=2", "?sig=1"] {
        guarded.fetch(&format!("{url}{query}")).await.unwrap();
    }
    assert_eq!(picture.sent(), 3);
    let secret = url.replace("http://", "http://user:password@");
    for _ in 0..2 {
        guarded.fetch(&secret).await.unwrap();
    }
    assert_eq!(picture.sent(), 5, "a response to credentials was cached");
}

#[tokio::test]
async fn without_room_nothing_is_cached() {
    let images = ImageServer::start().await;
    let picture = Picture::default();
    let url = picture.on(&images, "x.png");
    for bytes in ["0", "300"] {
        let guarded = Guarded::allowing(&images, &[("INPUT_CACHE_BYTES", bytes)]);
        for _ in 0..2 {
            assert_eq!(guarded.fetch(&url).await.unwrap(), picture.bytes());
        }
    }
    assert_eq!(picture.sent(), 4);
}

#[tokio::test]
async fn objects_are_requested_with_their_etag() {
    let s3 = ImageServer::start().await;
    let guarded = Guarded::with_s3(&s3.url(""), "", &[]);
    let picture = Picture::default();
    picture.on(&s3, "listed/in/x.png");
    for _ in 0..2 {
        assert_eq!(guarded.fetch("s3://listed/in/x.png").await.unwrap(), picture.bytes());
    }
    assert_eq!((picture.sent(), s3.requested_paths().len()), (1, 2));
    picture.change();
    assert_eq!(guarded.fetch("s3://listed/in/x.png").await.unwrap(), picture.bytes());
    assert_eq!(picture.sent(), 2);
}
