//! Generates the pictures of a request.

use std::sync::Arc;

use base64_simd::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    Dialect, WebUi,
    answer::{self, Generated},
    errors::Failure,
    generation::Generation,
    infotext::{self, Report},
};
use crate::{
    faults::{Fault, Occasion},
    picture::{Caption, Picture},
    samples::Sample,
};

/// A GPU has no room for more pixels than this in one request.
const MAX_PIXELS: i64 = 64 * 1024 * 1024;

/// Pixels of a picture for each of its latent image, in one direction.
const LATENT_PIXEL: i64 = 8;

/// Runs `generation` after all earlier ones. Its images are encoded while the next run proceeds.
pub(super) async fn generate(webui: Arc<WebUi>, mut generation: Generation) -> Result<Generated, Failure> {
    let (job, fault) = webui.take_turn(generation.job, generation.text("prompt")).await?;
    if fault == Some(Fault::NoImages) {
        return Ok(Generated { images: Vec::new(), parameters: generation.parameters, info: String::new() });
    }
    let restore = webui.override_settings(&mut generation)?;
    let produced = produce(&webui, &generation).await;
    webui.restore_settings(restore);
    drop(job);
    // Images are encoded when the settings are the server's own again.
    let format = webui.settings().value("samples_format");
    let Produced { pictures, report } = produced?;
    let info = infotext::info(&generation, &report);
    let images = if generation.boolean("send_images") {
        encode(&webui, pictures, report.infotexts, format).await?
    } else {
        Vec::new()
    };
    let images = images.into_iter().map(|image| answer::transport(image, fault.as_ref())).collect();
    Ok(Generated { images, parameters: generation.parameters, info })
}

struct Produced {
    pictures: Vec<Arc<Picture>>,
    report: Report,
}

async fn produce(webui: &Arc<WebUi>, generation: &Generation) -> Result<Produced, Failure> {
    let (width, height) = size(webui.dialect, generation)?;
    let (batch, iterations) = (generation.integer("batch_size").max(1), generation.integer("n_iter").max(1));
    let pixels = i64::from(width) * i64::from(height);
    if pixels.saturating_mul(batch).saturating_mul(iterations) > MAX_PIXELS {
        return Err(Failure::out_of_memory());
    }
    let passes = generation.passes();
    let iterations = u32::try_from(iterations).unwrap_or(u32::MAX);
    let jobs = iterations.saturating_mul(u32::try_from(passes.len()).unwrap_or(u32::MAX));
    let first_steps = passes.first().map_or(0, |pass| pass.steps);
    let mut report = Report::new(webui, webui.progress().begin(generation.job, jobs, first_steps));
    let weight: f64 = passes.iter().map(|pass| f64::from(pass.steps) * pass.step_weight).sum();
    let mut timer = webui.machine.step_timer(weight * f64::from(iterations));
    let mut seed = generation.seed;
    for _ in 0..iterations {
        webui.progress().begin_batch();
        if webui.progress().interrupted() {
            break;
        }
        for pass in &passes {
            webui.progress().begin_pass(pass.steps);
            for _ in 0..pass.steps {
                timer.step(pass.step_weight).await;
                if !webui.progress().step() {
                    break;
                }
            }
            webui.progress().next_job();
        }
        for _ in 0..batch {
            report.add(generation, seed);
            seed += 1;
        }
    }
    if webui.dialect == Dialect::Forge
        && generation.boolean("enable_hr")
        && generation.value("hr_additional_modules").is_null()
    {
        // After the first pass.
        webui.progress().finish(webui.dialect);
        return Err(Failure::exception("TypeError", "argument of type 'NoneType' is not iterable"));
    }
    let pictures = draw(webui, generation, &mut report, width, height).await;
    webui.progress().finish(webui.dialect);
    Ok(Produced { pictures: pictures?, report })
}

/// Width and height of the pictures, in pixels: what the request asks for, without what is no whole latent pixel. SD WebUI
/// accepts any, and fails in the model when there is nothing to compute.
fn size(dialect: Dialect, generation: &Generation) -> Result<(u32, u32), Failure> {
    let (width, height) = generation.final_size();
    let side =
        |length: i64| u32::try_from(length / LATENT_PIXEL * LATENT_PIXEL).ok().filter(|side| *side > 0);
    let has_steps = generation.integer("steps") > 0;
    match (side(width), side(height)) {
        (Some(width), Some(height)) if has_steps => Ok((width, height)),
        (Some(_), Some(_)) if dialect == Dialect::Automatic1111 => {
            Err(Failure::exception("ZeroDivisionError", "integer division or modulo by zero"))
        }
        _ => {
            let message = format!(
                "Calculated padded input size per channel: ({} x {}). Kernel size: (3 x 3). Kernel size can't be greater \
                 than actual input size",
                height / LATENT_PIXEL + 2,
                width / LATENT_PIXEL + 2,
            );
            Err(Failure::exception("RuntimeError", &message))
        }
    }
}

