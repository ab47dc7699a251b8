//! Whether a server made as many images as were asked for. One that is interrupted begins no further batch, and one that knows no
//! batches makes the first only.

use serde_json::Value;
use shared_schema::notification::{Warning, WarningCode};

use super::request::{Endpoint, Request};

/// How many batches the request asks for: of these the server makes one after the other.
pub(super) fn batches(request: &Request) -> usize {
    match request.fields["imageList"].as_array() {
        Some(images) => images.len(),
        None => number(request, "n_iter"),
    }
}

/// How many images it asks for. Scripts make as many as they like.
fn images(request: &Request) -> usize {
    match request.endpoint {
        Endpoint::ExtraBatchImages => batches(request),
        _ => number(request, "batch_size").saturating_mul(batches(request)),
    }
}

/// Whether the server stopped before it had made as many images as it was about to make, by its `info`. It has the seeds of all, and
/// the texts of those that were made: extensions may make one file of several images, or other batches than were asked for.
pub(super) fn is_incomplete(request: &Request, info: &Value, files: usize) -> bool {
    if request.endpoint == Endpoint::ExtraBatchImages {
        return files < images(request);
    }
    let (Some(seeds), Some(texts)) = (info["all_seeds"].as_array(), info["infotexts"].as_array()) else {
        return false;
    };
    let before_the_first = info["index_of_first_image"].as_u64().unwrap_or_default() as usize;
    let made = texts.len().saturating_sub(before_the_first);
    // SD.Next has one text, of nothing, beside no image when the run failed.
    let is_about_images = files > 0 || made == 0 || !request.wants_images;
    made < seeds.len() && is_about_images && !has_script(request)
}

/// What the caller should know of an answer with so many files.
pub(super) fn warning(request: &Request, files: usize) -> Option<Warning> {
    let asked = images(request);
    if files >= asked || !request.wants_images || has_script(request) {
        return None;
    }
    let field = match request.endpoint {
        Endpoint::ExtraBatchImages => "imageList",
        _ if batches(request) > 1 => "n_iter",
        _ => "batch_size",
    };
    let message = format!("the runtime made {files} of the {asked} images that were asked for");
    Some(Warning::new(WarningCode::ValueReplaced, message).at_field(format!("/content/{field}")))
}

fn has_script(request: &Request) -> bool {
    request.fields["script_name"].as_str().is_some_and(|name| !name.is_empty())
}

fn number(request: &Request, field: &str) -> usize {
    let number = match &request.fields[field] {
        Value::Number(number) => number.as_f64().map(|number| number as usize),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.unwrap_or(1)
}
