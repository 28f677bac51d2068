//! A whole document on a page, as a printer would make it: previews and the virtual printer. Wraps no words (the document
//! is laid out already), knows no file.

use crate::font::Size;
use crate::{Raster, picture, qr, rasterise};
use driver_abi::{Align, Cut, Op, Style};

/// Rows of a page; at 203 dpi that is two meters of paper. What is below is not drawn, and said.
pub const PAGE_ROWS_MAX: usize = 16_384;
/// Paper narrower than one character is none.
pub const PAPER_DOTS_MIN: u16 = 64;
/// What could not be drawn is told so often at most.
const NOTES_MAX: usize = 32;
/// Dots at a roll's sides that are not printed: 3 of the 4 mm that paper of 80 mm has there.
const ROLL_MARGIN: usize = 24;
/// Dots around codes and pictures.
const BLOCK_GAP: usize = 8;

/// What is printed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paper {
    /// Width that is printed, in dots: 576 on paper of 80 mm, 384 on 58 mm.
    pub dots: u16,
    /// Height of a ticket in dots; `None`: the paper is a roll.
    pub rows: Option<u16>,
    /// Dots an inch.
    pub dpi: u16,
}

/// A document as it would look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its dots.
    pub raster: Raster,
    /// What could not be drawn as it was asked for, in words.
    pub notes: Vec<String>,
    paper: Paper,
}

/// The place on the page where the next thing goes, and what holds there.
struct Pen {
    page: Page,
    /// Pieces of the line that is not ended yet.
    line: Vec<Raster>,
    style: Style,
    align: Align,
    left: usize,
    top: usize,
}

// === impl Page ===

