//! From one picture to the next in as few bytes as a command set allows. Pure: a picture in, bytes out. Knows no time, no
//! text and no line to a device.

use crate::models::PST_TO_EPSON;
use crate::sets::{Blinking, Placing};
use crate::settings::Settings;
use std::ops::Range;

/// What a display shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Lines of cells, each as long as the display is wide.
    pub lines: Vec<Vec<u8>>,
    /// 1 to 4; `None`: whatever the display does by itself.
    pub bright: Option<u8>,
    /// 0: nothing blinks. Else half a period in 50 ms, 1 to 254, where the display takes one.
    pub blink: u8,
    /// Is the cursor shown?
    pub cursor: bool,
}

/// The picture on a display that was just reached, in whatever state: it is brought into a known one first.
pub fn opening(settings: &Settings, wanted: &Picture) -> Vec<u8> {
    let mut bytes = settings.set.resync.to_vec();
    if settings.force_epson {
        bytes.extend(PST_TO_EPSON);
    }
    bytes.extend(settings.set.init);
    everything(settings, wanted, &mut bytes);
    bytes
}

/// The whole picture, on a display of which something was lost: bytes on the line, or the power for a moment. Nothing
/// is cleared, so that one who looks sees nothing of it.
pub fn whole(settings: &Settings, wanted: &Picture) -> Vec<u8> {
    let mut bytes = settings.set.resync.to_vec();
    everything(settings, wanted, &mut bytes);
    bytes
}

/// The differences, on a display that shows `shown`.
pub fn changes(settings: &Settings, shown: &Picture, wanted: &Picture) -> Vec<u8> {
    let cells_blink = matches!(settings.set.blinking, Blinking::Cells { .. });
    if cells_blink && shown.blink != wanted.blink {
        return whole(settings, wanted);
    }
    let mut bytes = Vec::new();
    if shown.blink != wanted.blink {
        blink(settings, wanted, &mut bytes);
    }
    if shown.bright != wanted.bright {
        bright(settings, wanted, &mut bytes);
    }
    match settings.set.clear {
        Some(clear) if is_blank(wanted) && !is_blank(shown) => bytes.extend(clear),
        _ => {
            for (line, (from, to)) in shown.lines.iter().zip(&wanted.lines).enumerate() {
                line_changes(settings, line, from, to, &mut bytes);
            }
        }
    }
    if shown.cursor != wanted.cursor {
        cursor(settings, wanted, &mut bytes);
    }
    bytes
}

fn everything(settings: &Settings, wanted: &Picture, bytes: &mut Vec<u8>) {
    bytes.extend(settings.set.modes);
    bytes.extend(&settings.page_command);
    blink(settings, wanted, bytes);
    bright(settings, wanted, bytes);
    for (line, cells) in wanted.lines.iter().enumerate() {
        put(settings, line, 0, cells, bytes);
    }
    cursor(settings, wanted, bytes);
}

fn is_blank(picture: &Picture) -> bool {
    picture.lines.iter().flatten().all(|cell| *cell == b' ')
}

fn line_changes(settings: &Settings, line: usize, from: &[u8], to: &[u8], bytes: &mut Vec<u8>) {
    let address = match settings.set.placing {
        Placing::ColumnLine(before) => before.len() + 2,
        Placing::Cell { before, after, .. } => before.len() + 1 + after.len(),
        Placing::Line { .. } => {
            if from != to {
                put(settings, line, 0, to, bytes);
            }
            return;
        }
    };
    for span in spans(from, to, address) {
        put(settings, line, span.start, &to[span], bytes);
    }
}

/// The pieces that differ. Two that are closer than an address is long are one.
fn spans(from: &[u8], to: &[u8], address: usize) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for at in (0..to.len()).filter(|at| from[*at] != to[*at]) {
        match spans.last_mut() {
            Some(last) if at - last.end <= address => last.end = at + 1,
            _ => spans.push(at..at + 1),
        }
    }
    spans
}

/// Writes cells from a column on, both counted from 0. Where the cursor is afterwards nobody relies on.
fn put(settings: &Settings, line: usize, column: usize, cells: &[u8], bytes: &mut Vec<u8>) {
    // Settings allow at most 4 lines of 40 columns, and 40 cells where a cell is one byte.
    match settings.set.placing {
        Placing::ColumnLine(before) => {
            bytes.extend(before);
            bytes.extend([column as u8 + 1, line as u8 + 1]);
            bytes.extend(cells);
        }
        Placing::Cell { before, first, after } => {
            bytes.extend(before);
            bytes.push(first + (line * settings.columns + column) as u8);
            bytes.extend(after);
            bytes.extend(cells);
        }
        Placing::Line { before, after } => {
            bytes.extend(before[line]);
            bytes.extend(cells);
            bytes.extend(after);
        }
    }
}

fn blink(settings: &Settings, wanted: &Picture, bytes: &mut Vec<u8>) {
    let on = wanted.blink > 0;
    match settings.set.blinking {
        Blinking::None => {}
        Blinking::Screen(before) => {
            bytes.extend(before);
            bytes.push(wanted.blink);
        }
        Blinking::Lines { on: begin, off: end } => {
            let each = if on { begin } else { end };
            bytes.extend(each.iter().take(settings.lines).copied().flatten());
        }
        Blinking::Cells { on: begin, off: end } => bytes.extend(if on { begin } else { end }),
    }
}

fn bright(settings: &Settings, wanted: &Picture, bytes: &mut Vec<u8>) {
    if let (Some(levels), Some(level)) = (settings.bright, wanted.bright) {
        bytes.extend(levels[usize::from(level) - 1]);
    }
}

fn cursor(settings: &Settings, wanted: &Picture, bytes: &mut Vec<u8>) {
    if let Some([hide, show]) = settings.set.cursor {
        bytes.extend(if wanted.cursor { show } else { hide });
    }
}
