//! What a display is to show, as documents asked for it one after another: each changes what it names and leaves the
//! rest. Knows code pages and widths through the encoder and the settings, no command's bytes.

use crate::marquee::Marquee;
use crate::paint::Picture;
use crate::sets::Blinking;
use crate::settings::{SCROLL_MS_MIN, Settings};
use crate::text::Encoder;
use driver_sdk::{Fault, Op};
use std::time::Duration;

/// A running text is cut after so many cells: it would take minutes to pass.
const SCROLL_CELLS_MAX: usize = 512;
/// `1F 45 n` counts in this.
const BLINK_UNIT_MS: u16 = 50;

/// What a display is to show.
#[derive(Clone, Debug)]
pub struct Wanted {
    lines: Vec<Content>,
    bright: Option<u8>,
    blink: u8,
    cursor: bool,
}

#[derive(Clone, Debug)]
enum Content {
    /// Cells, as many as the line has.
    Still(Vec<u8>),
    Running(Marquee),
}

/// A document that cannot be shown: nothing of it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What it is to the host.
    pub fault: Fault,
    /// For people.
    pub text: String,
}

/// What of a document is shown otherwise than it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Characters shown as '?'.
    pub lost: usize,
    /// The brightness was to change, which this display is not known to do.
    pub bright: bool,
    /// It was to blink, which this display cannot.
    pub blink: bool,
    /// The cursor was to be shown, which this display cannot.
    pub cursor: bool,
}

// === impl Wanted ===

impl Wanted {
    /// An empty screen.
    pub fn blank(settings: &Settings) -> Wanted {
        let line = Content::Still(vec![b' '; settings.columns]);
        Wanted { lines: vec![line; settings.lines], bright: None, blink: 0, cursor: false }
    }

    /// With a document's ops, one after another.
    ///
    /// # Errors
    /// An op that is none for a display, a line it does not have.
    pub fn with(
        &self,
        ops: &[Op<'_>],
        settings: &Settings,
        encoder: &Encoder,
        now: Duration,
    ) -> Result<(Wanted, Notes), Refused> {
        let (mut wanted, mut notes) = (self.clone(), Notes::default());
        for op in ops {
            match op {
                Op::Clear => wanted.lines = Wanted::blank(settings).lines,
                Op::Line { line, text } => {
                    let at = line_index(*line, settings)?;
                    let cells = encoder.cells(text);
                    notes.lost += cells.lost;
                    wanted.lines[at] = Content::Still(encoder.fit(cells.cells, settings.columns));
                }
                Op::Scroll { line, text, step_ms } => {
                    let at = line_index(*line, settings)?;
                    let cells = encoder.cells(text);
                    notes.lost += cells.lost;
                    let step = step(*step_ms, settings);
                    wanted.lines[at] = running(cells.cells, step, &self.lines[at], settings, encoder, now);
                }
                Op::Bright(level @ 1..=4) => {
                    notes.bright |= settings.bright.is_none();
                    wanted.bright = settings.bright.map(|_| *level);
                }
                Op::Bright(level) => return Err(invalid(format!("brightness {level} is not 1 to 4"))),
                Op::Blink(ms) => {
                    notes.blink |= *ms > 0 && matches!(settings.set.blinking, Blinking::None);
                    wanted.blink = blink(*ms, settings.set.blinking);
                }
                Op::Cursor(shown) => {
                    notes.cursor |= *shown && settings.set.cursor.is_none();
                    wanted.cursor = *shown && settings.set.cursor.is_some();
                }
                _ => return Err(for_printers(op)),
            }
        }
        Ok((wanted, notes))
    }

    /// What the display shows at a moment.
    pub fn picture(&self, now: Duration, columns: usize) -> Picture {
        let show = |content: &Content| match content {
            Content::Still(cells) => cells.clone(),
            Content::Running(marquee) => marquee.window(now, columns),
        };
        Picture {
            lines: self.lines.iter().map(show).collect(),
            bright: self.bright,
            blink: self.blink,
            cursor: self.cursor,
        }
    }

    /// How long until a text steps on. `None`: nothing runs.
    pub fn next_step(&self, now: Duration) -> Option<Duration> {
        let next = |content: &Content| match content {
            Content::Still(_) => None,
            Content::Running(marquee) => Some(marquee.next(now)),
        };
        self.lines.iter().filter_map(next).min()
    }
}

// === impl Notes ===

impl Notes {
    /// For people; empty where everything is shown as it was asked for.
    pub fn words(self, settings: &Settings) -> String {
        let mut words = Vec::new();
        if self.lost > 0 {
            words.push(format!("{} not in code page {}, shown as '?'", characters(self.lost), settings.page));
        }
        let set = settings.set.name;
        if self.bright {
            words.push(format!("brightness unchanged: not known to work on {}", settings.model.name));
        }
        if self.blink {
            words.push(format!("not blinking: {set} cannot"));
        }
        if self.cursor {
            words.push(format!("no cursor: {set} has none"));
        }
        words.join("; ")
    }
}

fn characters(count: usize) -> String {
    if count == 1 { "1 character".to_owned() } else { format!("{count} characters") }
}

fn line_index(line: u8, settings: &Settings) -> Result<usize, Refused> {
    let index = usize::from(line).checked_sub(1).filter(|index| *index < settings.lines);
    index.ok_or_else(|| invalid(format!("line {line}: this display has lines 1 to {}", settings.lines)))
}

/// A text that fits stands still; one that runs already goes on from where it is.
fn running(
    mut cells: Vec<u8>,
    step: Duration,
    before: &Content,
    settings: &Settings,
    encoder: &Encoder,
    now: Duration,
) -> Content {
    if cells.len() <= settings.columns {
        return Content::Still(encoder.fit(cells, settings.columns));
    }
    if cells.len() > SCROLL_CELLS_MAX {
        cells = encoder.fit(cells, SCROLL_CELLS_MAX);
    }
    let marquee = Marquee::new(cells, step, now);
    match before {
        Content::Running(old) if old.is_like(&marquee) => before.clone(),
        _ => Content::Running(marquee),
    }
}

fn step(step_ms: u16, settings: &Settings) -> Duration {
    match step_ms {
        0 => settings.step,
        ms => Duration::from_millis(u64::from(ms).max(SCROLL_MS_MIN)),
    }
}

fn blink(ms: u16, blinking: Blinking) -> u8 {
    match blinking {
        Blinking::None => 0,
        // 255 would switch the screen off.
        Blinking::Screen(_) => ms.div_ceil(BLINK_UNIT_MS).min(254) as u8,
        Blinking::Lines { .. } | Blinking::Cells { .. } => u8::from(ms > 0),
    }
}

fn invalid(text: String) -> Refused {
    Refused { fault: Fault::Invalid, text }
}

fn for_printers(op: &Op<'_>) -> Refused {
    let debug = format!("{op:?}");
    let name = debug.split(|end: char| !end.is_alphanumeric()).next().unwrap_or_default();
    let text = format!("{name} is for printers; a display takes Clear, Line, Scroll, Bright, Blink, Cursor");
    Refused { fault: Fault::Unsupported, text }
}
