//! Documents for printers that place dots on a ticket: where each text, code and picture of a document stands, as
//! dots. Everything becomes dots, so that any script prints and a preview is what comes out. Knows no printer's
//! language.

use crate::{Align, Capabilities, Fault, Op, Raster, Services, Style};

/// Empty dots between two lines, at scale 1.
const LEADING: usize = 4;
/// Height of a line of text, at scale 1: the host's font.
const LINE: usize = 24;
/// Width of a letter of it.
const LETTER: u16 = 12;
/// Dots of a ticket: a wristband's to a poster's.
const WIDTH: std::ops::RangeInclusive<u16> = 64..=4_096;
const HEIGHT: std::ops::RangeInclusive<u16> = 64..=8_192;
/// Dots an inch of such printers' heads.
const DPI: [u16; 3] = [203, 300, 600];

/// Dots and where their top left corner is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// To the right.
    pub x: usize,
    /// Down.
    pub y: usize,
    /// What is there.
    pub raster: Raster,
}

/// The paper that is placed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// In dots.
    pub width: u16,
    /// In dots.
    pub height: u16,
    /// How many times the font's 24 dots a text is high: 1 to 4.
    pub scale: u8,
    /// Dots an inch.
    pub dpi: u16,
}

/// Why a document does not go onto the paper: the op's place in it, and words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// Of the op.
    pub index: usize,
    /// What it is to a caller.
    pub fault: Fault,
    /// For people.
    pub text: String,
}

/// Where the next thing goes.
struct Pen<'a> {
    host: &'a dyn Services,
    sheet: Sheet,
    style: Style,
    align: Align,
    left: usize,
    x: usize,
    y: usize,
    line: Vec<Placed>,
    page: Vec<Placed>,
}

