//! From a task to the call that runs it: the endpoint and the body, with every image as base64.

use base64_simd::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Map, Value};
use shared_schema::runtimes::RuntimeContract;
use shared_schema::runtimes::sdwebui as contract;
use shared_schema::{ErrorCode, Task, TaskType};
use uuid::Uuid;

use crate::error::TaskError;
use crate::inputs::Input;

/// Keys that predecessors put among the scripts although they are none; servers refuse them there.
const NOT_SCRIPTS: [&str; 8] = [
    "task",
    "id_task",
    "uid",
    "sd_model_checkpoint",
    "image_link",
    "save_dir",
    "sd_vae",
    "override_settings",
];

/// Where results go, which front doors write into the content of `v1alpha1`. It is no field of the server's.
const OUTPUT_PATH: &str = "s3_output_path";

/// One of the endpoints that do the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Txt2img,
    Img2img,
    ExtraSingleImage,
    ExtraBatchImages,
}

impl Endpoint {
    fn of(task_type: TaskType) -> Option<Self> {
        match task_type {
            TaskType::TextToImage => Some(Self::Txt2img),
            TaskType::ImageToImage => Some(Self::Img2img),
            TaskType::ExtraSingleImage => Some(Self::ExtraSingleImage),
            TaskType::ExtraBatchImages => Some(Self::ExtraBatchImages),
            TaskType::Pipeline => None,
        }
    }

    /// The task type that it is for.
    pub(super) fn task_type(self) -> TaskType {
        match self {
            Self::Txt2img => TaskType::TextToImage,
            Self::Img2img => TaskType::ImageToImage,
            Self::ExtraSingleImage => TaskType::ExtraSingleImage,
            Self::ExtraBatchImages => TaskType::ExtraBatchImages,
        }
    }

    /// Its path below `/sdapi/v1/`.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Txt2img => "txt2img",
            Self::Img2img => "img2img",
            Self::ExtraSingleImage => "extra-single-image",
            Self::ExtraBatchImages => "extra-batch-images",
        }
    }

    /// Whether it runs a checkpoint. The others only enlarge and restore.
    pub(super) fn generates(self) -> bool {
        matches!(self, Self::Txt2img | Self::Img2img)
    }
}

/// A call that is ready to be made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub(super) endpoint: Endpoint,
    /// The body, with an unguessable placeholder for each image.
    pub(super) fields: Value,
    placeholders: Vec<Placeholder>,
    /// JSON Pointers into the body of the images that were put there.
    pub(super) images: Vec<String>,
    /// The checkpoint to switch to before the call, where the worker may (`alwayson_scripts.sd_model_checkpoint`).
    pub(super) model: Option<NamedModel>,
    /// The checkpoint that the server loads for this call only (`override_settings.sd_model_checkpoint`).
    pub(super) override_model: Option<NamedModel>,
    /// Whether an answer without images is a failure.
    pub(super) wants_images: bool,
}

/// A checkpoint, as the task names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedModel {
    pub(super) name: String,
    /// JSON Pointer of the field that names it, relative to the task.
    pub(super) pointer: String,
}

/// Makes the call out of the task and its fetched inputs.
pub(super) fn build(task: &Task, inputs: &[Input]) -> Result<Request, TaskError> {
    let kind = task.metadata.tasktype;
    let endpoint = Endpoint::of(kind).ok_or_else(|| {
        let message = format!("an SD WebUI runtime does not take tasks of the type `{kind}`");
        TaskError::new(ErrorCode::UnsupportedTaskType, message).at_field("/metadata/tasktype")
    })?;
    let mut body = Value::Object(task.content.clone());
    let placeholders = put_in(&mut body, inputs);
    let mut images: Vec<String> = inputs.iter().map(|input| input.pointer.clone()).collect();
    if let Value::Object(fields) = &mut body {
        fields.shift_remove(OUTPUT_PATH);
    }
    if let (true, Value::Object(fields)) = (endpoint.generates(), &mut body) {
        let mut scripts = take_object(fields, "alwayson_scripts").unwrap_or_default();
        merge_settings(fields, &mut scripts);
        leave_out_unset(fields);
        if endpoint == Endpoint::Img2img && link_image(fields, &mut scripts) {
            images.push("/init_images/0".to_owned());
        }
        scripts.retain(|name, _| !NOT_SCRIPTS.contains(&name.as_str()));
        fields.insert("alwayson_scripts".to_owned(), Value::Object(scripts));
        // What a task sets must not outlive it: the next task may be another caller's.
        fields.insert("override_settings_restore_afterwards".to_owned(), Value::Bool(true));
    }
    let wants_images = !body.get("send_images").is_some_and(is_off);
    let (model, override_model) = named_models(task);
    Ok(Request { endpoint, fields: body, placeholders, images, model, override_model, wants_images })
}

