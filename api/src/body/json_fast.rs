//! The known small flat JSON object, read without a copy: the hot path. It only ever says yes: whatever is unusual
//! (an escape, a nested value, a long number, any mistake) is left to the general reader.

use super::Wire;
use super::fields::{Field, Fields, Scalar, Shape};

/// The fields, if the body is a flat object of plain values without any mistake. No allocation; about 1 ns a byte.
pub(super) fn fields(body: &[u8]) -> Option<Fields<'_>> {
    let mut scanner = Scanner { text: std::str::from_utf8(body).ok()?, at: 0 };
    let mut fields = Fields::of(Wire::Json);
    scanner.expect(b'{')?;
    loop {
        scanner.expect(b'"')?;
        let key = scanner.text()?;
        scanner.expect(b':')?;
        let value = scanner.value()?;
        if let Some(field) = Field::of(key, Shape::Request) {
            fields.set(field, value).ok()?;
        }
        match scanner.token()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    scanner.token().is_none().then_some(fields)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// The next byte that is not white space; `None` at the end.
    fn token(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
        }
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.token()? == wanted).then_some(())
    }

    /// A text whose opening quote was just read.
    fn text(&mut self) -> Option<&'a str> {
        let rest = self.text.get(self.at..)?;
        let len = plain_len(rest.as_bytes());
        let text = rest.get(..len)?;
        self.at += len + 1;
        (rest.as_bytes().get(len) == Some(&b'"')).then_some(text)
    }

    fn value(&mut self) -> Option<Scalar<'a>> {
        match self.token()? {
            b'"' => self.text().map(Scalar::Text),
            b't' => self.literal("rue", Scalar::Bool(true)),
            b'f' => self.literal("alse", Scalar::Bool(false)),
            b'n' => self.literal("ull", Scalar::Null),
            digit @ b'1'..=b'9' => self.whole(digit),
            _ => None,
        }
    }

    fn literal(&mut self, rest: &str, value: Scalar<'a>) -> Option<Scalar<'a>> {
        let found = self.text.as_bytes().get(self.at..)?.starts_with(rest.as_bytes());
        self.at += rest.len();
        found.then_some(value)
    }

    /// A whole number of at most nine digits; what may follow it is looked at by the caller.
    fn whole(&mut self, first: u8) -> Option<Scalar<'a>> {
        let mut number = u64::from(first - b'0');
        let rest = self.text.as_bytes().get(self.at..)?;
        for (len, byte) in rest.iter().enumerate().take(9) {
            if !byte.is_ascii_digit() {
                self.at += len;
                return Some(Scalar::Whole(number));
            }
            number = number * 10 + u64::from(byte - b'0');
        }
        None
    }
}

/// Bytes before the first quote, backslash or control character, eight at a time.
///
/// The lowest byte whose top bit is set in `found` is the first such byte: a borrow of the subtraction only runs
/// upwards, from a byte that is one itself.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for (nth, chunk) in chunks.iter().enumerate() {
        let eight = u64::from_le_bytes(*chunk);
        let quote = eight ^ (ONES * b'"' as u64);
        let backslash = eight ^ (ONES * b'\\' as u64);
        let found = ((quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (eight.wrapping_sub(ONES * 0x20) & !eight))
            & TOPS;
        if found != 0 {
            return nth * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let plain = |byte: &&u8| !matches!(**byte, b'"' | b'\\' | 0..0x20);
    chunks.len() * 8 + rest.iter().take_while(plain).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_plain_text_is_found_wherever_it_is() {
        for stop in [b'"', b'\\', 0, 0x1F, b'\n'] {
            for at in 0..40 {
                let mut bytes = vec![b'a'; 40];
                bytes[at] = stop;
                assert_eq!(plain_len(&bytes), at);
                bytes.fill(0xC3);
                bytes[at] = stop;
                assert_eq!(plain_len(&bytes), at);
            }
        }
        assert_eq!(plain_len(b"no end"), 6);
        assert_eq!(plain_len(" !#[]\u{7f}".as_bytes()), 6);
    }

    #[test]
    fn the_plans_own_request_is_read_without_the_general_reader() {
        let body = br#"{"device_id":"KQT300_001","qr_data":"TICKET_QR_CODE_123","timestamp":"2024-01-15T10:30:00Z","location":"ENTRANCE_01","api_key":"device_api_key_here"}"#;
        let fields = fields(body).unwrap();
        assert_eq!(fields.device, Some("KQT300_001"));
        assert_eq!(fields.code, Some("TICKET_QR_CODE_123"));
        assert_eq!(fields.scanned_at, Some(engine::Time(1_705_314_600_000)));
        assert_eq!(fields.location, Some("ENTRANCE_01"));
        assert_eq!(fields.api_key, Some("device_api_key_here"));
    }
}
