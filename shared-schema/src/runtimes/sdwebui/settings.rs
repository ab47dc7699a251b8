//! Which settings of SD WebUI a caller may override for a request.
//!
//! SD WebUI takes any of its settings here, and keeps some of them for the requests that follow. So callers get those
//! that shape an image, and none that name folders, switch network access, or change the program for others.

use serde_json::{Map, Value};

use super::encoding;
use crate::violation::{listed, pointer_segment};
use crate::{TaskType, Violation, ViolationCode};

/// The settings that shape an image: of AUTOMATIC1111 1.10, and of Forge where the names begin with `forge_`. The best
/// known come first, since messages show the beginning of the list.
const OVERRIDABLE: [&str; 98] = [
    "sd_model_checkpoint",
    "sd_vae",
    "CLIP_stop_at_last_layers",
    "samples_format",
    "jpeg_quality",
    "webp_lossless",
    "randn_source",
    "eta_noise_seed_delta",
    "emphasis",
    "upscaler_for_img2img",
    "face_restoration",
    "face_restoration_model",
    "code_former_weight",
    "token_merging_ratio",
    "token_merging_ratio_img2img",
    "token_merging_ratio_hr",
    "tiling",
    "enable_pnginfo",
    "return_grid",
    "sdxl_clip_l_skip",
    "sd_vae_overrides_per_model_preferences",
    "sd_vae_encode_method",
    "sd_vae_decode_method",
    "auto_vae_precision",
    "auto_vae_precision_bfloat16",
    "sd_unet",
    "sd_hypernetwork",
    "comma_padding_backtrack",
    "enable_batch_seeds",
    "enable_quantization",
    "enable_emphasis",
    "use_old_emphasis_implementation",
    "upcast_attn",
    "hires_fix_refiner_pass",
    "hires_fix_use_firstpass_conds",
    "use_old_hires_fix_width_height",
    "sdxl_crop_top",
    "sdxl_crop_left",
    "sdxl_refiner_low_aesthetic_score",
    "sdxl_refiner_high_aesthetic_score",
    "sd3_enable_t5",
    "eta_ddim",
    "eta_ancestral",
    "ddim_discretize",
    "s_churn",
    "s_tmin",
    "s_tmax",
    "s_noise",
    "s_min_uncond",
    "s_min_uncond_all",
    "sigma_min",
    "sigma_max",
    "rho",
    "k_sched_type",
    "always_discard_next_to_last_sigma",
    "sgm_noise_multiplier",
    "uni_pc_variant",
    "uni_pc_skip_type",
    "uni_pc_order",
    "uni_pc_lower_order_final",
    "sd_noise_schedule",
    "skip_early_cond",
    "beta_dist_alpha",
    "beta_dist_beta",
    "use_old_karras_scheduler_sigmas",
    "no_dpmpp_sde_batch_determinism",
    "use_old_scheduling",
    "use_downcasted_alpha_bar",
    "refiner_switch_by_sample_steps",
    "pad_cond_uncond",
    "pad_cond_uncond_v0",
    "batch_cond_uncond",
    "inpainting_mask_weight",
    "initial_noise_multiplier",
    "img2img_extra_noise",
    "img2img_color_correction",
    "img2img_fix_steps",
    "img2img_background_color",
    "overlay_inpaint",
    "return_mask",
    "return_mask_composite",
    "ESRGAN_tile",
    "ESRGAN_tile_overlap",
    "DAT_tile",
    "DAT_tile_overlap",
    "extra_networks_default_multiplier",
    "grid_only_if_multiple",
    "grid_prevent_empty_spots",
    "grid_background_color",
    "n_rows",
    "add_model_name_to_info",
    "add_model_hash_to_info",
    "add_vae_name_to_info",
    "add_vae_hash_to_info",
    "add_version_to_infotext",
    "forge_additional_modules",
    "forge_unet_storage_dtype",
    "forge_try_reproduce",
];

/// Settings that are not overridable, and values that no server can use, wherever the request carries them.
pub(super) fn violations(
    task_type: TaskType,
    fields: &Map<String, Value>,
    allowed: &[String],
) -> Vec<Violation> {
    if !matches!(task_type, TaskType::TextToImage | TaskType::ImageToImage) {
        return Vec::new();
    }
    let legacy = fields.get("alwayson_scripts").and_then(|scripts| scripts.get("override_settings"));
    let places = [
        ("/override_settings", fields.get("override_settings")),
        ("/alwayson_scripts/override_settings", legacy),
    ];
    let refused = places.into_iter().flat_map(|(at, settings)| refused(at, settings, allowed));
    refused.chain(infotext(fields)).collect()
}

/// SD WebUI 1.9 and later read settings out of `infotext`, too, and extensions add to which.
fn infotext(fields: &Map<String, Value>) -> Option<Violation> {
    let message = "is not taken from callers, since it would set any setting; write its parameters as fields";
    let is_set = fields.get("infotext").is_some_and(|text| !text.is_null() && text != "");
    is_set.then(|| Violation::new("/infotext", ViolationCode::NotAllowed, message))
}

