//! Drawing the placeholder for a generated picture.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use png::EncodingError;

use super::{Caption, Picture, colour, png_file};

/// Width and height.
type PixelSize = (u32, u32);

/// Draws pictures, or hands out the same ones again when speed is all that matters.
pub(crate) struct Artist {
    predrawn: Option<Predrawn>,
}

#[derive(Default)]
struct Predrawn {
    pictures: Mutex<HashMap<PixelSize, Arc<Picture>>>,
    files: Mutex<HashMap<PixelSize, Bytes>>,
}

impl Artist {
    pub(crate) fn new(predrawn: bool) -> Self {
        Self { predrawn: predrawn.then(Predrawn::default) }
    }

    /// A picture with `caption` on it, over a colour that differs with `key` (what makes two pictures different).
    pub(crate) fn draw(&self, caption: &Caption, key: &str, width: u32, height: u32) -> Arc<Picture> {
        let Some(predrawn) = &self.predrawn else { return Arc::new(draw(caption, key, width, height)) };
        let mut pictures = predrawn.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(pictures.entry((width, height)).or_insert_with(|| Arc::new(Picture::noise(width, height))))
    }

    /// The picture as a PNG file with `texts` inside; a predrawn one has none.
    ///
    /// # Errors
    /// The picture has no pixels, or a text cannot be stored.
    pub(crate) fn encode(&self, picture: &Picture, texts: &[(&str, &str)]) -> Result<Bytes, EncodingError> {
        let Some(predrawn) = &self.predrawn else { return Ok(png_file::encode(picture, texts)?.into()) };
        let mut files = predrawn.files.lock().unwrap_or_else(PoisonError::into_inner);
        match files.entry((picture.width, picture.height)) {
            Entry::Occupied(file) => Ok(file.get().clone()),
            Entry::Vacant(place) => Ok(place.insert(png_file::encode(picture, &[])?.into()).clone()),
        }
    }
}

fn draw(caption: &Caption, key: &str, width: u32, height: u32) -> Picture {
    let mut picture = Picture::solid(width, height, colour::background(key));
    caption.write(&mut picture);
    picture
}
