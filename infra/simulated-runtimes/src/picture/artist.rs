//! Draws the placeholder of a generated picture.

use std::{
    collections::{HashMap, hash_map::Entry},
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use base64_simd::STANDARD as BASE64;
use bytes::Bytes;
use png::EncodingError;

use super::{Caption, Picture, colour, png_file};

/// Width and height.
type PixelSize = (u32, u32);

/// Draws pictures, or reuses predrawn ones for speed.
pub(crate) struct Artist {
    predrawn: Option<Predrawn>,
}

#[derive(Default)]
struct Predrawn {
    pictures: BySize<Arc<Picture>>,
    files: BySize<Bytes>,
    base64: BySize<Bytes>,
}

/// A cache with one value per size.
type BySize<T> = Mutex<HashMap<PixelSize, T>>;

impl Artist {
    pub(crate) fn new(predrawn: bool) -> Self {
        Self { predrawn: predrawn.then(Predrawn::default) }
    }

    /// A picture with `caption` on it, over a colour that differs with `key` (what makes two pictures different).
    pub(crate) fn draw(&self, caption: &Caption, key: &str, width: u32, height: u32) -> Arc<Picture> {
        let Some(predrawn) = &self.predrawn else { return Arc::new(draw(caption, key, width, height)) };
        let noise = || Ok::<_, Infallible>(Arc::new(Picture::noise(width, height)));
        let Ok(picture) = once(&predrawn.pictures, (width, height), noise);
        picture
    }

    /// The picture as a PNG file with `texts` inside; a predrawn one has none.
    ///
    /// # Errors
    /// The picture has no pixels, or a text cannot be stored.
    pub(crate) fn encode(&self, picture: &Picture, texts: &[(&str, &str)]) -> Result<Bytes, EncodingError> {
        let Some(predrawn) = &self.predrawn else { return Ok(png_file::encode(picture, texts)?.into()) };
        once(&predrawn.files, picture.size(), || Ok(png_file::encode(picture, &[])?.into()))
    }

    /// That file in base64.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn encode_base64(
        &self,
        picture: &Picture,
        texts: &[(&str, &str)],
    ) -> Result<Bytes, EncodingError> {
        let base64 = || Ok(BASE64.encode_to_string(self.encode(picture, texts)?).into());
        match &self.predrawn {
            Some(predrawn) => once(&predrawn.base64, picture.size(), base64),
            None => base64(),
        }
    }
}

/// The cached value for that size, or a new one.
fn once<T: Clone, E>(made: &BySize<T>, size: PixelSize, make: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    match made.lock().unwrap_or_else(PoisonError::into_inner).entry(size) {
        Entry::Occupied(made) => Ok(made.get().clone()),
        Entry::Vacant(place) => Ok(place.insert(make()?).clone()),
    }
}

fn draw(caption: &Caption, key: &str, width: u32, height: u32) -> Picture {
    let mut picture = Picture::solid(width, height, colour::background(key));
    caption.write(&mut picture);
    picture
}
