//! Epson DM-D, and Posiflex PD-300, which has most of it and a second mode. Knows bytes and the glass.

use super::{Dialect, Extent, Mode, Screen, Scrolling, brightness, code_page, is_character};

/// Commands of a fixed length, this byte of them included: after `1B` and after `1F`.
fn fixed_length(dialect: Dialect, lead: u8, second: u8) -> Option<usize> {
    let both = match (lead, second) {
        (0x1b, 0x40) | (0x1f, 0x01 | 0x02 | 0x03 | 0x0a | 0x0d | 0x40 | 0x42) => 2,
        (0x1b, 0x74 | 0x3d) | (0x1f, 0x43 | 0x45) => 3,
        (0x1f, 0x24) => 4,
        _ => 0,
    };
    let epson_alone = match (lead, second) {
        (0x1b, 0x52 | 0x25 | 0x3f) | (0x1f, 0x58) => 3,
        (0x1f, 0x54) => 4,
        _ => 0,
    };
    match (both, epson_alone, dialect) {
        (0, 0, _) | (0, _, Dialect::Pd300) => None,
        (0, length, _) | (length, ..) => Some(length),
    }
}

pub(super) fn extent(dialect: Dialect, bytes: &[u8]) -> Extent {
    match bytes {
        [0x08..=0x0d | 0x18] => Extent::Whole,
        // Only PD-300's other mode has it; in this mode the manual says that it does no harm.
        [0x14] if dialect == Dialect::Pd300 => Extent::More,
        [0x14, 0x16] if dialect == Dialect::Pd300 => Extent::Whole,
        [0x1b | 0x1f] => Extent::More,
        [0x1b, 0x57, rest @ ..] if dialect == Dialect::Epson => window_extent(rest),
        [0x1b, 0x26, rest @ ..] if dialect == Dialect::Epson => glyphs_extent(rest),
        [lead @ (0x1b | 0x1f), second, ..] => match fixed_length(dialect, *lead, *second) {
            Some(length) if bytes.len() < length => Extent::More,
            Some(_) => Extent::Whole,
            None => Extent::Unknown,
        },
        [byte] if is_character(*byte) => Extent::Whole,
        _ => Extent::Unknown,
    }
}

/// `1B 57 n m x1 y1 x2 y2`; with m = 0 the window is given up and nothing follows.
fn window_extent(rest: &[u8]) -> Extent {
    match rest {
        [_, 0 | 0x30] => Extent::Whole,
        _ if rest.len() < 6 => Extent::More,
        _ => Extent::Whole,
    }
}

/// `1B 26 1 c1 c2` and for each character its width and as many bytes of dots.
fn glyphs_extent(rest: &[u8]) -> Extent {
    let [height, first, last, glyphs @ ..] = rest else { return Extent::More };
    if *height != 1 || first > last || !is_character(*first) {
        return Extent::Unknown;
    }
    let mut at = 0;
    for _ in *first..=*last {
        match glyphs.get(at) {
            Some(width) if *width <= 5 => at += 1 + usize::from(*width),
            Some(_) => return Extent::Unknown,
            None => return Extent::More,
        }
    }
    if glyphs.len() < at { Extent::More } else { Extent::Whole }
}

