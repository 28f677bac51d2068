//! QR codes and barcodes: how large they become, and the commands that have the printer make them. Knows no line.

use crate::page::{GS, Writer, low_high};
use driver_sdk::{Barcode, Symbology};
use qrcodegen::{QrCode, QrCodeEcc, QrSegment, Version};

/// Empty modules on each side of a QR code.
const QR_QUIET_MODULES: u16 = 4;
/// 0.75 mm at 203 dpi: larger modules are no easier to read, the paper is only longer.
const QR_MODULE_GOOD: u16 = 6;
/// Epson, "GS w": dots of the narrow bar.
const BAR_DOTS: std::ops::RangeInclusive<u8> = 2..=6;
/// Empty narrow bars on both sides of a barcode together.
const BAR_QUIET: usize = 20;

/// The size of a QR code's module in dots: the one that is wanted (0: one that is read well), or the largest that fits.
///
/// # Errors
/// Why there is none.
pub(crate) fn qr_module(data: &[u8], correction: u8, wanted: u8, dots: u16) -> Result<u8, String> {
    let levels = [QrCodeEcc::Low, QrCodeEcc::Medium, QrCodeEcc::Quartile, QrCodeEcc::High];
    let level = levels.get(usize::from(correction)).copied().ok_or("there is no such error correction")?;
    // Byte by byte: a printer may know no shorter way to write digits or capitals.
    let segments = [QrSegment::make_bytes(data)];
    let code = QrCode::encode_segments_advanced(&segments, level, Version::MIN, Version::MAX, None, false)
        .map_err(|_| format!("a QR code cannot hold {} bytes", data.len()))?;
    let modules = code.size() as u16 + 2 * QR_QUIET_MODULES;
    let largest = dots / modules;
    let wanted = if wanted == 0 { QR_MODULE_GOOD } else { u16::from(wanted) };
    match wanted.min(largest) {
        0 => Err(format!("a QR code of {modules} modules is wider than the paper")),
        module => Ok(module as u8),
    }
}

/// A QR code that the printer makes: model 2, size, correction, data, print.
pub(crate) fn write_qr(writer: &mut Writer<'_>, data: &[u8], correction: u8, module: u8) {
    // Epson, "GS ( k" functions 165, 167, 169, 180, 181. pL and pH count what is behind them.
    writer.command(&[GS, b'(', b'k', 4, 0, b'1', b'A', b'2', 0]);
    writer.command(&[GS, b'(', b'k', 3, 0, b'1', b'C', module]);
    writer.command(&[GS, b'(', b'k', 3, 0, b'1', b'E', b'0' + correction]);
    let (low, high) = low_high(data.len() + 3);
    writer.command(&[&[GS, b'(', b'k', low, high, b'1', b'P', b'0'], data].concat());
    writer.command(&[GS, b'(', b'k', 3, 0, b'1', b'Q', b'0']);
    // Its rows are not known exactly; a square as wide as the paper is the most.
    writer.page.rows += u32::from(writer.settings.dots) / 2;
}

/// A barcode that the printer makes (`GS k`, function B).
///
/// # Errors
/// Why there is no such barcode, or that it is wider than the paper.
pub(crate) fn write_barcode(writer: &mut Writer<'_>, code: &Barcode<'_>) -> Result<(), String> {
    let (system, data) = payload(code)?;
    let bars = bars(code.symbology, &data) + BAR_QUIET;
    let widest = usize::from(writer.settings.dots) / bars;
    let least = usize::from(*BAR_DOTS.start());
    if widest < least {
        return Err(format!("a barcode of {} characters is wider than the paper", code.data.len()));
    }
    let module = code.module.clamp(*BAR_DOTS.start(), *BAR_DOTS.end()).min(widest as u8);
    let height = code.height.clamp(1, 255) as u8;
    writer.command(&[GS, b'H', if code.text_below { 2 } else { 0 }]);
    writer.command(&[GS, b'h', height]);
    writer.command(&[GS, b'w', module]);
    writer.command(&[&[GS, b'k', system, data.len() as u8], &data[..]].concat());
    writer.page.rows += u32::from(height) + if code.text_below { 30 } else { 0 };
    Ok(())
}

