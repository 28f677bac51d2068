//! A line of text as dots, from a bitmap font that has every script's characters. Knows no device's fonts.

use crate::Raster;
use driver_abi::Style;

/// Height of the font in dots.
const HEIGHT: usize = 16;

/// One line, at most `dots_max` wide: what is beyond is cut off.
pub fn rasterise(text: &str, style: Style, dots_max: u16) -> Result<Raster, String> {
    let (wide, high) = (usize::from(style.width.max(1)), usize::from(style.height.max(1)));
    let glyphs: Vec<&unifont::Glyph> = text
        .chars()
        .map(|character| unifont::get_glyph(character).or_else(|| unifont::get_glyph('?')))
        .collect::<Option<_>>()
        .ok_or("the font has no such character")?;
    let width: usize = glyphs.iter().map(|glyph| glyph.get_width() * wide).sum();
    let mut raster = Raster::new(width.min(dots_max.into()), HEIGHT * high);
    let mut left = 0;
    for glyph in glyphs {
        for y in 0..HEIGHT {
            for x in (0..glyph.get_width()).filter(|x| glyph.get_pixel(*x, y)) {
                raster.fill(left + x * wide, y * high, wide + usize::from(style.bold), high);
            }
        }
        left += glyph.get_width() * wide;
    }
    Ok(raster)
}
