//! What came out of a receipt printer: pieces between cuts, each a list of what was printed. Knows no commands.

use std::fmt::Write;

/// All paper that came out; the last piece still hangs from the printer.
#[derive(Clone, Debug)]
pub struct Paper {
    width_dots: u32,
    pieces: Vec<Piece>,
}

/// One receipt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// From top to bottom.
    pub printed: Vec<Printed>,
    /// How it was cut off.
    pub cut: Option<Cut>,
}

/// How paper was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Through.
    Full,
    /// One point is left.
    Partial,
}

/// A mark and the paper it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// What.
    pub mark: Mark,
    /// Where on the line.
    pub align: Align,
    /// Paper, in dots.
    pub height_dots: u32,
}

/// What is on the paper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A line of text.
    Line(Vec<Span>),
    /// Dots.
    Picture(Picture),
    /// A QR code the printer made.
    Qr(Qr),
    /// A barcode the printer made.
    Barcode(Barcode),
    /// Blank paper.
    Feed,
    /// One roll ended here and the next began.
    RollEnd,
}

/// Where on a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// At the left.
    #[default]
    Left,
    /// In the middle.
    Middle,
    /// At the right.
    Right,
}

/// Text of one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// From the left, in dots.
    pub x_dots: u32,
    /// What it says.
    pub text: String,
    /// How it looks.
    pub style: Style,
}

/// How text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Bold.
    pub bold: bool,
    /// Underlined.
    pub underline: bool,
    /// White on black.
    pub invert: bool,
    /// Turned by 180 degrees.
    pub upside_down: bool,
    /// 1 to 8 times as wide.
    pub width: u8,
    /// 1 to 8 times as high.
    pub height: u8,
    /// 0 is font A.
    pub font: u8,
}

/// Rows of dots, 1 is black, most significant bit first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Bytes of a row.
    pub row_bytes: usize,
    /// All rows.
    pub dots: Vec<u8>,
    /// A dot is so many dots wide and high on paper.
    pub scale: (u32, u32),
}

/// A QR code the printer made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qr {
    /// What is in it.
    pub data: Vec<u8>,
    /// Dots of a module.
    pub module: u8,
    /// 0 L, 1 M, 2 Q, 3 H.
    pub correction: u8,
    /// 1 or 2.
    pub model: u8,
}

/// A barcode the printer made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Barcode {
    /// "CODE128", "EAN13".
    pub symbology: &'static str,
    /// What is in it.
    pub data: String,
    /// In dots.
    pub height: u8,
    /// Dots of the narrow bar.
    pub module: u8,
    /// Is the text printed above (1), below (2) or both (3)?
    pub text: u8,
}

// === impl Style ===

impl Default for Style {
    fn default() -> Style {
        Style {
            bold: false,
            underline: false,
            invert: false,
            upside_down: false,
            width: 1,
            height: 1,
            font: 0,
        }
    }
}

impl Style {
    /// Dots from one character to the next.
    pub fn advance_dots(&self) -> u32 {
        u32::from(self.width) * if self.font == 0 { 12 } else { 9 }
    }

    /// Dots from top to bottom.
    pub fn height_dots(&self) -> u32 {
        u32::from(self.height) * if self.font == 0 { 24 } else { 17 }
    }
}

// === impl Span ===

impl Span {
    /// Dots it takes.
    pub fn width_dots(&self) -> u32 {
        self.text.chars().count() as u32 * self.style.advance_dots()
    }
}

// === impl Picture ===

impl Picture {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.dots.len().checked_div(self.row_bytes).unwrap_or(0)
    }

    /// Is it black there? Outside it is white.
    pub fn is_black(&self, x: usize, y: usize) -> bool {
        x < self.row_bytes * 8
            && self.dots.get(y * self.row_bytes + x / 8).is_some_and(|byte| byte & (0x80 >> (x % 8)) != 0)
    }
}

// === impl Printed ===