impl Request {
    /// The body as JSON text.
    pub(super) fn body(&self) -> Bytes {
        written(&self.fields, &self.placeholders)
    }

    /// The settings that the call runs with instead of the server's.
    pub(super) fn settings(&self) -> Option<&Map<String, Value>> {
        self.fields["override_settings"].as_object().filter(|settings| !settings.is_empty())
    }

    /// Gives the call a setting, in the place of the one that it has.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        if !self.fields["override_settings"].is_object() {
            self.fields["override_settings"] = Value::Object(Map::new());
        }
        self.fields["override_settings"][name] = value;
    }
}

/// The checkpoint to switch to, and the one for this call only.
fn named_models(task: &Task) -> (Option<NamedModel>, Option<NamedModel>) {
    let all = contract::SdWebUi.named_models(&task.content);
    let named = all.into_iter().map(|(at, name)| NamedModel { name, pointer: format!("/content{at}") });
    let (switched, overriding): (Vec<_>, Vec<_>) =
        named.partition(|model| model.pointer == "/content/alwayson_scripts/sd_model_checkpoint");
    // Of two overrides, the one among the scripts comes first: it is merged over the other.
    (switched.into_iter().next(), overriding.into_iter().next())
}

/// Stands for an image until the body is written.
#[derive(Debug, Clone, PartialEq)]
struct Placeholder {
    /// Unguessable text.
    text: String,
    image: Bytes,
}

/// Puts the fetched images where their addresses stood. Servers would fetch addresses and open paths themselves, with
/// their own rights: nothing but base64 may reach them.
fn put_in(body: &mut Value, inputs: &[Input]) -> Vec<Placeholder> {
    let put = |input: &Input| {
        let field = body.pointer_mut(&input.pointer)?;
        let text = Uuid::new_v4().to_string();
        *field = Value::String(text.clone());
        Some(Placeholder { text, image: input.bytes.clone() })
    };
    inputs.iter().filter_map(put).collect()
}

/// The JSON text of the body. Images are encoded into their place in it: as strings of the body they would be copied
/// twice, and searched for what JSON escapes, which takes longer than the encoding.
fn written(body: &Value, placeholders: &[Placeholder]) -> Bytes {
    let text = body.to_string();
    let mut places: Vec<_> = placeholders
        .iter()
        .filter_map(|placeholder| Some((text.find(&placeholder.text)?, placeholder)))
        .collect();
    places.sort_by_key(|(start, _)| *start);
    let images: usize =
        places.iter().map(|(_, placeholder)| BASE64.encoded_length(placeholder.image.len())).sum();
    let mut written = Vec::with_capacity(text.len() + images);
    let mut rest = text.as_str();
    for (_, Placeholder { text, image }) in places {
        if let Some((before, after)) = rest.split_once(text.as_str()) {
            written.extend_from_slice(before.as_bytes());
            BASE64.encode_append(image, &mut written);
            rest = after;
        }
    }
    written.extend_from_slice(rest.as_bytes());
    written.into()
}

