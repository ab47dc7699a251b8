//! Settings of the server that tasks may override, made restorable.

use serde_json::{Map, Value};
use shared_schema::runtimes::sdwebui as contract;

/// The settings among the server's options that a task may override, with their present values.
///
/// A server restores an overridden setting after a request only if its own settings file holds the key; otherwise the
/// value of one caller stays for the next. Setting each to the value that it already has writes it there. The checkpoint
/// is left out: servers restore it anyway, and setting it could load a model.
pub(super) fn to_pin(options: &Value, allowed: &[String]) -> Map<String, Value> {
    let may_be_overridden = |name: &str| contract::is_overridable(name, allowed);
    let options = options.as_object().into_iter().flatten();
    options
        .filter(|(name, value)| *name != "sd_model_checkpoint" && !value.is_null() && may_be_overridden(name))
        .map(|(name, value)| (name.clone(), whole(value)))
        .collect()
}

/// Servers show counts as `1.0` but keep what they are given as it is, and a fraction where they count would break
/// every later run.
pub(super) fn whole(value: &Value) -> Value {
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 && number.abs() < f64::from(i32::MAX) => {
            Value::from(number as i64)
        }
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::recordings::answer_to;
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_task_may_override_is_pinned_to_its_present_value() {
        let pinned = to_pin(&answer_to("models-and-options", "GET", "options"), &[]);
        assert_eq!(pinned["samples_format"], "png");
        assert_eq!(pinned["CLIP_stop_at_last_layers"].to_string(), "1");
    }

    #[test]
    fn the_checkpoint_and_what_no_task_may_override_are_left_alone() {
        let pinned = to_pin(&answer_to("models-and-options", "GET", "options"), &[]);
        for name in
            ["sd_model_checkpoint", "api_enable_requests", "api_forbid_local_requests", "sd_checkpoint_hash"]
        {
            assert!(!pinned.contains_key(name), "{name}");
        }
    }

    #[test]
    fn settings_of_extensions_that_a_task_may_override_are_pinned_too() {
        let options = json!({"control_net_no_detectmap": false, "control_net_models_path": "/x"});
        let pinned = to_pin(&options, &["control_net_no_detectmap".to_owned()]);
        assert_eq!(Value::Object(pinned), json!({"control_net_no_detectmap": false}));
    }

    #[test]
    fn fractions_stay_fractions_and_empty_settings_are_left_out() {
        let pinned = to_pin(&json!({"eta_ancestral": 0.5, "sd_vae": null, "tiling": false}), &[]);
        assert_eq!(Value::Object(pinned), json!({"eta_ancestral": 0.5, "tiling": false}));
    }
}
