//! Reads a printer's bytes command by command, after the manual and not after the driver: what it does not know is an
//! error. Shares no code with the driver.

/// One thing a printer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Characters.
    Characters(Vec<u8>),
    /// Line feed.
    Lf,
    /// `GS v 0`.
    Picture {
        /// Bytes of a row.
        row_bytes: usize,
        /// Rows of dots.
        dots: Vec<u8>,
    },
    /// Any other command.
    Command(Vec<u8>),
}

/// All of a document.
pub fn items(bytes: &[u8]) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let used = match rest {
            [0x0a, ..] => {
                items.push(Item::Lf);
                1
            }
            [0x1d, b'v', b'0', 0, xl, xh, yl, yh, data @ ..] => {
                let row_bytes = usize::from(*xl) + 256 * usize::from(*xh);
                let length = row_bytes * (usize::from(*yl) + 256 * usize::from(*yh));
                let dots = data.get(..length).ok_or("a picture is cut short")?.to_vec();
                items.push(Item::Picture { row_bytes, dots });
                8 + length
            }
            [0x00..=0x1f | 0x7f, ..] => {
                let length = command_length(rest)
                    .ok_or_else(|| format!("no command at {at}: {:02x?}", &rest[..rest.len().min(8)]))?;
                let command = rest.get(..length).ok_or("a command is cut short")?;
                items.push(Item::Command(command.to_vec()));
                length
            }
            _ => {
                let end = rest.iter().position(|byte| *byte < 0x20 || *byte == 0x7f).unwrap_or(rest.len());
                items.push(Item::Characters(rest[..end].to_vec()));
                end
            }
        };
        at += used;
    }
    Ok(items)
}

fn command_length(rest: &[u8]) -> Option<usize> {
    Some(match rest {
        [0x1b, b'@', ..] | [0x1c, b'.', ..] => 2,
        [0x1b, b'E' | b'-' | b'M' | b'a' | b'd' | b't', ..] => 3,
        [0x1b, b'B', ..] => 4,
        [0x1b, b'p', ..] => 5,
        [0x1d, b'!' | b'B' | b'H' | b'a' | b'h' | b'w', ..] => 3,
        [0x1d, b'V', b'A' | b'B', ..] => 4,
        [0x1d, b'k', 65..=79, n, ..] => 4 + usize::from(*n),
        // What other encoders send and this driver does not.
        [0x1d, b'k', 0..=6, ..] => 1 + rest.iter().skip(3).position(|byte| *byte == 0)? + 3,
        [0x1d, b'V', 0 | 1, ..] | [0x1d, b'f', ..] => 3,
        [0x1d, b'(', _, low, high, ..] => 5 + usize::from(*low) + 256 * usize::from(*high),
        _ => return None,
    })
}

/// All pictures of a document below each other: row bytes and dots.
pub fn picture(items: &[Item]) -> (usize, Vec<u8>) {
    let (mut width, mut all) = (0, Vec::new());
    for item in items {
        if let Item::Picture { row_bytes, dots } = item {
            width = *row_bytes;
            all.extend(dots);
        }
    }
    (width, all)
}