/// Merges the settings that predecessors' clients put among the scripts into the proper ones.
fn merge_settings(fields: &mut Map<String, Value>, scripts: &mut Map<String, Value>) {
    if let Some(legacy) = take_object(scripts, "override_settings") {
        let mut settings = take_object(fields, "override_settings").unwrap_or_default();
        settings.extend(legacy);
        fields.insert("override_settings".to_owned(), Value::Object(settings));
    }
}

/// Leaves out settings that name nothing: null is the same as absent, and a checkpoint or VAE without a name is the
/// server's own. Some servers fail with them.
fn leave_out_unset(fields: &mut Map<String, Value>) {
    if let Some(Value::Object(settings)) = fields.get_mut("override_settings") {
        let may_be_empty = |name: &str| !matches!(name, "sd_model_checkpoint" | "sd_vae");
        settings.retain(|name, value| !value.is_null() && (may_be_empty(name) || *value != ""));
    }
}

/// Makes the image that predecessors' clients put among the scripts the one to start from.
fn link_image(fields: &mut Map<String, Value>, scripts: &mut Map<String, Value>) -> bool {
    match scripts.remove("image_link") {
        Some(Value::String(image)) if !image.is_empty() => {
            fields.insert("init_images".to_owned(), Value::Array(vec![Value::String(image)]));
            true
        }
        _ => false,
    }
}

/// Takes the object out of that field; anything else that stands there stays.
fn take_object(fields: &mut Map<String, Value>, name: &str) -> Option<Map<String, Value>> {
    match fields.get_mut(name)? {
        Value::Object(object) => Some(std::mem::take(object)),
        _ => None,
    }
}

/// Whether a server would read the value as true; it accepts texts and numbers as flags.
pub(super) fn is_on(flag: &Value) -> bool {
    match flag {
        Value::Bool(on) => *on,
        Value::Number(number) => number.as_f64() == Some(1.0),
        Value::String(word) => {
            matches!(word.to_ascii_lowercase().as_str(), "true" | "t" | "yes" | "y" | "on" | "1")
        }
        _ => false,
    }
}

