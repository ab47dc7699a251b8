//! Samplers and their schedules.

use axum::{Json, http::StatusCode};
use serde_json::{Map, Value, json};

use super::{Dialect, errors::Failure};

/// Samplers by name, with one alias each.
const SAMPLERS: &[(&str, &str)] = &[
    ("DPM++ 2M", "k_dpmpp_2m"),
    ("DPM++ SDE", "k_dpmpp_sde"),
    ("DPM++ 2M SDE", "k_dpmpp_2m_sde"),
    ("DPM++ 3M SDE", "k_dpmpp_3m_sde"),
    ("DPM++ 2S a", "k_dpmpp_2s_a"),
    ("Euler a", "k_euler_a"),
    ("Euler", "k_euler"),
    ("LMS", "k_lms"),
    ("Heun", "k_heun"),
    ("DPM2", "k_dpm_2"),
    ("DPM2 a", "k_dpm_2_a"),
    ("DDIM", "ddim"),
    ("PLMS", "plms"),
    ("UniPC", "unipc"),
    ("LCM", "k_lcm"),
];

/// Schedules by name and label.
const SCHEDULES: &[(&str, &str)] = &[
    ("automatic", "Automatic"),
    ("uniform", "Uniform"),
    ("karras", "Karras"),
    ("exponential", "Exponential"),
    ("polyexponential", "Polyexponential"),
    ("sgm_uniform", "SGM Uniform"),
    ("simple", "Simple"),
    ("normal", "Normal"),
    ("beta", "Beta"),
];

/// SD.Next refuses a sampler that it does not have, or that is spelt otherwise.
pub(super) fn check(dialect: Dialect, parameters: &Map<String, Value>) -> Result<(), Failure> {
    let text = |field: &str| parameters.get(field).and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = text("sampler_name").or_else(|| text("sampler_index")).unwrap_or_default();
    if dialect == Dialect::SdNext && SAMPLERS.iter().all(|(known, _)| *known != name) {
        return Err(Failure::http(StatusCode::NOT_FOUND, "Sampler not found"));
    }
    Ok(())
}

/// Name of the sampler and label of the schedule that really run. Names of the time before schedules were separate, such as
/// `DPM++ 2M Karras`, are understood; an unknown sampler is replaced by the first one.
pub(super) fn resolve(sampler: &str, schedule: &str) -> (String, String) {
    let label = |wanted: &str| {
        let matches = |(name, label): &&(&str, &str)| {
            wanted.eq_ignore_ascii_case(name) || wanted.eq_ignore_ascii_case(label)
        };
        SCHEDULES.iter().find(matches).map(|(_, label)| *label)
    };
    let (base, suffix) = match sampler.rsplit_once(' ') {
        Some((base, suffix)) if label(suffix).is_some() => (base, label(suffix)),
        _ => (sampler, None),
    };
    // In its exact spelling: aliases are for the page.
    let known = SAMPLERS.iter().find(|(name, _)| base == *name);
    let name = known.or(SAMPLERS.first()).map_or(base, |(name, _)| *name);
    let schedule = label(schedule).or(suffix).unwrap_or("Automatic");
    (name.to_owned(), schedule.to_owned())
}

pub(super) async fn samplers() -> Json<Value> {
    let describe = |(name, alias): &(&str, &str)| json!({"name": name, "aliases": [alias], "options": {}});
    Json(SAMPLERS.iter().map(describe).collect())
}

pub(super) async fn schedulers() -> Json<Value> {
    let describe = |(name, label): &(&str, &str)| json!({"name": name, "label": label, "aliases": null, "default_rho": -1.0, "need_inner_model": false});
    Json(SCHEDULES.iter().map(describe).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_sampler_names_carry_their_schedule() {
        assert_eq!(resolve("DPM++ 2M Karras", ""), ("DPM++ 2M".to_owned(), "Karras".to_owned()));
        assert_eq!(resolve("Euler a", "exponential"), ("Euler a".to_owned(), "Exponential".to_owned()));
    }

    #[test]
    fn an_unknown_sampler_is_replaced_by_a_default() {
        assert_eq!(resolve("Nope", ""), ("DPM++ 2M".to_owned(), "Automatic".to_owned()));
    }
}
