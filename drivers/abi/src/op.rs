//! A document's ops as types, to and from the header's struct. Knows no device: whether an op makes sense on one is
//! the driver's to say.

use crate::raw;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// How text looks from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Style {
    /// Bold.
    pub bold: bool,
    /// Underlined.
    pub underline: bool,
    /// White on black.
    pub invert: bool,
    /// 1 to 8 times as wide.
    pub width: u8,
    /// 1 to 8 times as high.
    pub height: u8,
    /// The device's font: 0 is the usual one, 1 the small one.
    pub font: u8,
}

impl Default for Style {
    fn default() -> Style {
        Style { bold: false, underline: false, invert: false, width: 1, height: 1, font: 0 }
    }
}

impl Style {
    /// The header's flags.
    pub fn flags(self) -> u32 {
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        bit(self.bold, raw::STYLE_BOLD)
            | bit(self.underline, raw::STYLE_UNDERLINE)
            | bit(self.invert, raw::STYLE_INVERT)
    }
}

/// Where on its line a text stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Align {
    /// At the left.
    #[default]
    Left,
    /// In the middle.
    Middle,
    /// At the right.
    Right,
}

/// Kinds of barcodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Symbology {
    /// Any ASCII.
    Code128,
    /// 12 or 13 digits.
    Ean13,
    /// 7 or 8 digits.
    Ean8,
    /// 11 or 12 digits.
    UpcA,
    /// Digits, capitals, `-. $/+%`.
    Code39,
    /// An even number of digits.
    Itf,
}

/// A barcode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barcode<'a> {
    /// What is in it.
    pub data: Cow<'a, str>,
    /// Of what kind.
    pub symbology: Symbology,
    /// In dots.
    pub height: u16,
    /// Dots of the narrow bar.
    pub module: u8,
    /// Is the text printed below it?
    pub text_below: bool,
}

/// How paper is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// One point is left.
    Partial,
    /// Through.
    Full,
}

