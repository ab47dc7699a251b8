//! Assets of Comfy API v2: files are uploaded once, referred to by workflows, and fetched from the bucket.

use std::time::Duration;

use integration_tests::comfy_api::{client, hash, inverting, send, upload};
use integration_tests::image_server::cat;
use integration_tests::lab::{Lab, Runtime, SubmitApi};
use integration_tests::wait;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simulated_runtimes::ComfyUiOptions;

async fn runtime(lab: &Lab) -> Runtime {
    let mut options = ComfyUiOptions::default();
    options.behaviour.latency = Duration::from_millis(10);
    lab.comfyui(options).await
}

async fn get(api: &SubmitApi, path: &str) -> (StatusCode, Value) {
    send(api, Method::GET, path, None).await
}

fn reference(id: &Value) -> Value {
    json!({ "__type": "core/ASSET", "info": { "id": id, "hash": "blake3:00", "file_path": "../hint.png" } })
}

async fn run(api: &SubmitApi, workflow: &Value) -> Value {
    let (status, job) = send(api, Method::POST, "/jobs", Some(&json!({ "workflow": workflow }))).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    let id = job["id"].as_str().unwrap();
    wait::until("the job to end", async || {
        let (_, job) = get(api, &format!("/jobs/{id}")).await;
        (!["queued", "running"].contains(&job["status"].as_str().unwrap())).then_some(job)
    })
    .await
}

fn code((status, body): (StatusCode, Value)) -> (u16, String) {
    (status.as_u16(), body["error"]["code"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned())
}

#[tokio::test]
async fn an_uploaded_file_and_a_result_are_inputs_of_workflows() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab).await;
    let api = lab.recording_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("RECORD_TABLE", lab.shared.record_table.as_str())]).await;
    let (status, asset) =
        upload(&api, &cat(), "a cat.png", &[("expected_hash", hash(&cat()).as_str())]).await;
    assert_eq!((status, &asset["hash"]), (StatusCode::CREATED, &json!(hash(&cat()))), "{asset}");

    let graph = inverting(&reference(&asset["id"]));
    let first = run(&api, &graph).await;
    assert_eq!(first["status"], "succeeded", "{first}");
    let (_, shown) = get(&api, &format!("/jobs/{}/workflow", first["id"].as_str().unwrap())).await;
    assert_eq!(shown["workflow"], graph);

    // The worker's bucket for inputs is not the one for results: only the front door's word opens it.
    let second = run(&api, &inverting(&reference(&first["outputs"][0]["id"]))).await;
    assert_eq!(second["status"], "succeeded", "{second}");
    let output = second["outputs"][0]["id"].as_str().unwrap();
    let (_, shown) = get(&api, &format!("/assets/{output}")).await;
    assert_eq!((&shown["job_id"], &shown["hash"]), (&second["id"], &Value::Null), "{shown}");

    // A loader's name of a file is that of the caller's newest asset, if there is one.
    let (_, named) = upload(&api, &cat(), "photos/a cat.png", &[]).await;
    let third = run(&api, &inverting(&json!("photos/a cat.png"))).await;
    assert_eq!(third["status"], "succeeded", "{third}");
    let id = named["id"].as_str().unwrap();
    assert_eq!(send(&api, Method::DELETE, &format!("/assets/{id}"), None).await.0, StatusCode::NO_CONTENT);
    let without = run(&api, &inverting(&json!("photos/a cat.png"))).await;
    assert_eq!(without["status"], "failed", "the runtime has no such file: {without}");
    assert_eq!(without["error"]["node_id"], "1", "{without}");

    // A text has no file, so it is no input.
    let mut text = inverting(&reference(&asset["id"]));
    text["3"] = json!({ "class_type": "PreviewAny", "inputs": { "source": "hello" } });
    let outputs = run(&api, &text).await["outputs"].take();
    let shown = outputs.as_array().unwrap().iter().find(|output| output["type"] == "text").unwrap();
    let content = client().get(shown["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(content.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(content.text().await.unwrap(), "hello");
    let task =
        json!({ "runtime": "comfyui", "type": "pipeline", "content": inverting(&reference(&shown["id"])) });
    let (status, _, problem) = api.send(Method::POST, "/v1/tasks", &[], Some(&task)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("missing_asset")));
}

#[tokio::test]
async fn the_same_bytes_are_stored_once() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab).await;
    let api = lab.recording_api(&[&runtime]).await;
    let by_hash = format!("/assets/by-hash/{}", hash(&cat()).replace(':', "%3A"));
    assert_eq!(send(&api, Method::HEAD, &by_hash, None).await.0, StatusCode::NOT_FOUND);
    let (_, first) = upload(&api, &cat(), "cat.png", &[]).await;
    assert_eq!(send(&api, Method::HEAD, &by_hash, None).await.0, StatusCode::OK);

    let (status, again) = upload(&api, &cat(), "cat.png", &[]).await;
    assert_eq!((status, &again["id"], &again["created_new"]), (StatusCode::OK, &first["id"], &json!(false)));
    let named = json!({ "hash": hash(&cat()), "file_path": "other.png", "expires_in": 60 });
    let (status, other) = send(&api, Method::POST, "/assets/from-hash", Some(&named)).await;
    assert_eq!((status, &other["created_new"]), (StatusCode::CREATED, &json!(true)));
    assert_ne!(other["id"], first["id"]);
    assert!(other["expires_at"].as_str() < first["expires_at"].as_str(), "{other}");
    assert_eq!(lab.keys("_darkroom/uploads/").await.len(), 1);
}

