//! From the answer of a call to files and report, or to the reason why there are none.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared_schema::ErrorCode;
use shared_schema::image_source::{ImageSource, decode_base64};
use shared_schema::notification::{Warning, WarningCode};

use super::client::{Answer, Client};
use super::error_body;
use super::request::Request;
use crate::error::TaskError;
use crate::runtimes::error_text::shortened;
use crate::runtimes::{OutputFile, Reported, RunOutput, calls};

/// What an answer consists of.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    data: Vec<Image<'a>>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// One image. Other fields of it are the server's own business: SGLang has paths of its disk there.
#[derive(Deserialize)]
struct Image<'a> {
    #[serde(borrow)]
    b64_json: Option<Text<'a>>,
    #[serde(borrow)]
    url: Option<Text<'a>>,
    revised_prompt: Option<String>,
}

/// The fields of the answer that the record of a task has.
const REPORTED: [&str; 6] = ["data", "size", "quality", "background", "output_format", "model"];

/// A text that is not copied: that of the images is nearly the whole answer.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads the answer to the request. Every image becomes a file, in the order of the answer.
pub(super) async fn read(client: &Client, answer: Answer, request: &Request) -> Result<RunOutput, TaskError> {
    if !answer.status.is_success() {
        return Err(error_body::from_answer(answer.status.as_u16(), &answer.body));
    }
    let Fields { data, others } = serde_json::from_slice(&answer.body)
        .map_err(|_| bad_answer("the runtime's answer is not a JSON object as OpenAI's API describes it"))?;
    if data.is_empty() {
        let message = "the runtime reported success without an image; its log may have the reason";
        return Err(TaskError::new(ErrorCode::NoOutput, message));
    }
    let mut files = Vec::with_capacity(data.len());
    let mut left = client.max_task_bytes;
    for image in &data {
        let bytes = image.bytes(client, left).await?;
        left = left.checked_sub(bytes.len() as u64).ok_or_else(calls::too_large)?;
        files.push(OutputFile { bytes, name: None });
    }
    let revised: Vec<Value> =
        data.iter().map(|image| json!({ "revised_prompt": image.revised_prompt })).collect();
    let mut report = shortened(Value::Object(others));
    report["data"] = revised.into();
    let warnings = Vec::from_iter(fewer(files.len(), request.images()));
    let parameters = Reported::parameters_of(&report, &REPORTED);
    Ok(RunOutput { files, report, warnings, reported: Reported { seed: None, parameters } })
}

impl Image<'_> {
    /// The file itself. Some servers answer a data URI, as either field.
    async fn bytes(&self, client: &Client, most: u64) -> Result<bytes::Bytes, TaskError> {
        let decoded = |base64: &str| {
            let bytes = decode_base64(base64).filter(|bytes| !bytes.is_empty());
            bytes.map(Into::into).ok_or_else(|| bad_answer("an image in the runtime's answer is not base64"))
        };
        match (&self.b64_json, &self.url) {
            (Some(Text(text)), _) => match ImageSource::parse(text) {
                Ok(ImageSource::Base64(base64)) => decoded(base64),
                _ => decoded(text),
            },
            (None, Some(Text(url))) if url.starts_with("data:") => match ImageSource::parse(url) {
                Ok(ImageSource::Base64(base64)) => decoded(base64),
                _ => Err(bad_answer("an image in the runtime's answer is not base64")),
            },
            (None, Some(Text(url))) => client.image(url, most).await,
            (None, None) => {
                Err(bad_answer("an image in the runtime's answer has neither `b64_json` nor `url`"))
            }
        }
    }
}

fn fewer(made: usize, asked: usize) -> Option<Warning> {
    let message = || format!("the runtime made {made} of the {asked} images that were asked for");
    (made < asked).then(|| Warning::new(WarningCode::ValueReplaced, message()).at_field("/content/n"))
}

fn bad_answer(message: &str) -> TaskError {
    TaskError::new(ErrorCode::RuntimeBadAnswer, message)
}
