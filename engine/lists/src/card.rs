//! Card numbers: text as a reader writes it to the card's bytes, first byte first. Knows no ticket.

use engine::catalog::CardFormat;

/// Longest card number, in bytes (a triple-size UID).
pub const CARD_BYTES_MAX: usize = 10;

/// The bytes of a card number.
///
/// `12345678` may be eight hexadecimal digits or a decimal number: only the format decides, nothing is guessed.
/// Hexadecimal may have spaces, colons or hyphens between bytes. A decimal number stands for a UID of 4 bytes when
/// it fits, else 7, else 8, so that leading zero bytes are not lost.
///
/// # Errors
/// What is wrong with it and what to send, in words.
pub fn parse_card(uid: &str, format: CardFormat) -> Result<Vec<u8>, String> {
    let uid = uid.trim();
    let mut bytes = match format {
        CardFormat::HexBe | CardFormat::HexLe => hex(uid)?,
        CardFormat::DecBe | CardFormat::DecLe => decimal(uid)?,
    };
    if matches!(format, CardFormat::HexLe | CardFormat::DecLe) {
        bytes.reverse();
    }
    Ok(bytes)
}

fn hex(uid: &str) -> Result<Vec<u8>, String> {
    let wrong = |problem: &str| format!("{problem}; send hexadecimal such as 04A1B2C3");
    let mut digits = Vec::with_capacity(2 * CARD_BYTES_MAX);
    for character in uid.chars().filter(|character| !matches!(character, ' ' | ':' | '-')) {
        let digit = character.to_digit(16).ok_or_else(|| {
            wrong("has a character that is no hexadecimal digit (or the card format is wrong)")
        })?;
        if digits.len() == 2 * CARD_BYTES_MAX {
            return Err(wrong("has more than 10 bytes"));
        }
        digits.push(digit as u8);
    }
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return Err(wrong("must have 1 to 10 whole bytes of two digits"));
    }
    Ok(digits.chunks_exact(2).map(|pair| pair[0] * 16 + pair[1]).collect())
}

fn decimal(uid: &str) -> Result<Vec<u8>, String> {
    let digits = uid.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| uid.parse::<u64>().ok()).flatten().ok_or_else(|| {
        "must be a decimal number up to 18446744073709551615 (or the card format is wrong)".to_owned()
    })?;
    let len = match number {
        0..=0xFFFF_FFFF => 4,
        0x1_0000_0000..=0xFF_FFFF_FFFF_FFFF => 7,
        _ => 8,
    };
    Ok(number.to_be_bytes()[8 - len..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::catalog::CardFormat::{DecBe, DecLe, HexBe, HexLe};

    fn check(uid: &str, format: CardFormat, expected: &[u8]) {
        assert_eq!(parse_card(uid, format).unwrap(), expected, "{uid} as {format:?}");
    }

    #[test]
    fn the_same_digits_are_another_card_in_another_format() {
        check("12345678", HexBe, &[0x12, 0x34, 0x56, 0x78]);
        check("12345678", HexLe, &[0x78, 0x56, 0x34, 0x12]);
        check("12345678", DecBe, &[0x00, 0xBC, 0x61, 0x4E]);
        check("12345678", DecLe, &[0x4E, 0x61, 0xBC, 0x00]);
    }

    #[test]
    fn hexadecimal_may_be_written_with_separators() {
        check("04:a1:B2:c3:D4:e5:F6", HexBe, &[0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6]);
        check(" 04 A1-B2 \r\n", HexBe, &[0x04, 0xA1, 0xB2]);
        check("F6E5D4C3B2A104", HexLe, &[0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6]);
    }

    #[test]
    fn a_decimal_number_padded_to_ten_digits_is_a_uid_of_four_bytes() {
        check("0000000004", DecBe, &[0, 0, 0, 4]);
        check("4294967296", DecBe, &[0, 0, 1, 0, 0, 0, 0]);
        check("18446744073709551615", DecLe, &[0xFF; 8]);
    }

    #[test]
    fn what_is_not_a_card_number_is_refused() {
        for (uid, format) in [
            ("", HexBe),
            (" : ", HexLe),
            ("123", HexBe),
            ("0x12", HexBe),
            ("GG", HexLe),
            ("00112233445566778899AA", HexBe),
            ("", DecBe),
            ("+5", DecBe),
            ("-5", DecLe),
            ("12A4", DecBe),
            ("18446744073709551616", DecBe),
            ("١٢", DecBe),
        ] {
            assert!(parse_card(uid, format).is_err(), "{uid}");
        }
    }
}
