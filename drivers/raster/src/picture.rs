//! Pictures: a PNG to dots (scaled down, Floyd-Steinberg), and dots to a PNG. Knows no file: bytes in, bytes out.

use crate::Raster;
use driver_abi::Op;

/// Bytes of a PNG that is taken.
pub const PNG_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Its dots, whatever its bytes say.
pub const PNG_DOTS_MAX: usize = 16 * 1024 * 1024;
/// Grey from here on is paper.
const WHITE_FROM: i32 = 128;

/// A picture in shades of grey, 0 is black.
struct Grey {
    width: usize,
    height: usize,
    shades: Vec<u8>,
}

/// A logo for a printer: a PNG of any kind, scaled down until it is at most `width_max` by `height_max` dots, in black and
/// white. It is never made larger; what is transparent is paper.
///
/// # Errors
/// What is wrong with the PNG, in words.
pub fn logo(png: &[u8], width_max: u16, height_max: u16) -> Result<Op<'static>, String> {
    if width_max == 0 || height_max == 0 {
        return Err("there is no room for a picture".to_owned());
    }
    let grey = read(png)?.fitted(width_max.into(), height_max.into());
    let (width, height) = (grey.width as u16, grey.height as u16);
    Ok(Op::Image { width, height, dots: dither(&grey).dots.into() })
}

/// Dots as a PNG, black on white, that prints in its true size.
///
/// # Errors
/// The encoder's, in words.
pub fn png(raster: &Raster, dpi: u16) -> Result<Vec<u8>, String> {
    let words = |error: png::EncodingError| error.to_string();
    let size = |n: usize| u32::try_from(n.max(1)).map_err(|_| "a picture that large cannot be".to_owned());
    let width = raster.width.max(1);
    let row_bytes = width.div_ceil(8);
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, size(width)?, size(raster.rows())?);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    // 39.37 inches are a meter.
    let per_meter = (f64::from(dpi.max(1)) * 39.37).round() as u32;
    encoder.set_pixel_dims(Some(png::PixelDimensions {
        xppu: per_meter,
        yppu: per_meter,
        unit: png::Unit::Meter,
    }));
    let mut writer = encoder.write_header().map_err(words)?;
    let rows = raster.dots.chunks_exact(raster.row_bytes.max(1));
    // In a PNG 1 is white.
    let mut white: Vec<u8> = rows.flat_map(|row| row.iter().map(|byte| !byte)).collect();
    white.resize(row_bytes * raster.rows().max(1), 0xff);
    writer.write_image_data(&white).map_err(words)?;
    writer.finish().map_err(words)?;
    Ok(out)
}

fn read(bytes: &[u8]) -> Result<Grey, String> {
    if bytes.len() > PNG_BYTES_MAX {
        return Err(format!("a picture has at most {PNG_BYTES_MAX} bytes, found {}", bytes.len()));
    }
    let words = |error: png::DecodingError| format!("no PNG that can be read: {error}");
    let limits = png::Limits { bytes: PNG_DOTS_MAX * 4 };
    let mut decoder = png::Decoder::new_with_limits(std::io::Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(words)?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    if width.saturating_mul(height) > PNG_DOTS_MAX {
        return Err(format!("a picture has at most {PNG_DOTS_MAX} dots, this one has {width} x {height}"));
    }
    let size = reader.output_buffer_size().ok_or("a picture that large cannot be read")?;
    let mut samples = vec![0; size];
    let frame = reader.next_frame(&mut samples).map_err(words)?;
    let shades = samples[..frame.buffer_size()]
        .chunks_exact(frame.color_type.samples())
        .map(|sample| match *sample {
            [grey] => grey,
            [grey, alpha] => on_paper(grey.into(), alpha),
            [r, g, b] => on_paper(luma(r, g, b), 255),
            [r, g, b, alpha, ..] => on_paper(luma(r, g, b), alpha),
            [] => 255,
        })
        .collect();
    Ok(Grey { width, height, shades })
}

/// How bright a colour is to the eye (ITU-R BT.601).
fn luma(r: u8, g: u8, b: u8) -> u32 {
    (u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114) / 1000
}

fn on_paper(shade: u32, alpha: u8) -> u8 {
    let alpha = u32::from(alpha);
    ((shade * alpha + 255 * (255 - alpha)) / 255).min(255) as u8
}

/// Each dot is black or white, and its error goes to the neighbours that come (Floyd and Steinberg, 1976).
fn dither(grey: &Grey) -> Raster {
    let mut raster = Raster::new(grey.width, grey.height);
    let mut now: Vec<i32> = vec![0; grey.width + 2];
    for y in 0..grey.height {
        let mut next = vec![0; grey.width + 2];
        for x in 0..grey.width {
            let wanted = i32::from(grey.shades[y * grey.width + x]) + now[x + 1] / 16;
            let shade = if wanted < WHITE_FROM { 0 } else { 255 };
            if shade == 0 {
                raster.set(x, y);
            }
            let error = wanted - shade;
            now[x + 2] += error * 7;
            next[x] += error * 3;
            next[x + 1] += error * 5;
            next[x + 2] += error;
        }
        now = next;
    }
    raster
}

// === impl Grey ===

impl Grey {
    /// Scaled down to fit, each dot the mean of those it stands for.
    fn fitted(self, width_max: usize, height_max: usize) -> Grey {
        if self.width <= width_max && self.height <= height_max {
            return self;
        }
        let by_width = self.height * width_max / self.width;
        let (width, height) = if by_width <= height_max {
            (width_max, by_width.max(1))
        } else {
            ((self.width * height_max / self.height).max(1), height_max)
        };
        let span = |n: usize, of: usize, from: usize| {
            let begin = n * from / of;
            begin..((n + 1) * from / of).max(begin + 1)
        };
        let mut shades = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let (rows, columns) = (span(y, height, self.height), span(x, width, self.width));
                let count = rows.len() * columns.len();
                let sum: usize = rows
                    .flat_map(|row| columns.clone().map(move |column| (row, column)))
                    .map(|(row, column)| usize::from(self.shades[row * self.width + column]))
                    .sum();
                shades.push((sum / count) as u8);
            }
        }
        Grey { width, height, shades }
    }
}