impl Page {
    /// Draws a printer's document. It never fails: what cannot be drawn is said on the page and in the notes.
    pub fn draw(ops: &[Op<'_>], paper: Paper) -> Page {
        let paper = Paper { dots: paper.dots.max(PAPER_DOTS_MIN), ..paper };
        let rows = usize::from(paper.rows.unwrap_or(0));
        let page = Page {
            raster: Raster::new(paper.dots.into(), rows.min(PAGE_ROWS_MAX)),
            notes: Vec::new(),
            paper,
        };
        let (style, align) = (Style::default(), Align::Left);
        let mut pen = Pen { page, line: Vec::new(), style, align, left: 0, top: 0 };
        for op in ops {
            pen.draw(op);
        }
        if !pen.line.is_empty() {
            pen.end_line();
        }
        pen.page
    }

    /// As a PNG with its resolution. A roll is wider than what is printed on it: it is shown with its margin.
    ///
    /// # Errors
    /// The encoder's, in words.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        if self.paper.rows.is_some() {
            return picture::png(&self.raster, self.paper.dpi);
        }
        let (width, rows) = (self.raster.width + 2 * ROLL_MARGIN, self.raster.rows() + 2 * ROLL_MARGIN);
        let mut roll = Raster::new(width, rows);
        roll.paste(&self.raster, ROLL_MARGIN, ROLL_MARGIN);
        picture::png(&roll, self.paper.dpi)
    }

    fn note(&mut self, note: String) {
        if self.notes.len() < NOTES_MAX && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

// === impl Pen ===

impl Pen {
    fn draw(&mut self, op: &Op<'_>) {
        match op {
            Op::Text(_) => self.text(op, self.style),
            Op::Newline => self.end_line(),
            Op::Feed(lines) => {
                self.end_begun_line();
                self.down(usize::from(*lines) * self.line_height());
            }
            Op::Style(style) => self.style = *style,
            Op::Align(align) => {
                self.end_begun_line();
                self.align = *align;
            }
            Op::Rule { double } => self.rule(*double),
            Op::Qr { data, module, correction } => {
                match qr::draw(data, *module, *correction, self.room_dots()) {
                    Ok(code) => {
                        code.lowered.into_iter().for_each(|note| self.page.note(note));
                        self.block(&code.raster);
                    }
                    Err(why) => self.say(why),
                }
            }
            Op::Barcode(_) | Op::Image { .. } => match rasterise(op, self.style, self.room_dots()) {
                Ok(raster) => self.block(&raster),
                Err(why) => self.say(why),
            },
            Op::Cut(cut) => self.cut(*cut),
            Op::Drawer { pin, pulse_ms } => self.say_only(&format!("[opens drawer {pin}: {pulse_ms} ms]")),
            Op::Beep(times) => self.say_only(&format!("[beeps: {times}]")),
            Op::Place { x, y } => {
                self.end_begun_line();
                (self.left, self.top) = ((*x).into(), (*y).into());
            }
            Op::Clear
            | Op::Line { .. }
            | Op::Scroll { .. }
            | Op::Bright(_)
            | Op::Blink(_)
            | Op::Cursor(_) => {
                self.page.note("a printer shows no display's lines".to_owned());
            }
        }
    }

    fn text(&mut self, op: &Op<'_>, style: Style) {
        let Ok(piece) = rasterise(op, style, u16::MAX) else { return };
        let begun: usize = self.line.iter().map(|piece| piece.width).sum();
        if begun > 0 && begun + piece.width > self.room() {
            self.end_line();
        }
        if piece.width > self.room() {
            self.page.note("a text is wider than the paper and is cut off".to_owned());
        }
        self.line.extend(rasterise(op, style, self.room_dots()).ok());
    }

    /// The pieces stand on one line's foot, as a printer's do.
    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let high = line.iter().map(Raster::rows).max().unwrap_or(0);
        let mut left = self.aligned(line.iter().map(|piece| piece.width).sum());
        self.reserve(high);
        for piece in &line {
            self.page.raster.paste(piece, left, self.top + high - piece.rows());
            left += piece.width;
        }
        self.down(if high == 0 { self.line_height() } else { high + gap(self.style) });
    }

    fn end_begun_line(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
    }

    fn rule(&mut self, double: bool) {
        self.end_begun_line();
        self.reserve(16);
        let rows: &[usize] = if double { &[5, 10] } else { &[7] };
        for row in rows {
            self.page.raster.fill(self.left, self.top + row, self.room(), 2);
        }
        self.down(18);
    }

    fn block(&mut self, raster: &Raster) {
        self.end_begun_line();
        self.down(BLOCK_GAP);
        self.reserve(raster.rows());
        let left = self.aligned(raster.width);
        self.page.raster.paste(raster, left, self.top);
        self.down(raster.rows() + BLOCK_GAP);
    }

    /// Long dashes across the paper for a full cut; a partial one leaves the middle.
    fn cut(&mut self, cut: Cut) {
        self.end_begun_line();
        match self.page.paper.rows {
            // A ticket is cut where it ends, wherever its last element stands.
            Some(rows) => self.top = usize::from(rows).saturating_sub(2),
            None => self.down(BLOCK_GAP),
        }
        self.reserve(2);
        let width = usize::from(self.page.paper.dots);
        let middle = width * 2 / 5..width * 3 / 5;
        for left in (0..width).step_by(16).filter(|left| cut == Cut::Full || !middle.contains(left)) {
            self.page.raster.fill(left, self.top, 10.min(width - left), 2);
        }
        if self.page.paper.rows.is_none() {
            self.down(2 + BLOCK_GAP);
        }
    }

    /// What a page cannot show, and a person has to know.
    fn say(&mut self, why: String) {
        self.say_only(&format!("[{why}]"));
        self.page.note(why);
    }

    fn say_only(&mut self, words: &str) {
        self.end_begun_line();
        let style = Style { font: 1, ..Style::default() };
        self.line.extend(rasterise(&Op::Text(words.into()), style, self.room_dots()).ok());
        self.end_line();
    }

    fn room(&self) -> usize {
        usize::from(self.page.paper.dots).saturating_sub(self.left)
    }

    fn room_dots(&self) -> u16 {
        u16::try_from(self.room()).unwrap_or(u16::MAX)
    }

    fn aligned(&self, width: usize) -> usize {
        let free = self.room().saturating_sub(width);
        self.left
            + match self.align {
                Align::Left => 0,
                Align::Middle => free / 2,
                Align::Right => free,
            }
    }

    fn line_height(&self) -> usize {
        Size::of_font(self.style.font).height() * usize::from(self.style.height.clamp(1, 8)) + gap(self.style)
    }

    fn down(&mut self, rows: usize) {
        self.reserve(rows);
        self.top = (self.top + rows).min(PAGE_ROWS_MAX);
    }

    /// The page is long enough for so many rows from here on, unless that is too long.
    fn reserve(&mut self, rows: usize) {
        let wanted = self.top + rows;
        if let Some(rows) = self.page.paper.rows {
            if wanted > usize::from(rows) {
                self.page.note(format!("the ticket ends at {rows} dots, the document does not"));
            }
            return;
        }
        if wanted > PAGE_ROWS_MAX {
            self.page.note(format!("a page ends at {PAGE_ROWS_MAX} dots, the document does not"));
        }
        self.page.raster.grow(wanted.min(PAGE_ROWS_MAX));
    }
}

/// Dots between two lines: a quarter of the font, as receipt printers have it (30 dots a line of 24).
fn gap(style: Style) -> usize {
    Size::of_font(style.font).height() / 4
}
