//! Background colours that differ with what is drawn.

use sha2::{Digest as _, Sha256};

/// A dark colour derived from `key`: white text can be read on it, and other keys most likely give other colours.
pub(super) fn background(key: &str) -> [u8; 3] {
    let digest = Sha256::digest(key.as_bytes());
    let byte = |index: usize| f32::from(digest.get(index).copied().unwrap_or_default()) / 255.0;
    from_hsl(byte(0) * 360.0, 0.35 + 0.35 * byte(1), 0.22 + 0.14 * byte(2))
}

/// Hue in degrees, saturation and lightness between 0 and 1.
fn from_hsl(hue: f32, saturation: f32, lightness: f32) -> [u8; 3] {
    let amplitude = saturation * lightness.min(1.0 - lightness);
    [0.0, 8.0, 4.0].map(|offset| {
        let position = (offset + hue / 30.0) % 12.0;
        let channel = lightness - amplitude * (position - 3.0).min(9.0 - position).clamp(-1.0, 1.0);
        (channel * 255.0) as u8
    })
}
