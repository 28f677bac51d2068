//! One line of text of any script as dots: composed (NFC), Arabic letters joined, right-to-left parts turned round,
//! marks over their base. Wraps nothing, knows no device's fonts.
//!
//! Scripts that need more than joining (Devanagari's conjuncts, Khmer) come out as their plain letters, legible but not
//! fine; emoji, which the font does not have, as boxes.

use crate::Raster;
use crate::font::{self, Size};
use ar_reshaper::prelude::LigatureNames;
use ar_reshaper::{ArabicReshaper, ReshaperConfig};
use driver_abi::Style;
use unicode_bidi::{BidiInfo, Level};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_width::UnicodeWidthChar;

/// Marks that are drawn over one character; more are not drawn.
const MARKS_MAX: usize = 4;

/// A character, the marks over it, and where it goes.
struct Cell {
    base: char,
    marks: Vec<char>,
    level: Level,
}

/// One line, at most `dots_max` wide: what is beyond is cut off, at a whole character.
pub fn rasterise(text: &str, style: Style, dots_max: u16) -> Raster {
    let size = Size::of_font(style.font);
    let (wide, high) = (usize::from(style.width.clamp(1, 8)), usize::from(style.height.clamp(1, 8)));
    let mut cells = cells(text);
    let mut width = 0;
    let fitting = cells.iter().take_while(|cell| {
        width += font::advance(cell.base, size) * wide;
        width <= usize::from(dots_max)
    });
    let fitting = fitting.count();
    cells.truncate(fitting);
    let width: usize = cells.iter().map(|cell| font::advance(cell.base, size) * wide).sum();
    let mut raster = Raster::new(width, size.height() * high);
    let levels: Vec<Level> = cells.iter().map(|cell| cell.level).collect();
    let mut left = 0;
    for index in BidiInfo::reorder_visual(&levels) {
        let cell = &cells[index];
        let base_width = font::advance(cell.base, size);
        draw(&mut raster, cell.base, left, style, size);
        for mark in &cell.marks {
            // A mark is made for a narrow cell; over a wide character it stands in the middle.
            let aside = base_width.saturating_sub(font::advance(*mark, size)) / 2;
            draw(&mut raster, *mark, left + aside * wide, style, size);
        }
        left += base_width * wide;
    }
    if style.underline {
        let line = size.height() * high;
        raster.fill(0, line - 2 * high, width, (high + size.height() / 16).min(2 * high));
    }
    if style.invert {
        raster.invert();
    }
    raster
}

fn draw(raster: &mut Raster, character: char, left: usize, style: Style, size: Size) {
    let (wide, high) = (usize::from(style.width.clamp(1, 8)), usize::from(style.height.clamp(1, 8)));
    font::dots(character, size, |x, y| {
        raster.fill(left + x * wide, y * high, wide + usize::from(style.bold), high);
    });
}

/// A text's characters with their marks, in the order they are read.
fn cells(text: &str) -> Vec<Cell> {
    let composed: String = text.nfc().filter(|character| !character.is_control()).collect();
    let joined = join(&composed);
    // Blanks before a text are a layout's: they stay on the left, whatever way the text runs.
    let blanks = joined.len() - joined.trim_start_matches(' ').len();
    let bidi = BidiInfo::new(&joined[blanks..], None);
    let mut cells: Vec<Cell> = Vec::new();
    for (at, character) in joined.char_indices() {
        if character.width().unwrap_or(0) > 0 {
            let level = at.checked_sub(blanks).map_or(Level::ltr(), |at| bidi.levels[at]);
            let base = if level.is_rtl() { mirrored(character) } else { character };
            cells.push(Cell { base, marks: Vec::new(), level });
        } else if is_combining_mark(character)
            && let Some(cell) = cells.last_mut()
            && cell.marks.len() < MARKS_MAX
            && !is_variation_selector(character)
        {
            cell.marks.push(character);
        }
    }
    cells
}

/// Arabic letters in the form their neighbours ask for. Vowel signs stay: a name may need them.
fn join(text: &str) -> String {
    let mut config = ReshaperConfig { delete_harakat: false, ..ReshaperConfig::default() };
    // Four letters in one cell are no word any more. Lam and alef are joined: everybody writes them so.
    config.update_ligature(LigatureNames::ARABIC_LIGATURE_ALLAH, false);
    let reshaper = ArabicReshaper::new(config);
    if reshaper.need_reshape(text) { reshaper.reshape(text) } else { text.to_owned() }
}

/// Unicode's general category calls them marks; they choose a form and have none themselves.
fn is_variation_selector(character: char) -> bool {
    matches!(character, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Brackets turn with a right-to-left text (UAX #9, rule L4).
fn mirrored(character: char) -> char {
    const PAIRS: [(char, char); 6] = [('(', ')'), ('[', ']'), ('{', '}'), ('<', '>'), ('«', '»'), ('‹', '›')];
    let other = PAIRS.iter().find_map(|(open, close)| match character {
        c if c == *open => Some(*close),
        c if c == *close => Some(*open),
        _ => None,
    });
    other.unwrap_or(character)
}
