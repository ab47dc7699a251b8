//! Where an image belongs in SD WebUI content, and what may stand there.
//!
//! A text is taken for an address only in these fields, never in a prompt. SD WebUI itself would fetch URLs and open
//! paths that it finds in them, so what is no image is refused here.

use serde_json::{Map, Value};

use super::scripts;
use crate::content::{Media, MediaField};
use crate::image_source::ImageSource;
use crate::{TaskType, Violation, ViolationCode};

/// The image fields that hold text, in the order of the content.
pub(super) fn media_fields(task_type: TaskType, fields: &Map<String, Value>) -> Vec<MediaField> {
    let media_field = |(pointer, value): (String, &Value)| {
        Some(MediaField { pointer, value: value.as_str()?.to_owned(), media: Media::Image })
    };
    image_values(task_type, fields).into_iter().filter_map(media_field).collect()
}

/// Image fields that hold something else than an image, and what scripts must not open.
pub(super) fn violations(task_type: TaskType, fields: &Map<String, Value>) -> Vec<Violation> {
    let images = image_values(task_type, fields);
    let is_image = |pointer: &str| images.iter().any(|(image, _)| image == pointer);
    let of_scripts = scripts::violations(task_type, fields, is_image);
    let of_images = images.into_iter().filter_map(|(pointer, value)| not_an_image(pointer, value));
    of_images.chain(of_scripts).collect()
}

fn not_an_image(pointer: String, value: &Value) -> Option<Violation> {
    let Some(text) = value.as_str() else {
        let message = "must be an image: a URL, an `s3://` address, a data URI or base64";
        return Some(Violation::new(pointer, ViolationCode::WrongType, message));
    };
    let message = ImageSource::check(text, Media::Image).err()?.to_string();
    Some(Violation::new(pointer, ViolationCode::InvalidImage, message))
}

/// Every value that stands where an image belongs. Optional fields that are null or empty are left out.
fn image_values(task_type: TaskType, fields: &Map<String, Value>) -> Vec<(String, &Value)> {
    let text = |key: &str| fields.get(key).filter(|value| value.is_string());
    let mut found = Vec::new();
    match task_type {
        TaskType::ImageToImage => {
            match fields.get("alwayson_scripts").and_then(|scripts| scripts.get("image_link")) {
                // It takes the place of `init_images`.
                Some(link) => {
                    found.extend(link.is_string().then(|| ("/alwayson_scripts/image_link".to_owned(), link)));
                }
                None => found.extend(texts_of(fields.get("init_images"), "/init_images")),
            }
            found.extend(text("mask").filter(|mask| !is_empty(mask)).map(|mask| ("/mask".to_owned(), mask)));
        }
        TaskType::ExtraSingleImage => found.extend(text("image").map(|image| ("/image".to_owned(), image))),
        TaskType::ExtraBatchImages => {
            let images = fields.get("imageList").and_then(Value::as_array).into_iter().flatten().enumerate();
            let data =
                images.filter_map(|(n, image)| Some((n, image.get("data").filter(|data| data.is_string())?)));
            found.extend(data.map(|(n, data)| (format!("/imageList/{n}/data"), data)));
        }
        TaskType::TextToImage | TaskType::Pipeline => {}
    }
    for unit in scripts::units(task_type, fields) {
        for key in unit.script.images {
            if let Some(value) = unit.fields.get(*key) {
                unit_images(format!("{}/{key}", unit.pointer), value, &mut found);
            }
        }
    }
    found
}

fn texts_of<'a>(list: Option<&'a Value>, at: &str) -> impl Iterator<Item = (String, &'a Value)> {
    let items = list.and_then(Value::as_array).into_iter().flatten().enumerate();
    items.filter(|(_, item)| item.is_string()).map(move |(n, item)| (format!("{at}/{n}"), item))
}

/// A unit's image is a text, an object of `image` and `mask`, or a list of either.
fn unit_images<'a>(pointer: String, value: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    match value {
        value if is_empty(value) => {}
        Value::Object(pair) => {
            for key in ["image", "mask"] {
                if let Some(value) = pair.get(key) {
                    unit_images(format!("{pointer}/{key}"), value, found);
                }
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                unit_images(format!("{pointer}/{n}"), item, found);
            }
        }
        value => found.push((pointer, value)),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pointers(task_type: TaskType, content: &Value) -> Vec<String> {
        let fields = media_fields(task_type, content.as_object().unwrap());
        fields.into_iter().map(|field| field.pointer).collect()
    }

    #[test]
    fn an_address_in_a_prompt_is_no_image() {
        let content = json!({"prompt": "https://a/b.png", "negative_prompt": "s3://a/b.png"});
        assert!(pointers(TaskType::TextToImage, &content).is_empty());
    }

    #[test]
    fn control_net_units_hold_images_in_every_form() {
        let content = json!({"alwayson_scripts": {"CONTROLNET": {"args": [
            {"image": "AAAA", "mask": null, "mask_image": ""},
            {"image": {"image": "AAAA", "mask": "AAAA"}},
            {"input_image": ["AAAA", {"image": "AAAA"}]},
            null,
        ]}}});
        let expected =
            ["0/image", "1/image/image", "1/image/mask", "2/input_image/0", "2/input_image/1/image"];
        assert_eq!(
            pointers(TaskType::TextToImage, &content),
            expected.map(|tail| format!("/alwayson_scripts/CONTROLNET/args/{tail}"))
        );
    }

    #[test]
    fn the_image_link_takes_the_place_of_the_images() {
        let content = json!({"init_images": ["AAAA"], "mask": "AAAA", "alwayson_scripts": {"image_link": "https://a/b"}});
        assert_eq!(pointers(TaskType::ImageToImage, &content), ["/alwayson_scripts/image_link", "/mask"]);
    }
}
