//! Pictures: pixels, operations on them, and PNG files.

mod artist;
mod caption;
mod colour;
mod png_file;

pub(crate) use artist::Artist;
pub(crate) use caption::Caption;
pub(crate) use png_file::{decode, text_chunks};

/// Bytes per pixel: red, green, blue.
const CHANNELS: usize = 3;

/// An RGB picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pixels: Vec<u8>,
}

impl Picture {
    /// One colour all over.
    pub(crate) fn solid(width: u32, height: u32, colour: [u8; CHANNELS]) -> Self {
        Self { width, height, pixels: colour.repeat(width as usize * height as usize) }
    }

    /// The same noise every time. Its file is as large as its pixels, larger than any generated image of that size.
    pub(crate) fn noise(width: u32, height: u32) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let xorshift = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[0]
        };
        let pixels = std::iter::repeat_with(xorshift).take(width as usize * height as usize * CHANNELS);
        Self { width, height, pixels: pixels.collect() }
    }

    /// Width and height.
    fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// The same content in another size, by nearest neighbour.
    pub(crate) fn scaled(&self, width: u32, height: u32) -> Self {
        let mut pixels = Vec::with_capacity(width as usize * height as usize * CHANNELS);
        for y in 0..height {
            let row = u64::from(y) * u64::from(self.height) / u64::from(height);
            for x in 0..width {
                let column = u64::from(x) * u64::from(self.width) / u64::from(width);
                pixels.extend_from_slice(self.pixel(column as usize, row as usize));
            }
        }
        Self { width, height, pixels }
    }

    pub(crate) fn inverted(&self) -> Self {
        Self { pixels: self.pixels.iter().map(|channel| !channel).collect(), ..*self }
    }

    /// Pictures of the same size side by side, in rows as SD WebUI's grid has them: as square as possible.
    pub(crate) fn grid(pictures: &[Self]) -> Option<Self> {
        let first = pictures.first()?;
        let rows = (pictures.len().isqrt()).max(1);
        let columns = pictures.len().div_ceil(rows);
        let (width, height) = (first.width as usize, first.height as usize);
        let mut grid = Self::solid((width * columns) as u32, (height * rows) as u32, [0; CHANNELS]);
        for (index, picture) in pictures.iter().enumerate() {
            let (left, top) = (index % columns * width, index / columns * height);
            for (y, row) in picture.pixels.chunks_exact(width * CHANNELS).enumerate() {
                let start = ((top + y) * width * columns + left) * CHANNELS;
                if let Some(target) = grid.pixels.get_mut(start..start + row.len()) {
                    target.copy_from_slice(row);
                }
            }
        }
        Some(grid)
    }

    fn pixel(&self, x: usize, y: usize) -> &[u8] {
        let start = (y * self.width as usize + x) * CHANNELS;
        self.pixels.get(start..start + CHANNELS).unwrap_or(&[0; CHANNELS])
    }

    /// Fills a rectangle, as far as it lies inside.
    fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, colour: [u8; CHANNELS]) {
        let (picture_width, picture_height) = (self.width as usize, self.height as usize);
        let right = (x + width).min(picture_width);
        for row in y..(y + height).min(picture_height) {
            for column in x..right {
                let start = (row * picture_width + column) * CHANNELS;
                if let Some(pixel) = self.pixels.get_mut(start..start + CHANNELS) {
                    pixel.copy_from_slice(&colour);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_puts_pictures_side_by_side() {
        let red = Picture::solid(2, 1, [255, 0, 0]);
        let blue = Picture::solid(2, 1, [0, 0, 255]);

        let grid = Picture::grid(&[red, blue]).unwrap();

        assert_eq!((grid.width, grid.height), (4, 1));
        assert_eq!(grid.pixels, [255, 0, 0, 255, 0, 0, 0, 0, 255, 0, 0, 255]);
    }

    #[test]
    fn four_pictures_make_a_square_grid() {
        let grid = Picture::grid(&vec![Picture::solid(8, 6, [1, 2, 3]); 4]).unwrap();

        assert_eq!((grid.width, grid.height), (16, 12));
    }

    #[test]
    fn scaling_keeps_the_content() {
        let picture = Picture::solid(4, 4, [9, 8, 7]);

        assert_eq!(picture.scaled(7, 3), Picture::solid(7, 3, [9, 8, 7]));
    }
}
