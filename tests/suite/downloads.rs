//! Real-world addresses of inputs, through the whole path: share links that lead to pages, odd servers, files that are
//! stored compressed.

use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use base64_simd::STANDARD as BASE64;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt, stream};
use integration_tests::fixtures;
use integration_tests::image_server::{ImageServer, cat};
use integration_tests::lab::{Lab, Runtime};
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use simulated_runtimes::{ComfyUiOptions, SdWebUiOptions};

const FIELD: &str = "/content/init_images/0";

/// The content of a case, with the address of the test's server.
fn case(file: &str, images: &ImageServer) -> Value {
    let content = fixtures::load(&format!("cases/{file}")).to_string();
    let url = format!("http://{}", images.address);
    serde_json::from_str(&content.replace("@URL", &url)).unwrap()
}

/// The images that the runtime received.
fn received_images(runtime: &Runtime) -> Vec<Value> {
    let requests = runtime.simulation.as_ref().unwrap().requests();
    let calls = requests.iter().filter(|request| request.path.ends_with("/img2img"));
    calls.map(|request| request.body.as_ref().unwrap()["init_images"][0].clone()).collect()
}

/// A picture and so many zeros, compressed; never all of them in memory.
fn gzip_bomb(zeros: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&cat()).unwrap();
    let block = vec![0; 1 << 20];
    (0..zeros >> 20).for_each(|_| encoder.write_all(&block).unwrap());
    encoder.finish().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Serves the responses of share links and odd servers.
fn share(images: &ImageServer) {
    let busy = AtomicBool::new(true);
    images.redirects("drive", StatusCode::SEE_OTHER, images.url("cat.png").as_bytes());
    images.respond_with("busy-once", move |_| {
        if busy.swap(false, Ordering::Relaxed) {
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "0")]).into_response()
        } else {
            cat().into_response()
        }
    });
    images.respond_with("nolength.png", |_| {
        Body::from_stream(stream::iter([Ok::<_, Infallible>(cat())])).into_response()
    });
    images
        .respond_with("typed-text.png", |_| ([(header::CONTENT_TYPE, "text/plain")], cat()).into_response());
    images.respond_with("page", |_| {
        let page = "<!DOCTYPE html><html><title>Share</title></html>";
        ([(header::CONTENT_TYPE, "text/html")], page).into_response()
    });
    images.respond_with("gone", |_| StatusCode::GONE.into_response());
    images.respond_with("empty.png", |_| ([(header::CONTENT_TYPE, "image/png")], "").into_response());
    images.respond_with("partial.png", |_| {
        let part = cat()[..20].to_vec();
        (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, "bytes 0-19/99")], part).into_response()
    });
    images.respond_with("short.png", |_| {
        let part = stream::iter([Ok(cat()[..20].to_vec())]);
        // A body that is not ready is what makes the server send what it has.
        let breaks = stream::once(async {
            tokio::task::yield_now().await;
            Err(io::Error::other("the connection breaks"))
        });
        ([(header::CONTENT_LENGTH, cat().len())], Body::from_stream(part.chain(breaks))).into_response()
    });
}

