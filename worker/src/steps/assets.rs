//! The assets that a workflow refers to, as inputs: the front door has added the keys of their objects.

use std::collections::HashSet;

use serde_json::Value;
use shared_schema::content::asset::{self, AssetReference};
use shared_schema::content::{Media, MediaField};
use shared_schema::runtimes::RuntimeContract;
use shared_schema::{ErrorCode, Task, keys};

use crate::error::TaskError;

/// The media fields of a task, with an address for each reference, and for each name of an asset. A field that is not known
/// takes any image, video or sound.
pub(super) fn media_fields(
    contract: &dyn RuntimeContract,
    task: &Task,
    bucket: &str,
) -> Result<Vec<MediaField>, TaskError> {
    let task_type = task.metadata.tasktype;
    let references = asset::references(&task.content);
    if references.is_empty() && task.metadata.assets.is_empty() {
        return Ok(contract.media_fields(task_type, &task.content));
    }
    let mut content = Value::Object(task.content.clone());
    for MediaField { pointer, value, .. } in contract.named_media(&task.content) {
        if let (Some(key), Some(place)) = (task.metadata.assets.get(&value), content.pointer_mut(&pointer)) {
            *place = Value::from(keys::s3_uri(bucket, key));
        }
    }
    let mut referring = Vec::with_capacity(references.len());
    for AssetReference { pointer, id } in references {
        let key = id.and_then(|id| task.metadata.assets.get(&id)).ok_or_else(|| unknown(&pointer))?;
        let value = keys::s3_uri(bucket, key);
        if let Some(place) = content.pointer_mut(&pointer) {
            *place = Value::from(value.as_str());
        }
        referring.push(MediaField { pointer, value, media: Media::Any });
    }
    let Value::Object(content) = content else { return Ok(referring) };
    let mut fields = contract.media_fields(task_type, &content);
    let known: HashSet<String> = fields.iter().map(|field| field.pointer.clone()).collect();
    fields.extend(referring.into_iter().filter(|field| !known.contains(&field.pointer)));
    Ok(fields)
}

fn unknown(pointer: &str) -> TaskError {
    let message = "the asset is not known: its task was not submitted through a front door that has assets";
    TaskError::new(ErrorCode::InputNotFound, message).at_field(format!("/content{pointer}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared_schema::runtimes::comfyui::ComfyUi;

    use super::*;

    fn fields(assets: Value) -> Result<Vec<MediaField>, TaskError> {
        let reference = json!({ "__type": "core/ASSET", "info": { "id": "a", "file_path": "/etc/passwd" } });
        let task: Task = serde_json::from_value(json!({
            "metadata": { "id": 1, "runtime": "r", "tasktype": "pipeline", "assets": assets },
            "content": {
                "1": { "class_type": "Nobody knows", "inputs": { "x": [{ "y": reference }] } },
                "2": { "class_type": "LoadImage", "inputs": { "image": reference } },
                "3": { "class_type": "LoadImage", "inputs": { "image": "https://a/b.png" } },
                "4": { "class_type": "LoadImage", "inputs": { "image": "cat.png" } },
                "5": { "class_type": "LoadImage", "inputs": { "image": "example.png" } },
            },
        }))
        .unwrap();
        media_fields(&ComfyUi, &task, "bucket")
    }

    #[test]
    fn references_become_addresses_of_what_their_fields_take() {
        let fields = fields(json!({ "a": "k/1.png", "cat.png": "k/2.png" })).unwrap();
        let fields: Vec<_> =
            fields.iter().map(|field| (field.pointer.as_str(), field.value.as_str(), field.media)).collect();
        let expected = [
            ("/2/inputs/image", "s3://bucket/k/1.png", Media::Image),
            ("/3/inputs/image", "https://a/b.png", Media::Image),
            ("/4/inputs/image", "s3://bucket/k/2.png", Media::Image),
            ("/1/inputs/x/0/y", "s3://bucket/k/1.png", Media::Any),
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_reference_that_the_front_door_has_not_resolved_fails_the_task() {
        let error = fields(json!({})).unwrap_err();
        assert_eq!(
            (error.code, error.field.as_deref()),
            (ErrorCode::InputNotFound, Some("/content/1/inputs/x/0/y"))
        );
    }
}
