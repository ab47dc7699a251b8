//! What the server has and allows. It silently replaces unknown names by its defaults, and clamps numbers: so requests are
//! compared before the run, and names are sent in the server's spelling.

use serde::Deserialize;
use serde_json::{Map, Value};
use shared_schema::ErrorCode;
use shared_schema::violation::{listed, quoted};

use crate::error::TaskError;

/// `GET /sdcpp/v1/capabilities`, as far as it matters. What a server does not list is not compared.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Capabilities {
    supported_modes: Option<Vec<String>>,
    samplers: Option<Vec<String>>,
    schedulers: Option<Vec<String>>,
    upscalers: Option<Vec<Upscaler>>,
    loras: Option<Vec<Lora>>,
    limits: Limits,
}

#[derive(Debug, Deserialize)]
struct Upscaler {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Lora {
    path: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Limits {
    min_width: Option<u64>,
    max_width: Option<u64>,
    min_height: Option<u64>,
    max_height: Option<u64>,
    max_batch_count: Option<u64>,
}

/// A sampler or scheduler that stands for the model's own.
const DEFAULT: &str = "default";

impl Capabilities {
    /// Whether the server's model draws images.
    pub(super) fn makes_images(&self) -> bool {
        self.supported_modes.as_ref().is_none_or(|modes| modes.iter().any(|mode| mode == "img_gen"))
    }

    /// Compares a request with what the server has, and puts the server's spelling of each name into it.
    pub(super) fn resolve(&self, fields: &mut Map<String, Value>) -> Result<(), TaskError> {
        self.compare_numbers(fields)?;
        let upscalers: Option<Vec<String>> =
            self.upscalers.as_ref().map(|all| all.iter().map(|upscaler| upscaler.name.clone()).collect());
        let has_second_pass = fields.get("hires").is_some_and(|hires| hires["enabled"] == true);
        for (place, what, known, applies) in [
            (["sample_params", "sample_method"], "sampler", &self.samplers, true),
            (["sample_params", "scheduler"], "scheduler", &self.schedulers, true),
            (["hires", "upscaler"], "upscaler", &upscalers, has_second_pass),
        ] {
            let [object, name] = place;
            let field = fields.get_mut(object).and_then(|object| object.get_mut(name));
            if let (Some(field), Some(known), true) = (field, known, applies) {
                look_up(field, what, known, &format!("/content/{object}/{name}"))?;
            }
        }
        self.compare_loras(fields)
    }

    fn compare_numbers(&self, fields: &Map<String, Value>) -> Result<(), TaskError> {
        let Limits { min_width, max_width, min_height, max_height, max_batch_count } = self.limits;
        for (name, least, most) in [
            ("width", min_width, max_width),
            ("height", min_height, max_height),
            ("batch_count", None, max_batch_count),
        ] {
            let Some(value) = fields.get(name).and_then(Value::as_u64) else { continue };
            let bound = match (least, most) {
                (Some(least), _) if value < least => format!("at least {least}"),
                (_, Some(most)) if value > most => format!("at most {most}"),
                _ => continue,
            };
            let message = format!("the runtime takes a {} of {bound}, not {value}", quoted(name));
            return Err(rejected(message, &format!("/content/{name}")));
        }
        Ok(())
    }

    /// Paths are compared exactly: they are names of files.
    fn compare_loras(&self, fields: &Map<String, Value>) -> Result<(), TaskError> {
        let Some(known) = &self.loras else { return Ok(()) };
        let wanted = fields.get("lora").and_then(Value::as_array).into_iter().flatten();
        for (n, lora) in wanted.enumerate() {
            if let Some(path) = lora["path"].as_str()
                && known.iter().all(|lora| lora.path != path)
            {
                let known: Vec<&str> = known.iter().map(|lora| lora.path.as_str()).collect();
                return Err(unknown("LoRA", path, &known, &format!("/content/lora/{n}/path")));
            }
        }
        Ok(())
    }
}

fn look_up(field: &mut Value, what: &str, known: &[String], at: &str) -> Result<(), TaskError> {
    let Some(asked) = field.as_str().filter(|name| !name.is_empty()) else { return Ok(()) };
    let found = known.iter().find(|name| *name == asked);
    let found = found.or_else(|| known.iter().find(|name| squeezed(name) == squeezed(asked)));
    match found {
        Some(name) => *field = Value::String(name.clone()),
        None if known.is_empty() || asked.eq_ignore_ascii_case(DEFAULT) => {}
        None => {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            return Err(unknown(what, asked, &known, at));
        }
    }
    Ok(())
}

/// A name without what spellings differ in: `DPM++ 2M` and `dpm++2m`, `Euler a` and `euler_a` are the same.
fn squeezed(name: &str) -> String {
    let matters = |c: &char| c.is_alphanumeric() || *c == '+';
    name.chars().filter(matters).flat_map(char::to_lowercase).collect()
}

fn unknown(what: &str, asked: &str, known: &[&str], at: &str) -> TaskError {
    let has = if known.is_empty() { "none".to_owned() } else { listed(known.iter().copied()) };
    rejected(format!("the runtime has no {what} called {}; it has {has}", quoted(asked)), at)
}

fn rejected(message: String, at: &str) -> TaskError {
    TaskError::new(ErrorCode::RuntimeRejected, message).at_field(at)
}
