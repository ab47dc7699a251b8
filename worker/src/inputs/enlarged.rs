//! The size of images after the enlargement that a task asks for. Their own size is known only once they are fetched.

use shared_schema::ErrorCode;
use shared_schema::content::Enlargement;
use shared_schema::file_kind::{ImageKind, image_format};

use super::{Input, pixels};
use crate::error::TaskError;

/// Spellings of a metadata block that may hold an orientation, and of its entry.
const TURNING: [&[u8]; 5] = [b"Exif", b"eXIf", b"EXIF", b"exif", b"Orientation"];

/// Whether an input, enlarged so, has at most `max_pixels`.
///
/// # Errors
/// [`ErrorCode::InputTooLarge`] at the field of the input.
pub fn check(input: &Input, enlargement: Enlargement, max_pixels: u64) -> Result<(), TaskError> {
    let format = image_format(&input.bytes);
    // What is no image did not get here, and the runtime refuses it.
    let Some((kind, extent)) =
        format.and_then(|format| Some((format.kind, pixels::of(format.kind, &input.bytes)?)))
    else {
        return Ok(());
    };
    let is_too_large = |width: u64, height: u64| enlargement.pixels(width, height) > max_pixels as f64;
    let too_large = extent.sizes.iter().find(|(width, height)| {
        is_too_large(*width, *height) || (is_too_large(*height, *width) && may_be_turned(kind, &input.bytes))
    });
    let Some((width, height)) = too_large else { return Ok(()) };
    let message = format!(
        "the input has {width} times {height} pixels; enlarged as asked for it would have more than {max_pixels}"
    );
    Err(TaskError::new(ErrorCode::InputTooLarge, message).at_field(format!("/content{}", input.pointer)))
}

/// Whether a runtime may turn the picture by a quarter before it enlarges it, by the image's metadata.
fn may_be_turned(kind: ImageKind, image: &[u8]) -> bool {
    // Theirs is in a tag, and in a box.
    let is_said_elsewhere = matches!(kind, ImageKind::Tiff | ImageKind::Avif);
    let holds = |text: &&[u8]| image.windows(text.len()).any(|window| window == *text);
    is_said_elsewhere || TURNING.iter().any(holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bmp(width: u32, height: u32) -> Vec<u8> {
        [b"BM", &[0; 12][..], &40_u32.to_le_bytes(), &width.to_le_bytes(), &height.to_le_bytes(), &[0; 32]]
            .concat()
    }

    fn is_taken(bytes: Vec<u8>, enlargement: Enlargement) -> bool {
        let input = Input {
            pointer: "/image".to_owned(),
            bytes: bytes.into(),
            content_type: "image/bmp",
            extension: "bmp",
        };
        check(&input, enlargement, 10_000).is_ok()
    }

    #[test]
    fn the_real_size_counts() {
        let to = |width, height| Enlargement::To { width, height };
        for (size, enlargement, taken) in [
            ((50, 50), Enlargement::By(2.0), true),
            ((51, 50), Enlargement::By(2.0), false),
            ((100, 100), Enlargement::By(f64::INFINITY), false),
            ((2, 2), to(100.0, 100.0), true),
            ((1, 100), to(100.0, 1.0), false),
            ((100, 1), to(100.0, 1.0), true),
            ((4, 2), to(140.0, 70.0), true),
            ((4, 2), to(140.0, 140.0), false),
        ] {
            assert_eq!(is_taken(bmp(size.0, size.1), enlargement), taken, "{size:?} {enlargement:?}");
        }
    }

    #[test]
    fn a_picture_that_may_be_turned_counts_in_both_ways() {
        let strip = bmp(100, 1);
        let turned = [&strip[..], b"Exif\0\0MM"].concat();
        let to = Enlargement::To { width: 100.0, height: 1.0 };
        assert!(is_taken(strip, to) && !is_taken(turned.clone(), to));
        assert!(is_taken(turned, Enlargement::By(2.0)));
    }
}
