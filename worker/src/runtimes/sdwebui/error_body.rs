//! Error answers: whether the task or the runtime is at fault, and the message for the caller.

use serde_json::Value;
use shared_schema::ErrorCode;

use crate::error::TaskError;
use crate::runtimes::error_text::{cut, listed, shortened, without_paths};
use crate::runtimes::known_errors::is_out_of_memory;

/// Errors in the task that servers report with a status in the 500s, each with the field at fault where that is certain.
const CALLER_ERRORS: [(&str, Option<&str>); 9] = [
    ("Invalid image format", Some("/content/override_settings/samples_format")),
    ("Invalid encoded image", None),
    ("Invalid image url", None),
    ("Requests not allowed", None),
    ("Request to local resource not allowed", None),
    ("Init image not found", Some("/content/init_images")),
    ("Sampler not found", Some("/content/sampler_name")),
    ("could not find upscaler", None),
    ("Could not find upscaler", None),
];

/// What the server's refusal or failure means for the task.
pub(super) fn from_answer(status: u16, body: &[u8]) -> TaskError {
    match serde_json::from_slice(body) {
        Ok(json @ Value::Object(_)) => from_json(status, json),
        _ => from_status(status),
    }
}

/// Whether the path does not exist, or not with that method.
pub(super) fn is_not_routed(status: u16, body: &[u8]) -> bool {
    let is_about_it = || match serde_json::from_slice(body) {
        Ok(json @ Value::Object(_)) => ErrorBody::read(&json).is_not_routed(),
        _ => true,
    };
    matches!(status, 404 | 405) && is_about_it()
}

/// Not the interface itself, but something before it: a proxy, or a server that is only half started.
fn from_status(status: u16) -> TaskError {
    let (code, what) = match status {
        401 | 403 => return login_refused(),
        404 | 405 => return not_served(status),
        408 | 429 => (ErrorCode::RuntimeUnavailable, "is busy"),
        400..500 => (ErrorCode::RuntimeRejected, "refused the request"),
        _ => (ErrorCode::RuntimeBadAnswer, "gave an answer that is not JSON"),
    };
    TaskError::new(code, format!("the runtime {what} (status {status})"))
}

