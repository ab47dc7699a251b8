//! What Comfy API v2 does: a file is uploaded, found by its hash, used by name and by reference, fetched and deleted.

use integration_tests::comfy_api::{client, hash, inverting, send, upload};
use integration_tests::image_server::cat;
use integration_tests::lab::SubmitApi;
use integration_tests::wait;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const NAME: &str = "photos/cat.png";

/// The whole life of an asset, and of the jobs that use it. A worker must take them.
pub(crate) async fn use_assets(api: &SubmitApi) {
    let (status, asset) = upload(api, &cat(), NAME, &[]).await;
    assert_eq!(status, StatusCode::CREATED, "{asset}");
    let by_hash = format!("/assets/by-hash/{}", hash(&cat()));
    assert_eq!(send(api, Method::HEAD, &by_hash, None).await.0, StatusCode::OK);
    let named = json!({ "hash": hash(&cat()), "file_path": "other.png" });
    let (status, other) = send(api, Method::POST, "/assets/from-hash", Some(&named)).await;
    assert_eq!(status, StatusCode::CREATED, "{other}");

    let reference = json!({ "__type": "core/ASSET", "info": { "id": other["id"] } });
    for image in [json!(NAME), reference] {
        let job = run(api, &inverting(&image)).await;
        open(job["outputs"][0]["url"].as_str().unwrap()).await;
        let output = format!("/assets/{}", job["outputs"][0]["id"].as_str().unwrap());
        let (status, shown) = send(api, Method::GET, &output, None).await;
        assert_eq!(status, StatusCode::OK, "{shown}");
        let workflow = format!("/jobs/{}/workflow", job["id"].as_str().unwrap());
        let (status, shown) = send(api, Method::GET, &workflow, None).await;
        assert_eq!(status, StatusCode::OK, "{shown}");
    }
    let (status, list) = send(api, Method::GET, "/jobs", None).await;
    assert_eq!(status, StatusCode::OK, "{list}");

    let path = format!("/assets/{}", asset["id"].as_str().unwrap());
    open(&format!("{}/api/v2{path}/content", api.url)).await;
    assert_eq!(send(api, Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    register_uploaded(api).await;
}

/// Uploads a file to the bucket itself, and registers it by its hash.
async fn register_uploaded(api: &SubmitApi) {
    let bytes = [cat(), vec![0]].concat();
    let file = json!({ "content_type": "image/png", "bytes": bytes.len(), "hash": hash(&bytes) });
    let (status, _, upload) = api.send(Method::POST, "/v1/uploads", &[], Some(&file)).await;
    assert_eq!(status, StatusCode::CREATED, "{upload}");
    let mut put = client().put(upload["url"].as_str().unwrap());
    // The client sets the length itself.
    for (name, value) in upload["headers"].as_object().unwrap() {
        if name != "content-length" {
            put = put.header(name, value.as_str().unwrap());
        }
    }
    assert_eq!(put.body(bytes.clone()).send().await.unwrap().status(), StatusCode::OK);
    let body = json!({ "hash": hash(&bytes), "file_path": "large.png" });
    let (status, asset) = send(api, Method::POST, "/assets/from-hash", Some(&body)).await;
    assert_eq!(status, StatusCode::CREATED, "{asset}");
}

async fn run(api: &SubmitApi, workflow: &Value) -> Value {
    let (status, job) = send(api, Method::POST, "/jobs", Some(&json!({ "workflow": workflow }))).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    wait::until("a job to succeed", async || {
        let (_, job) = send(api, Method::GET, &path, None).await;
        (job["status"] == "succeeded").then_some(job)
    })
    .await
}

/// Follows redirects to the bucket.
async fn open(url: &str) {
    assert_eq!(reqwest::get(url).await.unwrap().status(), StatusCode::OK, "{url}");
}
