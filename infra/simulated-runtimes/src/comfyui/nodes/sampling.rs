//! Latents: sampling into them, and what they look like.

use std::sync::Arc;

use super::{Call, Data};
use crate::picture::{Caption, Picture};

/// A picture that is not decoded yet.
#[derive(Debug, Clone, Default)]
pub(in crate::comfyui) struct Latent {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) batch: u32,
    /// What was sampled into it.
    pub(super) sampled: Option<Sampled>,
}

#[derive(Debug, Clone)]
pub(super) struct Sampled {
    text: String,
    model: String,
    seed: u64,
}

impl Call {
    pub(super) fn sample(&self) -> Latent {
        let mut latent = match self.input("latent_image") {
            Some(Data::Latent(latent)) => latent.clone(),
            _ => Latent::default(),
        };
        let text = match self.input("positive") {
            Some(Data::Conditioning(text)) => text.clone(),
            _ => String::new(),
        };
        let model = match self.input("model") {
            Some(Data::Model(model)) => model.clone(),
            _ => String::new(),
        };
        let seed = match self.input("seed") {
            Some(Data::Value(seed)) => seed.as_u64().unwrap_or_default(),
            _ => 0,
        };
        latent.sampled = Some(Sampled { text, model, seed });
        latent
    }

    pub(super) fn decode(&self) -> Vec<Arc<Picture>> {
        let Some(Data::Latent(latent)) = self.input("samples") else { return Vec::new() };
        let (width, height) = (latent.width, latent.height);
        let name = &self.comfy.machine.name;
        let (text, model, seed) = match &latent.sampled {
            Some(Sampled { text, model, seed }) => (text.as_str(), model.as_str(), format!("seed {seed}")),
            None => ("", "", "not sampled".to_owned()),
        };
        let draw = |index: u32| {
            let place =
                if latent.batch > 1 { format!("  {}/{}", index + 1, latent.batch) } else { String::new() };
            let caption = Caption {
                heading: if model.is_empty() { name.clone() } else { format!("{name} · {model}") },
                text: text.to_owned(),
                footer: format!("{seed}  {width}x{height}{place}"),
            };
            self.comfy.machine.artist.draw(&caption, &format!("{text}\n{seed}\n{index}"), width, height)
        };
        (0..latent.batch).map(draw).collect()
    }
}
