//! The bounds of inputs: bytes, time, type, pixels, and the error of each.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64_simd::STANDARD as BASE64;
use futures_util::{StreamExt, stream};
use integration_tests::image_server::{ImageServer, cat};
use shared_schema::ErrorCode;

use crate::fetcher::{FIELD, Guarded};

/// The least that `MAX_TASK_BYTES` can be.
const MEBIBYTE: usize = 1 << 20;

/// A picture with so many bytes behind its end.
fn padded(length: usize) -> Vec<u8> {
    let mut picture = cat();
    picture.resize(length, 0);
    picture
}

/// A body without an announced length.
fn chunked(pieces: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Response {
    Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>))).into_response()
}

fn small(images: &ImageServer) -> Guarded {
    Guarded::allowing(images, &[("MAX_TASK_BYTES", "1048576"), ("INPUT_TIMEOUT_SECONDS", "1")])
}

async fn error_of(guarded: &Guarded, source: &str) -> ErrorCode {
    let error = guarded.fetch(source).await.expect_err("an error");
    assert_eq!(error.field.as_deref(), Some(FIELD), "{error:?}");
    error.code
}

#[tokio::test]
async fn bytes_are_bounded_whether_announced_or_not() {
    let images = ImageServer::start().await;
    let guarded = small(&images);
    let fits = images.respond_with("fits", |_| padded(MEBIBYTE).into_response());
    let fits_chunked = images.respond_with("fits-chunked", |_| chunked([padded(MEBIBYTE)].into_iter()));
    assert_eq!(guarded.fetch(&fits).await.unwrap().len(), MEBIBYTE);
    assert_eq!(guarded.fetch(&fits_chunked).await.unwrap().len(), MEBIBYTE);
    let data_uri = format!("data:image/png;base64,{}", BASE64.encode_to_string(padded(MEBIBYTE)));
    assert_eq!(guarded.fetch(&data_uri).await.unwrap().len(), MEBIBYTE);

    let announced = images.respond_with("announced", |_| {
        let silence = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        ([(header::CONTENT_LENGTH, "1048577")], silence).into_response()
    });
    let endless = images.respond_with("endless", |_| chunked(std::iter::repeat_with(|| vec![0; 65_536])));
    let data_uri = format!("data:image/png;base64,{}", BASE64.encode_to_string(padded(MEBIBYTE + 1)));
    for source in [announced, endless, data_uri] {
        assert_eq!(error_of(&guarded, &source).await, ErrorCode::InputTooLarge);
    }
}

#[tokio::test]
async fn inputs_share_one_bound_while_they_arrive() {
    let images = ImageServer::start().await;
    let guarded = small(&images);
    let half = images.respond_with("half", |_| padded(MEBIBYTE / 2).into_response());
    // More than is left, and never complete: the bound must not wait for the end.
    let more = images.respond_with("more", |_| {
        let pieces = stream::iter([Ok::<_, Infallible>(padded(MEBIBYTE / 2 + 1))]).chain(stream::pending());
        Body::from_stream(pieces).into_response()
    });
    let bare = BASE64.encode_to_string(padded(MEBIBYTE / 2));
    assert_eq!(guarded.fetch_all(&[&half, &bare]).await.unwrap().len(), 2);
    let error = guarded.fetch_all(&[&half, &more]).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InputTooLarge);
    let error = guarded.fetch_all(&[&half, &half, &half]).await.unwrap_err();
    assert_eq!(
        (error.code, error.field.as_deref()),
        (ErrorCode::InputTooLarge, Some("/content/init_images/2"))
    );
}

#[tokio::test]
async fn an_address_in_several_fields_is_fetched_once() {
    let images = ImageServer::start().await;
    let (cat_url, other) = (images.url("cat.png"), images.url("other.png"));
    let fetched =
        Guarded::allowing(&images, &[]).fetch_all(&[&cat_url, &other, &cat_url, &cat_url]).await.unwrap();
    assert!(fetched.iter().all(|image| *image == cat()));
    let mut asked = images.requested_paths();
    asked.sort();
    assert_eq!(asked, ["cat.png", "other.png"]);
}