/// A document's tickets, each with what stands on it; a cut ends a ticket.
///
/// # Errors
/// The first op that does not go onto the paper, or that no such printer has.
pub fn place(host: &dyn Services, ops: &[Op<'_>], sheet: Sheet) -> Result<Vec<Vec<Placed>>, Misplaced> {
    let mut tickets = Vec::new();
    let mut pen = Pen::new(host, sheet);
    for (index, op) in ops.iter().enumerate() {
        let wrong = |(fault, text)| Misplaced { index, fault, text };
        if matches!(op, Op::Cut(_)) {
            pen.end_line();
            if !pen.page.is_empty() {
                tickets.push(std::mem::take(&mut pen.page));
            }
            pen = Pen::new(host, sheet);
        } else {
            pen.draw(op).map_err(wrong)?;
        }
    }
    pen.end_line();
    if !pen.page.is_empty() {
        tickets.push(pen.page);
    }
    Ok(tickets)
}

// === impl Sheet ===

impl Sheet {
    /// Is it paper that such a printer may have?
    ///
    /// # Errors
    /// What is meant, in words.
    pub fn check(self) -> Result<Sheet, String> {
        let good = WIDTH.contains(&self.width) && HEIGHT.contains(&self.height) && DPI.contains(&self.dpi);
        if good && (1..=4).contains(&self.scale) {
            return Ok(self);
        }
        Err("width 64 to 4096, height 64 to 8192, scale 1 to 4, dpi 203, 300 or 600 are meant".to_owned())
    }

    /// What a printer with this paper is able to do, as far as the paper tells.
    pub fn capabilities(self, profile: &str) -> Capabilities {
        Capabilities {
            profile: profile.to_owned(),
            columns: self.width / (LETTER * u16::from(self.scale.max(1))),
            dots: self.width,
            dpi: self.dpi,
            places: true,
            ..Capabilities::default()
        }
    }
}

// === impl Pen ===

impl<'a> Pen<'a> {
    fn new(host: &'a dyn Services, sheet: Sheet) -> Pen<'a> {
        Pen {
            host,
            sheet,
            style: Style::default(),
            align: Align::Left,
            left: 0,
            x: 0,
            y: 0,
            line: Vec::new(),
            page: Vec::new(),
        }
    }

    fn draw(&mut self, op: &Op<'_>) -> Result<(), (Fault, String)> {
        match op {
            Op::Style(style) => self.style = *style,
            Op::Align(align) => self.align = *align,
            Op::Place { x, y } => {
                self.end_line();
                (self.left, self.x, self.y) = (usize::from(*x), usize::from(*x), usize::from(*y));
            }
            Op::Newline if self.line.is_empty() => self.y += self.line_height(),
            Op::Newline => self.end_line(),
            Op::Feed(lines) => {
                self.end_line();
                self.y += usize::from(*lines) * self.line_height();
            }
            Op::Text(text) if text.is_empty() => {}
            Op::Text(_) => {
                let scale = self.sheet.scale.max(1);
                let style = Style {
                    width: self.style.width.saturating_mul(scale).min(8),
                    height: self.style.height.saturating_mul(scale).min(8),
                    ..self.style
                };
                let raster = self.rasterise(op, style)?;
                let width = raster.row_bytes * 8;
                self.line.push(Placed { x: self.x, y: self.y, raster });
                self.x += width;
            }
            Op::Rule { double } => {
                self.end_line();
                let row_bytes = self.room() / 8;
                let rows = if *double { 2 } else { 1 } * usize::from(self.sheet.scale.max(1));
                let raster = Raster { row_bytes, dots: vec![0xff; row_bytes * rows] };
                self.block(raster);
            }
            Op::Qr { .. } | Op::Barcode(_) | Op::Image { .. } => {
                self.end_line();
                let raster = self.rasterise(op, Style::default())?;
                self.block(raster);
            }
            Op::Beep(_) => {}
            Op::Drawer { .. } => {
                return Err((Fault::Unsupported, "a ticket printer has no drawer".to_owned()));
            }
            _ => return Err((Fault::Unsupported, "this is for displays".to_owned())),
        }
        Ok(())
    }

    fn rasterise(&self, op: &Op<'_>, style: Style) -> Result<Raster, (Fault, String)> {
        let room = u16::try_from(self.room()).unwrap_or(u16::MAX);
        let raster = self.host.rasterise(op, style, room).map_err(|fault| {
            (fault, format!("it does not go into the {room} dots beside {} dots from the left", self.x))
        })?;
        if self.y + raster.rows() > usize::from(self.sheet.height) {
            let (needed, have) = (self.y + raster.rows(), self.sheet.height);
            return Err((Fault::Invalid, format!("it ends {needed} dots down, the ticket after {have}")));
        }
        Ok(raster)
    }

    /// Dots to the right of the pen.
    fn room(&self) -> usize {
        usize::from(self.sheet.width).saturating_sub(self.x)
    }

    fn line_height(&self) -> usize {
        (LINE * usize::from(self.style.height) + LEADING) * usize::from(self.sheet.scale.max(1))
    }

    /// Something that has its lines to itself.
    fn block(&mut self, raster: Raster) {
        let rows = raster.rows();
        self.line.push(Placed { x: self.x, y: self.y, raster });
        self.align_line();
        self.y += rows + LEADING * usize::from(self.sheet.scale.max(1));
    }

    fn end_line(&mut self) {
        let height = self.line.iter().map(|placed| placed.raster.rows()).max();
        self.align_line();
        self.y += height.map_or(0, |rows| rows + LEADING * usize::from(self.sheet.scale.max(1)));
    }

    /// Moves what is on the line to where the line stands, and begins the next at the left.
    fn align_line(&mut self) {
        let end = self.line.iter().map(|placed| placed.x + placed.raster.row_bytes * 8).max().unwrap_or(0);
        let spare = usize::from(self.sheet.width).saturating_sub(end);
        let shift = match self.align {
            Align::Left => 0,
            Align::Middle => spare / 2,
            Align::Right => spare,
        };
        self.page.extend(self.line.drain(..).map(|placed| Placed { x: placed.x + shift, ..placed }));
        self.x = self.left;
    }
}
