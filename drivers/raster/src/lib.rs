//! Texts of any script, QR codes and barcodes as dots, in black and white. Knows no device and no file.

mod text;

use driver_abi::{Op, Style};
use qrcodegen::{QrCode, QrCodeEcc, QrSegment, Version};

/// Empty modules around a QR code.
const QUIET_MODULES: u16 = 4;

/// Dots: rows of `row_bytes`, 1 is black, most significant bit first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    /// Bytes of a row.
    pub row_bytes: usize,
    /// All rows.
    pub dots: Vec<u8>,
}

impl Raster {
    /// White.
    pub fn new(width: usize, height: usize) -> Raster {
        let row_bytes = width.div_ceil(8);
        Raster { row_bytes, dots: vec![0; row_bytes * height] }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.dots.len().checked_div(self.row_bytes).unwrap_or(0)
    }

    /// Is this dot black? Outside is white.
    pub fn get(&self, x: usize, y: usize) -> bool {
        x < self.row_bytes * 8
            && self.dots.get(y * self.row_bytes + x / 8).is_some_and(|byte| byte & (0x80 >> (x % 8)) != 0)
    }

    /// Makes this dot black; outside nothing happens.
    pub fn set(&mut self, x: usize, y: usize) {
        if x < self.row_bytes * 8
            && let Some(byte) = self.dots.get_mut(y * self.row_bytes + x / 8)
        {
            *byte |= 0x80 >> (x % 8);
        }
    }

    /// Makes a rectangle black.
    pub fn fill(&mut self, x: usize, y: usize, width: usize, height: usize) {
        for row in y..y + height {
            (x..x + width).for_each(|column| self.set(column, row));
        }
    }
}

/// An op as dots, at most `dots_max` wide.
///
/// # Errors
/// Why it cannot be, in words.
pub fn rasterise(op: &Op<'_>, style: Style, dots_max: u16) -> Result<Raster, String> {
    match op {
        Op::Text(text) => text::rasterise(text, style, dots_max),
        Op::Qr { data, module, correction } => qr(data, *module, *correction, dots_max),
        Op::Image { width, height, dots } => {
            if *width > dots_max {
                return Err(format!("a picture of {width} dots is wider than {dots_max}"));
            }
            let row_bytes = usize::from(*width).div_ceil(8);
            debug_assert_eq!(dots.len(), row_bytes * usize::from(*height));
            Ok(Raster { row_bytes, dots: dots.to_vec() })
        }
        _ => Err("only texts, codes and pictures have dots".to_owned()),
    }
}

fn qr(data: &[u8], module: u8, correction: u8, dots_max: u16) -> Result<Raster, String> {
    let ecc = [QrCodeEcc::Low, QrCodeEcc::Medium, QrCodeEcc::Quartile, QrCodeEcc::High];
    let ecc = ecc.get(usize::from(correction)).copied().ok_or("there is no such error correction")?;
    let segments = match std::str::from_utf8(data) {
        Ok(text) => QrSegment::make_segments(text),
        Err(_) => vec![QrSegment::make_bytes(data)],
    };
    let code = QrCode::encode_segments_advanced(&segments, ecc, Version::MIN, Version::MAX, None, false)
        .map_err(|error| format!("a QR code of {} bytes: {error}", data.len()))?;
    let modules = code.size() as u16 + 2 * QUIET_MODULES;
    let largest = dots_max / modules;
    if largest == 0 || u16::from(module) > largest {
        return Err(format!("a QR code of {modules} modules does not fit into {dots_max} dots"));
    }
    // Six dots are 0.75 mm at 203 dpi: larger ones are no easier to read, only longer.
    let module = if module == 0 { largest.min(6) } else { u16::from(module) };
    let side = usize::from(modules * module);
    let mut raster = Raster::new(side, side);
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            let at = |n: i32| (n as usize + usize::from(QUIET_MODULES)) * usize::from(module);
            raster.fill(at(x), at(y), module.into(), module.into());
        }
    }
    Ok(raster)
}
