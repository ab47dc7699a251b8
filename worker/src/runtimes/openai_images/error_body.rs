//! What an answer without success means: whose fault it is, and the message for the caller.

use serde_json::Value;
use shared_schema::ErrorCode;
use shared_schema::violation::pointer_segment;

use crate::error::TaskError;
use crate::runtimes::error_text::{cut, listed, shortened, without_paths};
use crate::runtimes::known_errors::is_out_of_memory;

/// The texts of frameworks for a path or a method without a route.
const NOT_ROUTED: [&str; 3] = ["not found", "method not allowed", "resource not found"];

/// What the server's refusal or failure means for the task.
pub(super) fn from_answer(status: u16, body: &[u8]) -> TaskError {
    let Some((json, error)) = ErrorBody::parse(body) else { return from_status(status) };
    let (code, field) = match status {
        401 | 403 => (ErrorCode::RuntimeUnavailable, None),
        408 | 429 | 502..=504 => (ErrorCode::RuntimeUnavailable, None),
        _ if is_out_of_memory(&error.text) => (ErrorCode::OutOfMemory, None),
        400..500 if error.is_unknown_model(status) => {
            (ErrorCode::ModelNotFound, Some("/content/model".to_owned()))
        }
        400..500 => (ErrorCode::RuntimeRejected, error.field),
        500.. => (ErrorCode::RuntimeFailed, None),
        _ => (ErrorCode::RuntimeBadAnswer, None),
    };
    let text = without_paths(&cut(&error.text));
    let message = match code {
        ErrorCode::RuntimeRejected => format!("the runtime refused the request: {text}"),
        ErrorCode::ModelNotFound => format!("the runtime does not have the model: {text}"),
        ErrorCode::OutOfMemory => format!("the runtime ran out of memory; ask for less at once: {text}"),
        ErrorCode::RuntimeFailed => format!("the runtime failed: {text}"),
        _ => format!("the runtime answered with status {status}: {text}"),
    };
    let error = TaskError::new(code, message).with_reason(shortened(json));
    match field {
        Some(pointer) => error.at_field(pointer),
        None => error,
    }
}

/// Whether the server has no route for the path, or not with that method.
pub(super) fn is_not_routed(status: u16, body: &[u8]) -> bool {
    let says_so = |(_, error): (Value, ErrorBody)| {
        NOT_ROUTED.iter().any(|words| error.text.trim_end_matches('.').eq_ignore_ascii_case(words))
    };
    matches!(status, 404 | 405) && ErrorBody::parse(body).is_none_or(says_so)
}

/// Whether the server refuses the field for a format, so that nothing has run.
pub(super) fn refuses_the_format(status: u16, body: &[u8]) -> bool {
    let is_about_it = |(_, error): (Value, ErrorBody)| error.text.contains("response_format");
    matches!(status, 400 | 422) && ErrorBody::parse(body).is_some_and(is_about_it)
}

/// Not the API itself, but something before it: a proxy, or a server that is only half started.
fn from_status(status: u16) -> TaskError {
    let (code, what) = match status {
        401 | 403 => (ErrorCode::RuntimeUnavailable, "refuses the worker's login"),
        408 | 429 | 502..=504 => (ErrorCode::RuntimeUnavailable, "is busy or not up"),
        400..500 => (ErrorCode::RuntimeRejected, "refused the request"),
        _ => (ErrorCode::RuntimeBadAnswer, "gave an answer that is not JSON"),
    };
    TaskError::new(code, format!("the runtime {what} (status {status})"))
}

/// An error in words.
struct ErrorBody {
    /// The text for people.
    text: String,
    /// The server's own code for it.
    code: Option<String>,
    /// The field of the task at fault.
    field: Option<String>,
}

