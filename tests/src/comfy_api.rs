//! Calls of Comfy API v2 that several tests make.

use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::lab::SubmitApi;

/// A client that follows no redirects.
pub fn client() -> Client {
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// Uploads an image as an asset of that name, with more fields of the form.
pub async fn upload(
    api: &SubmitApi,
    bytes: &[u8],
    path: &str,
    more: &[(&'static str, &str)],
) -> (StatusCode, Value) {
    let mut form = Form::new().text("content_type", "image/png").text("file_path", path.to_owned());
    for (name, value) in more {
        form = form.text(*name, (*value).to_owned());
    }
    let form = form.part("file", Part::bytes(bytes.to_vec()).file_name("x"));
    let response = client().post(format!("{}/api/v2/assets", api.url)).multipart(form).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

/// Sends a request of that path below `/api/v2`. A body that is no JSON is returned as `null`.
pub async fn send(api: &SubmitApi, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
    let mut request = client().request(method, format!("{}/api/v2{path}", api.url));
    if let Some(body) = body {
        request = request.json(body);
    }
    let response: Response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap_or_default())
}

/// A hash as the API writes it.
pub fn hash(bytes: &[u8]) -> String {
    format!("blake3:{}", blake3::hash(bytes).to_hex())
}

/// A workflow that inverts an image.
pub fn inverting(image: &Value) -> Value {
    json!({
        "1": { "class_type": "LoadImage", "inputs": { "image": image } },
        "2": { "class_type": "ImageInvert", "inputs": { "image": ["1", 0] } },
        "9": { "class_type": "SaveImage", "inputs": { "images": ["2", 0], "filename_prefix": "inverted" } },
    })
}
