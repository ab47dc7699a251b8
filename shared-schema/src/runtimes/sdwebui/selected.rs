//! The script that a request selects. It runs in place of the request: as often as it likes, with parameters, checkpoints and
//! folders that its arguments name. Nothing of that is bounded by what is checked of the request, so only scripts are taken that
//! keep to it, and those that the deployment allows.

use serde_json::{Map, Value};

use crate::content::limit::number;
use crate::violation::quoted;
use crate::{TaskType, Violation, ViolationCode};

/// Makes each image from the one before, with the request's own parameters, in batches of one.
const LOOPBACK: &str = "loopback";

/// How many arguments `Loopback` has. Servers put further ones in the place of other scripts' arguments.
const LOOPBACK_ARGUMENTS: usize = 4;

/// The default number of loops.
const DEFAULT_LOOPS: f64 = 4.0;

/// Where the number of loops stands.
pub(super) const LOOPS: &str = "/script_args/0";

/// The script, if the request may not select it, and arguments that reach beyond its own.
pub(super) fn violations(
    task_type: TaskType,
    fields: &Map<String, Value>,
    allowed: &[String],
) -> Vec<Violation> {
    let Some(name) = name(task_type, fields) else { return Vec::new() };
    if allowed.iter().any(|allowed| allowed.to_lowercase() == name) {
        return Vec::new();
    }
    if name != LOOPBACK {
        let message = format!(
            "the script {} runs with parameters of its own, which no limit bounds; of scripts, `Loopback` may be selected, and \
             what the deployment allows: send a task for each combination of parameters instead",
            quoted(&name)
        );
        return vec![Violation::new("/script_name", ViolationCode::NotAllowed, message)];
    }
    let has_more = arguments(fields).is_some_and(|arguments| arguments.len() > LOOPBACK_ARGUMENTS);
    let message = || format!("`Loopback` has {LOOPBACK_ARGUMENTS} arguments; leave out the others");
    let too_many = has_more.then(|| Violation::new("/script_args", ViolationCode::NotAllowed, message()));
    too_many.into_iter().collect()
}

/// How many images the script makes in the place of each batch, where that is known.
pub(super) fn loops(task_type: TaskType, fields: &Map<String, Value>) -> Option<f64> {
    name(task_type, fields).filter(|name| name == LOOPBACK)?;
    let argument = arguments(fields).and_then(|arguments| number(arguments.first()?));
    Some(argument.unwrap_or(DEFAULT_LOOPS))
}

/// The name of the script, in lower case: servers compare it so.
fn name(task_type: TaskType, fields: &Map<String, Value>) -> Option<String> {
    if !matches!(task_type, TaskType::TextToImage | TaskType::ImageToImage) {
        return None;
    }
    let name = match fields.get("script_name")? {
        Value::Null => return None,
        Value::String(name) => name.to_lowercase(),
        // Servers take a number for its digits.
        other => other.to_string(),
    };
    Some(name).filter(|name| !name.is_empty() && name != "none")
}

fn arguments(fields: &Map<String, Value>) -> Option<&Vec<Value>> {
    fields.get("script_args")?.as_array()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(content: &Value, allowed: &[&str]) -> Vec<String> {
        let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
        let found = violations(TaskType::ImageToImage, content.as_object().unwrap(), &allowed);
        found.into_iter().map(|violation| violation.pointer).collect()
    }

    #[test]
    fn scripts_with_parameters_of_their_own_are_refused_unless_they_are_allowed() {
        for name in [
            "Prompts from file or textbox",
            "X/Y/Z plot",
            "prompt matrix",
            "SD upscale",
            "custom code",
            "Ultimate SD upscale",
            " loopback",
            "7",
        ] {
            let content = json!({ "script_name": name, "script_args": ["--width 100000"] });
            assert_eq!(refused(&content, &[]), ["/script_name"], "{name}");
            assert_eq!(refused(&content, &["Another"]), ["/script_name"], "{name}");
            assert!(refused(&content, &[name.to_uppercase().as_str()]).is_empty(), "{name}");
        }
        assert_eq!(refused(&json!({ "script_name": 7 }), &[]), ["/script_name"]);
    }

    #[test]
    fn a_request_without_a_script_may_say_so() {
        for name in [json!(null), json!(""), json!("None"), json!("none")] {
            assert!(refused(&json!({ "script_name": name, "script_args": [1] }), &[]).is_empty(), "{name}");
        }
    }

    #[test]
    fn loopback_is_taken_with_its_own_arguments() {
        let content = |arguments: Value| json!({ "script_name": "LoopBack", "script_args": arguments });
        assert!(refused(&content(json!([4, 0.5, "Linear", "None"])), &[]).is_empty());
        assert_eq!(refused(&content(json!([4, 0.5, "Linear", "None", {}])), &[]), ["/script_args"]);
        let count = |arguments: Value| loops(TaskType::ImageToImage, content(arguments).as_object().unwrap());
        assert_eq!([json!([7]), json!([]), json!(null)].map(count), [Some(7.0), Some(4.0), Some(4.0)]);
    }
}
