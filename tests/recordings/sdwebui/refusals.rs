//! Recorded errors, and the worker's error codes for them.

use serde_json::json;
use shared_schema::ErrorCode;

use super::{calls, generations};

#[tokio::test]
pub(super) async fn every_recorded_error_has_its_error_code() {
    use ErrorCode::{RuntimeFailed, RuntimeRejected, RuntimeUnavailable};
    let expected = [
        (RuntimeRejected, Some("/content/steps"), "steps: Input should be a valid integer"),
        (RuntimeRejected, None, "JSON decode error"),
        (RuntimeRejected, None, "Script 'Nope' not found"),
        (RuntimeRejected, None, "Script 'AnimateDiff' not found"),
        (RuntimeRejected, Some("/content/init_images"), "Init image not found"),
        (RuntimeRejected, None, "Invalid encoded image"),
        (RuntimeRejected, None, "Request to local resource not allowed"),
        (RuntimeRejected, None, "AssertionError: could not find upscaler named No such"),
        (RuntimeFailed, None, "RuntimeError: Calculated padded input size"),
        (RuntimeUnavailable, None, "does not serve `POST /sdapi/v1/txt2img`"),
        (RuntimeUnavailable, None, "does not serve `POST /sdapi/v1/txt2img`"),
    ];
    let recorded = calls("errors");
    assert_eq!(recorded.len(), expected.len(), "a recorded error has no expected error code");

    for (mut call, (code, field, text)) in recorded.into_iter().zip(expected) {
        // The worker's own calls are well-formed and go to existing paths: the recorded responses to other calls are
        // replayed to a call of its own.
        let is_a_task =
            call["request"]["body"].get("prompt").or(call["request"]["body"].get("image")).is_some();
        if !is_a_task {
            let path = "/sdapi/v1/txt2img";
            call["request"] = json!({ "method": "POST", "path": path, "body": { "prompt": "a dog" } });
        }
        let content = call["request"]["body"].clone();
        let tasktype = generations::task_type(call["request"]["path"].as_str().unwrap());
        // Inputs are not fetched: the fetcher would have refused some of them.
        let (result, sent) = generations::run(tasktype, &content, Vec::new(), call.clone()).await;

        let error = result.unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (code, field), "{error}");
        assert!(error.message.contains(text), "{error}");
        assert_eq!(sent["prompt"], content["prompt"]);
    }
}