#[tokio::test]
async fn a_server_that_trickles_is_cut_off_in_time() {
    let images = ImageServer::start().await;
    let guarded = small(&images);
    let trickle = images.respond_with("trickle", |_| {
        let pieces = stream::iter(cat()).then(async |byte| {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok::<_, Infallible>(vec![byte])
        });
        Body::from_stream(Box::pin(pieces)).into_response()
    });
    let started = Instant::now();
    assert_eq!(error_of(&guarded, &trickle).await, ErrorCode::InputUnavailable);
    assert_eq!(error_of(&guarded, &images.url("silent")).await, ErrorCode::InputUnavailable);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn bombs_are_refused_by_what_they_would_become() {
    let images = ImageServer::start().await;
    let guarded = Guarded::allowing(&images, &[]);
    let mut png = cat();
    png[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    let gif = [&b"GIF89a\x01\0\x01\0\0\0\0"[..], b",\0\0\0\0\x60\xea\x60\xea\0\x02\0;"].concat();
    let frames = [b",\0\0\0\0\x80\x02\xe0\x01\0\x02\0".as_slice(); 1000].concat();
    let animation = [b"GIF89a\x80\x02\xe0\x01\0\0\0".as_slice(), &frames, b";"].concat();
    for (name, bomb) in [("png", png), ("gif", gif), ("animation", animation)] {
        let url = images.respond_with(name, move |_| bomb.clone().into_response());
        assert_eq!(error_of(&guarded, &url).await, ErrorCode::InputTooLarge, "{name}");
    }
}

#[tokio::test]
async fn each_answer_of_a_server_has_its_error() {
    let images = ImageServer::start().await;
    let guarded = Guarded::allowing(&images, &[]);
    for (status, code) in [
        (StatusCode::NOT_FOUND, ErrorCode::InputNotFound),
        (StatusCode::FORBIDDEN, ErrorCode::InputNotFound),
        (StatusCode::NOT_MODIFIED, ErrorCode::InputNotFound),
        (StatusCode::MULTIPLE_CHOICES, ErrorCode::InputNotFound),
        (StatusCode::TOO_MANY_REQUESTS, ErrorCode::InputUnavailable),
        (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::InputUnavailable),
        (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::InputUnavailable),
    ] {
        let url = images.respond_with("status", move |_| status.into_response());
        assert_eq!(error_of(&guarded, &url).await, code, "{status}");
    }
    let cut = images.respond_with("cut", |_| {
        let pieces = stream::iter([Ok(cat()), Err(std::io::Error::other("cut"))]);
        Body::from_stream(pieces).into_response()
    });
    assert_eq!(error_of(&guarded, &cut).await, ErrorCode::InputUnavailable);
    let nobody = Guarded::new("127.0.0.1:9", &[]);
    assert_eq!(error_of(&nobody, "http://127.0.0.1:9/x.png").await, ErrorCode::InputUnavailable);
    assert_eq!(error_of(&guarded, &images.url("page.html")).await, ErrorCode::InputNotMedia);
}

#[tokio::test]
async fn credentials_of_a_url_go_to_its_host_and_no_further() {
    let images = ImageServer::start().await;
    let guarded = Guarded::allowing(&images, &[]);
    images.redirects("away", StatusCode::FOUND, images.url("cat.png").as_bytes());
    let url = images.url("away").replace("http://", "http://user:password@");
    assert_eq!(guarded.fetch(&url).await.unwrap(), cat());
    let authorized = |headers: &HeaderMap| headers.contains_key(header::AUTHORIZATION);
    assert_eq!(images.headers().iter().map(authorized).collect::<Vec<_>>(), [true, false]);
    for headers in images.headers() {
        assert!(!headers.contains_key(header::COOKIE) && !headers.contains_key(header::REFERER));
        assert!(headers.keys().all(|name| !name.as_str().starts_with("x-amz")), "{headers:?}");
    }
}
