//! From the answer of a call to files and report, or to the reason why there are none.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared_schema::image_source::{ImageSource, decode_base64};
use shared_schema::{ErrorCode, TaskId};

use super::client::Answer;
use super::request::Request;
use super::{cut_short, error_body, image_count, replaced};
use crate::error::TaskError;
use crate::runtimes::{OutputFile, Reported, RunOutput};

/// What a call yielded.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) output: RunOutput,
    /// The checkpoint that made the images, if the server reports it.
    pub(super) model: Option<String>,
    /// When the run began, by the server's clock, if it is reported.
    pub(super) began: Option<String>,
}

/// The fields of `info` that the record of a task has.
const REPORTED: [&str; 11] = [
    "all_seeds",
    "sampler_name",
    "steps",
    "cfg_scale",
    "width",
    "height",
    "denoising_strength",
    "clip_skip",
    "sd_model_name",
    "sd_model_hash",
    "sd_vae_name",
];

/// What an answer consists of.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    images: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    image: Option<Text<'a>>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// A text that is not copied: that of the images is nearly the whole answer.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads the answer to the request. Everything that the server returned becomes a file, grids and detection maps
/// included, in its order.
///
/// Fewer images than the server was about to make are the result of a run that somebody interrupted, if `can_be_cut_short`.
pub(super) fn read(
    answer: Answer,
    request: &Request,
    id: &TaskId,
    can_be_cut_short: bool,
) -> Result<Generation, TaskError> {
    if !answer.status.is_success() {
        return Err(error_body::from_answer(answer.status.as_u16(), &answer.body));
    }
    let Fields { images, image, mut others } = serde_json::from_slice(&answer.body)
        .map_err(|_| bad_answer("the runtime's answer is not a JSON object as its API describes it"))?;
    let images = images.or_else(|| Some(vec![image?]));
    let info = info(others.remove("info"));
    let is_incomplete = |images: &Vec<_>| image_count::is_incomplete(request, &info, images.len());
    if can_be_cut_short && images.as_ref().is_some_and(is_incomplete) {
        return Err(cut_short());
    }
    let files = files(images, request.wants_images)?;
    let mut warnings = Vec::from_iter(image_count::warning(request, files.len()));
    if !request.endpoint.generates() {
        let report = extras_report(others, id);
        let output = RunOutput { files, report, warnings, reported: Reported::default() };
        return Ok(Generation { output, model: None, began: None });
    }
    let model = model(&info);
    warnings.extend(replaced::warnings(request, &info));
    let report = generation_report(others, &info, model.as_deref(), &request.images, id);
    let began = info["job_timestamp"].as_str().map(str::to_owned);
    Ok(Generation { output: RunOutput { files, report, warnings, reported: reported(&info) }, model, began })
}

fn files(images: Option<Vec<Text<'_>>>, wants_images: bool) -> Result<Vec<OutputFile>, TaskError> {
    let images = match images {
        Some(images) => images,
        None if wants_images => return Err(bad_answer("the runtime's answer has no images")),
        None => Vec::new(),
    };
    if images.is_empty() && wants_images {
        // SD.Next answers so when no model is loaded, when the run failed, and for impossible sizes. The answer does not
        // tell which, and the same task mostly has the same result.
        let message = "the runtime reported success without an image: it may have no model loaded, have failed, or not \
                       be able to draw what was asked for; its log has the reason";
        return Err(TaskError::new(ErrorCode::NoOutput, message));
    }
    images.iter().map(|Text(image)| file(image)).collect()
}

fn file(image: &str) -> Result<OutputFile, TaskError> {
    let bytes = decode_base64(image).or_else(|| match ImageSource::parse(image) {
        Ok(ImageSource::Base64(data)) => decode_base64(data),
        _ => None,
    });
    let bytes = bytes
        .filter(|bytes| !bytes.is_empty())
        .ok_or_else(|| bad_answer("an image in the runtime's answer is not base64"))?;
    Ok(OutputFile { bytes: bytes.into(), name: None })
}

fn bad_answer(message: &str) -> TaskError {
    TaskError::new(ErrorCode::RuntimeBadAnswer, message)
}

/// The `.out` file of predecessors, and what they left out under `generation`.
fn generation_report(
    mut fields: Map<String, Value>,
    info: &Value,
    model: Option<&str>,
    images: &[String],
    id: &TaskId,
) -> Value {
    let mut parameters = fields.remove("parameters").filter(Value::is_object).unwrap_or_else(|| json!({}));
    for pointer in images {
        // Servers echo the request; the report is for reading.
        if let Some(echo) = parameters.pointer_mut(pointer).filter(|echo| echo.is_string()) {
            *echo = Value::String(String::new());
        }
    }
    parameters["id_task"] = id.to_json();
    parameters["image_seed"] = Value::String(match &info["seed"] {
        Value::Null => String::new(),
        Value::String(seed) => seed.clone(),
        seed => seed.to_string(),
    });
    parameters["error_msg"] = Value::String(String::new());
    json!({
        "images": [""],
        "parameters": parameters,
        "info": "",
        "generation": {
            "model": model,
            "seeds": info["all_seeds"],
            "infotexts": info["infotexts"],
            "index_of_first_image": info["index_of_first_image"],
        },
    })
}

