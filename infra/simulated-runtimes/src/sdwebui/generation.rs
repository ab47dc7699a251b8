//! What is to be generated: the fields that `txt2img` and `img2img` share, and their meaning.

use serde_json::{Map, Value, json};

use super::{
    fields::{Field, Kind},
    samplers,
};

/// The shared fields before and after `denoising_strength`, in the order in which the API echoes them.
pub(super) const HEAD: (&[Field], &[Field]) = (BEFORE_DENOISING, AFTER_DENOISING);

const BEFORE_DENOISING: &[Field] = &[
    ("prompt", Kind::Text, r#""""#),
    ("negative_prompt", Kind::Text, r#""""#),
    ("styles", Kind::ListOrNull, "null"),
    ("seed", Kind::Integer, "-1"),
    ("subseed", Kind::Integer, "-1"),
    ("subseed_strength", Kind::Number, "0"),
    ("seed_resize_from_h", Kind::Integer, "-1"),
    ("seed_resize_from_w", Kind::Integer, "-1"),
    ("sampler_name", Kind::TextOrNull, "null"),
    ("scheduler", Kind::TextOrNull, "null"),
    ("batch_size", Kind::Integer, "1"),
    ("n_iter", Kind::Integer, "1"),
    ("steps", Kind::Integer, "50"),
    ("cfg_scale", Kind::Number, "7.0"),
    ("distilled_cfg_scale", Kind::Number, "3.5"),
    ("width", Kind::Integer, "512"),
    ("height", Kind::Integer, "512"),
    ("restore_faces", Kind::BooleanOrNull, "null"),
    ("tiling", Kind::BooleanOrNull, "null"),
    ("do_not_save_samples", Kind::Boolean, "false"),
    ("do_not_save_grid", Kind::Boolean, "false"),
    ("eta", Kind::NumberOrNull, "null"),
];

const AFTER_DENOISING: &[Field] = &[
    ("s_min_uncond", Kind::NumberOrNull, "null"),
    ("s_churn", Kind::NumberOrNull, "null"),
    ("s_tmax", Kind::NumberOrNull, "null"),
    ("s_tmin", Kind::NumberOrNull, "null"),
    ("s_noise", Kind::NumberOrNull, "null"),
    ("override_settings", Kind::ObjectOrNull, "null"),
    ("override_settings_restore_afterwards", Kind::Boolean, "true"),
    ("refiner_checkpoint", Kind::TextOrNull, "null"),
    ("refiner_switch_at", Kind::NumberOrNull, "null"),
    ("disable_extra_networks", Kind::Boolean, "false"),
    ("firstpass_image", Kind::TextOrNull, "null"),
    ("comments", Kind::ObjectOrNull, "null"),
];

/// The shared fields at the end.
pub(super) const TAIL: &[Field] = &[
    ("script_name", Kind::TextOrNull, "null"),
    ("script_args", Kind::List, "[]"),
    ("send_images", Kind::Boolean, "true"),
    ("save_images", Kind::Boolean, "false"),
    ("alwayson_scripts", Kind::Object, "{}"),
    ("infotext", Kind::TextOrNull, "null"),
];

/// One accepted request.
pub(super) struct Generation {
    /// Name of the job in `/progress`.
    pub(super) job: &'static str,
    /// The request with all defaults, echoed in the answer.
    pub(super) parameters: Map<String, Value>,
    /// Width and height of the first init image.
    pub(super) source: Option<(u32, u32)>,
    pub(super) seed: i64,
    pub(super) subseed: i64,
}

/// One pass of the sampler.
pub(super) struct Pass {
    pub(super) steps: u32,
    /// The weight of one of its steps; that of the first pass is 1.
    pub(super) step_weight: f64,
}

impl Generation {
    pub(super) fn new(job: &'static str, parameters: Map<String, Value>) -> Self {
        let chosen = |field: &str| parameters.get(field).and_then(Value::as_i64).filter(|seed| *seed != -1);
        let (seed, subseed) =
            (chosen("seed").unwrap_or_else(random), chosen("subseed").unwrap_or_else(random));
        Self { job, parameters, source: None, seed, subseed }
    }

    pub(super) fn text(&self, field: &str) -> &str {
        self.parameters.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn integer(&self, field: &str) -> i64 {
        self.parameters.get(field).and_then(Value::as_i64).unwrap_or_default()
    }

    pub(super) fn number(&self, field: &str) -> f64 {
        self.parameters.get(field).and_then(Value::as_f64).unwrap_or_default()
    }

    pub(super) fn boolean(&self, field: &str) -> bool {
        self.parameters.get(field).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A value of the request as it is echoed.
    pub(super) fn value(&self, field: &str) -> Value {
        self.parameters.get(field).cloned().unwrap_or_default()
    }

    pub(super) fn overrides(&self) -> Map<String, Value> {
        self.parameters.get("override_settings").and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// Removes a dropped override from the echo.
    pub(super) fn drop_override(&mut self, key: &str) {
        if let Some(Value::Object(overrides)) = self.parameters.get_mut("override_settings") {
            overrides.shift_remove(key);
        }
    }

    /// The sampler that runs, and its schedule: an unknown sampler is replaced by a default.
    pub(super) fn sampler(&self) -> (String, String) {
        let name = match self.text("sampler_name") {
            "" => self.text("sampler_index"),
            name => name,
        };
        samplers::resolve(name, self.text("scheduler"))
    }

    /// Final width and height of the pictures, after the second pass if there is one.
    pub(super) fn final_size(&self) -> (i64, i64) {
        let (width, height) = (self.integer("width"), self.integer("height"));
        if !self.boolean("enable_hr") {
            return (width, height);
        }
        match (self.integer("hr_resize_x"), self.integer("hr_resize_y")) {
            (0, 0) => {
                let scaled = |side: i64| (side as f64 * self.number("hr_scale")) as i64;
                (scaled(width), scaled(height))
            }
            (x, 0) => (x, height * x / width.max(1)),
            (0, y) => (width * y / height.max(1), y),
            size => size,
        }
    }

    /// The passes of the sampler over each image: a second one over the enlarged image, if the request enables it.
    pub(super) fn passes(&self) -> Vec<Pass> {
        let steps = |field: &str| u32::try_from(self.integer(field)).unwrap_or(u32::MAX);
        let mut passes = vec![Pass { steps: steps("steps"), step_weight: 1.0 }];
        if self.boolean("enable_hr") {
            let (width, height) = self.final_size();
            let pixels = (self.integer("width") * self.integer("height")).max(1);
            let own_steps = Some(steps("hr_second_pass_steps")).filter(|steps| *steps > 0);
            passes.push(Pass {
                steps: own_steps.unwrap_or_else(|| steps("steps")),
                step_weight: (width as f64) * (height as f64) / (pixels as f64),
            });
        }
        passes
    }

    /// The strength as `info` has it: nothing was denoised unless there was an image or a second pass.
    pub(super) fn denoising(&self) -> Value {
        if self.source.is_some() || self.boolean("enable_hr") {
            self.value("denoising_strength")
        } else {
            json!(null)
        }
    }
}

/// As random as a seed has to be, between 0 and 2³² − 1.
fn random() -> i64 {
    i64::from(uuid::Uuid::new_v4().as_fields().0)
}