impl ErrorBody {
    /// OpenAI's object `error`; `error` as a text, with a `message` or without (stable-diffusion.cpp); that object without
    /// a name (vLLM); FastAPI's `detail`, as a text, a list or an object.
    fn parse(body: &[u8]) -> Option<(Value, Self)> {
        let json: Value = serde_json::from_slice(body).ok().filter(Value::is_object)?;
        let object = [&json["error"], &json["detail"]["error"], &json["detail"], &json];
        let object = object.into_iter().find(|value| value.is_object()).unwrap_or(&Value::Null);
        let word = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let (problems, of_list) = match &json["detail"] {
            Value::Array(problems) => listed(problems),
            detail => (word(detail), None),
        };
        let described = match (word(&json["error"]), word(&object["message"])) {
            (Some(kind), Some(message)) => Some(format!("{kind}: {message}")),
            (kind, message) => message.or(kind),
        };
        let field = word(&object["param"]).map(|param| {
            let segments = param.split(['.', '[']).map(|part| part.trim_end_matches(']'));
            segments.map(|part| format!("/{}", pointer_segment(part))).collect::<String>()
        });
        let error = Self {
            text: described.or(problems).unwrap_or_else(|| "it did not say why".to_owned()),
            code: word(&object["code"]),
            field: field.map(|field| format!("/content{field}")).or(of_list),
        };
        Some((json, error))
    }

    /// OpenAI's code, or vLLM's 404 about a model.
    fn is_unknown_model(&self, status: u16) -> bool {
        let is_about_a_model =
            || self.field.as_deref() == Some("/content/model") || self.text.contains("model");
        self.code.as_deref() == Some("model_not_found") || (status == 404 && is_about_a_model())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(status: u16, body: Value) -> (ErrorCode, String, Option<String>) {
        let error = from_answer(status, body.to_string().as_bytes());
        (error.code, error.message, error.field)
    }

    #[test]
    fn every_shape_of_an_error_is_read() {
        let refused = "the runtime refused the request: n is too large";
        let at_n = Some("/content/n".to_owned());
        for (body, field) in [
            (
                json!({"error": {"message": "n is too large", "type": "invalid_request_error", "param": "n", "code": null}}),
                &at_n,
            ),
            (json!({"object": "error", "message": "n is too large", "param": "n", "code": 400}), &at_n),
            (json!({"error": "n is too large"}), &None),
            (json!({"detail": "n is too large"}), &None),
            (json!({"detail": {"error": {"message": "n is too large", "param": "n"}}}), &at_n),
        ] {
            assert_eq!(
                of(400, body.clone()),
                (ErrorCode::RuntimeRejected, refused.to_owned(), field.clone()),
                "{body}"
            );
        }
        let listed =
            json!({"detail": [{"loc": ["body", "n"], "msg": "Input should be less than 11", "type": "x"}]});
        let message = "the runtime refused the request: n: Input should be less than 11".to_owned();
        assert_eq!(of(422, listed), (ErrorCode::RuntimeRejected, message, at_n));
    }

    #[test]
    fn who_is_at_fault_follows_from_status_and_words() {
        for (status, body, code) in [
            (500, json!({"error": "server_error", "message": "std::bad_alloc"}), ErrorCode::OutOfMemory),
            (500, json!({"detail": "Image generation failed: CUDA out of memory."}), ErrorCode::OutOfMemory),
            (429, json!({"error": {"message": "too many"}}), ErrorCode::RuntimeUnavailable),
            (503, json!({"detail": "Diffusion engine not initialized."}), ErrorCode::RuntimeUnavailable),
            (
                404,
                json!({"error": {"message": "The model `x` does not exist.", "code": 404}}),
                ErrorCode::ModelNotFound,
            ),
            (400, json!({"error": {"message": "no", "code": "model_not_found"}}), ErrorCode::ModelNotFound),
        ] {
            assert_eq!(of(status, body.clone()).0, code, "{body}");
        }
        assert_eq!(from_answer(500, b"<html>").code, ErrorCode::RuntimeBadAnswer);
        assert_eq!(from_answer(413, b"too large").code, ErrorCode::RuntimeRejected);
    }

    #[test]
    fn an_endpoint_that_nobody_serves_is_told_from_a_model_that_nobody_has() {
        for body in [
            &b""[..],
            b"404 page not found",
            br#"{"detail": "Not Found"}"#,
            br#"{"error": {"message": "Not Found"}}"#,
        ] {
            assert!(is_not_routed(404, body), "{body:?}");
        }
        assert!(!is_not_routed(404, br#"{"error": {"message": "The model `x` does not exist."}}"#));
        assert!(!is_not_routed(500, b""));
    }
}