#[tokio::test]
async fn a_share_link_is_followed_to_its_image_or_its_error_is_named() {
    let lab = Lab::start().await;
    let images = ImageServer::start().await;
    share(&images);
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let allowed = images.address.to_string();
    let settings = [("INPUT_ALLOW_HOSTS", allowed.as_str()), ("MAX_ATTEMPTS", "2")];
    let _worker = lab.worker(&runtime, &settings).await;
    let submitted = |name: &'static str| {
        let content = case(&format!("15-share-links-are-pages/{name}.json"), &images);
        api.submit("sdruntime", "image-to-image", name, content)
    };
    let images_of_all =
        ["request-drive", "request-busy-once", "request-nolength.png", "request-typed-text.png"];
    for name in images_of_all {
        submitted(name).await;
        let completion = lab.completion(name).await;
        assert!(completion.result, "{name}: {:?}", completion.error);
    }
    assert_eq!(received_images(&runtime), vec![json!(BASE64.encode_to_string(cat())); images_of_all.len()]);

    for (name, code, attempts, message) in [
        ("request", ErrorCode::InputNotMedia, 1, "web page (HTML)"),
        ("request-gone", ErrorCode::InputNotFound, 1, "410"),
        ("request-empty.png", ErrorCode::InputNotMedia, 1, "empty"),
        ("request-partial.png", ErrorCode::InputNotFound, 1, "a part of the file"),
        ("request-short.png", ErrorCode::InputUnavailable, 2, "the connection broke"),
    ] {
        submitted(name).await;
        let completion = lab.completion(name).await;
        let error = completion.error.unwrap();
        let found = (error.code, error.attempts, error.field.as_deref());
        assert_eq!(found, (code, attempts, Some(FIELD)), "{name}: {error:?}");
        assert!(error.message.contains(message) && !error.message.contains("secret"), "{name}: {error:?}");
        assert_eq!(completion.status, "failed", "{name}");
    }
    assert_eq!(
        received_images(&runtime).len(),
        images_of_all.len(),
        "the runtime was called for a task that failed"
    );
    lab.emptied(&runtime.queue.url).await;
}

#[tokio::test]
async fn a_file_that_is_stored_compressed_is_the_picture_in_it() {
    let lab = Lab::start().await;
    let images = ImageServer::start().await;
    let packed = gzip(&cat());
    let stored = packed.clone();
    images.respond_with("gzip.png", move |_| {
        ([(header::CONTENT_ENCODING, "gzip")], packed.clone()).into_response()
    });
    let object = lab.clients().s3.put_object().bucket(&lab.shared.bucket).key("inputs/gzipped.png");
    object.content_encoding("gzip").body(stored.into()).send().await.unwrap();

    let (sdwebui, comfyui) =
        (lab.sdwebui(SdWebUiOptions::default()).await, lab.comfyui(ComfyUiOptions::default()).await);
    let api = lab.submit_api(&[&sdwebui, &comfyui]).await;
    let allowed = images.address.to_string();
    let settings =
        [("INPUT_ALLOW_HOSTS", allowed.as_str()), ("INPUT_S3_BUCKETS", lab.shared.bucket.as_str())];
    let (_first, _second) = (lab.worker(&sdwebui, &settings).await, lab.worker(&comfyui, &settings).await);

    api.submit("sdruntime", "image-to-image", "http", case("25-stored-gzip/request.json", &images)).await;
    let of_s3 = case("25-stored-gzip/request-s3.json", &images).to_string();
    let of_s3 = of_s3.replace("darkroom-output", &lab.shared.bucket);
    api.submit("comfyui", "pipeline", "s3", serde_json::from_str(&of_s3).unwrap()).await;
    for id in ["http", "s3"] {
        let completion = lab.completion(id).await;
        assert!(completion.result, "{id}: {:?}", completion.error);
    }
    assert_eq!(received_images(&sdwebui), [json!(BASE64.encode_to_string(cat()))]);
}

#[tokio::test]
async fn a_decompression_bomb_is_refused_as_too_large_and_not_unpacked() {
    let lab = Lab::start().await;
    let images = ImageServer::start().await;
    let bomb = gzip_bomb(1 << 30);
    images.respond_with("gzip-bomb.png", move |_| {
        ([(header::CONTENT_ENCODING, "gzip")], bomb.clone()).into_response()
    });
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let allowed = images.address.to_string();
    let settings = [("INPUT_ALLOW_HOSTS", allowed.as_str()), ("MAX_TASK_BYTES", "2147483648")];
    let worker = lab.worker(&runtime, &settings).await;
    let before = worker.peak_memory();
    api.submit("sdruntime", "image-to-image", "bomb", case("25-stored-gzip/request-bomb.json", &images))
        .await;
    let error = lab.completion("bomb").await.error.unwrap();
    let found = (error.code, error.attempts, error.field.as_deref());
    assert_eq!(found, (ErrorCode::InputTooLarge, 1, Some(FIELD)), "{error:?}");
    assert!(received_images(&runtime).is_empty());
    let grown = worker.peak_memory() - before;
    assert!(grown < 100 << 20, "the worker grew by {grown} bytes");
}
