//! From a task to the request that runs it, with every image as base64.

use base64_simd::STANDARD as BASE64;
use serde_json::{Map, Number, Value, json};
use shared_schema::Task;
use shared_schema::runtimes::sdcpp as contract;

use crate::inputs::Input;

/// SD WebUI's names for the number of images.
const COUNTS: [&str; 2] = ["n_iter", "batch_size"];

/// Builds the request from the task and its fetched inputs.
pub(super) fn build(task: &Task, inputs: &[Input]) -> Map<String, Value> {
    let mut body = Value::Object(task.content.clone());
    for input in inputs {
        if let Some(field) = body.pointer_mut(&input.pointer) {
            *field = Value::String(BASE64.encode_to_string(&input.bytes));
        }
    }
    make_whole(&mut body);
    let Value::Object(mut fields) = body else { return Map::new() };
    fields.retain(|_, value| !value.is_null());
    if COUNTS.iter().any(|name| fields.contains_key(*name)) {
        fields.insert("batch_count".to_owned(), json!(contract::image_count(&fields)));
        fields.retain(|name, _| !COUNTS.contains(&name.as_str()));
    }
    fields
}

/// Writes `512.0` as `512`: where the server expects whole numbers, it ignores others.
fn make_whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0);
            if let Some(float) = whole.filter(|float| float.abs() <= i64::pow(2, 53) as f64) {
                *number = Number::from(float as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_whole),
        Value::Object(fields) => fields.values_mut().for_each(make_whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(content: &Value, inputs: &[Input]) -> Value {
        let metadata = json!({"id": "t", "runtime": "r", "tasktype": "image-to-image"});
        let task: Task = serde_json::from_value(json!({"metadata": metadata, "content": content})).unwrap();
        Value::Object(build(&task, inputs))
    }

    #[test]
    fn images_are_sent_as_base64_wherever_they_stood() {
        let input = |pointer: &str| Input {
            pointer: pointer.to_owned(),
            bytes: "abc".into(),
            content_type: "image/png",
            extension: "png",
        };
        let content = json!({"init_image": "https://a/b", "ref_images": ["s3://a/b"], "mask_image": null});
        let inputs = [input("/init_image"), input("/ref_images/0")];
        assert_eq!(built(&content, &inputs), json!({"init_image": "YWJj", "ref_images": ["YWJj"]}));
    }

    #[test]
    fn numbers_of_images_have_one_name() {
        assert_eq!(built(&json!({"n_iter": 2, "batch_size": 3}), &[]), json!({"batch_count": 6}));
        assert_eq!(built(&json!({"batch_size": 2}), &[]), json!({"batch_count": 2}));
        assert_eq!(built(&json!({"batch_count": 2}), &[]), json!({"batch_count": 2}));
        assert_eq!(built(&json!({"n_iter": null}), &[]), json!({}));
    }

    #[test]
    fn whole_numbers_are_written_as_such() {
        let content = json!({"width": 512.0, "sample_params": {"sample_steps": 2e1, "eta": 0.5}});
        let text = built(&content, &[]).to_string();
        assert_eq!(text, r#"{"width":512,"sample_params":{"sample_steps":20,"eta":0.5}}"#);
    }
}
