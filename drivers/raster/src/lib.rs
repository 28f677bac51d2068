//! Texts of any script, QR codes, barcodes and pictures as dots in black and white; whole pages and displays as pictures.
//! Knows no device and no file.

#[cfg(feature = "text")]
mod barcode;
#[cfg(feature = "text")]
mod font;
#[cfg(feature = "text")]
mod page;
mod picture;
#[cfg(feature = "text")]
mod qr;
#[cfg(feature = "text")]
mod screen;
#[cfg(feature = "text")]
mod text;

#[cfg(feature = "text")]
pub use page::{PAGE_ROWS_MAX, PAPER_DOTS_MIN, Page, Paper};
pub use picture::{PNG_BYTES_MAX, PNG_DOTS_MAX, logo, png};
#[cfg(feature = "text")]
pub use qr::{QrDots, draw as qr};
#[cfg(feature = "text")]
pub use screen::{COLUMNS_MAX, LINES_MAX, Screen};

#[cfg(feature = "text")]
use driver_abi::{Op, Style};

/// Characters of a barcode; more are wider than any paper.
pub const BARCODE_CHARS_MAX: usize = 80;

/// Dots: rows of `row_bytes`, 1 is black, most significant bit first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    /// Bytes of a row.
    pub row_bytes: usize,
    /// All rows.
    pub dots: Vec<u8>,
    /// Dots of a row that mean something; the rest up to the byte is white.
    pub width: usize,
}

impl Raster {
    /// White.
    pub fn new(width: usize, height: usize) -> Raster {
        let row_bytes = width.div_ceil(8);
        Raster { row_bytes, dots: vec![0; row_bytes * height], width }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.dots.len().checked_div(self.row_bytes).unwrap_or(0)
    }

    /// Is this dot black? Outside is white.
    pub fn get(&self, x: usize, y: usize) -> bool {
        x < self.width
            && self.dots.get(y * self.row_bytes + x / 8).is_some_and(|byte| byte & (0x80 >> (x % 8)) != 0)
    }

    /// Makes this dot black; outside nothing happens.
    pub fn set(&mut self, x: usize, y: usize) {
        if x < self.width
            && let Some(byte) = self.dots.get_mut(y * self.row_bytes + x / 8)
        {
            *byte |= 0x80 >> (x % 8);
        }
    }

    /// Makes a rectangle black; what of it is outside does not happen.
    pub fn fill(&mut self, x: usize, y: usize, width: usize, height: usize) {
        for row in y..(y + height).min(self.rows()) {
            (x..(x + width).min(self.width)).for_each(|column| self.set(column, row));
        }
    }

    /// Black becomes white and white black.
    #[cfg(feature = "text")]
    fn invert(&mut self) {
        self.dots.iter_mut().for_each(|byte| *byte = !*byte);
        let beyond = self.row_bytes * 8 - self.width;
        for last in self.dots.iter_mut().skip(self.row_bytes.wrapping_sub(1)).step_by(self.row_bytes.max(1)) {
            *last &= 0xff << beyond;
        }
    }

    /// Longer, if it is shorter than so many rows.
    #[cfg(feature = "text")]
    fn grow(&mut self, rows: usize) {
        self.dots.resize(self.dots.len().max(rows * self.row_bytes), 0);
    }

    /// Puts the black dots of `other` here.
    #[cfg(feature = "text")]
    fn paste(&mut self, other: &Raster, left: usize, top: usize) {
        for y in 0..other.rows() {
            (0..other.width).filter(|x| other.get(*x, y)).for_each(|x| self.set(left + x, top + y));
        }
    }
}

/// An op as dots, at most `dots_max` wide. Text is 24 dots high in the usual font and 16 in the small one, times its
/// style's height.
///
/// # Errors
/// Why it cannot be, in words.
#[cfg(feature = "text")]
pub fn rasterise(op: &Op<'_>, style: Style, dots_max: u16) -> Result<Raster, String> {
    match op {
        Op::Text(text) => Ok(text::rasterise(text, style, dots_max)),
        Op::Qr { data, module, correction } => Ok(qr::draw(data, *module, *correction, dots_max)?.raster),
        Op::Barcode(code) => barcode::draw(code, dots_max),
        Op::Image { width, height, dots } => {
            if *width > dots_max {
                return Err(format!("a picture of {width} dots is wider than {dots_max}"));
            }
            let row_bytes = usize::from(*width).div_ceil(8);
            if dots.len() != row_bytes * usize::from(*height) {
                return Err(format!("a picture of {width} x {height} dots has {} bytes", dots.len()));
            }
            Ok(Raster { row_bytes, dots: dots.to_vec(), width: usize::from(*width) })
        }
        _ => Err("only texts, codes and pictures have dots".to_owned()),
    }
}
