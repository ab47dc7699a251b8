//! How much work SD WebUI content asks for, against the limits of the runtime.

use serde_json::{Map, Value};

use super::script_limits;
use crate::content::Enlargement;
use crate::content::limit::{SMALLEST_PICTURE, above, number};
use crate::{Limits, TaskType, Violation};

/// Width and height of a generated image when the request has none, in pixels.
const DEFAULT_SIDE: f64 = 512.0;
/// Sampling steps when the request has none.
const DEFAULT_STEPS: f64 = 50.0;
/// Factor of the second pass when the request has none.
const DEFAULT_HR_SCALE: f64 = 2.0;
/// Factor by which extras enlarge when the request has none.
const DEFAULT_RESIZE: f64 = 2.0;

/// What the content asks for above the limits.
pub(super) fn violations(
    task_type: TaskType,
    fields: &Map<String, Value>,
    limits: &Limits,
) -> Vec<Violation> {
    let request = Request(fields);
    let mut violations = Vec::new();
    match task_type {
        TaskType::TextToImage | TaskType::ImageToImage => {
            let hires = task_type == TaskType::TextToImage && request.flag("enable_hr");
            violations.extend(pixels(&request, hires, limits.max_pixels));
            violations.extend(noise_pixels(&request, limits.max_pixels));
            violations.extend(steps(&request, hires, limits.max_steps));
            violations.extend(images(&request, limits.max_images));
            violations.extend(script_limits::violations(task_type, fields, request.batches(), limits));
        }
        TaskType::ExtraSingleImage | TaskType::ExtraBatchImages => {
            violations.extend(enlarged_pixels(&request, limits.max_pixels));
            violations.extend(listed_images(&request, limits.max_images));
        }
        TaskType::Pipeline => {}
    }
    violations
}

fn pixels(request: &Request<'_>, hires: bool, most: u64) -> Option<Violation> {
    let width = request.number("width", DEFAULT_SIDE);
    let height = request.number("height", DEFAULT_SIDE);
    let first_pass = above("/width", width * height, most, "width times height");
    first_pass.or_else(|| {
        let (pointer, pixels) = request.second_pass(width, height).filter(|_| hires)?;
        above(pointer, pixels, most, "width times height after the second pass")
    })
}

/// The sizes that noise is drawn in: of the first pass where old clients give it apart, and of another size's seed.
fn noise_pixels(request: &Request<'_>, most: u64) -> Vec<Violation> {
    let sizes = [("firstphase_width", "firstphase_height"), ("seed_resize_from_w", "seed_resize_from_h")];
    let too_many = |(width, height): (&str, &str)| {
        let pixels = request.number(width, 0.0) * request.number(height, 0.0);
        above(format_args!("/{width}"), pixels, most, format_args!("{width} times {height}"))
    };
    sizes.into_iter().filter_map(too_many).collect()
}

fn steps(request: &Request<'_>, hires: bool, most: u64) -> Vec<Violation> {
    let steps = request.number("steps", DEFAULT_STEPS);
    let first_pass = above("/steps", steps, most, "the number of steps (50 when absent)");
    let second_steps = request.number("hr_second_pass_steps", 0.0);
    let second_pass =
        hires.then(|| above("/hr_second_pass_steps", second_steps, most, "the number of steps"));
    first_pass.into_iter().chain(second_pass.flatten()).collect()
}

fn images(request: &Request<'_>, most: u64) -> Option<Violation> {
    let batch_size = request.number("batch_size", 1.0);
    let batches = request.number("n_iter", 1.0);
    let pointer = if batches > batch_size { "/n_iter" } else { "/batch_size" };
    above(pointer, batch_size * batches, most, "batch_size times n_iter")
}

fn enlarged_pixels(request: &Request<'_>, most: u64) -> Option<Violation> {
    match enlargement_of(request) {
        Enlargement::To { width, height } => {
            above("/upscaling_resize_w", width * height, most, "width times height")
        }
        Enlargement::By(factor) => {
            let pixels = factor * factor * SMALLEST_PICTURE;
            above("/upscaling_resize", pixels, most, "a picture of 64 by 64, once enlarged,")
        }
    }
}

/// How the content enlarges its pictures; `None` if it does not. Without an upscaler, AUTOMATIC1111 leaves them as they are.
pub(super) fn enlargement(task_type: TaskType, fields: &Map<String, Value>) -> Option<Enlargement> {
    let is_extra = matches!(task_type, TaskType::ExtraSingleImage | TaskType::ExtraBatchImages);
    let upscaler = fields.get("upscaler_1").and_then(Value::as_str).unwrap_or_default();
    let enlarges = is_extra && !upscaler.is_empty() && !upscaler.eq_ignore_ascii_case("none");
    enlarges.then(|| enlargement_of(&Request(fields)))
}

/// Mode 0 goes by a factor, mode 1 by width and height.
fn enlargement_of(request: &Request<'_>) -> Enlargement {
    if request.number("resize_mode", 0.0) == 1.0 {
        let width = request.number("upscaling_resize_w", DEFAULT_SIDE);
        let height = request.number("upscaling_resize_h", DEFAULT_SIDE);
        Enlargement::To { width, height }
    } else {
        Enlargement::By(request.number("upscaling_resize", DEFAULT_RESIZE))
    }
}

fn listed_images(request: &Request<'_>, most: u64) -> Option<Violation> {
    let images = request.0.get("imageList")?.as_array()?;
    above("/imageList", images.len() as f64, most, "the number of images")
}

/// The fields of a request, read as the runtime reads them.
pub(super) struct Request<'a>(pub(super) &'a Map<String, Value>);

