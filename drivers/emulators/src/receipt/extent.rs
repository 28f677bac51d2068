//! Where an ESC/POS command ends. Knows lengths, not meanings.

/// What bytes are, from the front on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// A command that goes on.
    More,
    /// A command or a character.
    Whole,
    /// None: what a printer drops of it, and why.
    Unknown(&'static str),
}

/// What these bytes are.
pub(super) fn extent(bytes: &[u8]) -> Extent {
    match bytes {
        [0x10 | 0x1b | 0x1c | 0x1d] => Extent::More,
        [0x10, rest @ ..] => real_time(rest),
        [0x1b, rest @ ..] => escape(rest),
        [0x1c, rest @ ..] => kanji(rest),
        [0x1d, rest @ ..] => group(rest),
        _ => Extent::Whole,
    }
}

fn at_least(bytes: &[u8], length: usize) -> Extent {
    if bytes.len() < length { Extent::More } else { Extent::Whole }
}

fn word(low: u8, high: u8) -> usize {
    usize::from(low) + 256 * usize::from(high)
}

/// `DLE …`: was obeyed when it came in.
fn real_time(rest: &[u8]) -> Extent {
    match rest {
        [0x04 | 0x05, ..] => at_least(rest, 2),
        [0x14] | [0x14, 0x01 | 0x02] | [0x14, 0x08] => Extent::More,
        [0x14, 0x01 | 0x02, ..] => at_least(rest, 4),
        [0x14, 0x08, ..] => at_least(rest, 9),
        _ => Extent::Unknown("no DLE command"),
    }
}

/// `ESC …`.
fn escape(rest: &[u8]) -> Extent {
    match rest {
        [b'@' | b'2' | b'i' | b'm', ..] => Extent::Whole,
        [
            b'!' | b'-' | b' ' | b'3' | b'E' | b'G' | b'J' | b'M' | b'R' | b'V' | b'a' | b'd' | b'e' | b'r'
            | b't' | b'{' | b'=' | b'U' | b'T',
            ..,
        ] => at_least(rest, 2),
        [b'$' | b'\\' | b'B', ..] => at_least(rest, 3),
        [b'c', ..] => at_least(rest, 3),
        [b'p', ..] => at_least(rest, 4),
        [b'D', tabs @ ..] => match tabs.last() {
            Some(0) => Extent::Whole,
            _ if tabs.len() > 33 => Extent::Unknown("more than 32 tabs"),
            _ => Extent::More,
        },
        [b'*'] => Extent::More,
        [b'*', mode, size @ ..] => match (mode, size) {
            (0 | 1 | 32 | 33, [low, high, ..]) => {
                let column_bytes = if *mode < 32 { 1 } else { 3 };
                at_least(rest, 4 + word(*low, *high) * column_bytes)
            }
            (0 | 1 | 32 | 33, _) => Extent::More,
            _ => Extent::Unknown("no mode of ESC *"),
        },
        [b'(', ..] => counted(rest),
        _ => Extent::Unknown("no ESC command"),
    }
}

/// `( X pL pH …`.
fn counted(rest: &[u8]) -> Extent {
    match rest {
        [_, _, low, high, ..] => at_least(rest, 4 + word(*low, *high)),
        _ => Extent::More,
    }
}

/// `FS …`.
fn kanji(rest: &[u8]) -> Extent {
    match rest {
        [b'.' | b'&', ..] => Extent::Whole,
        [b'!' | b'-' | b'C', ..] => at_least(rest, 2),
        [b'(', ..] => counted(rest),
        _ => Extent::Unknown("no FS command"),
    }
}

/// `GS …`.
fn group(rest: &[u8]) -> Extent {
    match rest {
        [b'!' | b'B' | b'H' | b'I' | b'a' | b'b' | b'f' | b'h' | b'r' | b'w', ..] => at_least(rest, 2),
        [b'L' | b'W' | b'P' | b'$' | b'\\', ..] => at_least(rest, 3),
        [b'V'] => Extent::More,
        [b'V', 0 | 1 | b'0' | b'1', ..] => Extent::Whole,
        [b'V', 65 | 66, ..] => at_least(rest, 3),
        [b'V', ..] => Extent::Unknown("no kind of cut"),
        [b'v', b'0', _, wide_low, wide_high, rows_low, rows_high, dots @ ..] => {
            at_least(dots, word(*wide_low, *wide_high) * word(*rows_low, *rows_high))
        }
        [b'v', ..] => at_least(rest, 7),
        [b'k', kind, data @ ..] => match (kind, data) {
            (0..=6, [.., 0]) => Extent::Whole,
            (0..=6, _) if data.len() > 255 => Extent::Unknown("a barcode that does not end"),
            (0..=6, _) | (65..=79, []) => Extent::More,
            (65..=79, [length, ..]) => at_least(data, 1 + usize::from(*length)),
            _ => Extent::Unknown("no kind of barcode"),
        },
        [b'k'] => Extent::More,
        [b'(', ..] => counted(rest),
        _ => Extent::Unknown("no GS command"),
    }
}
