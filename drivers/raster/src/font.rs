//! Characters as dots: GNU Unifont's 8 x 16 and 16 x 16 cells, in two sizes. Knows no text direction and no line.

/// The two sizes a text is drawn in, as receipt printers have them: `Style::font` 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 12 x 24 dots: 48 columns on 576 dots, as the usual font of a receipt printer.
    Usual,
    /// 8 x 16 dots: 72 columns on 576 dots.
    Small,
}

/// A character that the font does not have.
const MISSING: unifont::Glyph = unifont::Glyph::Halfwidth([
    0, 0, 0, 0x7e, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x7e, 0, 0,
]);

// === impl Size ===

impl Size {
    /// The size of `Style::font`.
    pub fn of_font(font: u8) -> Size {
        if font == 0 { Size::Usual } else { Size::Small }
    }

    /// Dots of a column.
    pub const fn width(self) -> usize {
        match self {
            Size::Usual => 12,
            Size::Small => 8,
        }
    }

    /// Dots of a line's text.
    pub const fn height(self) -> usize {
        match self {
            Size::Usual => 24,
            Size::Small => 16,
        }
    }

    /// Dots that `of` dots of the font become.
    fn scaled(self, of: usize) -> usize {
        match self {
            Size::Usual => of * 3 / 2,
            Size::Small => of,
        }
    }

    /// Which of the font's dots make dot `n`, as the first and the last. Of the usual size two become three, the middle
    /// one black where either is: strokes of one dot become two everywhere, and a gap never closes.
    fn sources(self, n: usize) -> (usize, usize) {
        match self {
            Size::Small => (n, n),
            Size::Usual => {
                let pair = n / 3 * 2;
                match n % 3 {
                    0 => (pair, pair),
                    1 => (pair, pair + 1),
                    _ => (pair + 1, pair + 1),
                }
            }
        }
    }
}

/// Dots to the right that a character takes.
pub fn advance(character: char, size: Size) -> usize {
    size.scaled(glyph(character).get_width())
}

/// Calls `dot` for each black dot of a character, from its cell's top left corner.
pub fn dots(character: char, size: Size, mut dot: impl FnMut(usize, usize)) {
    let glyph = glyph(character);
    for y in 0..size.height() {
        let (top, bottom) = size.sources(y);
        for x in 0..size.scaled(glyph.get_width()) {
            let (left, right) = size.sources(x);
            let black = |x: usize| glyph.get_pixel(x, top) || glyph.get_pixel(x, bottom);
            if black(left) || black(right) {
                dot(x, y);
            }
        }
    }
}

fn glyph(character: char) -> &'static unifont::Glyph {
    unifont::get_glyph(character).unwrap_or(&MISSING)
}
