//! PNG files with text chunks.

use std::io::Cursor;

use png::{BitDepth, ColorType, Compression, Decoder, Encoder, EncodingError, Transformations};

use super::{CHANNELS, Picture};

/// Writes `picture` as a PNG with one text chunk per keyword: tEXt if the text fits Latin-1, iTXt otherwise, as Pillow
/// chooses.
pub(super) fn encode(picture: &Picture, texts: &[(&str, &str)]) -> Result<Vec<u8>, EncodingError> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, picture.width, picture.height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    for (keyword, text) in texts {
        if text.chars().all(|character| u32::from(character) <= 0xff) {
            encoder.add_text_chunk((*keyword).to_owned(), (*text).to_owned())?;
        } else {
            encoder.add_itxt_chunk((*keyword).to_owned(), (*text).to_owned())?;
        }
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&picture.pixels)?;
    writer.finish()?;
    Ok(file)
}

/// Reads a PNG of any colour type; transparency is dropped.
pub(crate) fn decode(file: &[u8]) -> Option<Picture> {
    let mut decoder = Decoder::new(Cursor::new(file));
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().ok()?;
    let mut samples = vec![0; reader.output_buffer_size()?];
    let frame = reader.next_frame(&mut samples).ok()?;
    let samples = samples.get(..frame.buffer_size())?;
    let pixels = match frame.color_type {
        ColorType::Rgb => samples.to_vec(),
        ColorType::Rgba => {
            samples.chunks_exact(4).flat_map(|rgba| rgba.iter().take(CHANNELS)).copied().collect()
        }
        ColorType::Grayscale => samples.iter().flat_map(|grey| [*grey; CHANNELS]).collect(),
        ColorType::GrayscaleAlpha => samples
            .chunks_exact(2)
            .filter_map(|pair| pair.first())
            .flat_map(|grey| [*grey; CHANNELS])
            .collect(),
        ColorType::Indexed => return None,
    };
    Some(Picture { width: frame.width, height: frame.height, pixels })
}

/// The texts in a PNG, keyword and text.
pub(crate) fn text_chunks(file: &[u8]) -> Vec<(String, String)> {
    let Ok(reader) = Decoder::new(Cursor::new(file)).read_info() else { return Vec::new() };
    let info = reader.info();
    let latin = info.uncompressed_latin1_text.iter().map(|chunk| (chunk.keyword.clone(), chunk.text.clone()));
    let international =
        info.utf8_text.iter().filter_map(|chunk| Some((chunk.keyword.clone(), chunk.get_text().ok()?)));
    latin.chain(international).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_again_with_its_texts() {
        let picture = Picture::solid(5, 3, [10, 20, 30]);

        let file = encode(&picture, &[("parameters", "a dog"), ("other", "犬")]).unwrap();

        assert_eq!(decode(&file), Some(picture));
        let texts = text_chunks(&file);
        assert_eq!(texts, [("parameters".into(), "a dog".into()), ("other".into(), "犬".into())]);
    }
}
