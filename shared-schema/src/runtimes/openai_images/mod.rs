//! Servers with OpenAI's Images API: the request itself, images, limits, and what would make the server open something.

mod images;
mod limits;
mod openers;

use serde_json::{Map, Value};

use super::{ContractFiles, RuntimeContract, TaskContract, contract_files, task_contract};
use crate::content::{Allowance, MediaField, NamedModel};
use crate::violation::{listed, quoted};
use crate::{RuntimeEntry, TaskType, Violation, ViolationCode};

static TASKS: [TaskContract; 2] = [
    task_contract!("openai-images", TextToImage, "text-to-image"),
    task_contract!("openai-images", ImageToImage, "image-to-image"),
];

/// A server with OpenAI's Images API: vLLM-Omni, SGLang Diffusion, LocalAI, stable-diffusion.cpp, NVIDIA Dynamo.
#[derive(Debug)]
pub struct OpenAiImages;

impl RuntimeContract for OpenAiImages {
    fn name(&self) -> &'static str {
        "openai-images"
    }

    fn tasks(&self) -> &'static [TaskContract] {
        &TASKS
    }

    fn files(&self) -> &'static ContractFiles {
        contract_files!()
    }

    fn violations(
        &self,
        task: &TaskContract,
        content: &Value,
        runtime: Option<&RuntimeEntry>,
        allowance: Allowance<'_>,
    ) -> Vec<Violation> {
        let mut violations = task.schema.violations(content);
        let Some(fields) = content.as_object() else { return violations };

        let extra = extra_arguments(fields);
        violations.extend(images::violations(task.task_type, fields));
        violations.extend(streamed(fields));
        violations.extend(openers::violations(task.task_type, fields, extra.as_ref()));
        violations.extend(limits::violations(fields, extra.as_ref(), allowance.limits));
        if let Some(runtime) = runtime {
            violations.extend(unknown_model(fields, runtime));
        }
        violations
    }

    fn media_fields(&self, task_type: TaskType, content: &Map<String, Value>) -> Vec<MediaField> {
        images::media_fields(task_type, content)
    }

    fn named_models(&self, content: &Map<String, Value>) -> Vec<NamedModel> {
        named_model(content).into_iter().collect()
    }
}

/// The arguments that stable-diffusion.cpp's server reads out of a prompt, between these tags, as JSON.
fn extra_arguments(fields: &Map<String, Value>) -> Option<Value> {
    let (_, text) = fields.get("prompt")?.as_str()?.split_once("<sd_cpp_extra_args>")?;
    let (json, _) = text.split_once("</sd_cpp_extra_args>")?;
    // The server refuses what is no JSON.
    serde_json::from_str(json).ok()
}

fn streamed(fields: &Map<String, Value>) -> Option<Violation> {
    let message = "must be false: results are files, stored once the run is over";
    (fields.get("stream") == Some(&Value::Bool(true)))
        .then(|| Violation::new("/stream", ViolationCode::NotAllowed, message))
}

/// The model that the content asks for. Most of these servers have one, and need no name.
fn named_model(fields: &Map<String, Value>) -> Option<NamedModel> {
    let model = fields.get("model")?.as_str().filter(|model| !model.is_empty())?;
    Some(("/model".to_owned(), model.to_owned()))
}

fn unknown_model(fields: &Map<String, Value>, runtime: &RuntimeEntry) -> Option<Violation> {
    let (pointer, model) = named_model(fields).filter(|(_, model)| !runtime.may_serve(model))?;
    let models = listed(runtime.models.iter().map(String::as_str));
    let message = format!("this runtime does not serve the model {}; use {models}", quoted(&model));
    Some(Violation::new(pointer, ViolationCode::UnknownModel, message))
}
