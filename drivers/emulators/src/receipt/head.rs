//! The print head between two lines: settings and the line it gathers. Knows no bytes of commands.

use super::paper::{Align, Mark, Picture, Printed, Span, Style};
use crate::code_page::Page;

/// What a printer that was just initialised has.
const LINE_SPACING_DOTS: u32 = 30;
/// Tabs are so many characters apart.
const TAB_COLUMNS: u32 = 8;

/// Settings and the line that is gathered.
#[derive(Clone, Debug)]
pub(super) struct Head {
    paper_dots: u32,
    pub style: Style,
    pub align: Align,
    pub page: Page,
    pub spacing_dots: u32,
    pub margin_dots: u32,
    /// As set by `GS W`; the paper's end is a limit all the same.
    pub area_dots: u32,
    pub tabs: Option<Vec<u8>>,
    pub barcode_height: u8,
    pub barcode_module: u8,
    pub barcode_text: u8,
    pub qr_model: u8,
    pub qr_module: u8,
    pub qr_correction: u8,
    pub qr_data: Vec<u8>,
    spans: Vec<Span>,
    /// Columns of `ESC *` in this line.
    columns: Vec<(u32, Picture)>,
    x_dots: u32,
    /// What is said when this line is printed.
    pub answers: Vec<Vec<u8>>,
}

impl Head {
    pub(super) fn new(paper_dots: u32) -> Head {
        Head {
            paper_dots,
            style: Style::default(),
            align: Align::Left,
            page: Page::default(),
            spacing_dots: LINE_SPACING_DOTS,
            margin_dots: 0,
            area_dots: paper_dots,
            tabs: None,
            barcode_height: 162,
            barcode_module: 3,
            barcode_text: 0,
            qr_model: 2,
            qr_module: 3,
            qr_correction: 0,
            qr_data: Vec::new(),
            spans: Vec::new(),
            columns: Vec::new(),
            x_dots: 0,
            answers: Vec::new(),
        }
    }

    /// Does the line have something in it?
    pub(super) fn is_in_line(&self) -> bool {
        !self.spans.is_empty() || !self.columns.is_empty()
    }

    /// Dots of a line.
    pub(super) fn width_dots(&self) -> u32 {
        self.area_dots.min(self.paper_dots.saturating_sub(self.margin_dots))
    }

    /// Adds a character; gives the line before it where it does not fit.
    pub(super) fn show(&mut self, byte: u8) -> Vec<Printed> {
        let full = if self.x_dots + self.style.advance_dots() > self.width_dots() {
            self.end_line(self.spacing_dots)
        } else {
            Vec::new()
        };
        let character = self.page.show(byte);
        let x_dots = self.x_dots;
        match self.spans.last_mut() {
            Some(span) if span.style == self.style && span.x_dots + span.width_dots() == x_dots => {
                span.text.push(character);
            }
            _ => self.spans.push(Span { x_dots, text: character.into(), style: self.style }),
        }
        self.x_dots += self.style.advance_dots();
        full
    }

    /// Goes to the next tab; past the last one nothing happens.
    pub(super) fn tab(&mut self) {
        let advance = self.style.advance_dots();
        let column = self.x_dots / advance;
        let next = match &self.tabs {
            Some(tabs) => tabs.iter().map(|tab| u32::from(*tab)).find(|tab| *tab > column),
            None => Some((column / TAB_COLUMNS + 1) * TAB_COLUMNS),
        };
        if let Some(next) = next.filter(|next| next * advance < self.width_dots()) {
            self.x_dots = next * advance;
        }
    }

    /// Goes to a place on the line; one that is not on it is refused.
    pub(super) fn place(&mut self, x_dots: u32) -> Result<(), String> {
        if x_dots >= self.width_dots() {
            return Err(format!("dot {x_dots} is past the line's end at {}", self.width_dots()));
        }
        self.x_dots = x_dots;
        Ok(())
    }

    /// Adds the columns of `ESC *`; what does not fit is lost and told.
    pub(super) fn show_columns(&mut self, picture: Picture, columns: u32) -> Result<(), String> {
        let room = self.width_dots().saturating_sub(self.x_dots);
        let wanted = columns * picture.scale.0;
        self.columns.push((self.x_dots, picture));
        self.x_dots += wanted.min(room);
        if wanted > room {
            return Err(format!("{} dots of a picture do not fit on the line", wanted - room));
        }
        Ok(())
    }

    /// Ends the line with so much feed: what of it is printed.
    pub(super) fn end_line(&mut self, feed_dots: u32) -> Vec<Printed> {
        let (spans, columns) = (std::mem::take(&mut self.spans), std::mem::take(&mut self.columns));
        self.x_dots = 0;
        let align = self.align;
        if spans.is_empty() && columns.is_empty() {
            return vec![Printed { mark: Mark::Feed, align, height_dots: feed_dots }];
        }
        let mut printed = Vec::new();
        if !columns.is_empty() {
            let picture = joined(&columns);
            let height_dots = feed_dots.max(picture.rows() as u32 * picture.scale.1);
            printed.push(Printed { mark: Mark::Picture(picture), align, height_dots });
        }
        if !spans.is_empty() {
            let tallest = spans.iter().map(|span| span.style.height_dots()).max().unwrap_or(0);
            // Text beside a picture takes no paper of its own.
            let height_dots = if printed.is_empty() { feed_dots.max(tallest) } else { 0 };
            printed.push(Printed { mark: Mark::Line(spans), align, height_dots });
        }
        printed
    }

    /// Forgets the line without printing it.
    pub(super) fn drop_line(&mut self) {
        self.spans.clear();
        self.columns.clear();
        self.x_dots = 0;
    }
}

/// The pictures of one line beside each other, in dots of the paper.
fn joined(columns: &[(u32, Picture)]) -> Picture {
    let right =
        |(x, picture): &(u32, Picture)| *x as usize + picture.row_bytes * 8 * picture.scale.0 as usize;
    let width = columns.iter().map(right).max().unwrap_or(0);
    let height = columns.iter().map(|(_, picture)| picture.rows() * picture.scale.1 as usize).max();
    let (row_bytes, height) = (width.div_ceil(8), height.unwrap_or(0));
    let mut dots = vec![0; row_bytes * height];
    for (left, picture) in columns {
        let (scale_x, scale_y) = (picture.scale.0 as usize, picture.scale.1 as usize);
        for y in 0..picture.rows() * scale_y {
            for x in 0..picture.row_bytes * 8 * scale_x {
                if picture.is_black(x / scale_x, y / scale_y) {
                    let at = *left as usize + x;
                    dots[y * row_bytes + at / 8] |= 0x80 >> (at % 8);
                }
            }
        }
    }
    Picture { row_bytes, dots, scale: (1, 1) }
}
