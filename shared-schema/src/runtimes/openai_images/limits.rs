//! How much work a request asks for, against the limits of the runtime. What it leaves out, the server decides.

use serde_json::{Map, Value};

use crate::content::limit::{above, number};
use crate::violation::pointer_segment;
use crate::{Limits, Violation};

/// What servers call the sampling steps, at any depth: vLLM-Omni and SGLang; LocalAI; stable-diffusion.cpp.
const STEPS: [&str; 4] = ["num_inference_steps", "step", "steps", "sample_steps"];

/// What the content, or the `extra` arguments in its prompt, ask for above the limits.
pub(super) fn violations(
    fields: &Map<String, Value>,
    extra: Option<&Value>,
    limits: &Limits,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    violations.extend(images(fields, limits.max_images));
    violations.extend(pixels(fields, limits.max_pixels));
    steps(fields, "", limits.max_steps, &mut violations);
    if let Some(extra) = extra.and_then(Value::as_object) {
        let mut of_extra = Vec::new();
        of_extra.extend(above("", value(extra, "batch_count", 1.0), limits.max_images, "batch_count"));
        of_extra.extend(pixels(extra, limits.max_pixels));
        steps(extra, "", limits.max_steps, &mut of_extra);
        violations.extend(of_extra.into_iter().map(in_prompt));
    }
    violations
}

/// A violation of the arguments in the prompt.
pub(super) fn in_prompt(violation: Violation) -> Violation {
    let message = format!("{} (in `sd_cpp_extra_args`)", violation.message);
    Violation::new("/prompt", violation.code, message)
}

/// Models with layers make one image of each.
fn images(fields: &Map<String, Value>, most: u64) -> Option<Violation> {
    let (n, layers) = (value(fields, "n", 1.0), value(fields, "layers", 1.0).max(1.0));
    let pointer = if layers > n { "/layers" } else { "/n" };
    above(pointer, n * layers, most, "the number of images")
}

/// The size, or width and height, as SGLang takes them too; enlarged where that is asked for.
fn pixels(fields: &Map<String, Value>, most: u64) -> Option<Violation> {
    let sides = fields.get("size").and_then(Value::as_str).and_then(|size| size.split_once('x'));
    let sides = sides.and_then(|(width, height)| Some((width.parse::<f64>().ok()?, height.parse().ok()?)));
    let (pointer, (width, height)) = match sides {
        Some(sides) => ("/size", sides),
        None => ("/width", (value(fields, "width", 1.0), value(fields, "height", 1.0))),
    };
    let is_enlarged = fields.get("enable_upscaling") == Some(&Value::Bool(true));
    let scale = if is_enlarged { value(fields, "upscaling_scale", 4.0).max(1.0) } else { 1.0 };
    let largest = (width * height).max(value(fields, "width", 1.0) * value(fields, "height", 1.0));
    above(pointer, largest, most, "width times height").or_else(|| {
        let what = "width times height, once enlarged,";
        above("/upscaling_scale", largest * scale * scale, most, what)
    })
}

fn steps(fields: &Map<String, Value>, at: &str, most: u64, found: &mut Vec<Violation>) {
    for (key, field) in fields {
        let pointer = format!("{at}/{}", pointer_segment(key));
        match field {
            Value::Object(fields) => steps(fields, &pointer, most, found),
            _ if STEPS.contains(&key.as_str()) => {
                let count = number(field).unwrap_or_default();
                found.extend(above(pointer, count, most, "the number of steps"));
            }
            _ => {}
        }
    }
}

fn value(fields: &Map<String, Value>, key: &str, default: f64) -> f64 {
    fields.get(key).and_then(number).unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(content: &Value) -> Vec<String> {
        let limits = Limits { max_pixels: 1024 * 1024, max_steps: 60, max_images: 4, max_bytes: None };
        let fields = content.as_object().unwrap();
        let extra = super::super::extra_arguments(fields);
        let violations = violations(fields, extra.as_ref(), &limits);
        violations.into_iter().map(|violation| violation.pointer).collect()
    }

    #[test]
    fn what_lies_at_the_limit_passes() {
        let content = json!({"n": 4, "size": "1024x1024", "num_inference_steps": 60, "nvext": {"steps": 60}});
        assert_eq!(found(&content), [""; 0]);
        assert_eq!(found(&json!({"size": "auto", "prompt": "<sd_cpp_extra_args>{"})), [""; 0]);
    }

    #[test]
    fn each_limit_is_named_where_the_request_breaks_it() {
        let extra = |json: &str| json!({"prompt": format!("a<sd_cpp_extra_args>{json}</sd_cpp_extra_args>")});
        for (content, pointer) in [
            (json!({"n": 5}), "/n"),
            (json!({"n": 2, "layers": 3}), "/layers"),
            (json!({"size": "1025x1024"}), "/size"),
            (json!({"width": 1025, "height": 1024}), "/width"),
            (json!({"size": "512x512", "enable_upscaling": true}), "/upscaling_scale"),
            (json!({"num_inference_steps": 61}), "/num_inference_steps"),
            (json!({"step": "61"}), "/step"),
            (json!({"nvext": {"num_inference_steps": 61}}), "/nvext/num_inference_steps"),
            (extra(r#"{"sample_params": {"sample_steps": 61}}"#), "/prompt"),
            (extra(r#"{"width": 2048, "height": 2048}"#), "/prompt"),
            (extra(r#"{"batch_count": 5}"#), "/prompt"),
        ] {
            assert_eq!(found(&content), [pointer], "{content}");
        }
    }
}
