//! Elements laid out as a printer's ops: line after line on a roll, each at its place on a ticket. Follows a device's
//! capabilities, asks no device.

use crate::element::{Cell, Element, What};
use crate::limits::{DOCUMENT_OPS_MAX, ELEMENT_LINES_MAX, QR_BYTES_MAX};
use crate::words::present;
use crate::{Logos, Values, wrap};
use driver_abi::{Align, Barcode, Capabilities, Cut, Op, Style, Symbology};

/// Dots an inch where a printer does not say: that of nearly all receipt printers.
const DPI_USUAL: u16 = 203;
/// Dots of a column where a printer does not say: 576 on 48.
const COLUMN_DOTS: usize = 12;
/// Large text is made smaller until so many columns fit on a line.
const COLUMNS_WELL: usize = 10;
/// Lines to tear paper off at, where nothing cuts it.
const TEAR_LINES: u8 = 4;
/// A logo is at most so high.
const LOGO_ROWS_MAX: u16 = 400;

/// Lays out elements.
pub fn lay_out(
    elements: &[Element],
    values: &Values,
    logos: &Logos,
    capabilities: &Capabilities,
) -> Vec<Op<'static>> {
    let mut layout =
        Layout { values, logos, capabilities, ops: Vec::new(), style: Style::default(), align: Align::Left };
    for element in elements {
        let there = element.only_if.as_ref().is_none_or(|name| present(values, name).is_some());
        if there {
            match element.place.filter(|_| capabilities.places) {
                Some((x, y)) => layout.placed(element, layout.dots(x), layout.dots(y)),
                None => layout.flow(element),
            }
        }
    }
    // The next document begins as this one did.
    layout.look(Style::default());
    layout.stand(Align::Left);
    assert!(layout.ops.len() <= DOCUMENT_OPS_MAX);
    layout.ops
}

struct Layout<'a> {
    values: &'a Values,
    logos: &'a Logos,
    capabilities: &'a Capabilities,
    ops: Vec<Op<'static>>,
    style: Style,
    align: Align,
}

// === impl Layout ===

