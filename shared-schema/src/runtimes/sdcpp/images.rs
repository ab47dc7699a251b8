//! Where an image belongs in stable-diffusion.cpp content, and what may stand there.

use serde_json::{Map, Value};

use crate::content::{Media, MediaField};
use crate::image_source::ImageSource;
use crate::{TaskType, Violation, ViolationCode};

/// The fields of one image.
const SINGLE: [&str; 4] = ["init_image", "mask_image", "control_image", "ip_adapter_image"];

/// The field of several.
const SEVERAL: &str = "ref_images";

/// The image fields that hold text, in the order of the content.
pub(super) fn media_fields(fields: &Map<String, Value>) -> Vec<MediaField> {
    let media_field = |(pointer, value): (String, &str)| MediaField {
        pointer,
        value: value.to_owned(),
        media: Media::Image,
    };
    image_texts(fields).map(media_field).collect()
}

/// Image fields that hold something else than an image, and an image-to-image task without one.
pub(super) fn violations(task_type: TaskType, fields: &Map<String, Value>) -> Vec<Violation> {
    let not_an_image = |(pointer, text): (String, &str)| {
        let message = ImageSource::check(text, Media::Image).err()?.to_string();
        Some(Violation::new(pointer, ViolationCode::InvalidImage, message))
    };
    let mut found: Vec<_> = image_texts(fields).filter_map(not_an_image).collect();
    let has = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    let has_reference =
        fields.get(SEVERAL).and_then(Value::as_array).is_some_and(|images| !images.is_empty());
    if task_type == TaskType::ImageToImage && !has("init_image") {
        let missing = |message: &str| Violation::new("/init_image", ViolationCode::Missing, message);
        if has("mask_image") {
            found.push(missing("`init_image` is required: the image that the mask is for"));
        } else if !has_reference {
            found.push(missing("`init_image` is required, or `ref_images`: an image to start from"));
        }
    }
    found
}

/// Every text that stands where an image belongs. What is no text, the schema refuses.
fn image_texts(fields: &Map<String, Value>) -> impl Iterator<Item = (String, &str)> {
    fields.iter().flat_map(|(name, value)| {
        let is_single = SINGLE.contains(&name.as_str());
        let single = value.as_str().filter(|_| is_single).map(|text| (format!("/{name}"), text));
        let items = value.as_array().filter(|_| name == SEVERAL).into_iter().flatten().enumerate();
        let several = items.filter_map(move |(n, item)| Some((format!("/{name}/{n}"), item.as_str()?)));
        single.into_iter().chain(several)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn images_are_found_wherever_the_server_takes_them() {
        let content = json!({
            "prompt": "https://a/b.png",
            "control_image": "s3://a/b.png",
            "ref_images": ["https://a/1.png", "https://a/2.png"],
            "init_image": null,
        });
        let found = media_fields(content.as_object().unwrap());
        let pointers: Vec<_> = found.iter().map(|field| field.pointer.as_str()).collect();
        assert_eq!(pointers, ["/control_image", "/ref_images/0", "/ref_images/1"]);
    }

    #[test]
    fn an_image_to_image_task_has_an_image() {
        let missing = |content: Value| {
            let found = violations(TaskType::ImageToImage, content.as_object().unwrap());
            found.iter().any(|violation| violation.code == ViolationCode::Missing)
        };
        for content in [
            json!({}),
            json!({ "init_image": null }),
            json!({ "ref_images": [] }),
            json!({ "mask_image": "https://a/b.png", "ref_images": ["https://a/b.png"] }),
        ] {
            assert!(missing(content.clone()), "{content}");
        }
        for content in
            [json!({ "init_image": "https://a/b.png" }), json!({ "ref_images": ["https://a/b.png"] })]
        {
            assert!(!missing(content.clone()), "{content}");
        }
    }
}
