//! The responses of the server: the state of a job, its files and its report.

use std::borrow::Cow;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use shared_schema::image_source::decode_base64;
use shared_schema::notification::{Warning, WarningCode};
use shared_schema::runtimes::RuntimeContract;
use shared_schema::runtimes::sdcpp::{self as contract, SdCpp};
use shared_schema::{ErrorCode, Task};

use super::client::is_id;
use super::infotext;
use crate::error::TaskError;
use crate::runtimes::known_errors::is_out_of_memory;
use crate::runtimes::{OutputFile, Reported, RunOutput, error_text};

/// The state of a job.
#[derive(Debug)]
pub(super) enum JobState {
    Queued,
    Generating,
    Completed(Completed),
    Failed(TaskError),
    Cancelled,
    /// The server never had it, has restarted since, or has deleted the record of an expired job, 10 minutes later.
    Unknown,
    /// It finished more than 10 minutes ago, and its results are deleted.
    Expired,
}

/// The results of a job.
#[derive(Debug)]
pub(super) struct Completed {
    files: Vec<OutputFile>,
    /// Its id and times, as the server reports them.
    job: Value,
    output_format: Option<String>,
}

/// `GET /sdcpp/v1/jobs/ID`.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    created: Option<u64>,
    started: Option<u64>,
    completed: Option<u64>,
    #[serde(borrow)]
    result: Option<Results<'a>>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Results<'a> {
    #[serde(borrow)]
    images: Vec<Image<'a>>,
    output_format: Option<String>,
}

/// An image whose text is not copied: these are nearly the whole answer.
#[derive(Deserialize)]
struct Image<'a> {
    #[serde(borrow)]
    b64_json: Cow<'a, str>,
}

/// The id of a job that was accepted.
pub(super) fn job_id(body: &[u8]) -> Result<String, TaskError> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let id = body["id"].as_str().filter(|id| is_id(id));
    id.map(str::to_owned).ok_or_else(|| bad_answer("it accepted a job without an id"))
}

/// Parses the state of a job.
pub(super) fn read(body: &[u8]) -> Result<JobState, TaskError> {
    let body: Body<'_> = serde_json::from_slice(body)
        .map_err(|_| bad_answer("the state of a job is not as its API describes it"))?;
    Ok(match &*body.status {
        "queued" => JobState::Queued,
        "generating" => JobState::Generating,
        "cancelled" => JobState::Cancelled,
        "failed" => JobState::Failed(failure(body.error.unwrap_or_default())),
        "completed" => JobState::Completed(completed(body)?),
        other => return Err(bad_answer(&format!("a job has the status `{}`", cut(other)))),
    })
}

fn completed(body: Body<'_>) -> Result<Completed, TaskError> {
    let Body { id, created, started, completed, result, .. } = body;
    let Results { images, output_format } =
        result.ok_or_else(|| bad_answer("a completed job has no result"))?;
    let file = |image: &Image<'_>| {
        let bytes = decode_base64(&image.b64_json).filter(|bytes| !bytes.is_empty());
        let bytes = bytes.ok_or_else(|| bad_answer("an image of it is not base64"))?;
        Ok(OutputFile { bytes: bytes.into(), name: None })
    };
    let files = images.iter().map(file).collect::<Result<Vec<_>, TaskError>>()?;
    let job = json!({ "id": id, "created": created, "started": started, "completed": completed });
    Ok(Completed { files, job, output_format })
}

impl Completed {
    /// All images, in the server's order, and the `.out` file.
    pub(super) fn output(self, task: &Task) -> Result<RunOutput, TaskError> {
        let Self { files, job, output_format } = self;
        if files.is_empty() {
            let message = "the runtime reported success without an image; its log has the reason";
            return Err(TaskError::new(ErrorCode::NoOutput, message));
        }
        let infotexts: Vec<_> = files.iter().map(|file| infotext::of_png(&file.bytes)).collect();
        let seeds: Vec<_> = infotexts.iter().map(|text| infotext::seed(text.as_deref()?)).collect();
        let seed = seeds.first().copied().flatten().map(Value::from);
        let known = json!({ "seeds": seeds, "output_format": output_format });
        let reported =
            Reported { seed, parameters: Reported::parameters_of(&known, &["seeds", "output_format"]) };
        let report = json!({
            "job": job,
            "parameters": parameters(task),
            "generation": { "output_format": output_format, "seeds": seeds, "infotexts": infotexts },
        });
        let warnings = Vec::from_iter(missing_images(task, files.len()));
        Ok(RunOutput { files, report, warnings, reported })
    }
}

/// The content without its images.
fn parameters(task: &Task) -> Value {
    let mut parameters = Value::Object(task.content.clone());
    for field in SdCpp.media_fields(task.metadata.tasktype, &task.content) {
        if let Some(image) = parameters.pointer_mut(&field.pointer) {
            *image = Value::String(String::new());
        }
    }
    parameters
}

/// The server omits images that it fails to encode.
fn missing_images(task: &Task, files: usize) -> Option<Warning> {
    let asked = contract::image_count(&task.content);
    let message = || format!("the runtime made {files} of {asked} images");
    let field =
        ["batch_count", "n_iter", "batch_size"].into_iter().find(|name| task.content.contains_key(*name));
    let warning = (files as u64) < asked;
    warning.then(|| {
        let warning = Warning::new(WarningCode::ValueReplaced, message());
        match field {
            Some(name) => warning.at_field(format!("/content/{name}")),
            None => warning,
        }
    })
}

/// Why the server refuses a request: `{"error": …}`, and for an exception `{"error": "server_error", "message": …}`.
pub(super) fn refusal(status: StatusCode, body: &[u8]) -> TaskError {
    let Ok(Value::Object(reason)) = serde_json::from_slice(body) else {
        return bad_answer(&format!("status {} without the reason", status.as_u16()));
    };
    let text = |name: &str| reason.get(name).and_then(Value::as_str).unwrap_or_default();
    let words = if text("message").is_empty() { text("error") } else { text("message") };
    let words = cut(words);
    let error = if is_out_of_memory(&words) {
        TaskError::new(ErrorCode::OutOfMemory, format!("the runtime is out of memory: {words}"))
    } else if status.is_client_error() {
        TaskError::new(ErrorCode::RuntimeRejected, format!("the runtime refused the request: {words}"))
    } else {
        TaskError::new(ErrorCode::RuntimeFailed, format!("the runtime failed: {words}"))
    };
    let texts = [("error", cut(text("error"))), ("message", cut(text("message")))];
    error.with_reason(texts.into_iter().filter(|(_, words)| !words.is_empty()).collect())
}

/// Why a job failed, in the server's text: `{"code": "generation_failed", "message": …}`.
fn failure(reason: Value) -> TaskError {
    let words = cut(reason["message"].as_str().unwrap_or("it gives no reason"));
    let error = if is_out_of_memory(&words) {
        TaskError::new(ErrorCode::OutOfMemory, format!("the runtime is out of memory: {words}"))
    } else {
        TaskError::new(ErrorCode::RuntimeFailed, format!("the runtime failed: {words}"))
    };
    error.with_reason(json!({ "code": reason["code"].as_str().map(cut), "message": words }))
}

pub(super) fn bad_answer(what: &str) -> TaskError {
    TaskError::new(ErrorCode::RuntimeBadAnswer, format!("the runtime's answer cannot be used: {what}"))
}

/// A text of the server, without paths of its files.
fn cut(text: &str) -> String {
    error_text::cut(&error_text::without_paths(text))
}
