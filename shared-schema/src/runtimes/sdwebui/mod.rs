//! Checks of SD WebUI content beyond its schemas: images, settings, scripts, models and limits.

mod encoding;
mod images;
mod limits;
mod ranges;
mod script_limits;
mod scripts;
mod selected;
mod settings;

use serde_json::{Map, Value};

use super::{ContractFiles, RuntimeContract, TaskContract, contract_files, task_contract};
use crate::content::{Allowance, Enlargement, MediaField, NamedModel};
use crate::violation::{listed, quoted};
use crate::{RuntimeEntry, TaskType, Violation, ViolationCode};

pub use scripts::control_net_units;
pub use settings::{is_overridable, may_be_allowed};

static TASKS: [TaskContract; 4] = [
    task_contract!("sdwebui", TextToImage, "text-to-image"),
    task_contract!("sdwebui", ImageToImage, "image-to-image"),
    task_contract!("sdwebui", ExtraSingleImage, "extra-single-image"),
    task_contract!("sdwebui", ExtraBatchImages, "extra-batch-images"),
];

/// SD WebUI: AUTOMATIC1111, and servers with its API.
#[derive(Debug)]
pub struct SdWebUi;

impl RuntimeContract for SdWebUi {
    fn name(&self) -> &'static str {
        "sdwebui"
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

        let task_type = task.task_type;
        violations.extend(images::violations(task_type, fields));
        violations.extend(settings::violations(task_type, fields, allowance.settings));
        violations.extend(selected::violations(task_type, fields, allowance.scripts));
        let of_ranges = ranges::violations(fields);
        let known: Vec<_> = violations.iter().map(|violation| violation.pointer.clone()).collect();
        violations.extend(of_ranges.into_iter().filter(|violation| !known.contains(&violation.pointer)));
        violations.extend(limits::violations(task_type, fields, allowance.limits));
        if let Some(runtime) = runtime {
            violations.extend(unknown_models(fields, runtime));
        }
        violations
    }

    fn accepts_v1alpha1(&self) -> bool {
        true
    }

    fn tidy(&self, content: &mut Map<String, Value>) {
        tidy(content);
    }

    fn media_fields(&self, task_type: TaskType, content: &Map<String, Value>) -> Vec<MediaField> {
        images::media_fields(task_type, content)
    }

    fn enlargement(&self, task_type: TaskType, content: &Map<String, Value>) -> Option<Enlargement> {
        limits::enlargement(task_type, content)
    }

    fn named_models(&self, content: &Map<String, Value>) -> Vec<NamedModel> {
        named_models(content)
    }
}

/// Removes the empty lists that PHP writes in place of empty objects: AUTOMATIC1111 takes them, other servers refuse them.
fn tidy(fields: &mut Map<String, Value>) {
    const SETTINGS: &str = "override_settings";
    if let Some(Value::Object(scripts)) = fields.get_mut("alwayson_scripts") {
        remove_empty_list(scripts, SETTINGS);
    }
    remove_empty_list(fields, SETTINGS);
    remove_empty_list(fields, "alwayson_scripts");
}

fn remove_empty_list(fields: &mut Map<String, Value>, key: &str) {
    if fields.get(key).and_then(Value::as_array).is_some_and(Vec::is_empty) {
        fields.shift_remove(key);
    }
}

/// The checkpoints that the content asks for: where predecessors' clients name it, and in the settings of the request.
fn named_models(fields: &Map<String, Value>) -> Vec<NamedModel> {
    const KEY: &str = "sd_model_checkpoint";
    let scripts = fields.get("alwayson_scripts");
    let places = [
        ("/alwayson_scripts", scripts),
        ("/alwayson_scripts/override_settings", scripts.and_then(|scripts| scripts.get("override_settings"))),
        ("/override_settings", fields.get("override_settings")),
    ];
    places
        .into_iter()
        .filter_map(|(at, place)| Some((format!("{at}/{KEY}"), place?.get(KEY)?.as_str()?.to_owned())))
        .filter(|(_, model)| !model.is_empty())
        .collect()
}

fn unknown_models(fields: &Map<String, Value>, runtime: &RuntimeEntry) -> Vec<Violation> {
    let unknown = |(pointer, model): NamedModel| {
        let models = listed(runtime.models.iter().map(String::as_str));
        let message = format!("this runtime does not serve the model {}; use {models}", quoted(&model));
        Violation::new(pointer, ViolationCode::UnknownModel, message)
    };
    named_models(fields).into_iter().filter(|(_, model)| !runtime.may_serve(model)).map(unknown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn empty_lists_in_place_of_objects_are_taken_out() {
        for (content, tidied) in [
            (json!({"override_settings": [], "alwayson_scripts": [], "styles": []}), json!({"styles": []})),
            (
                json!({"alwayson_scripts": {"override_settings": [], "ControlNet": {"args": []}}}),
                json!({"alwayson_scripts": {"ControlNet": {"args": []}}}),
            ),
            (json!({"override_settings": {}}), json!({"override_settings": {}})),
        ] {
            let mut fields = content.as_object().cloned().unwrap();
            tidy(&mut fields);
            assert_eq!(Value::Object(fields), tidied);
        }
    }

    #[test]
    fn models_are_found_in_all_three_places() {
        let content = json!({
            "alwayson_scripts": {"sd_model_checkpoint": "a", "override_settings": {"sd_model_checkpoint": "b"}},
            "override_settings": {"sd_model_checkpoint": "c"},
        });
        let named = named_models(content.as_object().unwrap());
        let expected = [
            ("/alwayson_scripts/sd_model_checkpoint", "a"),
            ("/alwayson_scripts/override_settings/sd_model_checkpoint", "b"),
            ("/override_settings/sd_model_checkpoint", "c"),
        ];
        assert_eq!(named, expected.map(|(at, model)| (at.to_owned(), model.to_owned())));
    }
}
