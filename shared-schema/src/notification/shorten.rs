//! Notifications that would not fit a message shrink to references: what is left out is named, and stands in the `.out`
//! file.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Notification, RunningNotification};
use crate::RuntimeName;
use crate::message::publishable;

/// What may be left out: the field, and how.
type Cut<T> = (&'static str, fn(&mut T));

/// What is left out first stands first: what can be had again, then what the caller knows already, then what the `.out`
/// file has as well, and last `image_url`, which predecessors' clients read. What remains is bounded.
const CUTS: [Cut<Notification>; 10] = [
    ("outputs/url", |notification| {
        for output in &mut notification.outputs {
            (output.url, output.url_expires_at) = (None, None);
        }
    }),
    ("context", |notification| notification.context = nothing()),
    ("outputs", |notification| notification.outputs.clear()),
    ("warnings", |notification| notification.warnings.clear()),
    ("error/violations", |notification| {
        notification.error.iter_mut().for_each(|error| error.violations.clear());
    }),
    ("error/field", |notification| notification.error.iter_mut().for_each(|error| error.field = None)),
    ("error/node_id", |notification| {
        notification.error.iter_mut().for_each(|error| (error.node_id, error.class_type) = (None, None));
    }),
    ("error/message", |notification| {
        notification.error.iter_mut().for_each(|error| error.message = shown(&error.message));
    }),
    ("image_url", |notification| notification.image_url.clear()),
    // The names of deployed runtimes are short. A message that died in its queue may name anything.
    ("runtime", |notification| notification.runtime = RuntimeName::new(shown(notification.runtime.as_str()))),
];

const RUNNING_CUTS: [Cut<RunningNotification>; 1] =
    [("context", |notification| notification.context = nothing())];

/// The longest error message, and name of a runtime, that is never shortened, in characters.
const MAX_CHARS: usize = 1000;

impl Notification {
    /// The notification as JSON of at most so many bytes.
    pub(super) fn to_json(&self, most: usize) -> serde_json::Result<String> {
        fit(self, most, &CUTS, |notification| &mut notification.shortened).map(|(_, json)| json)
    }

    /// The notification in at most so many bytes of JSON, by the same cuts.
    pub fn within(self, most: usize) -> Self {
        match fit(&self, most, &CUTS, |notification| &mut notification.shortened) {
            Ok((Some(shortened), _)) => shortened,
            Ok((None, _)) | Err(_) => self,
        }
    }
}

impl RunningNotification {
    /// The notification as JSON of at most so many bytes.
    pub(super) fn to_json(&self, most: usize) -> serde_json::Result<String> {
        fit(self, most, &RUNNING_CUTS, |notification| &mut notification.shortened).map(|(_, json)| json)
    }
}

/// Cuts until it fits, and names what was cut. Returns what is left, if anything was cut, and its JSON.
fn fit<T: Clone + PartialEq + Serialize>(
    whole: &T,
    most: usize,
    cuts: &[Cut<T>],
    shortened: fn(&mut T) -> &mut Vec<String>,
) -> serde_json::Result<(Option<T>, String)> {
    let mut json = publishable(whole)?;
    if json.len() <= most {
        return Ok((None, json));
    }
    let mut rest = whole.clone();
    for (field, cut) in cuts {
        let before = rest.clone();
        cut(&mut rest);
        if rest != before {
            shortened(&mut rest).push((*field).to_owned());
            json = publishable(&rest)?;
        }
        if json.len() <= most {
            break;
        }
    }
    Ok((Some(rest), json))
}

/// What a context is when there was none.
fn nothing() -> Value {
    Value::Object(Map::new())
}

/// The beginning of a text.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::{Failure, Output, TaskStatus, Timings, notification_id};
    use crate::{ErrorCode, RuntimeName, Submission, TaskId, Violation, ViolationCode};
    use serde_json::json;

    fn notification(files: usize, context: Value) -> Notification {
        let submission = Submission::parse("s").unwrap();
        let uri = |n: usize| format!("s3://bucket/{}/{n}.png", "p".repeat(500));
        Notification {
            runtime: RuntimeName::new("r"),
            id: TaskId::from_json(&json!(1)).unwrap(),
            result: true,
            status: "completed".to_owned(),
            image_url: (0..files).map(uri).collect(),
            output_url: "s3://bucket/1.out".to_owned(),
            context,
            task_status: TaskStatus::Succeeded,
            outputs: (0..files)
                .map(|n| Output {
                    s3_uri: uri(n),
                    url: Some(format!("https://{}", "u".repeat(1500))),
                    url_expires_at: Some("2026-05-04T12:00:00Z".to_owned()),
                    content_type: "image/png".to_owned(),
                    bytes: 1,
                    width: None,
                    height: None,
                })
                .collect(),
            error: None,
            warnings: Vec::new(),
            notification_id: notification_id(&submission),
            submission,
            timings: Timings::default(),
            trace_id: None,
            shortened: Vec::new(),
        }
    }

    fn published(notification: &Notification) -> Value {
        let json = notification.to_json(Notification::MAX_BYTES).unwrap();
        assert!(json.len() <= Notification::MAX_BYTES, "{} bytes", json.len());
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn what_fits_is_left_as_it_is() {
        let whole = notification(64, json!({ "a": "\u{ffff}" }));
        let json = whole.to_json(Notification::MAX_BYTES).unwrap();
        assert!(!json.contains('\u{ffff}') && !json.contains("shortened"));
        assert_eq!(serde_json::from_str::<Notification>(&json).unwrap(), whole);
    }

    #[test]
    fn links_go_before_the_context_and_the_context_before_the_files() {
        let few = published(&notification(200, json!({ "order": 7 })));
        assert_eq!(few["shortened"], json!(["outputs/url"]));
        assert_eq!((&few["context"], few["outputs"][199].get("url")), (&json!({ "order": 7 }), None));

        let context = published(&notification(1, json!("x".repeat(300_000))));
        assert_eq!(context["shortened"], json!(["outputs/url", "context"]));
        assert_eq!((&context["context"], &context["outputs"][0]["bytes"]), (&json!({}), &json!(1)));

        let many = published(&notification(400, json!({})));
        assert_eq!(many["shortened"], json!(["outputs/url", "outputs"]));
        assert_eq!(many["image_url"].as_array().unwrap().len(), 400);

        let too_many = published(&notification(10_000, json!({})));
        assert_eq!(too_many["shortened"], json!(["outputs/url", "outputs", "image_url"]));
        assert_eq!(too_many["output_url"], "s3://bucket/1.out");
    }

    #[test]
    fn what_is_stored_is_bounded_and_published_alike_when_read_back() {
        let stored = notification(10_000, json!("x".repeat(300_000))).within(1_000_000);
        assert_eq!(stored.shortened, ["outputs/url", "context", "outputs", "image_url"]);
        assert!(serde_json::to_string(&stored).unwrap().len() <= 1_000_000);
        assert_eq!(published(&stored)["shortened"], json!(stored.shortened));
        let fits = notification(1, json!({}));
        assert_eq!(fits.clone().within(1_000_000), fits);
    }

    #[test]
    fn a_failure_keeps_its_code_however_long_its_reasons_are() {
        let pointer = format!("/content/{}", "n".repeat(300_000));
        let failure = Failure {
            code: ErrorCode::InvalidTask,
            message: format!("the task is invalid: {pointer} must be text"),
            field: Some(pointer.clone()),
            node_id: None,
            class_type: None,
            violations: vec![Violation::new(pointer, ViolationCode::WrongType, "must be text")],
            attempts: 1,
        };
        let published_value = published(&Notification { error: Some(failure), ..notification(0, json!(1)) });
        assert_eq!(
            published_value["shortened"],
            json!(["context", "error/violations", "error/field", "error/message"])
        );
        assert_eq!(published_value["error"]["code"], "invalid_task");
        assert!(published_value["error"]["message"].as_str().unwrap().starts_with("the task is invalid"));
    }

    #[test]
    fn what_tells_of_the_begin_shrinks_too() {
        let running = RunningNotification {
            runtime: RuntimeName::new("r"),
            id: TaskId::from_json(&json!(1)).unwrap(),
            status: "running".to_owned(),
            context: json!("x".repeat(300_000)),
            submission: Submission::parse("s").unwrap(),
            trace_id: None,
            shortened: Vec::new(),
        };
        let published_value: Value =
            serde_json::from_str(&running.to_json(Notification::MAX_BYTES).unwrap()).unwrap();
        assert_eq!(
            (&published_value["shortened"], &published_value["context"]),
            (&json!(["context"]), &json!({}))
        );
    }
}
