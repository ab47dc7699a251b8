/// Reads the size of an image from its headers, as the worker does with each input.
pub fn image_header(bytes: &[u8]) {
    let Some((pixels, sizes)) = worker::fuzzing::image_extent(bytes) else { return };
    assert!(pixels > 0 && !sizes.is_empty());
    for (width, height) in sizes {
        assert!(
            width > 0 && height > 0 && width.saturating_mul(height) <= pixels,
            "{width} x {height}, {pixels}"
        );
    }
}
