//! Whether a response of `v1` is one that its OpenAPI description has. Comfy API v2 has none here: the SDKs check it.

use std::sync::LazyLock;

use api_lambda::v1::openapi::DOCUMENT;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(DOCUMENT).unwrap());

/// Fails unless the operation has a response with that status, whose schema the body satisfies.
pub(super) fn check(method: &Method, path: &str, status: StatusCode, body: &Value) {
    let path = path.split('?').next().unwrap();
    if api_lambda::comfy::is_path(path) {
        return;
    }
    let operation = operation(method, path).unwrap_or_else(|| panic!("{method} {path} is not described"));
    let response = &operation["responses"][status.as_str()];
    assert!(response.is_object(), "{method} {path} is not described with the status {status}: {body}");
    let response = response["$ref"]
        .as_str()
        .map_or(response, |reference| DESCRIPTION.pointer(reference.strip_prefix('#').unwrap()).unwrap());
    let content = response["content"].as_object().unwrap().values().next().unwrap();
    let schema = json!({ "allOf": [content["schema"]], "components": DESCRIPTION["components"] });
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let faults: Vec<String> =
        validator.iter_errors(body).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{method} {path} {status}: {faults:?} in {body}");
}

/// The operation whose path matches; literal segments before parameters.
fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let paths = DESCRIPTION["paths"].as_object().unwrap();
    let described = paths.get(path).or_else(|| {
        let matches = |template: &&String| {
            let (given, wanted): (Vec<_>, Vec<_>) =
                (path.split('/').collect(), template.split('/').collect());
            let is_same = |(given, wanted): (&&str, &&str)| wanted.starts_with('{') || given == wanted;
            given.len() == wanted.len() && given.iter().zip(&wanted).all(is_same)
        };
        paths.keys().find(matches).map(|template| &paths[template])
    });
    described?.get(method.as_str().to_lowercase())
}
