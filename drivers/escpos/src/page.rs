//! A document's bytes as they grow: commands, what the printer's modes are after them, and which op's bytes end where.
//! The only place that writes an escape character. Knows no op and no line.

use crate::profile::{DrawerSense, ProofMethod, Settings};
use driver_sdk::{Align, Raster, Style};
use std::ops::Range;

const LF: u8 = 0x0a;
pub(crate) const ESC: u8 = 0x1b;
pub(crate) const FS: u8 = 0x1c;
pub(crate) const GS: u8 = 0x1d;

/// A finished document.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Where each op's bytes end in `bytes`.
    pub ends: Vec<usize>,
    /// Bytes of its longest command: a printer that lost the line in it waits for fewer.
    pub command_bytes_max: usize,
    /// How much paper it takes, in dots.
    pub rows: u32,
}

/// A document that is written.
pub(crate) struct Writer<'a> {
    pub settings: &'a Settings,
    pub page: Page,
    // What the printer was told; at first what it is after its initialisation.
    style: Style,
    align: Align,
    code_page: u32,
}

/// `ESC @`: its settings as at power-on, and a line that was not ended is forgotten.
pub const INITIALISE: [u8; 2] = [ESC, b'@'];

/// What brings a printer into the state a document begins in: initialised, out of Kanji mode (in which two bytes are one
/// character), in the preferred code page, and telling its changes where it is to.
pub fn preamble(settings: &Settings) -> Vec<u8> {
    let mut bytes = [&INITIALISE[..], &[FS, b'.']].concat();
    if let Some((_, number)) = settings.code_pages.first() {
        bytes.extend([ESC, b't', *number]);
    }
    if settings.asb {
        // ESC @ ends it. 0E: on-line, errors, paper; 01 more: the drawer.
        let drawer = u8::from(settings.drawer_sense != DrawerSense::None);
        bytes.extend([GS, b'a', 0x0e | drawer]);
    } else if settings.proof == ProofMethod::Queued {
        // Some have it switched on by themselves, and half a block looks like the answer that is a proof.
        bytes.extend([GS, b'a', 0]);
    }
    bytes
}

// === impl Writer ===

impl<'a> Writer<'a> {
    pub fn new(settings: &'a Settings) -> Writer<'a> {
        Writer {
            settings,
            page: Page::default(),
            style: Style::default(),
            align: Align::Left,
            code_page: settings.code_pages.first().map_or(0, |(page, _)| *page),
        }
    }

    /// All ops up to this one have left all their bytes.
    pub fn op_is_whole(&mut self, op: usize) {
        self.page.ends.resize(op + 1, self.page.bytes.len());
    }

    /// Writes a command.
    pub fn command(&mut self, bytes: &[u8]) {
        self.page.command_bytes_max = self.page.command_bytes_max.max(bytes.len());
        self.page.bytes.extend_from_slice(bytes);
    }

    /// The code page the printer has.
    pub fn code_page(&self) -> u32 {
        self.code_page
    }

    /// Writes characters of this page in this style. They were looked at: none is a control character.
    pub fn characters(&mut self, code_page: u32, style: Style, characters: &[u8]) {
        debug_assert!(characters.iter().all(|byte| !is_control(*byte)));
        self.select(code_page);
        self.style(style);
        self.page.bytes.extend_from_slice(characters);
    }

    /// Ends a line of characters so many times as high as usual.
    pub fn line_end(&mut self, height: u8) {
        // 1/6 inch is the line spacing after ESC @.
        let spacing = u32::from(self.settings.dpi) / 6;
        self.page.rows += spacing.max(24 * u32::from(height));
        self.page.bytes.push(LF);
    }

    /// Feeds lines.
    pub fn feed(&mut self, lines: u8) {
        if lines > 0 {
            self.page.rows += u32::from(self.settings.dpi) / 6 * u32::from(lines);
            self.command(&[ESC, b'd', lines]);
        }
    }

    /// Where the next line stands.
    pub fn align(&mut self, align: Align) {
        if self.align != align {
            self.align = align;
            let number = match align {
                Align::Left => 0,
                Align::Middle => 1,
                Align::Right => 2,
            };
            self.command(&[ESC, b'a', number]);
        }
    }

    /// Writes dots, in bands: a printer's buffer is small, and a picture that is cut off is printed as far as it came.
    pub fn dots(&mut self, raster: &Raster) {
        let row_bytes = raster.row_bytes;
        if row_bytes == 0 {
            return;
        }
        let (x_low, x_high) = low_high(row_bytes);
        for band in raster.dots.chunks(row_bytes * usize::from(self.settings.band_rows)) {
            let rows = band.len() / row_bytes;
            let (y_low, y_high) = low_high(rows);
            let head = [GS, b'v', b'0', 0, x_low, x_high, y_low, y_high];
            self.page.rows += rows as u32;
            self.command(&[&head, band].concat());
        }
    }

    fn select(&mut self, code_page: u32) {
        let number = self.settings.code_pages.iter().find(|(page, _)| *page == code_page);
        if let Some((_, number)) = number
            && self.code_page != code_page
        {
            self.code_page = code_page;
            let number = *number;
            self.command(&[ESC, b't', number]);
        }
    }

    fn style(&mut self, style: Style) {
        let old = std::mem::replace(&mut self.style, style);
        let on = u8::from;
        if old.bold != style.bold {
            self.command(&[ESC, b'E', on(style.bold)]);
        }
        if old.underline != style.underline {
            self.command(&[ESC, b'-', on(style.underline)]);
        }
        if old.invert != style.invert {
            self.command(&[GS, b'B', on(style.invert)]);
        }
        if old.font != style.font && self.settings.columns_small > 0 {
            self.command(&[ESC, b'M', style.font]);
        }
        if (old.width, old.height) != (style.width, style.height) {
            let times = |n: u8| n.clamp(1, 8) - 1;
            self.command(&[GS, b'!', times(style.width) << 4 | times(style.height)]);
        }
    }
}

// === impl Page ===

impl Page {
    /// How many ops left all their bytes when so many bytes left.
    pub fn ops_within(&self, bytes: usize) -> usize {
        self.ends.partition_point(|end| *end <= bytes)
    }

    /// The next bytes to give to the line.
    pub fn chunk(&self, at: usize, chunk_bytes: u16) -> Range<usize> {
        at..(at + usize::from(chunk_bytes)).min(self.bytes.len())
    }
}

/// Is it one that a printer acts upon?
pub(crate) fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

/// A length as commands have it: low byte, high byte.
pub(crate) fn low_high(number: usize) -> (u8, u8) {
    ((number & 0xff) as u8, (number >> 8 & 0xff) as u8)
}