fn refused(at: &str, settings: Option<&Value>, allowed: &[String]) -> Vec<Violation> {
    let settings = settings.and_then(Value::as_object).into_iter().flatten();
    let refusal = |(key, value): (&String, &Value)| {
        let pointer = format!("{at}/{}", pointer_segment(key));
        let message = if OVERRIDABLE.contains(&key.as_str()) {
            return encoding::violation(&pointer, key, value);
        } else if is_overridable(key, allowed) {
            if !is_path(value) {
                return None;
            }
            "must not be a path".to_owned()
        } else if key == "grid_format" {
            "is only for grids that the runtime keeps; those that it sends have `samples_format`".to_owned()
        } else {
            format!("is no setting that a request may override; possible are {}", listed(OVERRIDABLE))
        };
        Some(Violation::new(pointer, ViolationCode::NotAllowed, message))
    };
    settings.filter_map(refusal).collect()
}

/// Whether a request may override that setting, where the deployment allows those `allowed` of extensions.
pub fn is_overridable(name: &str, allowed: &[String]) -> bool {
    OVERRIDABLE.contains(&name) || (allowed.iter().any(|allowed| allowed == name) && may_be_allowed(name))
}

/// Parts of the names of settings that lead to files or addresses, or that change the program for others.
const NEVER: [&str; 11] =
    ["dir", "path", "folder", "file", "pattern", "url", "api_", "config", "command", "temp", "disable_"];

/// Whether a deployment may let its callers override the setting of an extension: none that leads to files or addresses.
pub fn may_be_allowed(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !name.is_empty() && NEVER.iter().all(|part| !name.contains(part))
}

/// Whether a value leads to a file by its place.
fn is_path(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            let text = text.trim();
            let is_address = text.contains("://") || text.chars().nth(1) == Some(':');
            is_address
                || text.starts_with(['/', '\\', '~'])
                || text.split(['/', '\\']).any(|part| part == "..")
        }
        Value::Array(items) => items.iter().any(is_path),
        Value::Object(fields) => fields.values().any(is_path),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_overridable_setting_names_a_folder_or_touches_the_interface() {
        for key in OVERRIDABLE {
            for word in ["dir", "path", "pattern", "api_", "temp", "disable_", "config", "log"] {
                assert!(!key.contains(word), "{key}");
            }
        }
    }

    #[test]
    fn a_deployment_adds_settings_of_extensions_but_no_paths() {
        let allowed = ["control_net_no_detectmap", "control_net_models_path", "ad_words"].map(str::to_owned);
        let refused = |settings: Value| {
            let content = json!({ "override_settings": settings });
            let found = violations(TaskType::TextToImage, content.as_object().unwrap(), &allowed);
            found.into_iter().map(|violation| violation.pointer).collect::<Vec<_>>()
        };
        assert!(
            refused(json!({"control_net_no_detectmap": true, "ad_words": "a/b, c", "tiling": true}))
                .is_empty()
        );
        let settings =
            json!({"control_net_models_path": "x", "ad_words": ["../x"], "other": 1, "grid_format": "jpg"});
        assert_eq!(
            refused(settings),
            ["control_net_models_path", "ad_words", "other", "grid_format"]
                .map(|name| format!("/override_settings/{name}"))
        );
    }

    #[test]
    fn values_are_checked_in_both_places() {
        let settings = json!({"samples_format": "bmp", "jpeg_quality": 80, "webp_lossless": "no"});
        let content =
            json!({"override_settings": settings, "alwayson_scripts": {"override_settings": settings}});
        let found = violations(TaskType::ImageToImage, content.as_object().unwrap(), &[]);
        let places = ["/override_settings", "/alwayson_scripts/override_settings"];
        let expected =
            places.map(|at| ["samples_format", "webp_lossless"].map(|name| format!("{at}/{name}")));
        assert_eq!(found.into_iter().map(|one| one.pointer).collect::<Vec<_>>(), expected.concat());
    }

    #[test]
    fn settings_do_not_come_in_by_the_infotext() {
        let found = |infotext: Value| {
            let content = json!({"infotext": infotext});
            violations(TaskType::TextToImage, content.as_object().unwrap(), &[])
        };
        assert_eq!(found(json!("a dog\nSteps: 20, Model hash: 0123456789"))[0].pointer, "/infotext");
        assert!(found(Value::Null).is_empty() && found(json!("")).is_empty());
    }

    #[test]
    fn a_folder_is_refused_in_both_places_and_the_message_stays_short() {
        let content = json!({
            "override_settings": {"outdir_samples": "/", "CLIP_stop_at_last_layers": 2},
            "alwayson_scripts": {"override_settings": {"api_enable_requests": true}},
        });
        let found = violations(TaskType::TextToImage, content.as_object().unwrap(), &[]);
        let pointers: Vec<&str> = found.iter().map(|violation| violation.pointer.as_str()).collect();
        assert_eq!(
            pointers,
            ["/override_settings/outdir_samples", "/alwayson_scripts/override_settings/api_enable_requests"]
        );
        assert!(found[0].message.len() < 800, "{}", found[0].message);
    }
}
