//! Writes a caption on a picture.

use std::convert::Infallible;

use embedded_graphics::{
    Drawable as _, Pixel,
    draw_target::DrawTarget,
    geometry::{OriginDimensions, Point, Size},
    mono_font::{
        MonoFont, MonoTextStyle,
        iso_8859_1::{FONT_4X6, FONT_6X10, FONT_10X20},
    },
    pixelcolor::BinaryColor,
    text::{Baseline, Text},
};

use super::Picture;

/// The text on a picture, from top to bottom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caption {
    /// Which runtime drew it, with which model.
    pub(crate) heading: String,
    /// The prompt; wrapped between words, cut where the picture ends.
    pub(crate) text: String,
    /// Seed, size and the like.
    pub(crate) footer: String,
}

/// Width in font pixels that a line should have room for: larger pictures get larger letters.
const LINE_WIDTH: u32 = 340;

impl Caption {
    /// Writes the caption on `picture`, as much of it as fits.
    pub(super) fn write(&self, picture: &mut Picture) {
        let (font, scale) = match picture.width {
            0..80 => (&FONT_4X6, 1),
            80..160 => (&FONT_6X10, 1),
            width => (&FONT_10X20, (width / LINE_WIDTH).max(1)),
        };
        let mut page = Page { picture, font, scale };
        let rows = page.rows();
        let heading = wrap(&self.heading, page.columns());
        let footer = wrap(&self.footer, page.columns());
        let text = wrap(&self.text, page.columns());
        // The text matters most: heading and footer are omitted on small pictures.
        let frame = heading.len() + footer.len() + 2;
        if frame >= rows {
            page.print(0, text.iter().take(rows), WHITE);
            return;
        }
        let room = rows - frame;
        page.print(0, heading.iter(), GREY);
        page.print(heading.len() + 1, text.iter().take(room), WHITE);
        page.print(rows - footer.len(), footer.iter(), GREY);
    }
}

const WHITE: [u8; 3] = [255; 3];
const GREY: [u8; 3] = [200; 3];

/// A picture seen as rows and columns of letters.
struct Page<'a> {
    picture: &'a mut Picture,
    font: &'static MonoFont<'static>,
    scale: u32,
}

impl Page<'_> {
    /// Space left free on each side, in font pixels.
    fn margin(&self) -> u32 {
        self.font.character_size.width / 2
    }

    fn columns(&self) -> usize {
        let width = (self.picture.width / self.scale).saturating_sub(2 * self.margin());
        (width / self.font.character_size.width) as usize
    }

    fn rows(&self) -> usize {
        let height = (self.picture.height / self.scale).saturating_sub(2 * self.margin());
        (height / self.font.character_size.height) as usize
    }

    fn print<'l>(&mut self, first_row: usize, lines: impl Iterator<Item = &'l String>, colour: [u8; 3]) {
        let (margin, height) = (self.margin(), self.font.character_size.height as usize);
        let (font, scale) = (self.font, self.scale);
        for (row, line) in lines.enumerate() {
            let position = Point::new(margin as i32, (margin as usize + (first_row + row) * height) as i32);
            let style = MonoTextStyle::new(font, BinaryColor::On);
            let mut ink = Ink { picture: self.picture, scale, colour };
            let Ok(_) = Text::with_baseline(line, position, style, Baseline::Top).draw(&mut ink);
        }
    }
}

/// Draws font pixels as squares of `scale` picture pixels.
struct Ink<'a> {
    picture: &'a mut Picture,
    scale: u32,
    colour: [u8; 3],
}

impl OriginDimensions for Ink<'_> {
    fn size(&self) -> Size {
        Size::new(self.picture.width / self.scale, self.picture.height / self.scale)
    }
}

impl DrawTarget for Ink<'_> {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        let scale = self.scale as usize;
        for Pixel(point, _) in pixels.into_iter().filter(|pixel| pixel.1.is_on()) {
            if let (Ok(x), Ok(y)) = (usize::try_from(point.x), usize::try_from(point.y)) {
                self.picture.fill(x * scale, y * scale, scale, scale, self.colour);
            }
        }
        Ok(())
    }
}

/// Breaks `text` into lines of at most `columns` characters, between words where possible.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    if columns == 0 {
        return lines;
    }
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > columns {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            for letter in word.chars() {
                if line.chars().count() == columns {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(letter);
            }
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_long_words_are_cut() {
        assert_eq!(wrap("a red fox", 5), ["a red", "fox"]);
        assert_eq!(wrap("abcdefg h", 3), ["abc", "def", "g h"]);
        assert_eq!(wrap("anything", 0), Vec::<String>::new());
    }

    #[test]
    fn the_caption_is_visible_on_all_but_tiny_pictures() {
        for (width, height) in [(1, 1), (8, 8), (64, 64), (100, 2000), (512, 512), (1024, 768)] {
            let blank = Picture::solid(width, height, [0; 3]);
            let mut picture = blank.clone();
            let caption =
                Caption { heading: "runtime".into(), text: "a dog".into(), footer: "seed 42".into() };

            caption.write(&mut picture);

            assert_eq!(picture != blank, width >= 64, "{width}x{height}");
        }
    }
}
