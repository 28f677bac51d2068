//! UTC, standard and enhanced: UTC 3190 (p. 8), Posiflex PD-2609UE (p. 12), Logic Controls LDX9 (p. 18). Knows bytes
//! and the glass.

use super::lines::clock;
use super::{COLUMNS, Extent, LINES, Screen, Scrolling, is_character, line_text};

/// Which of the two sets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    Standard,
    Enhanced,
}

/// Characters of a line that runs, at most.
const RUNNING_MAX: usize = 45;

pub(super) fn extent(bytes: &[u8], set: Set) -> Extent {
    match bytes {
        [0x08..=0x0a | 0x0d | 0x11..=0x14 | 0x1c..=0x1f] | [0x04 | 0x10, _] => Extent::Whole,
        [0x04 | 0x10] => Extent::More,
        [0x1b] | [0x1b, 0x75] if set == Set::Enhanced => Extent::More,
        [0x1b, 0x75, 0x41 | 0x42 | 0x44 | 0x45 | 0x46 | 0x49, text @ ..] if set == Set::Enhanced => {
            match text.last() {
                Some(0x0d) => Extent::Whole,
                _ => Extent::More,
            }
        }
        [byte] if is_character(*byte) => Extent::Whole,
        _ => Extent::Unknown,
    }
}

pub(super) fn obey(screen: &mut Screen, command: &[u8]) -> Result<(), String> {
    match command {
        [0x04, n] => screen.brightness = brightness(*n)?,
        [0x08] => screen.left(),
        [0x09] => screen.right(),
        [0x0a] => screen.down(),
        [0x0d] => screen.line_start(),
        [0x10, position] => return screen.place_at(*position),
        [0x11] => screen.scrolling = Scrolling::Overwrite,
        [0x12] => screen.scrolling = Scrolling::Vertical,
        [0x13] => screen.cursor = true,
        [0x14] => screen.cursor = false,
        [0x1c] => screen.blinking = [true; LINES],
        [0x1d] => screen.blinking = [false; LINES],
        [0x1e] => screen.clear(),
        [0x1f] => *screen = Screen::new(),
        [0x1b, 0x75, which, text @ .., 0x0d] => return whole_line(screen, *which, text),
        [byte] => screen.show(*byte),
        _ => return Err("no command".to_owned()),
    }
    Ok(())
}

/// `04 n`: a quarter of the light with each of these (LDX9, page 18).
fn brightness(n: u8) -> Result<u8, String> {
    match n {
        0x20 => Ok(1),
        0x40 => Ok(2),
        0x60 => Ok(3),
        0xff => Ok(4),
        _ => Err(format!("brightness {n:02X} is not 20, 40, 60 or FF")),
    }
}

fn whole_line(screen: &mut Screen, which: u8, text: &[u8]) -> Result<(), String> {
    match which {
        0x41 => screen.set_line(0, line_text(text, COLUMNS)?),
        0x42 => screen.set_line(1, line_text(text, COLUMNS)?),
        0x49 => {
            let text = line_text(text, COLUMNS * LINES)?;
            let (upper, lower) = text.split_at(text.len().min(COLUMNS));
            screen.set_line(0, upper);
            screen.set_line(1, lower);
        }
        0x45 => screen.special = Some(clock(text)?),
        _ => screen.run_line(0, line_text(text, RUNNING_MAX)?),
    }
    Ok(())
}
