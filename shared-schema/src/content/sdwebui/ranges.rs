//! Numbers that no runtime can compute with, written as text: a schema bounds only those that are numbers.

use serde_json::{Map, Value};

use crate::content::limit::number;
use crate::{Violation, ViolationCode};

/// The largest number of half precision, in which models compute.
const MOST: f64 = 65_504.0;

/// The fields whose numbers may have a fraction.
const NUMBERS: [&str; 21] = [
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
    "hr_cfg",
    "hr_distilled_cfg",
    "gfpgan_visibility",
    "codeformer_visibility",
    "codeformer_weight",
    "upscaling_resize",
    "extras_upscaler_2_visibility",
    "clip_skip",
];

/// Blurring takes time by the size of the blur, and nothing interrupts it. The page of SD WebUI offers up to 64.
const MOST_BLUR: f64 = 1_024.0;

const BLURS: [&str; 3] = ["mask_blur", "mask_blur_x", "mask_blur_y"];

/// The numbers that are out of range.
pub(super) fn violations(fields: &Map<String, Value>) -> Vec<Violation> {
    let numbers = NUMBERS.iter().map(|key| (*key, MOST)).chain(BLURS.iter().map(|key| (*key, MOST_BLUR)));
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
    use serde_json::json;

    use super::*;

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