fn from_json(status: u16, json: Value) -> TaskError {
    let error = ErrorBody::read(&json);
    let (code, field) = match status {
        401 | 403 => return login_refused(),
        404 | 405 if error.is_not_routed() => return not_served(status),
        408 | 429 | 502..=504 => (ErrorCode::RuntimeUnavailable, None),
        _ if error.is_out_of_memory() => (ErrorCode::OutOfMemory, None),
        400..500 => {
            (ErrorCode::RuntimeRejected, error.field.clone().or_else(|| error.caller_error().flatten()))
        }
        500.. => match error.caller_error() {
            Some(field) => (ErrorCode::RuntimeRejected, field),
            None => (ErrorCode::RuntimeFailed, None),
        },
        _ => (ErrorCode::RuntimeBadAnswer, None),
    };
    let text = error.in_short();
    let message = match code {
        ErrorCode::RuntimeRejected => format!("the runtime refused the request: {text}"),
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

fn login_refused() -> TaskError {
    let message =
        "the runtime refuses the worker's login; API_BASE_URL must hold it as http://user:password@host";
    TaskError::new(ErrorCode::RuntimeUnavailable, message)
}

fn not_served(status: u16) -> TaskError {
    let message = format!(
        "the runtime has no such endpoint (status {status}): its API is not up yet, or it was started without `--api`"
    );
    TaskError::new(ErrorCode::RuntimeUnavailable, message)
}

/// The error of a JSON body. AUTOMATIC1111, Forge and SD.Next use different names for its parts.
struct ErrorBody {
    /// The type of the exception, if one is named.
    kind: Option<String>,
    /// The text for people.
    text: String,
    /// The field of the task that a schema check names.
    field: Option<String>,
}

impl ErrorBody {
    fn read(json: &Value) -> Self {
        let word = |name: &str| json[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        // A generic type: the detail says what it is about.
        let kind = word("error").filter(|kind| kind != "HTTPException");
        let (text, field) = match &json["detail"] {
            Value::Array(problems) => listed(problems),
            _ => (word("detail").or_else(|| word("errors")).or_else(|| word("message")), None),
        };
        match text {
            Some(text) => Self { kind, text, field },
            None => Self { text: kind.unwrap_or_else(|| "it did not say why".to_owned()), kind: None, field },
        }
    }

    /// The texts of the framework for a path or a method that does not exist.
    fn is_not_routed(&self) -> bool {
        matches!(self.text.as_str(), "Not Found" | "Method Not Allowed")
    }

    fn is_out_of_memory(&self) -> bool {
        is_out_of_memory(&format!("{} {}", self.kind.as_deref().unwrap_or_default(), self.text))
    }

    /// Whether the task is at fault, and with which field if that is known.
    fn caller_error(&self) -> Option<Option<String>> {
        let unknown_script = self.text.starts_with("Script ") && self.text.ends_with("not found");
        CALLER_ERRORS
            .iter()
            .find(|(words, _)| self.text.contains(words))
            .map(|(_, field)| field.map(str::to_owned))
            .or(unknown_script.then_some(None))
    }

    fn in_short(&self) -> String {
        let text = without_paths(&cut(&self.text));
        match &self.kind {
            Some(kind) => format!("{}: {text}", cut(kind)),
            None => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::recordings::calls_of;
    use super::*;

    fn of(status: u16, body: Value) -> TaskError {
        from_answer(status, body.to_string().as_bytes())
    }

    #[test]
    fn a_failure_of_automatic1111_is_read_from_errors() {
        let calls = calls_of("a1111/errors");
        let failed =
            calls.iter().find(|call| call["response"]["body"]["error"] == "ZeroDivisionError").unwrap();
        let body = failed["response"]["body"].clone();
        let error = of(500, body.clone());
        assert_eq!(
            (error.code, error.message.as_str()),
            (
                ErrorCode::RuntimeFailed,
                "the runtime failed: ZeroDivisionError: integer division or modulo by zero"
            )
        );
        assert_eq!(error.reason, Some(body));
    }

    /// SD.Next's shape, by hand from its documented answers: it was not recorded.
    #[test]
    fn an_unknown_sampler_is_the_callers_error() {
        let body = json!({"error": "HTTPException", "code": 404, "detail": "Sampler not found", "body": "", "errors": ""});
        let error = of(404, body);
        assert_eq!(error.code, ErrorCode::RuntimeRejected);
        assert_eq!(error.message, "the runtime refused the request: Sampler not found");
        assert_eq!(error.field.as_deref(), Some("/content/sampler_name"));
    }

    #[test]
    fn out_of_memory_is_recognised_by_its_error_text() {
        for text in ["HIP out of memory. Tried to allocate 2 GiB", "MPS backend out of memory"] {
            let error = of(500, json!({"error": "RuntimeError", "detail": "", "body": "", "message": text}));
            assert_eq!(error.code, ErrorCode::OutOfMemory, "{text}");
        }
    }

    #[test]
    fn an_answer_of_a_proxy_is_no_answer_of_the_runtime() {
        for body in ["Internal Server Error", "<html>502</html>", "", "null", "\"text\""] {
            let error = from_answer(500, body.as_bytes());
            assert_eq!((error.code, error.reason), (ErrorCode::RuntimeBadAnswer, None), "{body}");
        }
        assert_eq!(from_answer(413, b"too large").code, ErrorCode::RuntimeRejected);
    }

    #[test]
    fn a_refused_login_is_not_the_tasks_fault() {
        let error = of(401, json!({"detail": "Incorrect username or password"}));
        assert_eq!(error.code, ErrorCode::RuntimeUnavailable);
        assert!(error.message.contains("API_BASE_URL"), "{error}");
    }

    #[test]
    fn long_texts_and_server_folders_stay_out_of_the_message() {
        let text = "cannot open '/opt/webui/models/x.pt' ".to_owned() + &"A".repeat(9_000);
        let error = of(500, json!({"error": "OSError", "message": text}));
        assert!(
            error.message.starts_with("the runtime failed: OSError: cannot open '…/x.pt' AAA"),
            "{error}"
        );
        assert!(error.message.len() < 600);
        assert!(error.reason.unwrap().to_string().len() < 700);
    }
}
