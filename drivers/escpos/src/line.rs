//! A line of text: the code page that has it, broken at words where it is wider than the paper, as dots where no page
//! has it. Knows no other op.

use crate::page::{Writer, is_control};
use driver_sdk::{Align, Fault, Op, Services, Style};

/// Text of one style.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub text: String,
    pub style: Style,
}

/// A character in its code page.
#[derive(Clone, Copy)]
struct Cell {
    byte: u8,
    page: u32,
    style: Style,
}

/// Text in which nothing is left that a printer would act upon: tabs and line ends are spaces, other control
/// characters question marks, for people to see that something was there.
pub(crate) fn neutral(text: &str) -> String {
    let harmless = |character: char| match character {
        '\t' | '\n' | '\r' => ' ',
        _ if character.is_control() => '?',
        _ => character,
    };
    text.chars().map(harmless).collect()
}

/// Writes a line and its end.
///
/// # Errors
/// The host's, where a line has to be dots.
pub(crate) fn write(
    writer: &mut Writer<'_>,
    host: &dyn Services,
    align: Align,
    runs: &[Run],
) -> Result<(), Fault> {
    let Some(cells) = encode(writer, host, runs) else {
        return write_dots(writer, host, align, runs);
    };
    writer.align(align);
    let settings = writer.settings;
    let widths: Vec<usize> = cells
        .iter()
        .map(|cell| usize::from(settings.cell_dots(cell.style.font)) * usize::from(cell.style.width))
        .collect();
    let rows = wrap(cells.len(), |at| cells[at].byte == b' ', |at| widths[at], settings.dots.into());
    for row in rows {
        let row = &cells[row];
        for part in row.chunk_by(|a, b| (a.page, a.style) == (b.page, b.style)) {
            let bytes: Vec<u8> = part.iter().map(|cell| cell.byte).collect();
            writer.characters(part[0].page, part[0].style, &bytes);
        }
        writer.line_end(row.iter().map(|cell| cell.style.height).max().unwrap_or(1));
    }
    Ok(())
}

/// The characters of all runs, each in a page that has it. `None`: a word has none.
fn encode(writer: &Writer<'_>, host: &dyn Services, runs: &[Run]) -> Option<Vec<Cell>> {
    let mut current = writer.code_page();
    let mut cells = Vec::new();
    for run in runs {
        // The whole run in one page if possible, else word by word.
        let mut add = |text: &str| -> Option<()> {
            let (page, bytes) = best_page(writer, host, current, text)?;
            current = page;
            cells.extend(bytes.into_iter().map(|byte| Cell { byte, page, style: run.style }));
            Some(())
        };
        if add(&run.text).is_none() {
            run.text.split_inclusive(' ').try_for_each(add)?;
        }
    }
    Some(cells)
}

/// The first page that has all of a text, beginning with the one the printer is in.
fn best_page(writer: &Writer<'_>, host: &dyn Services, current: u32, text: &str) -> Option<(u32, Vec<u8>)> {
    let others = writer.settings.code_pages.iter().map(|(page, _)| *page).filter(|page| *page != current);
    std::iter::once(current).chain(others).find_map(|page| match host.encode(page, text) {
        Some((bytes, 0)) if !bytes.iter().any(|byte| is_control(*byte)) => Some((page, bytes)),
        _ => None,
    })
}

/// Where `count` characters break so that no row is wider than `most`: at the last space before, else in a word. The
/// space at a break is not printed.
fn wrap(
    count: usize,
    is_space: impl Fn(usize) -> bool,
    width: impl Fn(usize) -> usize,
    most: usize,
) -> Vec<std::ops::Range<usize>> {
    let mut rows = Vec::new();
    let (mut start, mut at, mut taken, mut space) = (0, 0, 0, None);
    while at < count {
        if taken + width(at) > most && at > start {
            let (end, next) = match space {
                _ if is_space(at) => (at, at + 1),
                Some(space) => (space, space + 1),
                None => (at, at),
            };
            rows.push(start..end);
            (start, at, taken, space) = (next, next, 0, None);
            continue;
        }
        if is_space(at) && at > start {
            space = Some(at);
        }
        taken += width(at);
        at += 1;
    }
    if start < count || rows.is_empty() {
        rows.push(start..count);
    }
    rows
}

