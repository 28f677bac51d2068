//! Text in a device's code page. Knows the pages by their numbers, no device's own numbering of them.

use encoding_rs::Encoding;
use unicode_normalization::UnicodeNormalization;

/// Text in this page and how many characters became '?'. `None`: no such page here.
pub fn encode(code_page: u32, text: &str) -> Option<(Vec<u8>, usize)> {
    let to_byte = page(code_page)?;
    let mut lossy = 0;
    let bytes = text
        .nfc()
        .map(|character| {
            to_byte(character).unwrap_or_else(|| {
                lossy += 1;
                b'?'
            })
        })
        .collect();
    Some((bytes, lossy))
}

type ToByte = Box<dyn Fn(char) -> Option<u8>>;

fn page(number: u32) -> Option<ToByte> {
    if number == 20127 {
        return Some(Box::new(|character| u8::try_from(character).ok().filter(u8::is_ascii)));
    }
    let page = u16::try_from(number).ok()?;
    if let Some(table) = oem_cp::code_table::ENCODING_TABLE_CP_MAP.get(&page) {
        return Some(Box::new(|character| match character.is_ascii() {
            true => Some(character as u8),
            false => table.get(&character).copied(),
        }));
    }
    let encoding = windows(number)?;
    Some(Box::new(move |character| {
        let mut buffer = [0; 4];
        let (bytes, _, lossy) = encoding.encode(character.encode_utf8(&mut buffer));
        (!lossy).then(|| bytes.first().copied()).flatten()
    }))
}

fn windows(number: u32) -> Option<&'static Encoding> {
    Some(match number {
        1250 => encoding_rs::WINDOWS_1250,
        1251 => encoding_rs::WINDOWS_1251,
        1252 => encoding_rs::WINDOWS_1252,
        1253 => encoding_rs::WINDOWS_1253,
        1254 => encoding_rs::WINDOWS_1254,
        1255 => encoding_rs::WINDOWS_1255,
        1256 => encoding_rs::WINDOWS_1256,
        1257 => encoding_rs::WINDOWS_1257,
        1258 => encoding_rs::WINDOWS_1258,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn the_same_letter_has_its_place_in_each_page() {
        assert_eq!(encode(437, "Zürich"), Some((b"Z\x81rich".to_vec(), 0)));
        assert_eq!(encode(858, "5 €"), Some((b"5 \xd5".to_vec(), 0)));
        assert_eq!(encode(1252, "5 €"), Some((b"5 \x80".to_vec(), 0)));
        assert_eq!(encode(866, "Да"), Some((b"\x84\xa0".to_vec(), 0)));
        // Composed first: u and a diaeresis are ü.
        assert_eq!(encode(850, "u\u{308}"), Some((vec![0x81], 0)));
    }

    #[test]
    fn what_a_page_does_not_have_is_counted() {
        assert_eq!(encode(437, "日本"), Some((b"??".to_vec(), 2)));
        assert_eq!(encode(20127, "é"), Some((b"?".to_vec(), 1)));
        assert_eq!(encode(4711, "a"), None);
    }
}
