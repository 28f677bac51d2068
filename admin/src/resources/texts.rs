//! Texts and codes that people send along: bounded, without control characters, told by field where they are not. What is
//! taken is data from then on and never read as anything else.

use crate::mistakes::Mistakes;
use crate::problem::Problem;
use engine::limits::CODE_BYTES_MAX;
use engine::ticket::CodeKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a code came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Medium {
    /// A barcode or QR code.
    Optical,
    /// An RFID card: its number in hexadecimal, first byte first.
    Card,
}

/// A code that leads to a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TicketCode)]
pub(super) struct Code {
    /// What it came from.
    pub kind: Medium,
    /// The text of a barcode, or a card's number in hexadecimal.
    #[schema(example = "DEMO-VIP-0001", min_length = 1, max_length = 255)]
    pub code: String,
}

// === impl Code ===

impl Code {
    /// As it is shown.
    pub fn shown(kind: CodeKind, code: &[u8]) -> Code {
        let medium = match kind {
            CodeKind::Optical => Medium::Optical,
            CodeKind::Card => Medium::Card,
        };
        Code { kind: medium, code: lists::code_text(kind, code) }
    }

    /// As the engine has it.
    ///
    /// # Errors
    /// Too long, or a card's number that is none, by the field it stands in.
    pub fn bytes(&self, field: &str) -> Result<(CodeKind, Vec<u8>), Problem> {
        let (kind, bytes) = match self.kind {
            Medium::Optical => (CodeKind::Optical, self.code.as_bytes().to_vec()),
            Medium::Card => {
                let wrong =
                    "a card's number of 1 to 10 bytes in hexadecimal is meant, such as 04A1B2C3D4E5F6";
                let bytes = lists::card_bytes(&self.code).map_err(|_| Problem::invalid(field, wrong))?;
                (CodeKind::Card, bytes)
            }
        };
        if bytes.is_empty() || bytes.len() > CODE_BYTES_MAX {
            return Err(Problem::invalid(field, format!("a code has 1 to {CODE_BYTES_MAX} bytes")));
        }
        Ok((kind, bytes))
    }
}

/// A text of so many bytes at the most, without control characters.
///
/// # Errors
/// What is wrong with it, by its field.
pub(super) fn check(field: &str, text: &str, bytes_max: usize) -> Result<(), Problem> {
    if text.chars().any(char::is_control) {
        return Err(Problem::invalid(field, "a text in one line without control characters is meant"));
    }
    if text.len() > bytes_max {
        return Err(Problem::invalid(field, format!("{} bytes, {bytes_max} is the most", text.len())));
    }
    Ok(())
}

/// A reason in words.
///
/// # Errors
/// Empty, too long, or not in one line.
pub(super) fn check_reason(reason: &str) -> Result<(), Problem> {
    let mut mistakes = Mistakes::default();
    mistakes.reason("reason", reason);
    mistakes.told()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_it_is_shown() {
        let card = Code::shown(CodeKind::Card, &[4, 0xa1, 0xff]);
        assert_eq!(card.code, "04A1FF");
        assert_eq!(card.bytes("code").unwrap(), (CodeKind::Card, vec![4, 0xa1, 0xff]));
        let optical = Code::shown(CodeKind::Optical, b"A-1");
        assert_eq!(optical.bytes("code").unwrap(), (CodeKind::Optical, b"A-1".to_vec()));
        for wrong in ["", "0", "0G", "+1", "é1", &"00".repeat(11)] {
            let code = Code { kind: Medium::Card, code: wrong.to_owned() };
            assert!(code.bytes("code").is_err(), "{wrong}");
        }
    }
}