/// A line as dots, in its first run's style: scripts that run from the right are laid out as a whole. In the host's small
/// size where only that fits on one line.
fn write_dots(writer: &mut Writer<'_>, host: &dyn Services, align: Align, runs: &[Run]) -> Result<(), Fault> {
    let text: String = runs.iter().map(|run| run.text.as_str()).collect();
    let usual = runs.first().map(|run| run.style).unwrap_or_default();
    let small = Style { font: 1, ..usual };
    let most = usize::from(writer.settings.dots);
    let fits = |style| width_of(host, &text, style).map(|width| width <= most);
    // One that has to be broken anyway is broken where people can read it.
    let style = if !fits(usual)? && fits(small)? { small } else { usual };
    writer.align(align);
    for row in break_dots(host, &text, style, most)? {
        let raster = host.rasterise(&Op::Text(row.into()), style, writer.settings.dots)?;
        if raster.rows() == 0 {
            writer.line_end(style.height);
        }
        writer.dots(&raster);
    }
    Ok(())
}

/// The rows of a text, each as many words as fit.
fn break_dots<'t>(
    host: &dyn Services,
    text: &'t str,
    style: Style,
    most: usize,
) -> Result<Vec<&'t str>, Fault> {
    if width_of(host, text, style)? <= most {
        return Ok(vec![text]);
    }
    // Characters are measured alone: none is wider beside others.
    let characters: Vec<(usize, char)> = text.char_indices().collect();
    let mut widths = Vec::with_capacity(characters.len());
    for (_, character) in &characters {
        widths.push(width_of(host, character.encode_utf8(&mut [0; 4]), style)?);
    }
    let byte = |at: usize| characters.get(at).map_or(text.len(), |(byte, _)| *byte);
    let rows = wrap(characters.len(), |at| characters[at].1 == ' ', |at| widths[at], most);
    Ok(rows.into_iter().map(|row| &text[byte(row.start)..byte(row.end)]).collect())
}

/// How many dots wide a text would be on endless paper, up to 7 more.
fn width_of(host: &dyn Services, text: &str, style: Style) -> Result<usize, Fault> {
    Ok(host.rasterise(&Op::Text(text.into()), style, u16::MAX)?.row_bytes * 8)
}

#[cfg(test)]
mod tests {
    use super::{neutral, wrap};

    fn rows(text: &str, most: usize) -> Vec<&str> {
        let bytes = text.as_bytes();
        wrap(text.len(), |at| bytes[at] == b' ', |_| 1, most).into_iter().map(|row| &text[row]).collect()
    }

    #[test]
    fn lines_break_at_words_and_words_only_where_they_must() {
        for (text, most, expected) in [
            ("", 5, vec![""]),
            ("one", 5, vec!["one"]),
            ("one two", 7, vec!["one two"]),
            ("one two six", 7, vec!["one two", "six"]),
            ("one two six", 6, vec!["one", "two", "six"]),
            ("abcdefgh", 3, vec!["abc", "def", "gh"]),
            ("a bcdefgh i", 4, vec!["a", "bcde", "fgh", "i"]),
            ("  indented", 8, vec![" ", "indented"]),
            ("full ", 4, vec!["full"]),
        ] {
            assert_eq!(rows(text, most), expected, "{text:?} in {most}");
        }
    }

    #[test]
    fn what_a_printer_would_act_upon_is_made_harmless() {
        assert_eq!(neutral("A\u{1b}p\0\u{10}\u{4}\u{9b}\u{7f}B\tC\r\n"), "A?p?????B C  ");
    }
}