/// The system's number and the data as `GS k` has it.
///
/// # Errors
/// What is wrong with the data.
fn payload(code: &Barcode<'_>) -> Result<(u8, Vec<u8>), String> {
    let data = code.data.as_bytes();
    let digits = |what: &str, lengths: [usize; 2]| {
        if !data.iter().all(u8::is_ascii_digit) || !lengths.contains(&data.len()) {
            return Err(format!("{what} is {} or {} digits, found {:?}", lengths[0], lengths[1], code.data));
        }
        if data.len() == lengths[1] && data.last() != Some(&check_digit(&data[..lengths[0]])) {
            return Err(format!("the check digit of {what} {} is wrong", code.data));
        }
        Ok(())
    };
    let system = match code.symbology {
        Symbology::UpcA => digits("a UPC-A", [11, 12]).map(|()| 65)?,
        Symbology::Ean13 => digits("an EAN-13", [12, 13]).map(|()| 67)?,
        Symbology::Ean8 => digits("an EAN-8", [7, 8]).map(|()| 68)?,
        Symbology::Code39 => {
            let fits =
                |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b" $%+-./".contains(byte);
            if data.is_empty() || !data.iter().all(fits) {
                return Err(format!("a CODE39 is digits, capitals and - . $ / + %, found {:?}", code.data));
            }
            69
        }
        Symbology::Itf => {
            if data.is_empty() || !data.len().is_multiple_of(2) || !data.iter().all(u8::is_ascii_digit) {
                return Err(format!("an ITF is an even number of digits, found {:?}", code.data));
            }
            70
        }
        Symbology::Code128 => return code128(data).map(|data| (73, data)),
    };
    // One byte counts it. What is that long is wider than any paper anyway.
    if data.len() > 255 {
        return Err(format!("a barcode of {} characters is wider than the paper", data.len()));
    }
    Ok((system, data.to_vec()))
}

/// `{C` and two digits a byte where all are digits, else `{B` and characters, in which `{` is doubled.
fn code128(data: &[u8]) -> Result<Vec<u8>, String> {
    if data.is_empty() || !data.iter().all(|byte| (0x20..=0x7e).contains(byte)) {
        return Err("a CODE128 is printable ASCII".to_owned());
    }
    let mut out = Vec::with_capacity(data.len() + 2);
    if data.len() >= 4 && data.len().is_multiple_of(2) && data.iter().all(u8::is_ascii_digit) {
        out.extend(b"{C");
        out.extend(data.chunks(2).map(|pair| (pair[0] - b'0') * 10 + (pair[1] - b'0')));
    } else {
        out.extend(b"{B");
        for byte in data {
            out.extend(std::iter::repeat_n(*byte, if *byte == b'{' { 2 } else { 1 }));
        }
    }
    if out.len() > 255 {
        return Err(format!("a barcode of {} characters is wider than the paper", data.len()));
    }
    Ok(out)
}

/// How many narrow bars wide it is, without its margins.
fn bars(symbology: Symbology, payload: &[u8]) -> usize {
    let length = payload.len();
    match symbology {
        Symbology::UpcA | Symbology::Ean13 => 95,
        Symbology::Ean8 => 67,
        // Start, check, stop of 13; the payload begins with two bytes that choose the set.
        Symbology::Code128 => 11 * (length - 2) + 11 + 11 + 13,
        // Three of nine are wide, three times at most; `*` at both ends; a gap behind each.
        Symbology::Code39 => 16 * (length + 2),
        Symbology::Itf => 9 * length + 9,
    }
}

/// Of an EAN or UPC code without it: the last digit counts three times, the one before once, and so on.
fn check_digit(digits: &[u8]) -> u8 {
    let sum: u32 = digits
        .iter()
        .rev()
        .zip([3, 1].into_iter().cycle())
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    b'0' + ((10 - sum % 10) % 10) as u8
}

#[cfg(test)]
mod tests {
    use super::{check_digit, qr_module};

    #[test]
    fn check_digits_are_the_standard_s() {
        // GS1's own examples.
        assert_eq!(check_digit(b"629104150021"), b'3');
        assert_eq!(check_digit(b"03600029145"), b'2');
        assert_eq!(check_digit(b"9638507"), b'4');
    }

    #[test]
    fn a_qr_code_is_as_large_as_fits_well_and_never_wider() {
        // 11 bytes at M: 21 modules and 8 empty ones.
        assert_eq!(qr_module(b"TICKET-0001", 1, 0, 576), Ok(6));
        assert_eq!(qr_module(b"TICKET-0001", 1, 0, 128), Ok(4));
        assert_eq!(qr_module(b"TICKET-0001", 1, 3, 576), Ok(3));
        assert_eq!(qr_module(b"TICKET-0001", 1, 9, 128), Ok(4));
        assert!(qr_module(&[b'x'; 2_900], 0, 0, 128).unwrap_err().contains("wider than the paper"));
        assert_eq!(qr_module(&[b'x'; 800], 1, 0, 576), Ok(4));
        assert_eq!(qr_module(&[b'x'; 800], 1, 0, 384), Ok(3));
        assert!(qr_module(&[b'x'; 3_000], 0, 0, 576).unwrap_err().contains("cannot hold 3000 bytes"));
    }
}
