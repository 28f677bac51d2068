//! A display's lines as they stand after some ops, as text and as a picture of lit dots. Knows no device's commands; the
//! time between a text's steps is the caller's.

use crate::font::{self, Size};
use crate::{Raster, picture};
use driver_abi::Op;
use unicode_normalization::UnicodeNormalization;
use unicode_width::UnicodeWidthChar;

/// Columns of the widest display.
pub const COLUMNS_MAX: usize = 80;
/// Lines of the highest display.
pub const LINES_MAX: usize = 8;
/// Dots of the picture for one of the display's, and the dark around it.
const PITCH: usize = 3;
/// Dark around the lines, in dots of the picture.
const MARGIN: usize = 24;

/// A display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    columns: usize,
    lines: Vec<Line>,
    cursor: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Line {
    text: Vec<char>,
    /// It runs through: so many steps were made.
    scrolls: Option<usize>,
}

// === impl Screen ===

impl Screen {
    /// A dark one. Sizes beyond the limits become the limits.
    pub fn new(columns: u16, lines: u8) -> Screen {
        let lines = usize::from(lines).clamp(1, LINES_MAX);
        Screen {
            columns: usize::from(columns).clamp(1, COLUMNS_MAX),
            lines: vec![Line::default(); lines],
            cursor: false,
        }
    }

    /// Shows what an op says.
    ///
    /// # Errors
    /// A line that is not there, an op of a printer.
    pub fn show(&mut self, op: &Op<'_>) -> Result<(), String> {
        match op {
            Op::Clear => self.lines.fill(Line::default()),
            Op::Line { line, text } => *self.line(*line)? = Line { text: characters(text), scrolls: None },
            Op::Scroll { line, text, .. } => {
                let columns = self.columns;
                let text = characters(text);
                let scrolls = (text.len() > columns).then_some(0);
                *self.line(*line)? = Line { text, scrolls };
            }
            Op::Cursor(shown) => self.cursor = *shown,
            Op::Bright(_) | Op::Blink(_) => {}
            _ => return Err("a display does not print".to_owned()),
        }
        Ok(())
    }

    /// Every text that runs through goes one column on.
    pub fn step(&mut self) {
        for line in &mut self.lines {
            if let Some(steps) = &mut line.scrolls {
                // After the text one display's width of nothing, then it begins again.
                *steps = (*steps + 1) % (line.text.len() + self.columns);
            }
        }
    }

    /// Steps until every text that runs through began again; 0: none does.
    pub fn run(&self) -> usize {
        let scrolling = self.lines.iter().filter(|line| line.scrolls.is_some());
        scrolling.map(|line| line.text.len() + self.columns).max().unwrap_or(0)
    }

    /// What is read on it, a line each, as wide as the display.
    pub fn text(&self) -> Vec<String> {
        self.lines.iter().map(|line| self.window(line).into_iter().collect()).collect()
    }

    /// Lit dots on dark, as a PNG.
    ///
    /// # Errors
    /// The encoder's, in words.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        let (cell, high) = (Size::Small.width() * PITCH, Size::Small.height() * PITCH);
        let width = 2 * MARGIN + self.columns * cell;
        let mut lit = Raster::new(width, 2 * MARGIN + self.lines.len() * high);
        for (row, line) in self.lines.iter().enumerate() {
            let top = MARGIN + row * high;
            let mut left = MARGIN;
            for character in self.window(line) {
                font::dots(character, Size::Small, |x, y| {
                    lit.fill(left + x * PITCH, top + y * PITCH, PITCH - 1, PITCH - 1);
                });
                left += font::advance(character, Size::Small) * PITCH;
            }
        }
        if self.cursor {
            lit.fill(MARGIN, MARGIN + high - PITCH, cell - PITCH, PITCH - 1);
        }
        lit.invert();
        picture::png(&lit, 96)
    }

    fn line(&mut self, number: u8) -> Result<&mut Line, String> {
        let count = self.lines.len();
        let index = usize::from(number).checked_sub(1);
        index
            .and_then(|index| self.lines.get_mut(index))
            .ok_or_else(|| format!("there is no line {number}: the display has {count}"))
    }

    /// The part of a line that is seen, filled up with blanks.
    fn window(&self, line: &Line) -> Vec<char> {
        let blank = std::iter::repeat(' ');
        let mut left = self.columns;
        let seen =
            line.text.iter().copied().chain(blank).skip(line.scrolls.unwrap_or(0)).map_while(|character| {
                left = left.checked_sub(character.width().unwrap_or(1).max(1))?;
                Some(character)
            });
        seen.collect()
    }
}

/// A display has one place for each character: marks that cannot be composed are left out.
fn characters(text: &str) -> Vec<char> {
    text.nfc().filter(|character| character.width().is_some_and(|width| width > 0)).collect()
}