impl Printed {
    /// What of it fits into so many dots of paper, and the rest.
    pub(super) fn split(self, dots: u32) -> (Option<Printed>, Printed) {
        let Mark::Picture(picture) = self.mark else { return (None, self) };
        let scale = picture.scale.1;
        let rows = (dots / scale) as usize;
        if rows == 0 || rows >= picture.rows() {
            return (None, Printed { mark: Mark::Picture(picture), ..self });
        }
        let (first, second) = picture.dots.split_at(rows * picture.row_bytes);
        let part = |dots: &[u8]| Printed {
            height_dots: (dots.len() / picture.row_bytes) as u32 * scale,
            mark: Mark::Picture(Picture { dots: dots.to_vec(), ..picture }),
            align: self.align,
        };
        (Some(part(first)), part(second))
    }

    fn is_blank(&self) -> bool {
        matches!(self.mark, Mark::Feed | Mark::RollEnd)
    }
}

// === impl Paper ===

impl Paper {
    pub(super) fn new(width_dots: u32) -> Paper {
        Paper { width_dots, pieces: vec![Piece::default()] }
    }

    /// Dots of a line.
    pub fn width_dots(&self) -> u32 {
        self.width_dots
    }

    /// From the first on; the last one still hangs from the printer.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// What still hangs from the printer.
    pub fn current(&self) -> &Piece {
        self.pieces.last().expect("there is always one")
    }

    /// Everything as text, cuts drawn.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            text.push_str(&piece.text(self.width_dots));
            if let Some(cut) = piece.cut {
                let _ = writeln!(text, "---8<--- {cut:?}");
            }
        }
        text
    }

    pub(super) fn push(&mut self, printed: Printed) {
        self.pieces.last_mut().expect("there is always one").printed.push(printed);
    }

    pub(super) fn cut(&mut self, cut: Cut) {
        self.pieces.last_mut().expect("there is always one").cut = Some(cut);
        self.pieces.push(Piece::default());
    }

    pub(super) fn end_of_roll(&mut self) {
        self.push(Printed { mark: Mark::RollEnd, align: Align::Left, height_dots: 0 });
    }

    /// Blank paper since the last mark on this piece.
    pub(super) fn blank_dots(&self) -> u32 {
        let blank = self.current().printed.iter().rev().take_while(|printed| printed.is_blank());
        blank.map(|printed| printed.height_dots).sum()
    }
}

// === impl Piece ===

impl Piece {
    /// Is nothing on it?
    pub fn is_blank(&self) -> bool {
        self.printed.iter().all(Printed::is_blank)
    }

    /// Paper it took, in dots.
    pub fn height_dots(&self) -> u32 {
        self.printed.iter().map(|printed| printed.height_dots).sum()
    }

    /// What is in the QR codes the printer made, in order.
    pub fn qr_payloads(&self) -> Vec<&[u8]> {
        let codes = self.printed.iter().filter_map(|printed| match &printed.mark {
            Mark::Qr(qr) => Some(qr.data.as_slice()),
            _ => None,
        });
        codes.collect()
    }

    /// As text, a line of paper a line; what is no text stands in brackets.
    pub fn text(&self, width_dots: u32) -> String {
        let mut text = String::new();
        for printed in &self.printed {
            let line = match &printed.mark {
                Mark::Line(spans) => line_text(spans, printed.align, width_dots),
                Mark::Picture(picture) => format!("[picture {} x {}]", picture.row_bytes * 8, picture.rows()),
                Mark::Qr(qr) => format!("[QR {}]", String::from_utf8_lossy(&qr.data)),
                Mark::Barcode(code) => format!("[{} {}]", code.symbology, code.data),
                Mark::Feed => String::new(),
                Mark::RollEnd => "[end of roll]".to_owned(),
            };
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Columns of font A, so that a person sees where things stand.
fn line_text(spans: &[Span], align: Align, width_dots: u32) -> String {
    let used = spans.last().map_or(0, |span| span.x_dots + span.width_dots());
    let indent = offset_dots(used, align, width_dots);
    let mut line = String::new();
    for span in spans {
        let column = ((indent + span.x_dots) / 12) as usize;
        let missing = column.saturating_sub(line.chars().count());
        line.extend(std::iter::repeat_n(' ', missing));
        line.push_str(&span.text);
    }
    line
}

/// Where something of this width begins.
pub(super) fn offset_dots(used: u32, align: Align, width_dots: u32) -> u32 {
    let free = width_dots.saturating_sub(used);
    match align {
        Align::Left => 0,
        Align::Middle => free / 2,
        Align::Right => free,
    }
}
