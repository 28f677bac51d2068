//! A document's ops as a printer's bytes. Pure: sends nothing, asks nobody but the host for code pages and dots.

use crate::codes;
use crate::line::{self, Run};
use crate::page::{ESC, GS, Page, Writer};
use crate::profile::{Beep, Cutter, Maker, Settings};
use driver_sdk::{Align, Barcode, Cut, Fault, Op, Services, Style};

/// A pulse is counted in 2 ms (Epson, "ESC p").
const PULSE_UNIT_MS: u16 = 2;
/// `ESC B n t`: beeps and their length in 50 ms, both 1 to 9.
const BEEPS_MAX: u8 = 9;

/// Why a document cannot be printed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What kind of reason.
    pub fault: Fault,
    /// For people.
    pub text: String,
}

/// Turns ops into bytes.
struct Encoder<'a> {
    writer: Writer<'a>,
    host: &'a dyn Services,
    style: Style,
    align: Align,
    /// The line that is not ended, and where it stands.
    line: Vec<Run>,
    line_align: Align,
}

/// A document's bytes.
///
/// # Errors
/// Why it cannot be printed here. Then nothing of it is to be sent.
pub fn encode(ops: &[Op<'_>], settings: &Settings, host: &dyn Services) -> Result<Page, Refused> {
    if ops.len() > 1 && ops.iter().any(|op| matches!(op, Op::Drawer { .. })) {
        // Else every reprint opens the till.
        return Err(invalid("the cash drawer is opened by a document of its own"));
    }
    let mut encoder = Encoder {
        writer: Writer::new(settings),
        host,
        style: Style::default(),
        align: Align::Left,
        line: Vec::new(),
        line_align: Align::Left,
    };
    for (index, op) in ops.iter().enumerate() {
        encoder
            .op(op)
            .map_err(|refused| Refused { text: format!("op {}: {}", index + 1, refused.text), ..refused })?;
        if encoder.line.is_empty() {
            encoder.writer.op_is_whole(index);
        }
    }
    encoder.end_line()?;
    if let Some(last) = ops.len().checked_sub(1) {
        encoder.writer.op_is_whole(last);
    }
    Ok(encoder.writer.page)
}

fn invalid(text: impl Into<String>) -> Refused {
    Refused { fault: Fault::Invalid, text: text.into() }
}

// === impl Encoder ===

impl Encoder<'_> {
    fn op(&mut self, op: &Op<'_>) -> Result<(), Refused> {
        match op {
            Op::Text(text) => self.text(text),
            Op::Newline => return self.newline(),
            Op::Style(style) => self.style = *style,
            Op::Align(align) => self.align = *align,
            _ => {
                self.end_line()?;
                return self.block(op);
            }
        }
        Ok(())
    }

    /// What is no part of a line.
    fn block(&mut self, op: &Op<'_>) -> Result<(), Refused> {
        match op {
            Op::Feed(lines) => self.writer.feed(*lines),
            Op::Rule { double } => return self.rule(*double),
            Op::Qr { data, module, correction } => return self.qr(data, *module, *correction),
            Op::Barcode(code) => return self.barcode(op, code),
            Op::Image { width, .. } if *width > self.writer.settings.dots => {
                let dots = self.writer.settings.dots;
                return Err(invalid(format!("a picture of {width} dots is wider than the paper's {dots}")));
            }
            Op::Image { .. } => return self.dots(op),
            Op::Cut(cut) => self.cut(*cut),
            Op::Drawer { pin, pulse_ms } => return self.drawer(*pin, *pulse_ms),
            Op::Beep(times) => self.beep(*times),
            _ => {
                let text = "a receipt printer cannot do this: it is for displays or ticket printers";
                return Err(Refused { fault: Fault::Unsupported, text: text.to_owned() });
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if self.line.is_empty() {
            self.line_align = self.align;
        }
        if !text.is_empty() {
            self.line.push(Run { text: line::neutral(text), style: self.style });
        }
    }

    /// Ends the line, also an empty one.
    fn newline(&mut self) -> Result<(), Refused> {
        if self.line.is_empty() {
            self.writer.line_end(1);
            return Ok(());
        }
        self.end_line()
    }

    /// Ends a line that has something in it: what stays in a printer's buffer would be lost.
    fn end_line(&mut self) -> Result<(), Refused> {
        let runs = std::mem::take(&mut self.line);
        if runs.is_empty() {
            return Ok(());
        }
        let written = line::write(&mut self.writer, self.host, self.line_align, &runs);
        written.map_err(|fault| Refused {
            fault,
            text: "a line that no code page has cannot be made as dots".to_owned(),
        })
    }

    fn rule(&mut self, double: bool) -> Result<(), Refused> {
        let columns = usize::from(self.writer.settings.columns);
        let (line, plain) = if double { ("═", "=") } else { ("─", "-") };
        let has = |(page, _): &(u32, u8)| self.host.encode(*page, line).is_some_and(|(_, lost)| lost == 0);
        let piece = if self.writer.settings.code_pages.iter().any(has) { line } else { plain };
        let run = Run { text: piece.repeat(columns), style: Style::default() };
        let written = line::write(&mut self.writer, self.host, Align::Left, &[run]);
        written.map_err(|fault| Refused { fault, text: "a rule cannot be printed".to_owned() })
    }

    fn qr(&mut self, data: &[u8], module: u8, correction: u8) -> Result<(), Refused> {
        let settings = self.writer.settings;
        if data.is_empty() {
            return Err(invalid("a QR code of nothing"));
        }
        let module = codes::qr_module(data, correction, module, settings.dots).map_err(invalid)?;
        if settings.qr == Maker::Raster || data.len() > settings.qr_bytes_max.into() {
            return self.dots(&Op::Qr { data: data.into(), module, correction });
        }
        self.writer.align(self.align);
        codes::write_qr(&mut self.writer, data, correction, module.min(settings.qr_module_max));
        Ok(())
    }

    fn barcode(&mut self, op: &Op<'_>, code: &Barcode<'_>) -> Result<(), Refused> {
        if self.writer.settings.barcodes == Maker::Raster {
            return self.dots(op);
        }
        self.writer.align(self.align);
        codes::write_barcode(&mut self.writer, code).map_err(invalid)
    }

    /// What the host has to make as dots.
    fn dots(&mut self, op: &Op<'_>) -> Result<(), Refused> {
        let dots = self.writer.settings.dots;
        let what = match op {
            Op::Qr { .. } => "a QR code",
            Op::Barcode(_) => "a barcode",
            _ => "a picture",
        };
        let raster = self.host.rasterise(op, Style::default(), dots).map_err(|fault| Refused {
            fault,
            text: format!("{what} that cannot be made, or is wider than the paper's {dots} dots"),
        })?;
        self.writer.align(self.align);
        self.writer.dots(&raster);
        Ok(())
    }

    fn cut(&mut self, cut: Cut) {
        let feed = self.writer.settings.cut_feed;
        // Epson, "GS V" functions B: the paper is fed to the cutter first.
        let (full, partial) = ([GS, b'V', b'A', feed], [GS, b'V', b'B', feed]);
        match (self.writer.settings.cut, cut) {
            (Cutter::None, _) => self.writer.feed(self.writer.settings.tear_lines),
            (Cutter::Full, _) | (Cutter::FullOrPartial, Cut::Full) => self.writer.command(&full),
            (Cutter::Partial, _) | (Cutter::FullOrPartial, Cut::Partial) => self.writer.command(&partial),
        }
    }

    fn drawer(&mut self, pin: u8, pulse_ms: u16) -> Result<(), Refused> {
        let pins = self.writer.settings.drawer_pins;
        if pin >= pins {
            let text =
                format!("there is no drawer {}: the printer has {pins} of them", pin.saturating_add(1));
            return Err(Refused { fault: Fault::Unsupported, text });
        }
        let on = (pulse_ms / PULSE_UNIT_MS).clamp(1, 255) as u8;
        // The coil rests twice as long as it was pulled.
        self.writer.command(&[ESC, b'p', pin, on, on.saturating_mul(2)]);
        Ok(())
    }

    /// A printer without a beeper prints all the same.
    fn beep(&mut self, times: u8) {
        if self.writer.settings.beep == Beep::EscB && times > 0 {
            self.writer.command(&[ESC, b'B', times.min(BEEPS_MAX), 2]);
        }
    }
}
