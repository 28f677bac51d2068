//! Displays that are given whole lines: AEDEX behind `!#`, ADM787/788 behind a byte, DSP-800 in frames.

use super::{COLUMNS, Extent, LINES, Screen, is_character, line_text};

/// AEDEX: characters of a line that runs, at most.
const AEDEX_RUNNING_MAX: usize = 60;

// === AEDEX ===

pub(super) fn aedex_extent(bytes: &[u8]) -> Extent {
    match bytes {
        [0x21] | [0x21, 0x23] => Extent::More,
        [0x21, 0x23, ..] => match bytes.last() {
            Some(0x0d) => Extent::Whole,
            _ => Extent::More,
        },
        _ => Extent::Unknown,
    }
}

pub(super) fn obey_aedex(screen: &mut Screen, command: &[u8]) -> Result<(), String> {
    let [0x21, 0x23, which, text @ .., 0x0d] = command else {
        return Err("no command".to_owned());
    };
    match which {
        b'A' => *screen = Screen::new(),
        b'1' => screen.set_line(0, line_text(text, COLUMNS)?),
        b'2' => screen.set_line(1, line_text(text, COLUMNS)?),
        b'9' => {
            let text = line_text(text, COLUMNS * LINES)?;
            let (upper, lower) = text.split_at(text.len().min(COLUMNS));
            screen.set_line(0, upper);
            screen.set_line(1, lower);
        }
        b'4' | b'6' => screen.run_line(0, line_text(text, AEDEX_RUNNING_MAX)?),
        b'5' => screen.special = Some(clock(text)?),
        _ => return Err(format!("there is no command {:?}", char::from(*which))),
    }
    Ok(())
}

/// `hh:mm`.
pub(super) fn clock(text: &[u8]) -> Result<String, String> {
    let digits =
        |a: u8, b: u8| (a.is_ascii_digit() && b.is_ascii_digit()).then(|| (a - b'0') * 10 + (b - b'0'));
    match text {
        [a, b, b':', c, d]
            if digits(*a, *b).is_some_and(|h| h < 24) && digits(*c, *d).is_some_and(|m| m < 60) =>
        {
            Ok(text.iter().map(|byte| char::from(*byte)).collect())
        }
        _ => Err("a clock is set with hh:mm".to_owned()),
    }
}

// === ADM787 and ADM788 ===

pub(super) fn adm_extent(bytes: &[u8]) -> Extent {
    match bytes {
        [0x0c | 0x0d] | [0x11 | 0x12, _] => Extent::Whole,
        [0x11 | 0x12] => Extent::More,
        [0x0e | 0x0f, ..] => match bytes.last() {
            Some(0x0d) => Extent::Whole,
            _ => Extent::More,
        },
        _ => Extent::Unknown,
    }
}

pub(super) fn obey_adm(screen: &mut Screen, command: &[u8]) -> Result<(), String> {
    match command {
        [0x0c] => screen.clear(),
        [0x0d] => screen.line_start(),
        [0x0e, text @ .., 0x0d] => screen.set_line(0, line_text(text, COLUMNS)?),
        [0x0f, text @ .., 0x0d] => screen.set_line(1, line_text(text, COLUMNS)?),
        // POS-X EVO-RD4, page 23: begins and ends the blinking of one line.
        [lead @ (0x11 | 0x12), line @ (b'1' | b'2')] => {
            screen.blinking[usize::from(line - b'1')] = *lead == 0x11;
        }
        [0x11 | 0x12, line] => return Err(format!("line {line:02X} is neither '1' nor '2'")),
        _ => return Err("no command".to_owned()),
    }
    Ok(())
}

// === DSP-800 ===

/// A frame begins with these.
const HEAD: [u8; 2] = [0x04, 0x01];
/// A frame ends with this.
const END: u8 = 0x17;
/// The first cell's number; the last is 0x58.
const CELL_FIRST: u8 = 0x31;
const CELL_LAST: u8 = 0x58;

pub(super) fn dsp800_extent(bytes: &[u8]) -> Extent {
    match bytes {
        [0x04] => Extent::More,
        [0x04, 0x01, ..] => match bytes.last() {
            Some(&END) => Extent::Whole,
            _ if bytes.len() < 8 => Extent::More,
            _ => Extent::Unknown,
        },
        // An end without its beginning: the display answers NACK and does nothing.
        [END] => Extent::Whole,
        [byte] if is_character(*byte) => Extent::Whole,
        _ => Extent::Unknown,
    }
}

pub(super) fn obey_dsp800(screen: &mut Screen, command: &[u8]) -> Result<(), String> {
    match command.strip_prefix(&HEAD) {
        Some([0x25, END]) => *screen = Screen::new(),
        Some([0x43, CELL_FIRST, CELL_LAST, END]) => screen.clear(),
        Some([0x50, cell @ CELL_FIRST..=CELL_LAST, END]) => return screen.place_at(cell - CELL_FIRST),
        Some(_) => return Err("no command".to_owned()),
        None if command == [END] => {}
        None => screen.show_all(command),
    }
    Ok(())
}