/// Whether a server would read the value as false.
fn is_off(flag: &Value) -> bool {
    match flag {
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(word) => {
            matches!(word.to_ascii_lowercase().as_str(), "false" | "f" | "no" | "n" | "off" | "0")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(kind: &str, content: Value) -> Task {
        let metadata = json!({"id": "t", "runtime": "sd", "tasktype": kind});
        serde_json::from_value(json!({"metadata": metadata, "content": content})).unwrap()
    }

    fn body(request: &Request) -> Value {
        serde_json::from_slice(&request.body()).unwrap()
    }

    fn input(pointer: &str, bytes: &'static [u8]) -> Input {
        let bytes = bytes.into();
        Input { pointer: pointer.to_owned(), bytes, content_type: "image/png", extension: "png" }
    }

    #[test]
    fn every_task_type_has_its_endpoint() {
        for (kind, path) in [
            ("text-to-image", "txt2img"),
            ("image-to-image", "img2img"),
            ("extra-single-image", "extra-single-image"),
            ("extra-batch-images", "extra-batch-images"),
        ] {
            assert_eq!(build(&task(kind, json!({})), &[]).unwrap().endpoint.path(), path);
        }
        let error = build(&task("pipeline", json!({})), &[]).unwrap_err();
        assert_eq!(error.code, ErrorCode::UnsupportedTaskType);
    }

    #[test]
    fn a_generation_gets_scripts_and_gives_its_settings_back() {
        let content = json!({"prompt": "a dog", "override_settings_restore_afterwards": false, "alwayson_scripts": null});
        let request = build(&task("text-to-image", content), &[]).unwrap();
        assert_eq!(
            body(&request),
            json!({"prompt": "a dog", "override_settings_restore_afterwards": true, "alwayson_scripts": {}})
        );
    }

    #[test]
    fn extras_are_passed_on_as_they_are() {
        let content =
            json!({"imageList": [{"data": "https://a/b.png", "name": "b.png"}], "upscaler_1": "Nearest"});
        let request =
            build(&task("extra-batch-images", content), &[input("/imageList/0/data", b"png")]).unwrap();
        assert_eq!(
            body(&request),
            json!({"imageList": [{"data": "cG5n", "name": "b.png"}], "upscaler_1": "Nearest"})
        );
    }

    #[test]
    fn images_take_the_place_of_their_addresses() {
        let content = json!({
            "init_images": ["https://a/1.png", "s3://b/2.png"],
            "alwayson_scripts": {"ControlNet": {"args": [{"image": "https://a/3.png"}]}},
        });
        let control = "/alwayson_scripts/ControlNet/args/0/image";
        let inputs = [input("/init_images/0", b"1"), input("/init_images/1", b"2"), input(control, b"3")];
        let request = build(&task("image-to-image", content), &inputs).unwrap();
        let body = body(&request);
        assert_eq!(body["init_images"], json!(["MQ==", "Mg=="]));
        assert_eq!(body.pointer(control), Some(&json!("Mw==")));
    }

    #[test]
    fn keys_that_predecessors_put_among_the_scripts_are_read_and_removed() {
        let content = json!({
            "override_settings": {"sd_model_checkpoint": "ours", "eta_ancestral": 1},
            "s3_output_path": "bucket/outputs/t",
            "alwayson_scripts": {
                "task": "image-to-image", "id_task": "t", "uid": "u", "save_dir": "outputs", "sd_vae": "Automatic",
                "sd_model_checkpoint": "a.safetensors",
                "image_link": "https://a/b.png",
                "override_settings": {"sd_model_checkpoint": "theirs", "tiling": true},
                "ControlNet": {"args": []},
            },
        });
        let inputs = [input("/alwayson_scripts/image_link", b"png")];
        let request = build(&task("image-to-image", content), &inputs).unwrap();
        assert_eq!(
            body(&request),
            json!({
                "override_settings": {"sd_model_checkpoint": "theirs", "eta_ancestral": 1, "tiling": true},
                "alwayson_scripts": {"ControlNet": {"args": []}},
                "init_images": ["cG5n"],
                "override_settings_restore_afterwards": true,
            })
        );
        assert!(request.images.contains(&"/init_images/0".to_owned()));
        let named = |name: &str, at: &str| Some(NamedModel { name: name.to_owned(), pointer: at.to_owned() });
        assert_eq!(request.model, named("a.safetensors", "/content/alwayson_scripts/sd_model_checkpoint"));
        let overriding = "/content/alwayson_scripts/override_settings/sd_model_checkpoint";
        assert_eq!(request.override_model, named("theirs", overriding));
    }

    #[test]
    fn where_a_predecessor_stores_is_not_sent_to_any_endpoint() {
        for (kind, content) in [
            ("text-to-image", json!({"prompt": "x", "s3_output_path": "bucket/outputs/t"})),
            ("extra-single-image", json!({"image": "x", "s3_output_path": "bucket/outputs/t"})),
        ] {
            let request = build(&task(kind, content), &[]).unwrap();
            assert_eq!(body(&request).get("s3_output_path"), None, "{kind}");
        }
    }

    #[test]
    fn settings_that_name_nothing_are_left_out() {
        let content =
            json!({"override_settings": {"sd_model_checkpoint": "", "sd_vae": null, "tiling": true}});
        let request = build(&task("text-to-image", content), &[]).unwrap();
        assert_eq!(body(&request)["override_settings"], json!({"tiling": true}));
        let content = json!({"override_settings": {"sd_model_checkpoint": null}});
        assert_eq!(build(&task("text-to-image", content), &[]).unwrap().settings(), None);
    }

    #[test]
    fn a_request_without_images_gets_none() {
        for flag in [json!(false), json!(0), json!("False"), json!("off")] {
            assert!(
                !build(&task("text-to-image", json!({"send_images": flag})), &[]).unwrap().wants_images,
                "{flag}"
            );
        }
        for content in [json!({}), json!({"send_images": true}), json!({"send_images": null})] {
            assert!(build(&task("text-to-image", content), &[]).unwrap().wants_images);
        }
    }
}