impl Layout<'_> {
    fn flow(&mut self, element: &Element) {
        match &element.what {
            What::Text { words, style, one_line, .. } => {
                let style = self.fitting(*style);
                let columns = self.columns(style);
                let lines = lines(&words.fill(self.values), columns, style, *one_line);
                self.look(style);
                self.stand(element.align);
                self.lines(lines);
            }
            What::Columns { cells, style } => {
                let style = self.fitting(*style);
                let rows = self.rows(cells, self.columns(style));
                self.look(style);
                self.stand(Align::Left);
                self.lines(rows);
            }
            What::Rule { double } => self.ops.push(Op::Rule { double: *double }),
            What::Feed(lines) => {
                self.look(Style::default());
                self.ops.push(Op::Feed(*lines));
            }
            What::Cut(cut) => self.cut(*cut),
            What::Qr { .. } | What::Barcode { .. } | What::Logo { .. } => {
                self.stand(element.align);
                match self.block(&element.what) {
                    Ok(op) => self.ops.extend(op),
                    Err(text) => {
                        let lines = wrap::wrap(&text, self.columns(Style::default()), ELEMENT_LINES_MAX);
                        self.look(Style::default());
                        self.lines(lines);
                    }
                }
            }
        }
    }

    fn placed(&mut self, element: &Element, x: u16, y: u16) {
        match &element.what {
            What::Text { words, style, one_line, width_mm } => {
                let room = width_mm.map_or(self.right_of(x), |mm| usize::from(self.dots(mm)));
                let columns = (room / self.column_dots(*style)).max(1);
                let lines = lines(&words.fill(self.values), columns, *style, *one_line);
                self.placed_lines(&lines, *style, element.align, (x, y), columns);
            }
            What::Columns { cells, style } => {
                let columns = (self.right_of(x) / self.column_dots(*style)).max(1);
                let rows = self.rows(cells, columns);
                self.placed_lines(&rows, *style, Align::Left, (x, y), columns);
            }
            What::Cut(cut) => self.cut(*cut),
            What::Feed(_) => {}
            What::Rule { double } => {
                self.ops.extend([Op::Place { x, y }, Op::Rule { double: *double }]);
            }
            What::Qr { .. } | What::Barcode { .. } | What::Logo { .. } => match self.block(&element.what) {
                Ok(op) => self.ops.extend(op.into_iter().flat_map(|op| [Op::Place { x, y }, op])),
                Err(text) => {
                    let columns = (self.right_of(x) / self.column_dots(Style::default())).max(1);
                    let lines = wrap::wrap(&text, columns, ELEMENT_LINES_MAX);
                    self.placed_lines(&lines, Style::default(), Align::Left, (x, y), columns);
                }
            },
        }
    }

    fn placed_lines(&mut self, lines: &[String], style: Style, align: Align, at: (u16, u16), columns: usize) {
        self.look(style);
        let column = self.column_dots(style);
        // A line is twice as high as a column is wide, and a quarter more to the next.
        let line_dots = self.column_dots(Style { width: 1, ..style }) * usize::from(style.height) * 5 / 2;
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
            let free = columns.saturating_sub(wrap::width(line)) * column;
            let aside = match align {
                Align::Left => 0,
                Align::Middle => free / 2,
                Align::Right => free,
            };
            let beyond =
                |from: u16, dots: usize| from.saturating_add(u16::try_from(dots).unwrap_or(u16::MAX));
            let place = Op::Place { x: beyond(at.0, aside), y: beyond(at.1, index * line_dots) };
            self.ops.extend([place, Op::Text(line.clone().into())]);
        }
    }

    /// A code or a picture; a text instead where it cannot be; nothing where there is no picture.
    fn block(&self, what: &What) -> Result<Option<Op<'static>>, String> {
        match what {
            What::Qr { words, correction, module } => {
                let data = words.fill_exactly(self.values);
                if data.is_empty() || data.len() > QR_BYTES_MAX {
                    return Err(format!("({} bytes are no QR code)", data.len()));
                }
                let data = data.into_bytes().into();
                Ok(Some(Op::Qr { data, module: *module, correction: *correction }))
            }
            What::Barcode { words, symbology, height_mm, module, label } => {
                let data = words.fill_exactly(self.values);
                if !bears(*symbology, &data) {
                    return Err(words.fill(self.values));
                }
                Ok(Some(Op::Barcode(Barcode {
                    data: data.into(),
                    symbology: *symbology,
                    height: self.dots(*height_mm),
                    module: *module,
                    text_below: *label,
                })))
            }
            What::Logo { path, percent } => {
                let Some(png) = self.logos.get(path) else { return Ok(None) };
                let width = self.paper_dots() * usize::from(*percent) / 100;
                let width = u16::try_from(width).unwrap_or(u16::MAX);
                // It was proved to be a picture when it was given; what fails here is its size only.
                Ok(driver_raster::logo(png, width, LOGO_ROWS_MAX).ok())
            }
            _ => Ok(None),
        }
    }

    fn cut(&mut self, cut: Cut) {
        if self.capabilities.cuts {
            self.ops.push(Op::Cut(cut));
        } else if !self.capabilities.places {
            self.look(Style::default());
            self.ops.push(Op::Feed(TEAR_LINES));
        }
    }

    fn rows(&self, cells: &[Cell], columns: usize) -> Vec<String> {
        let parts: Vec<u32> = cells.iter().map(|cell| cell.part).collect();
        let shares = wrap::shares(columns, &parts);
        let cell = |(cell, share): (&Cell, &usize)| {
            wrap::wrap(&cell.words.fill(self.values), *share, ELEMENT_LINES_MAX)
        };
        let wrapped: Vec<Vec<String>> = cells.iter().zip(&shares).map(cell).collect();
        let row = |row: usize| {
            let texts = wrapped.iter().zip(cells).zip(&shares).map(|((lines, cell), share)| {
                wrap::pad(lines.get(row).map_or("", String::as_str), *share, cell.align)
            });
            texts.collect::<Vec<_>>().join(" ").trim_end().to_owned()
        };
        (0..wrapped.iter().map(Vec::len).max().unwrap_or(0)).map(row).collect()
    }

    fn lines(&mut self, lines: Vec<String>) {
        for line in lines {
            if !line.is_empty() {
                self.ops.push(Op::Text(line.into()));
            }
            self.ops.push(Op::Newline);
        }
    }

    fn look(&mut self, style: Style) {
        if self.style != style {
            self.style = style;
            self.ops.push(Op::Style(style));
        }
    }

    fn stand(&mut self, align: Align) {
        if self.align != align {
            self.align = align;
            self.ops.push(Op::Align(align));
        }
    }

    /// Narrow paper has no room for letters eight times as wide.
    fn fitting(&self, mut style: Style) -> Style {
        if self.capabilities.columns_small == 0 {
            style.font = 0;
        }
        while style.width > 1 && self.columns(style) < COLUMNS_WELL {
            style.width -= 1;
            style.height = style.height.saturating_sub(1).max(1);
        }
        style
    }

    fn columns(&self, style: Style) -> usize {
        let small = style.font == 1 && self.capabilities.columns_small > 0;
        let columns = if small { self.capabilities.columns_small } else { self.capabilities.columns };
        (usize::from(columns) / usize::from(style.width.max(1))).max(1)
    }

    fn column_dots(&self, style: Style) -> usize {
        let one = Style { width: 1, ..style };
        let known = usize::from(self.capabilities.dots) / self.columns(one);
        let usual = if style.font == 1 { COLUMN_DOTS * 2 / 3 } else { COLUMN_DOTS };
        (if known == 0 { usual } else { known }) * usize::from(style.width.max(1))
    }

    fn paper_dots(&self) -> usize {
        match self.capabilities.dots {
            0 => usize::from(self.capabilities.columns) * COLUMN_DOTS,
            dots => dots.into(),
        }
    }

    fn right_of(&self, x: u16) -> usize {
        self.paper_dots().saturating_sub(x.into())
    }

    fn dots(&self, mm: f64) -> u16 {
        let dpi = if self.capabilities.dpi == 0 { DPI_USUAL } else { self.capabilities.dpi };
        (mm * f64::from(dpi) / 25.4).round() as u16
    }
}

