//! Partner CD5220. Its trap: after `ESC Q` only `ESC Q`, CLR and CAN work until string mode is left.

use super::epson::{blink, on_or_off};
use super::{Extent, Mode, Screen, Scrolling, brightness, code_page, is_character, line_text};

/// Characters of a line that runs, at most.
const RUNNING_MAX: usize = 40;

pub(super) fn extent(bytes: &[u8]) -> Extent {
    match bytes {
        [0x08..=0x0d | 0x18] => Extent::Whole,
        [0x1b | 0x1f] => Extent::More,
        [0x1b, 0x51] => Extent::More,
        [0x1b, 0x51, 0x41 | 0x42 | 0x44, text @ ..] => match text.last() {
            Some(0x0d) => Extent::Whole,
            _ => Extent::More,
        },
        [0x1b, 0x11..=0x13 | 0x40] | [0x1f, 0x40] => Extent::Whole,
        [0x1b, 0x2a | 0x5f | 0x63 | 0x66 | 0x25 | 0x3f, rest @ ..] | [0x1f, 0x45, rest @ ..] => {
            if rest.is_empty() { Extent::More } else { Extent::Whole }
        }
        [0x1b, 0x6c, rest @ ..] if rest.len() < 2 => Extent::More,
        [0x1b, 0x6c, ..] => Extent::Whole,
        [0x1b, 0x57] => Extent::More,
        [0x1b, 0x57, 0 | 0x30] => Extent::Whole,
        [0x1b, 0x57, rest @ ..] if rest.len() < 4 => Extent::More,
        [0x1b, 0x57, ..] => Extent::Whole,
        [byte] if is_character(*byte) => Extent::Whole,
        _ => Extent::Unknown,
    }
}

pub(super) fn obey(screen: &mut Screen, mode: &mut Mode, command: &[u8]) -> Result<(), String> {
    match command {
        [0x0c] => {
            *mode = Mode::Normal;
            screen.clear();
            return Ok(());
        }
        [0x18] => {
            *mode = Mode::Normal;
            screen.clear_line();
            return Ok(());
        }
        [0x1b, 0x51, which, text @ .., 0x0d] => {
            *mode = Mode::Strings;
            return string(screen, *which, text);
        }
        _ if *mode == Mode::Strings => {
            return Err("in string mode only ESC Q, CLR and CAN work".to_owned());
        }
        [0x08] => screen.left(),
        [0x09] => screen.right(),
        [0x0a] => screen.down(),
        [0x0b] => screen.home(),
        [0x0d] => screen.line_start(),
        // Partner's table 6-1; POS-X XP8200, page 19.
        [0x1b, 0x11] => screen.scrolling = Scrolling::Overwrite,
        [0x1b, 0x12] => screen.scrolling = Scrolling::Vertical,
        [0x1b, 0x13] => screen.scrolling = Scrolling::Horizontal,
        [0x1b, 0x40] => *screen = Screen::new(),
        [0x1b, 0x2a, n] => return brightness(screen, *n),
        [0x1b, 0x5f, n] => screen.cursor = on_or_off(*n)?,
        [0x1b, 0x63, n] => return code_page(screen, *n),
        [0x1b, 0x66 | 0x25 | 0x3f, _] => {}
        [0x1b, 0x6c, x, y] => return screen.place(*x, *y),
        [0x1b, 0x57, 0 | 0x30] => return screen.set_window(None),
        [0x1b, 0x57, _, x1, x2, _] => return screen.set_window(Some((*x1, *x2))),
        [0x1f, 0x40] => screen.special = Some("self-test".to_owned()),
        [0x1f, 0x45, n] => screen.blink_ms = blink(*n),
        [byte] => screen.show(*byte),
        _ => return Err("no command".to_owned()),
    }
    Ok(())
}

fn string(screen: &mut Screen, which: u8, text: &[u8]) -> Result<(), String> {
    match which {
        0x41 => screen.set_line(0, line_text(text, super::COLUMNS)?),
        0x42 => screen.set_line(1, line_text(text, super::COLUMNS)?),
        _ => screen.run_line(0, line_text(text, RUNNING_MAX)?),
    }
    Ok(())
}