fn reported(info: &Value) -> Reported {
    let seed = info.get("seed").filter(|seed| !seed.is_null()).cloned();
    Reported { seed, parameters: Reported::parameters_of(info, &REPORTED) }
}

fn extras_report(mut fields: Map<String, Value>, id: &TaskId) -> Value {
    let html_info = fields.remove("html_info").unwrap_or_default();
    let parameters = json!({ "html_info": html_info, "id_task": id.to_json(), "error_msg": "" });
    json!({ "images": [""], "parameters": parameters, "info": "" })
}

/// `info` is JSON inside a text; SD.Next may leave it empty.
fn info(field: Option<Value>) -> Value {
    match field {
        Some(Value::String(text)) => serde_json::from_str(&text).unwrap_or_default(),
        Some(info @ Value::Object(_)) => info,
        _ => Value::Null,
    }
}

/// The checkpoint that ran: AUTOMATIC1111 and Forge name it in a field, SD.Next only in the last line of the infotext.
fn model(info: &Value) -> Option<String> {
    let named = info["sd_model_name"].as_str().filter(|name| !name.is_empty());
    named.map(str::to_owned).or_else(|| {
        let last_line = info["infotexts"][0].as_str()?.lines().last()?;
        let from_name =
            last_line.strip_prefix("Model: ").or_else(|| Some(last_line.split_once(", Model: ")?.1))?;
        // A name with a comma or a colon is written as a JSON text.
        match serde_json::Deserializer::from_str(from_name).into_iter::<String>().next() {
            Some(Ok(quoted)) => Some(quoted),
            _ => from_name.split(", ").next().filter(|name| !name.is_empty()).map(str::to_owned),
        }
    })
}