/// Draws the pictures of a report; the grid comes first if pictures are saved and there are several.
async fn draw(
    webui: &Arc<WebUi>,
    generation: &Generation,
    report: &mut Report,
    width: u32,
    height: u32,
) -> Result<Vec<Arc<Picture>>, Failure> {
    let footer = |seed: i64| {
        let source =
            generation.source.map(|(width, height)| format!("  from {width}x{height}")).unwrap_or_default();
        format!("seed {seed}  {width}x{height}{source}")
    };
    let heading = format!("{} · {}", webui.machine.name, report.model_name);
    let prompt = generation.text("prompt").to_owned();
    let captions: Vec<_> = report
        .seeds
        .iter()
        .map(|seed| {
            let caption = Caption { heading: heading.clone(), text: prompt.clone(), footer: footer(*seed) };
            (caption, format!("{prompt}\n{seed}"))
        })
        .collect();
    let with_grid = generation.boolean("save_images")
        && captions.len() > 1
        && webui.settings().value("return_grid") == json!(true);
    if with_grid {
        report.put_grid_first();
    }
    let machine = Arc::clone(&webui.machine);
    let drawing = move || {
        let pictures = captions.iter().map(|(caption, key)| machine.artist.draw(caption, key, width, height));
        let mut pictures: Vec<_> = pictures.collect();
        if with_grid {
            let copies: Vec<_> = pictures.iter().map(|picture| Picture::clone(picture)).collect();
            pictures.splice(0..0, Picture::grid(&copies).map(Arc::new));
        }
        pictures
    };
    let drawn = tokio::task::spawn_blocking(drawing).await;
    drawn.map_err(|error| Failure::exception("RuntimeError", &error.to_string()))
}

/// The pictures as files of that format, in base64.
async fn encode(
    webui: &Arc<WebUi>,
    pictures: Vec<Arc<Picture>>,
    infotexts: Vec<String>,
    format: Value,
) -> Result<Vec<Bytes>, Failure> {
    let machine = Arc::clone(&webui.machine);
    let encoding = move || {
        let files = pictures.iter().zip(&infotexts).map(|(picture, infotext)| match format.as_str() {
            Some("jpg" | "jpeg") => Ok(BASE64.encode_to_string(Sample::Jpeg.bytes()).into()),
            Some("webp") => Ok(BASE64.encode_to_string(Sample::Webp.bytes()).into()),
            _ => machine.artist.encode_base64(picture, &[("parameters", infotext)]),
        });
        files.collect::<Result<Vec<_>, _>>()
    };
    match tokio::task::spawn_blocking(encoding).await {
        Ok(Ok(files)) => Ok(files),
        Ok(Err(error)) => Err(Failure::exception("ValueError", &error.to_string())),
        Err(error) => Err(Failure::exception("RuntimeError", &error.to_string())),
    }
}

/// What a run restores when it is done: settings that were stored before, and the model.
pub(super) struct Restore {
    settings: Map<String, Value>,
    model: Option<usize>,
}

impl WebUi {
    /// Applies the overrides of a request. An override model that is not known by one of its exact names is dropped
    /// silently, and the selected model runs.
    fn override_settings(&self, generation: &mut Generation) -> Result<Restore, Failure> {
        let mut models = self.models();
        let mut settings = self.settings();
        let selected = models.ensure_loaded();
        let mut overrides = generation.overrides();
        if let Some(name) = overrides.shift_remove("sd_model_checkpoint") {
            match models.by_alias(name.as_str().unwrap_or_default()) {
                Some(_) if self.machine.faults.next(Occasion::ModelSwitch).is_some() => {}
                Some(model) => models.load(model),
                None if self.dialect == Dialect::Automatic1111 => {}
                None => generation.drop_override("sd_model_checkpoint"),
            }
        }
        let before = settings.set_all(&overrides)?;
        if generation.boolean("override_settings_restore_afterwards") {
            return Ok(Restore { settings: before, model: selected });
        }
        if let Some(loaded) = models.loaded() {
            settings.select_model(loaded);
        }
        Ok(Restore { settings: Map::new(), model: None })
    }

    /// Settings that had not been set before are not restored: SD WebUI restores only what is in its settings file.
    fn restore_settings(&self, restore: Restore) {
        self.settings().put_back(restore.settings);
        if let Some(model) = restore.model {
            self.models().load(model);
        }
    }
}
