//! A piece of paper as a picture: dots verbatim, characters and the printer's own codes as boxes. Good enough to read
//! a code that was sent as dots, and to see how a receipt is laid out.

use super::paper::{Align, Mark, Paper, Piece, Span, offset_dots};

/// Rows of blank paper below a piece.
const TAIL_DOTS: usize = 8;

/// A picture of 8-bit grey, 0 is black.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grey {
    /// In dots.
    pub width: usize,
    /// In dots.
    pub height: usize,
    /// `height` rows of `width`.
    pub pixels: Vec<u8>,
}

impl Paper {
    /// A piece as a picture.
    pub fn grey(&self, piece: &Piece) -> Grey {
        let mut grey = Grey::blank(self.width_dots() as usize, piece.height_dots() as usize + TAIL_DOTS);
        let mut top = 0;
        for printed in &piece.printed {
            let height = printed.height_dots as usize;
            match &printed.mark {
                Mark::Line(spans) => grey.draw_line(spans, printed.align, top),
                Mark::Picture(picture) => {
                    let (scale_x, scale_y) = (picture.scale.0 as usize, picture.scale.1 as usize);
                    let width = picture.row_bytes * 8 * scale_x;
                    let left = grey.offset(width, printed.align);
                    for y in 0..picture.rows() * scale_y {
                        for x in (0..width).filter(|x| picture.is_black(x / scale_x, y / scale_y)) {
                            grey.set(left + x, top + y);
                        }
                    }
                }
                Mark::Qr(_) => grey.draw_box(grey.offset(height, printed.align), top, height, height),
                Mark::Barcode(_) => {
                    let width = grey.width / 2;
                    grey.draw_box(grey.offset(width, printed.align), top, width, height);
                }
                Mark::Feed | Mark::RollEnd => {}
            }
            top += height;
        }
        grey
    }

    /// A piece as a PNG.
    ///
    /// # Errors
    /// The encoder's.
    pub fn png(&self, piece: &Piece) -> Result<Vec<u8>, png::EncodingError> {
        let grey = self.grey(piece);
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, grey.width as u32, grey.height as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header()?.write_image_data(&grey.pixels)?;
        Ok(file)
    }
}

impl Grey {
    fn blank(width: usize, height: usize) -> Grey {
        Grey { width, height, pixels: vec![0xff; width * height] }
    }

    fn offset(&self, width: usize, align: Align) -> usize {
        offset_dots(width as u32, align, self.width as u32) as usize
    }

    fn set(&mut self, x: usize, y: usize) {
        if x < self.width && y < self.height {
            self.pixels[y * self.width + x] = 0;
        }
    }

    fn draw_line(&mut self, spans: &[Span], align: Align, top: usize) {
        let used = spans.last().map_or(0, |span| span.x_dots + span.width_dots());
        let indent = self.offset(used as usize, align);
        for span in spans {
            let (wide, high) = (span.style.advance_dots() as usize, span.style.height_dots() as usize);
            for (at, character) in span.text.chars().enumerate() {
                if character != ' ' {
                    let left = indent + span.x_dots as usize + at * wide;
                    self.draw_box(left + 1, top + 2, wide - 2, high.saturating_sub(4));
                }
            }
        }
    }

    fn draw_box(&mut self, left: usize, top: usize, width: usize, height: usize) {
        for x in left..left + width {
            self.set(x, top);
            self.set(x, top + height.saturating_sub(1));
        }
        for y in top..top + height {
            self.set(left, y);
            self.set(left + width.saturating_sub(1), y);
        }
    }
}