/// The `.out` file of a task that failed, as predecessors wrote it, with the failure added.
pub fn failure_report(id: &TaskId, error: &TaskError, attempts: u32) -> Value {
    json!({
        "images": [""],
        "parameters": {
            "id_task": id.to_json(),
            "status": 0,
            "error_msg": error.message,
            "reason": error.reason,
        },
        "info": "",
        "error": error.failure(attempts),
    })
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use shared_schema::Task;

    use super::super::recordings::calls;
    use super::super::request::{self, Endpoint};
    use super::*;

    fn request(endpoint: Endpoint) -> Request {
        let kind = match endpoint {
            Endpoint::Txt2img => "text-to-image",
            Endpoint::Img2img => "image-to-image",
            Endpoint::ExtraSingleImage => "extra-single-image",
            Endpoint::ExtraBatchImages => "extra-batch-images",
        };
        let metadata = json!({"id": "t", "runtime": "sd", "tasktype": kind});
        let task: Task = serde_json::from_value(json!({"metadata": metadata, "content": {}})).unwrap();
        let images = vec!["/init_images/0".to_owned(), "/mask".to_owned()];
        let mut request = request::build(&task, &[]).unwrap();
        request.images = images;
        request
    }

    fn id() -> TaskId {
        TaskId::from_json(&json!(7)).unwrap()
    }

    fn read_body(endpoint: Endpoint, body: &Value) -> Result<Generation, TaskError> {
        let answer = Answer { status: StatusCode::OK, body: body.to_string().into_bytes() };
        read(answer, &request(endpoint), &id(), true)
    }

    /// The body of the last call of a recording.
    fn recorded(name: &str) -> Value {
        calls(name).pop().unwrap()["response"]["body"].take()
    }

    fn decoded(image: &Value) -> Vec<u8> {
        base64_simd::STANDARD.decode_to_vec(image.as_str().unwrap()).unwrap()
    }

    #[test]
    fn every_image_becomes_a_file_in_order_with_the_grid() {
        for (name, count) in [("txt2img", 1), ("txt2img-batch", 4), ("txt2img-grid-first", 3), ("img2img", 1)]
        {
            let body = recorded(name);
            let files = read_body(Endpoint::Txt2img, &body).unwrap().output.files;
            let images = body["images"].as_array().unwrap();
            assert_eq!((files.len(), images.len()), (count, count), "{name}");
            for (file, image) in files.iter().zip(images) {
                assert_eq!(file.bytes, decoded(image), "{name}");
            }
        }
    }

    #[test]
    fn the_report_extends_the_predecessors() {
        let generation = read_body(Endpoint::Txt2img, &recorded("txt2img-grid-first")).unwrap();
        let report = generation.output.report;
        assert_eq!((&report["images"], &report["info"]), (&json!([""]), &json!("")));
        let parameters = &report["parameters"];
        assert_eq!(parameters["prompt"], "a dog");
        assert_eq!(parameters["id_task"], 7);
        assert_eq!(parameters["image_seed"], "42");
        assert_eq!(parameters["error_msg"], "");
        assert_eq!(report["generation"]["seeds"], json!([42, 43]));
        assert_eq!(report["generation"]["index_of_first_image"], 1);
        assert_eq!(report["generation"]["model"], "sd15_b");
        assert_eq!(generation.model.as_deref(), Some("sd15_b"));
    }

    #[test]
    fn extras_are_reported_as_predecessors_did() {
        let single = read_body(Endpoint::ExtraSingleImage, &recorded("extra-single-image")).unwrap().output;
        assert_eq!(single.files.len(), 1);
        let html = "<p>Postprocess upscale by: 2.0, Postprocess upscaler: Lanczos</p>";
        assert_eq!(
            single.report,
            json!({"images": [""], "parameters": {"html_info": html, "id_task": 7, "error_msg": ""}, "info": ""})
        );
        let batch = read_body(Endpoint::ExtraBatchImages, &recorded("extra-batch-images")).unwrap().output;
        assert_eq!(batch.files.len(), 2);
    }

    #[test]
    fn echoed_images_are_left_out_of_the_report() {
        let mut body = recorded("img2img");
        body["parameters"]["init_images"] = json!(["iVBORw0KGgo="]);
        let parameters = &read_body(Endpoint::Img2img, &body).unwrap().output.report["parameters"];
        assert_eq!(parameters["init_images"], json!([""]));
        assert_eq!(parameters["mask"], Value::Null);
    }

    /// SD.Next names the model in the infotext only. By hand from its documented answers: it was not recorded.
    #[test]
    fn the_model_is_read_from_the_infotext_where_no_field_names_it() {
        let named = |last_line: &str| model(&json!({"infotexts": [format!("a, Model: fake\n{last_line}")]}));
        assert_eq!(named("Steps: 1, Model hash: a1, Model: sd15_b, App: SD.Next").as_deref(), Some("sd15_b"));
        assert_eq!(named("Steps: 1, Model: \"a, b\", App: SD.Next").as_deref(), Some("a, b"));
        assert_eq!(named("Steps: 1, Model hash: a1"), None);
    }

    /// SD.Next without a model, by hand from its documented answers: it was not recorded.
    #[test]
    fn success_without_images_is_a_failure_unless_none_were_wanted() {
        let body = json!({"images": [], "parameters": {}, "info": ""});
        assert_eq!(read_body(Endpoint::Txt2img, &body).unwrap_err().code, ErrorCode::NoOutput);

        let mut silent = request(Endpoint::Txt2img);
        silent.wants_images = false;
        let answer = Answer { status: StatusCode::OK, body: body.to_string().into_bytes() };
        let output = read(answer, &silent, &id(), true).unwrap().output;
        assert_eq!((output.files.len(), &output.report["parameters"]["image_seed"]), (0, &json!("")));
    }

    #[test]
    fn an_invalid_answer_is_reported() {
        let text = Answer { status: StatusCode::OK, body: b"<html>".to_vec() };
        let not_json = read(text, &request(Endpoint::Txt2img), &id(), true).unwrap_err();
        assert_eq!(not_json.code, ErrorCode::RuntimeBadAnswer);
        for images in [
            json!(["not base64!"]),
            json!([""]),
            json!([null]),
            json!(["https://a/b.png"]),
            json!("x"),
            Value::Null,
        ] {
            let error = read_body(Endpoint::Txt2img, &json!({"images": images})).unwrap_err();
            assert_eq!(error.code, ErrorCode::RuntimeBadAnswer, "{images}");
        }
    }

    #[test]
    fn a_failure_is_reported_as_predecessors_did_with_the_code_added() {
        let reason =
            json!({"error": "OutOfMemoryError", "detail": "", "body": "", "errors": "CUDA out of memory."});
        let answer =
            Answer { status: StatusCode::INTERNAL_SERVER_ERROR, body: reason.to_string().into_bytes() };
        let error = read(answer, &request(Endpoint::Txt2img), &id(), true).unwrap_err();
        let report = failure_report(&id(), &error, 3);
        assert_eq!(
            report["parameters"],
            json!({"id_task": 7, "status": 0, "error_msg": error.message, "reason": reason})
        );
        assert_eq!((&report["images"], &report["info"]), (&json!([""]), &json!("")));
        assert_eq!(
            (&report["error"]["code"], &report["error"]["attempts"]),
            (&json!("out_of_memory"), &json!(3))
        );
    }
}
