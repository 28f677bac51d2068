//! Texts in columns: measured, broken between words, cut, padded. Knows no device and no placeholder.

use driver_abi::Align;
use unicode_width::UnicodeWidthChar;

/// Columns a text takes: two for a wide character, none for a mark, one for lam and alef, which are written as one.
pub fn width(text: &str) -> usize {
    let mut before = ' ';
    let column = |character: char| {
        let joined = before == 'ل' && matches!(character, 'آ' | 'أ' | 'إ' | 'ا');
        before = character;
        if joined { 0 } else { character.width().unwrap_or(0) }
    };
    text.chars().map(column).sum()
}

/// Lines of at most `columns`, broken between words where that is possible, at most `lines_max` of them; the last ends
/// with … where there was more.
pub fn wrap(text: &str, columns: usize, lines_max: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines: Vec<String> = text.split('\n').flat_map(|line| wrap_one(line, columns)).collect();
    if lines.len() > lines_max {
        lines.truncate(lines_max);
        if let Some(last) = lines.last_mut() {
            *last = format!("{}…", clipped(last, columns - 1));
        }
    }
    lines
}

fn wrap_one(text: &str, columns: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        let gap = usize::from(!line.is_empty());
        if width(&line) + gap + width(word) <= columns {
            line.extend(std::iter::repeat_n(' ', gap));
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for character in word.chars() {
            if !line.is_empty() && width(&line) + character.width().unwrap_or(0) > columns {
                lines.push(std::mem::take(&mut line));
            }
            line.push(character);
        }
    }
    lines.push(line);
    lines
}

/// At most `columns`; what is longer ends with ….
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = clipped(text, columns.saturating_sub(1)).trim_end().to_owned();
    kept.push('…');
    kept
}

/// At most `columns`, the rest left out.
pub fn clipped(text: &str, columns: usize) -> &str {
    let mut seen = 0;
    let end = text.char_indices().find(|(_, character)| {
        seen += character.width().unwrap_or(0);
        seen > columns
    });
    &text[..end.map_or(text.len(), |(at, _)| at)]
}

/// Exactly `columns` wide with blanks; a longer text stays as it is.
pub fn pad(text: &str, columns: usize, align: Align) -> String {
    let free = columns.saturating_sub(width(text));
    let left = match align {
        Align::Left => 0,
        Align::Middle => free / 2,
        Align::Right => free,
    };
    format!("{}{text}{}", " ".repeat(left), " ".repeat(free - left))
}

/// `columns` shared by these parts of the whole, with a blank between two; every one has at least one.
pub fn shares(columns: usize, parts: &[u32]) -> Vec<usize> {
    let whole: usize = parts.iter().map(|part| *part as usize).sum::<usize>().max(1);
    let free = columns.saturating_sub(parts.len().saturating_sub(1));
    let mut shares: Vec<usize> = parts.iter().map(|part| (free * *part as usize / whole).max(1)).collect();
    let used: usize = shares.iter().sum();
    // What division left over goes to the first, where texts stand; numbers are on the right.
    if let Some(first) = shares.first_mut() {
        *first += free.saturating_sub(used);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_only_then_within() {
        assert_eq!(wrap("the quick brown fox", 10, 9), ["the quick", "brown fox"]);
        assert_eq!(wrap("abcdefghijklm no", 5, 9), ["abcde", "fghij", "klm", "no"]);
        assert_eq!(wrap("a\n\nb", 5, 9), ["a", "", "b"]);
        assert_eq!(wrap("東京ドーム", 5, 9), ["東京", "ドー", "ム"]);
        assert_eq!(wrap("one two three four", 5, 2), ["one", "two…"]);
        assert_eq!(wrap("e\u{301}e\u{301}e\u{301}", 2, 9), ["e\u{301}e\u{301}", "e\u{301}"]);
    }

    #[test]
    fn what_is_too_long_is_cut_with_a_sign() {
        assert_eq!(cut("Maximilian", 10), "Maximilian");
        assert_eq!(cut("Maximiliane", 10), "Maximilia…");
        assert_eq!(cut("東京ドーム", 6), "東京…");
    }

    #[test]
    fn columns_are_shared_out_to_the_last() {
        assert_eq!(shares(42, &[1, 1]), [21, 20]);
        assert_eq!(shares(32, &[3, 1]), [24, 7]);
        assert_eq!(shares(2, &[1, 1, 1]), [1, 1, 1]);
        assert_eq!((width("سلام"), width("東a")), (3, 3));
        assert_eq!(pad("12", 5, Align::Right), "   12");
        assert_eq!(pad("12", 5, Align::Middle), " 12  ");
    }
}