/// One piece of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op<'a> {
    /// A line's text or a part of it.
    Text(Cow<'a, str>),
    /// Ends the line.
    Newline,
    /// So many empty lines.
    Feed(u8),
    /// How text looks from here on.
    Style(Style),
    /// Where lines stand from here on.
    Align(Align),
    /// A line across the paper.
    Rule {
        /// Two lines.
        double: bool,
    },
    /// A QR code.
    Qr {
        /// What is in it.
        data: Cow<'a, [u8]>,
        /// Dots of a module; 0: as large as fits well.
        module: u8,
        /// Error correction: 0 L, 1 M, 2 Q, 3 H.
        correction: u8,
    },
    /// A barcode.
    Barcode(Barcode<'a>),
    /// A picture: a bit a dot, 1 is black, rows padded to bytes.
    Image {
        /// In dots.
        width: u16,
        /// In dots.
        height: u16,
        /// `height` rows of `width.div_ceil(8)` bytes.
        dots: Cow<'a, [u8]>,
    },
    /// Cuts the paper.
    Cut(Cut),
    /// Opens the cash drawer.
    Drawer {
        /// 0 or 1.
        pin: u8,
        /// How long the pulse is.
        pulse_ms: u16,
    },
    /// Beeps so often.
    Beep(u8),
    /// Ticket printers: what follows begins here, in dots from the top left corner.
    Place {
        /// To the right.
        x: u16,
        /// Down.
        y: u16,
    },
    /// Empties the display.
    Clear,
    /// A display's whole line.
    Line {
        /// From 1 on.
        line: u8,
        /// What it says.
        text: Cow<'a, str>,
    },
    /// A text that runs through a display's line.
    Scroll {
        /// From 1 on.
        line: u8,
        /// What it says.
        text: Cow<'a, str>,
        /// How long a step lasts.
        step_ms: u16,
    },
    /// 1 to 4.
    Bright(u8),
    /// A blink's length in ms; 0 is off.
    Blink(u16),
    /// Is the cursor shown?
    Cursor(bool),
}

/// An op of the header's struct that is none: which field, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnOp(pub String);

impl std::fmt::Display for NotAnOp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotAnOp {}

// === impl Op ===

impl<'a> Op<'a> {
    /// The header's struct. It points into this op: it must not outlive it.
    pub fn to_raw(&self) -> raw::Op {
        let flag = |on: bool| i32::from(on);
        match self {
            Op::Text(text) => with_data(raw::OP_TEXT, text.as_bytes(), [0; 4]),
            Op::Newline => plain(raw::OP_NEWLINE, [0; 4]),
            Op::Feed(lines) => plain(raw::OP_FEED, [i32::from(*lines), 0, 0, 0]),
            Op::Style(style) => raw::Op {
                flags: style.flags(),
                ..plain(raw::OP_STYLE, [style.width.into(), style.height.into(), style.font.into(), 0])
            },
            Op::Align(align) => plain(raw::OP_ALIGN, [*align as i32, 0, 0, 0]),
            Op::Rule { double } => plain(raw::OP_RULE, [flag(*double), 0, 0, 0]),
            Op::Qr { data, module, correction } => {
                with_data(raw::OP_QR, data, [i32::from(*module), i32::from(*correction), 0, 0])
            }
            Op::Barcode(code) => with_data(
                raw::OP_BARCODE,
                code.data.as_bytes(),
                [
                    code.symbology as i32 + 1,
                    i32::from(code.height),
                    i32::from(code.module),
                    flag(code.text_below),
                ],
            ),
            Op::Image { width, height, dots } => {
                with_data(raw::OP_IMAGE, dots, [i32::from(*width), i32::from(*height), 0, 0])
            }
            Op::Cut(cut) => plain(raw::OP_CUT, [*cut as i32, 0, 0, 0]),
            Op::Drawer { pin, pulse_ms } => {
                plain(raw::OP_DRAWER, [i32::from(*pin), i32::from(*pulse_ms), 0, 0])
            }
            Op::Beep(times) => plain(raw::OP_BEEP, [i32::from(*times), 0, 0, 0]),
            Op::Place { x, y } => plain(raw::OP_PLACE, [i32::from(*x), i32::from(*y), 0, 0]),
            Op::Clear => plain(raw::OP_D_CLEAR, [0; 4]),
            Op::Line { line, text } => {
                with_data(raw::OP_D_LINE, text.as_bytes(), [i32::from(*line), 0, 0, 0])
            }
            Op::Scroll { line, text, step_ms } => {
                with_data(raw::OP_D_SCROLL, text.as_bytes(), [i32::from(*line), i32::from(*step_ms), 0, 0])
            }
            Op::Bright(level) => plain(raw::OP_D_BRIGHT, [i32::from(*level), 0, 0, 0]),
            Op::Blink(ms) => plain(raw::OP_D_BLINK, [i32::from(*ms), 0, 0, 0]),
            Op::Cursor(shown) => plain(raw::OP_D_CURSOR, [flag(*shown), 0, 0, 0]),
        }
    }

    /// From the header's struct, whose `data` was made a slice by somebody who may.
    ///
    /// # Errors
    /// A kind nobody knows, a number out of its range, text that is not UTF-8, a picture of another size.
    pub fn from_raw(op: &raw::Op, data: &'a [u8]) -> Result<Op<'a>, NotAnOp> {
        Ok(match op.kind {
            raw::OP_TEXT => Op::Text(text(data)?),
            raw::OP_NEWLINE => Op::Newline,
            raw::OP_FEED => Op::Feed(narrow("a (lines)", op.a)?),
            raw::OP_STYLE => Op::Style(style(op)?),
            raw::OP_ALIGN => {
                Op::Align(choose("a (align)", op.a, &[Align::Left, Align::Middle, Align::Right])?)
            }
            raw::OP_RULE => Op::Rule { double: choose("a (rule)", op.a, &[false, true])? },
            raw::OP_QR => Op::Qr {
                data: data.into(),
                module: narrow("a (module)", op.a)?,
                correction: choose("b (correction)", op.b, &[0, 1, 2, 3])?,
            },
            raw::OP_BARCODE => Op::Barcode(barcode(op, data)?),
            raw::OP_IMAGE => image(op, data)?,
            raw::OP_CUT => Op::Cut(choose("a (cut)", op.a, &[Cut::Partial, Cut::Full])?),
            raw::OP_DRAWER => {
                Op::Drawer { pin: choose("a (pin)", op.a, &[0, 1])?, pulse_ms: narrow("b (pulse)", op.b)? }
            }
            raw::OP_BEEP => Op::Beep(narrow("a (times)", op.a)?),
            raw::OP_PLACE => Op::Place { x: narrow("a (x)", op.a)?, y: narrow("b (y)", op.b)? },
            raw::OP_D_CLEAR => Op::Clear,
            raw::OP_D_LINE => Op::Line { line: narrow("a (line)", op.a)?, text: text(data)? },
            raw::OP_D_SCROLL => Op::Scroll {
                line: narrow("a (line)", op.a)?,
                text: text(data)?,
                step_ms: narrow("b (step)", op.b)?,
            },
            raw::OP_D_BRIGHT => Op::Bright(narrow("a (brightness)", op.a)?),
            raw::OP_D_BLINK => Op::Blink(narrow("a (blink)", op.a)?),
            raw::OP_D_CURSOR => Op::Cursor(choose("a (cursor)", op.a, &[false, true])?),
            kind => return Err(NotAnOp(format!("kind: there is no op {kind}"))),
        })
    }

    /// The same op with everything in it its own.
    pub fn into_owned(self) -> Op<'static> {
        fn own<T: ?Sized + ToOwned + 'static>(value: Cow<'_, T>) -> Cow<'static, T> {
            Cow::Owned(value.into_owned())
        }
        match self {
            Op::Text(text) => Op::Text(own(text)),
            Op::Qr { data, module, correction } => Op::Qr { data: own(data), module, correction },
            Op::Barcode(code) => Op::Barcode(Barcode {
                data: own(code.data),
                symbology: code.symbology,
                height: code.height,
                module: code.module,
                text_below: code.text_below,
            }),
            Op::Image { width, height, dots } => Op::Image { width, height, dots: own(dots) },
            Op::Line { line, text } => Op::Line { line, text: own(text) },
            Op::Scroll { line, text, step_ms } => Op::Scroll { line, text: own(text), step_ms },
            Op::Newline => Op::Newline,
            Op::Feed(lines) => Op::Feed(lines),
            Op::Style(style) => Op::Style(style),
            Op::Align(align) => Op::Align(align),
            Op::Rule { double } => Op::Rule { double },
            Op::Cut(cut) => Op::Cut(cut),
            Op::Drawer { pin, pulse_ms } => Op::Drawer { pin, pulse_ms },
            Op::Beep(times) => Op::Beep(times),
            Op::Place { x, y } => Op::Place { x, y },
            Op::Clear => Op::Clear,
            Op::Bright(level) => Op::Bright(level),
            Op::Blink(ms) => Op::Blink(ms),
            Op::Cursor(shown) => Op::Cursor(shown),
        }
    }
}

