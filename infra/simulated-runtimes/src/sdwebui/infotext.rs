//! The texts about a run: `info` of the answer, and the infotext inside each picture.

use serde_json::{Map, Value, json};

use super::{WebUi, generation::Generation};
use crate::python;

/// Version of the program, as Forge states it.
pub(super) const VERSION: &str = "f2.0.1v1.10.1-previous-669-gdfdcbab6";

/// What a run did.
pub(super) struct Report {
    pub(super) model_name: String,
    model_hash: String,
    clip_skip: Value,
    job_timestamp: String,
    pub(super) seeds: Vec<i64>,
    /// One per picture in the answer, the grid included.
    pub(super) infotexts: Vec<String>,
    index_of_first_image: usize,
}

impl Report {
    pub(super) fn new(webui: &WebUi, job_timestamp: String) -> Self {
        let models = webui.models();
        let (model_name, model_hash) = models
            .loaded()
            .map(|model| (model.name().to_owned(), model.short_hash().to_owned()))
            .unwrap_or_default();
        let clip_skip = webui.settings().value("CLIP_stop_at_last_layers");
        // The setting is a number of a slider; `info` has it as an integer.
        let clip_skip = clip_skip.as_f64().map_or(clip_skip, |layers| json!(layers as i64));
        Self {
            model_name,
            model_hash,
            clip_skip,
            job_timestamp,
            seeds: Vec::new(),
            infotexts: Vec::new(),
            index_of_first_image: 0,
        }
    }

    /// Notes that a picture with this seed was made.
    pub(super) fn add(&mut self, generation: &Generation, seed: i64) {
        self.seeds.push(seed);
        self.infotexts.push(self.infotext(generation, seed));
    }

    pub(super) fn put_grid_first(&mut self) {
        self.infotexts.extend_from_within(..1);
        self.infotexts.rotate_right(1);
        self.index_of_first_image = 1;
    }

    fn infotext(&self, generation: &Generation, seed: i64) -> String {
        let (sampler, schedule) = generation.sampler();
        let (width, height) = (generation.integer("width"), generation.integer("height"));
        let mut settings = vec![
            format!("Steps: {}", generation.integer("steps")),
            format!("Sampler: {sampler}"),
            format!("Schedule type: {schedule}"),
            format!("CFG scale: {:?}", generation.number("cfg_scale")),
            format!("Seed: {seed}"),
            format!("Size: {width}x{height}"),
            format!("Model hash: {}", self.model_hash),
            format!("Model: {}", self.model_name),
        ];
        for (name, value) in extra_parameters(generation) {
            settings.push(format!("{name}: {value}"));
        }
        if self.clip_skip.as_i64().is_some_and(|layers| layers > 1) {
            settings.push(format!("Clip skip: {}", self.clip_skip));
        }
        settings.push(format!("Version: {VERSION}"));
        let negative = match generation.text("negative_prompt") {
            "" => String::new(),
            negative => format!("\nNegative prompt: {negative}"),
        };
        format!("{}{negative}\n{}", generation.text("prompt"), settings.join(", "))
    }
}

fn extra_parameters(generation: &Generation) -> Map<String, Value> {
    match generation.denoising() {
        Value::Null => Map::new(),
        strength => Map::from_iter([("Denoising strength".to_owned(), strength)]),
    }
}

/// `info` of an answer: JSON within a JSON string. It has the prompts and seeds of all images that were to be made, also if the run
/// was interrupted before.
pub(super) fn info(generation: &Generation, report: &Report) -> String {
    let times = |field: &str| usize::try_from(generation.integer(field)).unwrap_or_default().max(1);
    let count = times("batch_size").saturating_mul(times("n_iter"));
    let seeds: Vec<i64> = (generation.seed..).take(count).collect();
    let subseeds: Vec<i64> = (generation.subseed..).take(count).collect();
    python::dumps(&json!({
        "prompt": generation.text("prompt"),
        "all_prompts": vec![generation.text("prompt"); count],
        "negative_prompt": generation.text("negative_prompt"),
        "all_negative_prompts": vec![generation.text("negative_prompt"); count],
        "seed": generation.seed,
        "all_seeds": seeds,
        "subseed": generation.subseed,
        "all_subseeds": subseeds,
        "subseed_strength": generation.value("subseed_strength"),
        "width": generation.integer("width"),
        "height": generation.integer("height"),
        "sampler_name": generation.sampler().0,
        "cfg_scale": generation.number("cfg_scale"),
        "steps": generation.integer("steps"),
        "batch_size": generation.integer("batch_size"),
        "restore_faces": generation.boolean("restore_faces"),
        "face_restoration_model": null,
        "sd_model_name": report.model_name,
        "sd_model_hash": report.model_hash,
        "sd_vae_name": null,
        "sd_vae_hash": null,
        "seed_resize_from_w": generation.integer("seed_resize_from_w"),
        "seed_resize_from_h": generation.integer("seed_resize_from_h"),
        "denoising_strength": generation.denoising(),
        "extra_generation_params": extra_parameters(generation),
        "index_of_first_image": report.index_of_first_image,
        "infotexts": report.infotexts,
        "styles": generation.value("styles").as_array().cloned().unwrap_or_default(),
        "job_timestamp": report.job_timestamp,
        "clip_skip": report.clip_skip,
        "is_using_inpainting_conditioning": false,
        "version": VERSION,
    }))
}
