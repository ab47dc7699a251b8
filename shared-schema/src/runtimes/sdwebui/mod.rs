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

use crate::content::{Allowance, NamedModel};
use crate::violation::{listed, quoted};
use crate::{RuntimeEntry, TaskType, Violation, ViolationCode, schema};

pub(crate) use images::media_fields;
pub(crate) use limits::enlargement;
pub(crate) use scripts::control_net_units;
pub(crate) use settings::{is_overridable, may_be_allowed};

/// Everything that is wrong with the content.
pub(crate) fn violations(
    task_type: TaskType,
    content: &Value,
    runtime: Option<&RuntimeEntry>,
    allowance: Allowance<'_>,
) -> Vec<Violation> {
    let mut violations = schema::content(task_type).violations(content);
    let Some(fields) = content.as_object() else { return violations };

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

/// Takes out the empty lists that PHP writes in place of empty objects: AUTOMATIC1111 takes them, other servers refuse them.
pub(crate) fn tidy(fields: &mut Map<String, Value>) {
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
pub(crate) fn named_models(fields: &Map<String, Value>) -> Vec<NamedModel> {
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
