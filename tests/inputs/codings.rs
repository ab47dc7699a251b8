//! Inputs that are stored or sent compressed: unpacked as their server declares, and never beyond a limit.

use std::io::Write;

use axum::http::header;
use axum::response::IntoResponse;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use integration_tests::aws::Aws;
use integration_tests::image_server::{ImageServer, cat};
use shared_schema::ErrorCode;

use crate::fetcher::{FIELD, Guarded};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Serves that body with a `Content-Encoding`.
fn encoded(images: &ImageServer, coding: &'static str, body: Vec<u8>) -> String {
    images.respond_with(&format!("{coding}-{}", body.len()), move |_| {
        ([(header::CONTENT_ENCODING, coding)], body.clone()).into_response()
    })
}

#[tokio::test]
async fn a_compressed_answer_is_unpacked() {
    let images = ImageServer::start().await;
    let guarded = Guarded::allowing(&images, &[]);
    for (coding, body) in [
        ("gzip", gzip(&cat())),
        ("x-gzip", gzip(&cat())),
        ("deflate", zlib(&cat())),
        // Labelled, and not compressed.
        ("gzip", cat()),
    ] {
        let url = encoded(&images, coding, body);
        assert_eq!(guarded.fetch(&url).await.unwrap(), cat(), "{coding}");
    }
    let headers = images.headers();
    assert!(headers.iter().all(|headers| !headers.contains_key(header::ACCEPT_ENCODING)), "{headers:?}");
}

#[tokio::test]
async fn an_object_that_is_stored_compressed_is_unpacked() {
    let aws = Aws::start().await;
    aws.clients.s3.create_bucket().bucket("listed").send().await.unwrap();
    let put = aws.clients.s3.put_object().bucket("listed").key("gzipped.png").content_encoding("gzip");
    put.body(gzip(&cat()).into()).send().await.unwrap();
    let guarded = Guarded::with_s3(&aws.url, "", &[]);
    // The second time from the cache.
    for _ in 0..2 {
        assert_eq!(guarded.fetch("s3://listed/gzipped.png").await.unwrap(), cat());
    }
}

#[tokio::test]
async fn a_bomb_is_refused_before_it_has_unpacked() {
    let images = ImageServer::start().await;
    let mut picture = cat();
    picture.resize(512 << 20, 0);
    let bomb = encoded(&images, "gzip", gzip(&picture));
    drop(picture);
    let error =
        Guarded::allowing(&images, &[("MAX_TASK_BYTES", "1073741824")]).fetch(&bomb).await.unwrap_err();
    assert_eq!((error.code, error.field.as_deref()), (ErrorCode::InputTooLarge, Some(FIELD)), "{error:?}");
    assert!(error.message.contains("100 times its size"), "{error:?}");

    let small = Guarded::allowing(&images, &[("MAX_TASK_BYTES", "1048576")]).fetch(&bomb).await.unwrap_err();
    assert_eq!(small.code, ErrorCode::InputTooLarge);
}

#[tokio::test]
async fn what_cannot_be_unpacked_is_named() {
    let images = ImageServer::start().await;
    let guarded = Guarded::allowing(&images, &[]);
    let packed = gzip(&cat());
    let file = packed.clone();
    for (url, named) in [
        (encoded(&images, "br", cat()), "gzip and deflate are taken"),
        (encoded(&images, "gzip", packed[..packed.len() / 2].to_vec()), "damaged or incomplete"),
        (images.respond_with("file.png.gz", move |_| file.clone().into_response()), "compressed with gzip"),
    ] {
        let error = guarded.fetch(&url).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InputNotMedia);
        assert!(error.message.contains(named), "{error:?}");
    }
}
