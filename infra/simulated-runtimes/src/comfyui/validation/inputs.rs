//! Checks the inputs of one node, links and literals.

use serde_json::{Map, Value, json};

use super::{Check, Exception, traceback};
use crate::{
    comfyui::{definitions::Input, nodes},
    python,
};

/// Lists above this length are not repeated in an error.
const SHORT_LIST: usize = 20;

impl Check<'_> {
    /// Checks a node and all it depends on. `path` leads from the output node to here.
    pub(super) fn node(&mut self, node: &str, path: &mut Vec<String>) -> Result<bool, Exception> {
        if self.verdicts.contains_key(node) {
            return Ok(!self.order.iter().any(|invalid| invalid == node));
        }
        if path.iter().any(|above| above == node) {
            let error = json!({
                "type": "dependency_cycle", "message": "Dependency cycle detected",
                "details": format!("{} -> {node}", path.join(" -> ")), "extra_info": {},
            });
            self.blame(node, vec![error]);
            return Ok(false);
        }
        path.push(node.to_owned());
        let result = self.all_inputs(node, path);
        path.pop();
        let (valid, errors) = result?;
        if valid && errors.is_empty() && !self.order.iter().any(|invalid| invalid == node) {
            self.verdicts.insert(node.to_owned(), errors);
            return Ok(true);
        }
        let mut all = self.verdicts.remove(node).unwrap_or_default();
        all.extend(errors);
        self.blame(node, all);
        Ok(false)
    }

    fn all_inputs(&mut self, node: &str, path: &mut Vec<String>) -> Result<(bool, Vec<Value>), Exception> {
        let comfy = self.comfy;
        let content = self.prompt.get(node).ok_or_else(|| key_error(&json!(node)))?;
        let class = content.get("class_type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let given = content.get("inputs").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut valid = true;
        let mut errors = Vec::new();
        for input in comfy.definitions.inputs(&class) {
            match given.get(input.name) {
                None if input.required => errors.push(missing(&input)),
                None => {}
                Some(Value::Array(link)) => match self.link(&input, link, path)? {
                    Ok(linked) => valid &= linked,
                    Err(error) => errors.push(error),
                },
                Some(value) => match self.literal(&class, &input, value) {
                    Ok(converted) => self.store(node, input.name, converted),
                    Err(error) => errors.push(error),
                },
            }
        }
        Ok((valid, errors))
    }

    /// Resolves a link: `Ok` is whether its node is valid.
    fn link(
        &mut self,
        input: &Input<'_>,
        link: &[Value],
        path: &mut Vec<String>,
    ) -> Result<Result<bool, Value>, Exception> {
        let [from, slot] = link else {
            let message = "Bad linked input, must be a length-2 list of [node_id, slot_index]";
            return Ok(Err(error("bad_linked_input", message, input.name, described(input, &json!(link)))));
        };
        let id = from
            .as_str()
            .filter(|id| self.prompt.contains_key(*id))
            .ok_or_else(|| key_error(from))?
            .to_owned();
        let class = self.prompt.get(&id).and_then(|node| node.get("class_type")).and_then(Value::as_str);
        let slot = slot.as_u64().and_then(|slot| usize::try_from(slot).ok());
        let given = slot.and_then(|slot| self.comfy.definitions.output_type(class?, slot));
        let given = given.ok_or_else(|| Exception {
            kind: "IndexError",
            message: "tuple index out of range".to_owned(),
        })?;
        let wanted = input.kind().unwrap_or("COMBO");
        if wanted != given && wanted != "*" && given != "*" {
            let details = format!("{}, received_type({given}) mismatch input_type({wanted})", input.name);
            let extra = json!({
                "input_name": input.name, "input_config": input.config, "received_type": given, "linked_node": link,
            });
            return Ok(Err(error(
                "return_type_mismatch",
                "Return type mismatch between linked nodes",
                &details,
                extra,
            )));
        }
        match self.node(&id, path) {
            Ok(valid) => Ok(Ok(valid)),
            Err(exception) => {
                let extra = json!({
                    "input_name": input.name, "input_config": input.config, "exception_message": exception.message,
                    "exception_type": exception.kind, "traceback": traceback(), "linked_node": link,
                });
                let message = "Exception when validating inner node";
                let inner = error("exception_during_inner_validation", message, &exception.message, extra);
                self.blame(&id, vec![inner]);
                Ok(Ok(false))
            }
        }
    }

    fn literal(&self, class: &str, input: &Input<'_>, value: &Value) -> Result<Value, Value> {
        let value = convert(input, value)?;
        check_range(input, &value)?;
        if matches!(class, "LoadImage" | "LoadImageMask") && input.name == "image" {
            let name = value.as_str().unwrap_or_default();
            if nodes::named_file(self.comfy, name).is_none() {
                let details = format!("image - Invalid image file: {name}");
                let message = "Custom validation failed for node";
                return Err(error("custom_validation_failed", message, &details, described(input, &value)));
            }
        } else if let Some(choices) = input.choices().filter(|choices| !choices.contains(&value)) {
            return Err(not_in_list(input, choices, &value));
        }
        Ok(value)
    }

    fn store(&mut self, node: &str, input: &str, value: Value) {
        let inputs = self.prompt.get_mut(node).and_then(|node| node.get_mut("inputs"));
        if let Some(Value::Object(inputs)) = inputs {
            inputs.insert(input.to_owned(), value);
        }
    }
}

