//! Numbers that no runtime can compute with, written as text: a schema bounds only those that are numbers.

use serde_json::{Map, Value};

use crate::content::limit::number;
use crate::{Violation, ViolationCode};

/// The largest number of half precision, in which models compute.
const MOST: f64 = 65_504.0;

/// The fields whose numbers may have a fraction: the `number` of the schemas, which see no text. A test holds both together.
const NUMBERS: [&str; 18] = [
    "subseed_strength",
    "cfg_scale",
    "distilled_cfg_scale",
    "image_cfg_scale",
    "initial_noise_multiplier",
    "eta",
    "denoising_strength",
    "s_min_uncond",
    "s_churn",
    "s_tmin",
    "s_noise",
    "refiner_switch_at",
    "hr_scale",
    "gfpgan_visibility",
    "codeformer_visibility",
    "codeformer_weight",
    "upscaling_resize",
    "extras_upscaler_2_visibility",
];

/// The same of forks, which no schema lists.
const OF_FORKS: [&str; 3] = ["hr_cfg", "hr_distilled_cfg", "clip_skip"];

/// Blurring takes time by the size of the blur, and nothing interrupts it. The page of SD WebUI offers up to 64.
const MAX_BLUR: f64 = 1_024.0;

const BLURS: [&str; 3] = ["mask_blur", "mask_blur_x", "mask_blur_y"];

/// The numbers that are out of range.
pub(super) fn violations(fields: &Map<String, Value>) -> Vec<Violation> {
    let numbers = NUMBERS.iter().chain(&OF_FORKS).map(|key| (*key, MOST));
    let numbers = numbers.chain(BLURS.iter().map(|key| (*key, MAX_BLUR)));
    let out_of_range = |(key, most): (&str, f64)| {
        let value = fields.get(key).and_then(number)?;
        let message = format!("must be a number of at most {most}");
        (value.is_nan() || value.abs() > most)
            .then(|| Violation::new(format!("/{key}"), ViolationCode::TooLarge, message))
    };
    numbers.filter_map(out_of_range).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::runtimes::sdwebui::TASKS;

    #[test]
    fn the_numbers_are_those_of_the_schemas() {
        let mut of_schemas = BTreeSet::new();
        let mut blurs = BTreeSet::new();
        for task in &TASKS {
            let schema: Value = serde_json::from_str(task.schema.text()).unwrap();
            let number = &schema["$defs"]["number"];
            assert_eq!((&number["minimum"], &number["maximum"]), (&json!(-65504), &json!(MOST as u64)));
            for (key, field) in schema["properties"].as_object().unwrap() {
                if field["$ref"] == "#/$defs/number" {
                    of_schemas.insert(key.clone());
                }
                if key.starts_with("mask_blur") {
                    blurs.insert(key.clone());
                }
                assert!(!OF_FORKS.contains(&key.as_str()), "{key} is in a schema: move it");
            }
        }
        assert_eq!(of_schemas, NUMBERS.map(str::to_owned).into());
        assert_eq!(blurs, BLURS.map(str::to_owned).into());
    }

    #[test]
    fn numbers_that_nobody_can_compute_with_are_refused_in_every_spelling() {
        for value in [json!(1e308), json!("1e308"), json!("nan"), json!("-inf"), json!("65505")] {
            let content = json!({ "cfg_scale": value, "mask_blur": 4.5 });
            let found = violations(content.as_object().unwrap());
            assert_eq!(found.len(), 1, "{content}");
            assert_eq!(found[0].pointer, "/cfg_scale");
        }
        let content =
            json!({ "cfg_scale": "7.5", "hr_scale": 2, "mask_blur": "64", "denoising_strength": null });
        assert!(violations(content.as_object().unwrap()).is_empty());
    }
}
