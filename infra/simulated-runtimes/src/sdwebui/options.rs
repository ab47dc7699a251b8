//! Settings: `GET` and `POST /options`, and the settings that an override changes.

use std::sync::Arc;

use axum::{Json, body::Bytes, extract::State};
use serde_json::{Map, Value, json};

use super::{Dialect, WebUi, errors::Failure, fields, models::Checkpoint};
use crate::faults::Occasion;

/// The settings that exist, a small part of the real program's 300, with their defaults.
const DEFAULTS: &str = r#"{"sd_model_checkpoint": null, "sd_checkpoint_hash": "", "samples_format": "png",
    "CLIP_stop_at_last_layers": 1, "api_enable_requests": true, "api_forbid_local_requests": true, "grid_save": true,
    "return_grid": true, "samples_save": true, "save_images_add_number": true, "enable_pnginfo": true, "jpeg_quality": 80, "webp_lossless": false, "n_rows": -1,
    "sd_vae": "Automatic", "eta_noise_seed_delta": 0, "always_discard_next_to_last_sigma": false,
    "img2img_color_correction": false, "face_restoration_model": "CodeFormer", "live_previews_enable": true,
    "show_progress_every_n_steps": 10, "outdir_samples": "", "filter_nsfw": false}"#;

pub(super) struct Settings {
    defaults: Map<String, Value>,
    /// What was set at least once, as the settings file holds it.
    stored: Map<String, Value>,
}

impl Settings {
    pub(super) fn new(dialect: Dialect, loaded: Option<&Checkpoint>) -> Self {
        let mut settings =
            Self { defaults: serde_json::from_str(DEFAULTS).unwrap_or_default(), stored: Map::new() };
        let own = match dialect {
            Dialect::Forge => json!({"forge_additional_modules": [], "forge_preset": "sd"}),
            Dialect::SdNext => json!({"diffusers_pipeline": "Autodetect", "samples_format": "jpg"}),
            Dialect::Automatic1111 => json!({}),
        };
        settings.defaults.extend(own.as_object().cloned().unwrap_or_default());
        if let Some(checkpoint) = loaded {
            settings.select_model(checkpoint);
        }
        settings
    }

    pub(super) fn value(&self, key: &str) -> Value {
        self.stored.get(key).or_else(|| self.defaults.get(key)).cloned().unwrap_or_default()
    }

    pub(super) fn select_model(&mut self, checkpoint: &Checkpoint) {
        self.stored.insert("sd_model_checkpoint".to_owned(), json!(checkpoint.selected_name()));
        self.stored.insert("sd_checkpoint_hash".to_owned(), json!(checkpoint.sha256));
    }

    /// Sets all of `values` and returns what can be restored: only keys that had been stored before. The others leak into
    /// later requests.
    pub(super) fn set_all(&mut self, values: &Map<String, Value>) -> Result<Map<String, Value>, Failure> {
        if let Some(unknown) = values.keys().find(|key| !self.defaults.contains_key(*key)) {
            return Err(Failure::exception("KeyError", &format!("'{unknown}'")));
        }
        let known = values.keys().filter_map(|key| Some((key.clone(), self.stored.get(key)?.clone())));
        let before = known.collect();
        self.put_back(values.clone());
        Ok(before)
    }

    pub(super) fn put_back(&mut self, values: Map<String, Value>) {
        self.stored.extend(values);
    }
}

pub(super) async fn get(State(webui): State<Arc<WebUi>>) -> Json<Value> {
    let settings = webui.settings();
    let mut all = settings.defaults.clone();
    all.extend(settings.stored.clone());
    all.values_mut().for_each(show_as_float);
    Json(Value::Object(all))
}

/// The model of the answer declares whole numbers as floats: 80 is shown as `80.0`.
fn show_as_float(value: &mut Value) {
    if let Some(number) = value.as_f64() {
        *value = number.into();
    }
}

pub(super) async fn set(State(webui): State<Arc<WebUi>>, body: Bytes) -> Result<Json<Value>, Failure> {
    // An object without known fields: FastAPI accepts any.
    fields::validate(webui.dialect, &body, &[])?;
    let mut values: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
    let checkpoint = values.shift_remove("sd_model_checkpoint");
    let mut models = webui.models();
    let mut settings = webui.settings();
    if let Some(name) = checkpoint.as_ref().and_then(Value::as_str)
        && webui.machine.faults.next(Occasion::ModelSwitch).is_none()
    {
        match models.select(name) {
            Some(checkpoint) => settings.select_model(checkpoint),
            None if webui.dialect == Dialect::SdNext => {}
            None => return Err(Failure::exception("RuntimeError", &format!("model '{name}' not found"))),
        }
    }
    settings.set_all(&values)?;
    Ok(Json(match webui.dialect {
        Dialect::SdNext => {
            let keys = checkpoint.is_some().then_some("sd_model_checkpoint").into_iter();
            let updated = keys.chain(values.keys().map(String::as_str)).map(|key| json!({key: true}));
            json!({"updated": updated.collect::<Vec<_>>()})
        }
        Dialect::Forge | Dialect::Automatic1111 => Value::Null,
    }))
}