fn plain(kind: u32, [a, b, c, d]: [i32; 4]) -> raw::Op {
    raw::Op { kind, flags: 0, a, b, c, d, data: raw::Bytes { ptr: std::ptr::null(), len: 0 } }
}

fn with_data(kind: u32, data: &[u8], numbers: [i32; 4]) -> raw::Op {
    raw::Op { data: raw::Bytes { ptr: data.as_ptr(), len: data.len() }, ..plain(kind, numbers) }
}

fn text(data: &[u8]) -> Result<Cow<'_, str>, NotAnOp> {
    let text = std::str::from_utf8(data).map_err(|error| NotAnOp(format!("data: {error}")))?;
    Ok(Cow::Borrowed(text))
}

fn narrow<T: TryFrom<i32>>(field: &str, number: i32) -> Result<T, NotAnOp> {
    T::try_from(number).map_err(|_| NotAnOp(format!("{field}: {number} is out of its range")))
}

fn choose<T: Copy>(field: &str, number: i32, choices: &[T]) -> Result<T, NotAnOp> {
    let choice = usize::try_from(number).ok().and_then(|index| choices.get(index));
    choice.copied().ok_or_else(|| NotAnOp(format!("{field}: {number} is out of its range")))
}

fn style(op: &raw::Op) -> Result<Style, NotAnOp> {
    let times = |field: &str, number: i32| match number {
        1..=8 => narrow(field, number),
        _ => Err(NotAnOp(format!("{field}: {number} is not 1 to 8"))),
    };
    Ok(Style {
        bold: op.flags & raw::STYLE_BOLD != 0,
        underline: op.flags & raw::STYLE_UNDERLINE != 0,
        invert: op.flags & raw::STYLE_INVERT != 0,
        width: times("a (width)", op.a)?,
        height: times("b (height)", op.b)?,
        font: choose("c (font)", op.c, &[0, 1])?,
    })
}

fn barcode<'a>(op: &raw::Op, data: &'a [u8]) -> Result<Barcode<'a>, NotAnOp> {
    const KINDS: [Symbology; 6] = [
        Symbology::Code128,
        Symbology::Ean13,
        Symbology::Ean8,
        Symbology::UpcA,
        Symbology::Code39,
        Symbology::Itf,
    ];
    if !data.is_ascii() {
        return Err(NotAnOp("data: a barcode is ASCII".to_owned()));
    }
    Ok(Barcode {
        data: text(data)?,
        symbology: choose("a (symbology)", op.a.saturating_sub(1), &KINDS)?,
        height: narrow("b (height)", op.b)?,
        module: narrow("c (module)", op.c)?,
        text_below: choose("d (text below)", op.d, &[false, true])?,
    })
}

fn image<'a>(op: &raw::Op, data: &'a [u8]) -> Result<Op<'a>, NotAnOp> {
    let (width, height): (u16, u16) = (narrow("a (width)", op.a)?, narrow("b (height)", op.b)?);
    let wanted = usize::from(width).div_ceil(8) * usize::from(height);
    if data.len() != wanted {
        let found = data.len();
        return Err(NotAnOp(format!("data: {width} x {height} dots are {wanted} bytes, found {found}")));
    }
    Ok(Op::Image { width, height, dots: data.into() })
}