pub(super) fn obey(
    dialect: Dialect,
    screen: &mut Screen,
    mode: &mut Mode,
    command: &[u8],
) -> Result<(), String> {
    if let [0x1b, 0x3d, n] = command {
        return select(dialect, mode, *n);
    }
    if *mode == Mode::Deselected {
        // What is for the printer behind it is none of its business.
        return Ok(());
    }
    match command {
        [0x08] => screen.left(),
        [0x09] => screen.right(),
        [0x0a] => screen.down(),
        [0x0b] => screen.home(),
        [0x0c] => screen.clear(),
        [0x0d] => screen.line_start(),
        [0x18] => screen.clear_line(),
        [0x14, 0x16] => {}
        [0x1b, 0x40] => *screen = Screen::new(),
        [0x1b, 0x74, n] => return page(dialect, screen, *n),
        [0x1b, 0x52, n] if *n > 13 => return Err(format!("there is no country {n}")),
        [0x1b, 0x52 | 0x25 | 0x3f | 0x26, ..] => {}
        [0x1b, 0x57, _, 0 | 0x30] => return screen.set_window(None),
        [0x1b, 0x57, _, _, x1, _, x2, _] => return screen.set_window(Some((*x1, *x2))),
        [0x1f, 0x01] => screen.scrolling = Scrolling::Overwrite,
        [0x1f, 0x02] => screen.scrolling = Scrolling::Vertical,
        [0x1f, 0x03] => screen.scrolling = Scrolling::Horizontal,
        [0x1f, 0x0a] => screen.up(),
        [0x1f, 0x0d] => screen.line_end(),
        [0x1f, 0x24, x, y] => return screen.place(*x, *y),
        [0x1f, 0x40] => screen.special = Some("version".to_owned()),
        [0x1f, 0x42] => screen.bottom(),
        [0x1f, 0x43, n] => screen.cursor = on_or_off(*n)?,
        [0x1f, 0x45, n] => screen.blink_ms = blink(*n),
        [0x1f, 0x54, h, m] if *h < 24 && *m < 60 => screen.special = Some(format!("{h:02}:{m:02}")),
        [0x1f, 0x54, h, m] => return Err(format!("{h}:{m} is no time")),
        [0x1f, 0x58, n] => return brightness(screen, *n),
        [byte] => screen.show(*byte),
        _ => return Err("no command".to_owned()),
    }
    Ok(())
}

/// `1F 45 n`: n times 50 ms; 0 and 255 are no blink.
pub(super) fn blink(n: u8) -> Option<u32> {
    (!matches!(n, 0 | 255)).then(|| u32::from(n) * 50)
}

pub(super) fn on_or_off(n: u8) -> Result<bool, String> {
    match n {
        0 | b'0' => Ok(false),
        1 | b'1' => Ok(true),
        _ => Err(format!("{n} is neither on nor off")),
    }
}

fn page(dialect: Dialect, screen: &mut Screen, n: u8) -> Result<(), String> {
    if dialect == Dialect::Pd300 && !matches!(n, 0 | 19) {
        return Err(format!("PD-300 has the pages 0 and 19, not {n}"));
    }
    code_page(screen, n)
}

/// `1B 3D n`: who is spoken to; PD-300 changes its whole set of commands with n = 4.
fn select(dialect: Dialect, mode: &mut Mode, n: u8) -> Result<(), String> {
    *mode = match (dialect, n) {
        (Dialect::Pd300, 4) => Mode::Pst,
        (Dialect::Epson, 1) => Mode::Deselected,
        (Dialect::Epson, 2 | 3) => Mode::Normal,
        _ => return Err(format!("{n} is no device to be chosen")),
    };
    Ok(())
}

// === PST mode ===

pub(super) fn pst_extent(bytes: &[u8]) -> Extent {
    match bytes {
        [0x14] | [0x14, 0x1a] => Extent::More,
        [0x14, 0x0e | 0x10 | 0x11 | 0x16 | 0x19] | [0x14, 0x1a, _] => Extent::Whole,
        [byte] if is_character(*byte) => Extent::Whole,
        // Of Epson's commands nothing works here: byte by byte they are no command.
        _ => Extent::Unknown,
    }
}

pub(super) fn obey_pst(screen: &mut Screen, mode: &mut Mode, command: &[u8]) -> Result<(), String> {
    match command {
        [0x14, 0x0e] => screen.clear(),
        [0x14, 0x10] => screen.set_line(0, b""),
        [0x14, 0x11] => screen.set_line(1, b""),
        [0x14, 0x16] => *mode = Mode::Normal,
        [0x14, 0x19] => *screen = Screen::new(),
        [0x14, 0x1a, position] => return screen.place_at(*position),
        [byte] => screen.show(*byte),
        _ => return Err("no command".to_owned()),
    }
    Ok(())
}