#[tokio::test]
async fn content_is_a_redirect_to_the_bucket() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab).await;
    let api = lab.recording_api(&[&runtime]).await;
    let (_, asset) = upload(&api, &cat(), "cat.png", &[]).await;
    let path = format!("/assets/{}", asset["id"].as_str().unwrap());
    let content = client().get(format!("{}/api/v2{path}/content", api.url)).send().await.unwrap();
    assert_eq!(content.status(), StatusCode::FOUND);
    let location = content.headers()["location"].to_str().unwrap();
    assert!(!location.starts_with(&api.url), "a client would send its key along");
    for url in [location, asset["url"].as_str().unwrap()] {
        let file = client().get(url).send().await.unwrap();
        assert_eq!(file.status(), StatusCode::OK, "{url}");
        assert_eq!(file.headers()["content-type"], "image/png");
        assert_eq!(file.headers()["content-disposition"], "attachment");
        assert_eq!(file.bytes().await.unwrap(), cat());
    }
    assert_eq!(send(&api, Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(code(send(&api, Method::DELETE, &path, None).await), (404, "not_found".to_owned()));
    assert_eq!(code(get(&api, &format!("{path}/content")).await), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn a_file_that_was_uploaded_to_the_bucket_is_registered_by_its_hash() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab).await;
    let api = lab.recording_api(&[&runtime]).await;
    let announce = async |claimed: &str| {
        let file = json!({ "content_type": "image/png", "bytes": cat().len(), "hash": claimed });
        let (status, _, upload) = api.send(Method::POST, "/v1/uploads", &[], Some(&file)).await;
        assert_eq!(status, StatusCode::CREATED, "{upload}");
        upload
    };
    let put = async |upload: &Value| {
        let mut put = client().put(upload["url"].as_str().unwrap());
        // The client sets the length itself.
        for (name, value) in upload["headers"].as_object().unwrap() {
            if name != "content-length" {
                put = put.header(name, value.as_str().unwrap());
            }
        }
        put.body(cat()).send().await.unwrap().status()
    };
    let register = async |hash: &str| {
        let body = json!({ "hash": hash, "file_path": "large.png" });
        send(&api, Method::POST, "/assets/from-hash", Some(&body)).await
    };
    let upload = announce(&hash(&cat())).await;
    assert_eq!(code(register(&hash(&cat())).await), (404, "blob_not_found".to_owned()));
    assert_eq!(put(&upload).await, StatusCode::OK);
    // Bytes whose hash was checked cannot be replaced.
    assert_eq!(put(&upload).await, StatusCode::PRECONDITION_FAILED);
    let (status, asset) = register(&hash(&cat())).await;
    assert_eq!((status, &asset["size_bytes"]), (StatusCode::CREATED, &json!(cat().len())), "{asset}");
    let by_hash = format!("/assets/by-hash/{}", hash(&cat()));
    assert_eq!(send(&api, Method::HEAD, &by_hash, None).await.0, StatusCode::OK);

    let upload = announce(&hash(b"other bytes")).await;
    assert_eq!(put(&upload).await, StatusCode::OK);
    assert_eq!(code(register(&hash(b"other bytes")).await), (409, "hash_mismatch".to_owned()));
}

#[tokio::test]
async fn faults_have_the_codes_of_the_contract() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab).await;
    let api = lab.recording_api(&[&runtime]).await;
    let is = |status: u16, code: &str| (status, code.to_owned());
    let wrong = hash(b"other bytes");
    assert_eq!(
        code(upload(&api, &cat(), "a.png", &[("expected_hash", wrong.as_str())]).await),
        is(409, "hash_mismatch")
    );
    for (path, field) in
        [("../a.png", ("tags", "x")), ("models/x", ("tags", "x")), ("a", ("expires_in", "1"))]
    {
        assert_eq!(code(upload(&api, &cat(), path, &[field]).await), is(422, "invalid_request"), "{path}");
    }
    let large = vec![0; 6_291_600];
    assert_eq!(code(upload(&api, &large, "a.png", &[]).await), is(413, "payload_too_large"));
    let unknown = json!({ "hash": wrong });
    let from_hash = send(&api, Method::POST, "/assets/from-hash", Some(&unknown)).await;
    assert_eq!(code(from_hash), is(404, "blob_not_found"));
    let without = send(&api, Method::POST, "/assets/from-hash", Some(&json!({}))).await;
    assert_eq!(code(without), is(422, "invalid_request"));
    assert_eq!(code(get(&api, "/assets/nope").await), is(404, "not_found"));

    for missing in [reference(&json!("nope")), json!({ "__type": "core/ASSET" })] {
        let body = json!({ "workflow": inverting(&missing) });
        let (status, body) = send(&api, Method::POST, "/jobs", Some(&body)).await;
        assert!(body["error"]["details"]["missing_ids"][0].is_string(), "{body}");
        assert_eq!(code((status, body)), is(422, "missing_asset"));
    }
}