impl Request<'_> {
    pub(super) fn number(&self, key: &str, default: f64) -> f64 {
        self.0.get(key).and_then(number).unwrap_or(default)
    }

    fn batches(&self) -> f64 {
        self.number("n_iter", 1.0).max(1.0)
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        match self.0.get(key) {
            Some(Value::String(text)) => {
                ["true", "t", "yes", "y", "on", "1"].iter().any(|yes| yes.eq_ignore_ascii_case(text))
            }
            value => value.and_then(number).is_some_and(|number| number != 0.0),
        }
    }

    /// The pixels of the second pass, with the field that asks for them. A side that is 0 follows the other one.
    fn second_pass(&self, width: f64, height: f64) -> Option<(&'static str, f64)> {
        let x = self.number("hr_resize_x", 0.0);
        let y = self.number("hr_resize_y", 0.0);
        if x == 0.0 && y == 0.0 {
            let scale = self.number("hr_scale", DEFAULT_HR_SCALE);
            return Some(("/hr_scale", width * height * scale * scale));
        }
        if width <= 0.0 || height <= 0.0 {
            return None;
        }
        match (x, y) {
            (0.0, y) => Some(("/hr_resize_y", y * y * width / height)),
            (x, 0.0) => Some(("/hr_resize_x", x * x * height / width)),
            (x, y) => Some(("/hr_resize_x", x * y)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(task_type: TaskType, content: &Value) -> Vec<String> {
        let limits = Limits { max_pixels: 1024 * 1024, max_steps: 60, max_images: 4, max_bytes: None };
        let violations = violations(task_type, content.as_object().unwrap(), &limits);
        violations.into_iter().map(|violation| violation.pointer).collect()
    }

    #[test]
    fn what_lies_at_the_limit_passes() {
        let content = json!({"width": 1024, "height": "1024", "steps": 60.0, "batch_size": 2, "n_iter": 2});
        assert!(found(TaskType::TextToImage, &content).is_empty());
        assert!(found(TaskType::TextToImage, &json!({"enable_hr": true})).is_empty());
    }

    #[test]
    fn each_limit_is_named_where_the_request_breaks_it() {
        for (content, pointer) in [
            (json!({"width": 1025, "height": 1024}), "/width"),
            (json!({"width": 640, "enable_hr": "true"}), "/hr_scale"),
            (json!({"enable_hr": 1, "hr_resize_x": 1100}), "/hr_resize_x"),
            (json!({"enable_hr": true, "hr_resize_x": 64, "hr_resize_y": 65536}), "/hr_resize_x"),
            (json!({"steps": "61"}), "/steps"),
            (json!({"enable_hr": true, "hr_second_pass_steps": 61}), "/hr_second_pass_steps"),
            (json!({"batch_size": 5}), "/batch_size"),
            (json!({"batch_size": 2, "n_iter": 3}), "/n_iter"),
            (json!({"firstphase_width": 2048, "firstphase_height": 2048}), "/firstphase_width"),
            (json!({"seed_resize_from_w": 1e9, "seed_resize_from_h": "1024"}), "/seed_resize_from_w"),
            (
                json!({"alwayson_scripts": {"ControlNet": {"args": [{"processor_res": 1e5}]}}}),
                "/alwayson_scripts/ControlNet/args/0/processor_res",
            ),
        ] {
            assert_eq!(found(TaskType::TextToImage, &content), [pointer], "{content}");
        }
    }

    #[test]
    fn extras_are_limited_by_size_and_count() {
        let content = json!({"resize_mode": 1, "upscaling_resize_w": 4096, "upscaling_resize_h": 4096});
        assert_eq!(found(TaskType::ExtraSingleImage, &content), ["/upscaling_resize_w"]);
        assert_eq!(
            found(TaskType::ExtraSingleImage, &json!({"upscaling_resize": "17"})),
            ["/upscaling_resize"]
        );
        assert!(found(TaskType::ExtraSingleImage, &json!({"upscaling_resize": 8})).is_empty());
        assert_eq!(found(TaskType::ExtraBatchImages, &json!({"imageList": [1, 2, 3, 4, 5]})), ["/imageList"]);
        assert!(found(TaskType::ImageToImage, &json!({"enable_hr": true, "hr_scale": 8})).is_empty());
    }

    #[test]
    fn a_picture_grows_until_it_covers_the_size_that_is_asked_for() {
        let pixels = |fields: Value, width, height| {
            let asked = enlargement(TaskType::ExtraSingleImage, fields.as_object().unwrap());
            asked.map(|asked| asked.pixels(width, height))
        };
        let by = |factor: f64| json!({"upscaler_1": "Lanczos", "upscaling_resize": factor});
        let to = |w: u32, h: u32| json!({"upscaler_1": "Lanczos", "resize_mode": 1, "upscaling_resize_w": w, "upscaling_resize_h": h});
        for (fields, (width, height), expected) in [
            (by(2.0), (100, 50), Some(20_000.0)),
            (json!({"upscaler_1": "Lanczos"}), (100, 50), Some(20_000.0)),
            (to(200, 100), (100, 50), Some(20_000.0)),
            (to(200, 10), (100, 50), Some(20_000.0)),
            (to(100, 100), (1, 100), Some(1_000_000.0)),
            (to(100, 100), (100, 1), Some(1_000_000.0)),
            (json!({"upscaling_resize": 8}), (100, 50), None),
            (json!({"upscaler_1": "None", "upscaling_resize": 8}), (100, 50), None),
        ] {
            assert_eq!(pixels(fields.clone(), width, height), expected, "{fields} {width} {height}");
        }
        assert_eq!(enlargement(TaskType::ImageToImage, by(2.0).as_object().unwrap()), None);
    }
}
