//! How much work the arguments of scripts ask for, against the limits of the runtime.

use serde_json::{Map, Value};

use super::limits::Request;
use super::scripts::{self, Unit};
use super::selected;
use crate::content::limit::above;
use crate::{Limits, TaskType, Violation};

/// The frames of AnimateDiff that its motion model makes at a time when the unit does not say how many.
const DEFAULT_FRAMES: f64 = 16.0;
/// Width and height that ADetailer repaints in when the unit has none, in pixels.
const DEFAULT_SIDE: f64 = 512.0;
/// The steps of ADetailer when the unit has none.
const DEFAULT_STEPS: f64 = 28.0;

/// What the scripts ask for above the limits; the request makes so many batches.
pub(super) fn violations(
    task_type: TaskType,
    fields: &Map<String, Value>,
    batches: f64,
    limits: &Limits,
) -> Vec<Violation> {
    let loops = selected::loops(task_type, fields)
        .and_then(|loops| above(selected::LOOPS, loops * batches, limits.max_images, "loops times n_iter"));
    let units = scripts::units(task_type, fields);
    let of_units = units.iter().flat_map(|unit| {
        let found = [
            annotator_pixels(unit, limits.max_pixels),
            frames(unit, batches, limits.max_images),
            repainted_pixels(unit, limits.max_pixels),
            repainting_steps(unit, limits.max_steps),
        ];
        found.into_iter().flatten()
    });
    loops.into_iter().chain(of_units).collect()
}

/// The square that a unit of ControlNet makes of its image.
fn annotator_pixels(unit: &Unit<'_>, most: u64) -> Option<Violation> {
    let side = Request(unit.fields).number("processor_res", 0.0);
    above(format_args!("{}/processor_res", unit.pointer), side * side, most, "processor_res times itself")
}

/// The frames of an animation, which are images: as many as it is long, or as the motion model makes at a time, and those that
/// are put between them.
fn frames(unit: &Unit<'_>, batches: f64, most: u64) -> Option<Violation> {
    let fields = Request(unit.fields);
    if !unit.is_of("animatediff") || !fields.flag("enable") {
        return None;
    }
    let made = fields.number("video_length", 0.0).max(fields.number("batch_size", DEFAULT_FRAMES));
    let is_off = |interpolation: &Value| interpolation.is_null() || interpolation == "Off";
    let is_interpolated = unit.fields.get("interp").is_some_and(|interpolation| !is_off(interpolation));
    let times = if is_interpolated { fields.number("interp_x", 10.0).max(1.0) } else { 1.0 };
    above(
        format_args!("{}/video_length", unit.pointer),
        made * times * batches,
        most,
        "the number of frames, with those between them, times n_iter",
    )
}

/// The size in which ADetailer repaints what it finds.
fn repainted_pixels(unit: &Unit<'_>, most: u64) -> Option<Violation> {
    let fields = Request(unit.fields);
    if !unit.is_of("adetailer") || !fields.flag("ad_use_inpaint_width_height") {
        return None;
    }
    let pixels =
        fields.number("ad_inpaint_width", DEFAULT_SIDE) * fields.number("ad_inpaint_height", DEFAULT_SIDE);
    let what = "ad_inpaint_width times ad_inpaint_height";
    above(format_args!("{}/ad_inpaint_width", unit.pointer), pixels, most, what)
}

fn repainting_steps(unit: &Unit<'_>, most: u64) -> Option<Violation> {
    let fields = Request(unit.fields);
    if !unit.is_of("adetailer") || !fields.flag("ad_use_steps") {
        return None;
    }
    let steps = fields.number("ad_steps", DEFAULT_STEPS);
    above(format_args!("{}/ad_steps", unit.pointer), steps, most, "the number of steps")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(content: &Value, batches: f64) -> Vec<String> {
        let limits = Limits { max_pixels: 1024 * 1024, max_steps: 60, max_images: 32, max_bytes: None };
        let violations = violations(TaskType::ImageToImage, content.as_object().unwrap(), batches, &limits);
        violations.into_iter().map(|violation| violation.pointer).collect()
    }

    #[test]
    fn loops_are_images() {
        let content = |loops: Value| json!({"script_name": "Loopback", "script_args": [loops, 0.5]});
        assert_eq!(found(&content(json!(33)), 1.0), ["/script_args/0"]);
        assert_eq!(found(&content(json!("17")), 2.0), ["/script_args/0"]);
        assert!(found(&content(json!(16)), 2.0).is_empty());
        assert_eq!(found(&json!({"script_name": "loopback"}), 9.0), ["/script_args/0"]);
    }

    #[test]
    fn frames_are_images() {
        let content = |unit: Value| json!({"alwayson_scripts": {"AnimateDiff": {"args": [unit]}}});
        let pointer = "/alwayson_scripts/AnimateDiff/args/0/video_length";
        for (unit, batches) in [
            (json!({"enable": true, "video_length": 33}), 1.0),
            (json!({"enable": "true", "video_length": "33"}), 1.0),
            (json!({"enable": true, "video_length": 16}), 3.0),
            (json!({"enable": true, "video_length": 0}), 3.0),
            (json!({"enable": true, "video_length": 8, "batch_size": 1000}), 1.0),
            (json!({"enable": true, "video_length": 16, "interp": "FILM", "interp_x": 10}), 1.0),
        ] {
            assert_eq!(found(&content(unit.clone()), batches), [pointer], "{unit}");
        }
        for unit in [
            json!({"enable": false, "video_length": 1000}),
            json!({"enable": true, "video_length": 32}),
            json!({"enable": true, "video_length": 16, "interp": "Off", "interp_x": 10}),
        ] {
            assert!(found(&content(unit.clone()), 1.0).is_empty(), "{unit}");
        }
    }

    #[test]
    fn what_is_repainted_is_bounded_where_it_has_numbers_of_its_own() {
        let content = |unit: Value| json!({"alwayson_scripts": {"ADetailer": {"args": [true, false, unit]}}});
        let at = "/alwayson_scripts/ADetailer/args/2";
        let large = json!({"ad_inpaint_width": 4096, "ad_inpaint_height": 4096, "ad_steps": 1000});
        assert!(found(&content(large.clone()), 1.0).is_empty());
        let mut used = large;
        used["ad_use_inpaint_width_height"] = json!(true);
        used["ad_use_steps"] = json!(true);
        assert_eq!(found(&content(used), 1.0), [format!("{at}/ad_inpaint_width"), format!("{at}/ad_steps")]);
    }
}
