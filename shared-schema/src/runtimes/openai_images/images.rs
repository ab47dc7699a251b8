//! The images that are edited, and the mask.

use serde_json::{Map, Value};

use crate::content::{Media, MediaField};
use crate::image_source::ImageSource;
use crate::{TaskType, Violation, ViolationCode};

/// The image fields, in the order of the content. Null and an empty mask are the same as absent.
pub(super) fn media_fields(task_type: TaskType, fields: &Map<String, Value>) -> Vec<MediaField> {
    if task_type != TaskType::ImageToImage {
        return Vec::new();
    }
    let images: Vec<(String, &Value)> = match fields.get("image") {
        Some(Value::Array(images)) => {
            images.iter().enumerate().map(|(n, image)| (format!("/image/{n}"), image)).collect()
        }
        image => image.map(|image| ("/image".to_owned(), image)).into_iter().collect(),
    };
    let mask = fields.get("mask").filter(|mask| mask.as_str() != Some(""));
    let mask = mask.map(|mask| ("/mask".to_owned(), mask));
    let text = |(pointer, value): (String, &Value)| {
        Some(MediaField { pointer, value: value.as_str()?.to_owned(), media: Media::Image })
    };
    images.into_iter().chain(mask).filter_map(text).collect()
}

/// Image fields whose text is no image.
pub(super) fn violations(task_type: TaskType, fields: &Map<String, Value>) -> Vec<Violation> {
    let not_an_image = |field: MediaField| {
        let message = ImageSource::check(&field.value, field.media).err()?.to_string();
        Some(Violation::new(field.pointer, ViolationCode::InvalidImage, message))
    };
    media_fields(task_type, fields).into_iter().filter_map(not_an_image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pointers(content: &Value) -> Vec<String> {
        let fields = media_fields(TaskType::ImageToImage, content.as_object().unwrap());
        fields.into_iter().map(|field| field.pointer).collect()
    }

    #[test]
    fn one_image_or_a_list_of_them_and_a_mask_are_found() {
        assert_eq!(pointers(&json!({"image": "AAAA", "mask": ""})), ["/image"]);
        assert_eq!(
            pointers(&json!({"image": ["AAAA", "AAAA"], "mask": "AAAA"})),
            ["/image/0", "/image/1", "/mask"]
        );
        assert_eq!(pointers(&json!({"prompt": "https://a/b.png", "mask": null})), [""; 0]);
    }
}