/// Python's conversions: `"64"` is an integer, 64.7 becomes 64.
fn convert(input: &Input<'_>, value: &Value) -> Result<Value, Value> {
    let refuse = |kind: &str, reason: String| {
        let mut extra = described(input, value);
        extra.insert("exception_message".to_owned(), json!(reason));
        let details = format!("{}, {}, {reason}", input.name, python_str(value));
        error(
            "invalid_input_type",
            &format!("Failed to convert an input value to a {kind} value"),
            &details,
            extra,
        )
    };
    match (input.kind(), value) {
        (Some("INT"), Value::Number(number)) if number.is_f64() => {
            Ok(json!(number.as_f64().unwrap_or_default() as i64))
        }
        (Some("INT"), Value::Number(_)) | (Some("FLOAT"), Value::Number(_)) => Ok(value.clone()),
        (Some("INT"), Value::Bool(truth)) => Ok(json!(i64::from(*truth))),
        (Some("INT"), Value::String(text)) => text
            .trim()
            .parse::<i64>()
            .map(|number| json!(number))
            .map_err(|_| refuse("INT", format!("invalid literal for int() with base 10: '{text}'"))),
        (Some("FLOAT"), Value::String(text)) => text
            .trim()
            .parse::<f64>()
            .map(|number| json!(number))
            .map_err(|_| refuse("FLOAT", format!("could not convert string to float: '{text}'"))),
        (Some(kind @ ("INT" | "FLOAT")), _) => {
            Err(refuse(kind, "argument must be a string or a real number".to_owned()))
        }
        (Some("STRING"), value) if !value.is_string() => Ok(json!(python_str(value))),
        _ => Ok(value.clone()),
    }
}

fn check_range(input: &Input<'_>, value: &Value) -> Result<(), Value> {
    let Some(number) = value.as_f64() else { return Ok(()) };
    let limit = |name: &str| input.option(name).and_then(Value::as_f64).zip(input.option(name));
    if let Some((_, min)) = limit("min").filter(|(min, _)| number < *min) {
        let message = format!("Value {value} smaller than min of {min}");
        return Err(error("value_smaller_than_min", &message, input.name, described(input, value)));
    }
    if let Some((_, max)) = limit("max").filter(|(max, _)| number > *max) {
        let message = format!("Value {value} bigger than max of {max}");
        return Err(error("value_bigger_than_max", &message, input.name, described(input, value)));
    }
    Ok(())
}

fn not_in_list(input: &Input<'_>, choices: &[Value], value: &Value) -> Value {
    let mut extra = described(input, value);
    let list = if choices.len() > SHORT_LIST {
        extra.insert("input_config".to_owned(), Value::Null);
        format!("(list of length {})", choices.len())
    } else {
        python::repr(&json!(choices))
    };
    let details = format!("{}: '{}' not in {list}", input.name, python_str(value));
    error("value_not_in_list", "Value not in list", &details, extra)
}

fn missing(input: &Input<'_>) -> Value {
    let extra = json!({"input_name": input.name});
    error("required_input_missing", "Required input is missing", input.name, extra)
}

fn error(kind: &str, message: &str, details: &str, extra: impl Into<Value>) -> Value {
    json!({"type": kind, "message": message, "details": details, "extra_info": extra.into()})
}

fn described(input: &Input<'_>, value: &Value) -> Map<String, Value> {
    Map::from_iter([
        ("input_name".to_owned(), json!(input.name)),
        ("input_config".to_owned(), input.config.clone()),
        ("received_value".to_owned(), value.clone()),
    ])
}

fn key_error(key: &Value) -> Exception {
    Exception { kind: "KeyError", message: python::repr(key) }
}

/// As Python's `str` writes it.
fn python_str(value: &Value) -> String {
    value.as_str().map_or_else(|| python::repr(value), str::to_owned)
}