/// White letters on black have a blank of black around them.
fn lines(text: &str, columns: usize, style: Style, one_line: bool) -> Vec<String> {
    let room = if style.invert { columns.saturating_sub(2).max(1) } else { columns };
    let mut lines = if one_line {
        let text: Vec<&str> = text.split_whitespace().collect();
        vec![wrap::cut(&text.join(" "), room)]
    } else {
        wrap::wrap(text, room, ELEMENT_LINES_MAX)
    };
    for line in lines.iter_mut().filter(|line| style.invert && !line.is_empty()) {
        *line = format!(" {line} ");
    }
    lines
}

/// Can this be in such a barcode? What cannot is printed as text: a guest with a paper without bars is better off than one
/// without a paper.
fn bears(symbology: Symbology, data: &str) -> bool {
    let digits = data.bytes().all(|byte| byte.is_ascii_digit());
    let length = data.len();
    let well = match symbology {
        Symbology::Code128 => data.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
        Symbology::Ean13 => digits && matches!(length, 12 | 13),
        Symbology::Ean8 => digits && matches!(length, 7 | 8),
        Symbology::UpcA => digits && matches!(length, 11 | 12),
        Symbology::Code39 => data
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-. $/+%".contains(&byte)),
        Symbology::Itf => digits && length.is_multiple_of(2),
    };
    well && (1..=driver_raster::BARCODE_CHARS_MAX).contains(&length)
}
