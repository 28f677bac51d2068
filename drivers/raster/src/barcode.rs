//! Barcodes as dots: quiet zones, check digits proved or added, the text below. Knows no printer's own barcodes.

use crate::{BARCODE_CHARS_MAX, Raster, text};
use barcoders::sym::{code39::Code39, code128::Code128, ean8::EAN8, ean13::EAN13, tf::TF};
use driver_abi::{Barcode, Style, Symbology};
use std::borrow::Cow;

/// A barcode lower than this (in dots) is hard to aim at.
const HEIGHT_MIN: usize = 16;
/// No paper is as long.
const HEIGHT_MAX: usize = 2_000;

/// A barcode's bars and what stands below them.
struct Bars {
    /// 1 is black, each as wide as the narrow bar.
    modules: Vec<u8>,
    /// White at the left and at the right, in modules (each symbology's own standard).
    quiet: (usize, usize),
    text: String,
}

/// A barcode as dots. A narrow bar that makes it too wide is made narrower.
///
/// # Errors
/// What cannot be in such a code, a check digit that is wrong, a code that does not fit.
pub fn draw(code: &Barcode<'_>, dots_max: u16) -> Result<Raster, String> {
    if code.data.is_empty() || code.data.len() > BARCODE_CHARS_MAX {
        return Err(format!("a barcode has 1 to {BARCODE_CHARS_MAX} characters, found {}", code.data.len()));
    }
    let bars = bars(code.symbology, &code.data)?;
    let modules = bars.quiet.0 + bars.modules.len() + bars.quiet.1;
    let largest = usize::from(dots_max) / modules;
    if largest == 0 {
        return Err(format!("a barcode of {modules} modules does not fit into {dots_max} dots"));
    }
    let module = usize::from(code.module.max(1)).min(largest);
    let height = usize::from(code.height).clamp(HEIGHT_MIN, HEIGHT_MAX);
    let width = modules * module;
    let below = code.text_below.then(|| below(&bars.text, width));
    let mut raster = Raster::new(width, height + below.as_ref().map_or(0, |text| text.rows() + 2));
    for (index, _) in bars.modules.iter().enumerate().filter(|(_, black)| **black == 1) {
        raster.fill((bars.quiet.0 + index) * module, 0, module, height);
    }
    if let Some(text) = below {
        let left = width.saturating_sub(text.width) / 2;
        raster.paste(&text, left, height + 2);
    }
    Ok(raster)
}

fn below(text: &str, width: usize) -> Raster {
    let most = u16::try_from(width).unwrap_or(u16::MAX);
    let usual = text::rasterise(text, Style::default(), u16::MAX);
    if usual.width <= width {
        return usual;
    }
    text::rasterise(text, Style { font: 1, ..Style::default() }, most)
}

fn bars(symbology: Symbology, data: &str) -> Result<Bars, String> {
    let wrong = |what: &str| format!("{data:?} cannot be a barcode of this kind: {what}");
    match symbology {
        Symbology::Code128 => {
            let code = Code128::new(code128_sets(data).ok_or_else(|| wrong("only printable ASCII"))?);
            let modules = code.map_err(|_| wrong("only printable ASCII"))?.encode();
            Ok(Bars { modules, quiet: (10, 10), text: data.to_owned() })
        }
        Symbology::Ean13 => {
            let data = checked(data, 12)?;
            let modules = EAN13::new(&data).map_err(|_| wrong("12 or 13 digits"))?.encode();
            Ok(Bars { modules, quiet: (11, 7), text: data.into_owned() })
        }
        Symbology::Ean8 => {
            let data = checked(data, 7)?;
            let modules = EAN8::new(&data).map_err(|_| wrong("7 or 8 digits"))?.encode();
            Ok(Bars { modules, quiet: (7, 7), text: data.into_owned() })
        }
        Symbology::UpcA => {
            let data = checked(data, 11)?;
            // A UPC-A is an EAN-13 that begins with 0.
            let modules = EAN13::new(format!("0{data}")).map_err(|_| wrong("11 or 12 digits"))?.encode();
            Ok(Bars { modules, quiet: (9, 9), text: data.into_owned() })
        }
        Symbology::Code39 => {
            let modules = Code39::new(data).map_err(|_| wrong("only digits, capitals and -. $/+%"))?.encode();
            Ok(Bars { modules, quiet: (10, 10), text: data.to_owned() })
        }
        Symbology::Itf => {
            if !data.bytes().all(|byte| byte.is_ascii_digit()) || data.len() % 2 == 1 {
                return Err(wrong("an even number of digits"));
            }
            let modules = TF::interleaved(data).map_err(|_| wrong("an even number of digits"))?.encode();
            Ok(Bars { modules, quiet: (10, 10), text: data.to_owned() })
        }
    }
}

/// Digits with their check digit (GS1: weights 3 and 1 from the right): added to `digits` of them, proved in one more.
fn checked(data: &str, digits: usize) -> Result<Cow<'_, str>, String> {
    if !data.bytes().all(|byte| byte.is_ascii_digit()) || !(digits..=digits + 1).contains(&data.len()) {
        return Err(format!("{data:?}: {digits} digits, or {} with the check digit, are needed", digits + 1));
    }
    let sum: u32 = data[..digits]
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, byte)| u32::from(byte - b'0') * if index % 2 == 0 { 3 } else { 1 })
        .sum();
    let check = char::from(b'0' + ((10 - sum % 10) % 10) as u8);
    match data[digits..].chars().next() {
        None => Ok(format!("{data}{check}").into()),
        Some(found) if found == check => Ok(data.into()),
        Some(found) => Err(format!("{data:?}: the check digit is {check}, not {found}")),
    }
}

/// The data with marks for the encoder (À A, Ɓ B, Ć C): digits go in pairs (C) where at least four stand together, or
/// where there is nothing else.
fn code128_sets(data: &str) -> Option<String> {
    const RUN_MIN: usize = 4;
    if !data.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return None;
    }
    let (mut out, mut set, mut rest) = (String::new(), ' ', data);
    let mut switch = |out: &mut String, wanted: char| {
        if set != wanted {
            out.push(wanted);
            set = wanted;
        }
    };
    while !rest.is_empty() {
        let run = rest.bytes().take_while(u8::is_ascii_digit).count();
        let pairs = if run >= RUN_MIN || (run == data.len() && run % 2 == 0) { run - run % 2 } else { 0 };
        // An odd digit goes before the pairs, in the set that is already on.
        let plain = if pairs > 0 { run % 2 } else { run.max(1) };
        if plain > 0 {
            switch(&mut out, 'Ɓ');
            out.push_str(&rest[..plain]);
        }
        if pairs > 0 {
            switch(&mut out, 'Ć');
            out.push_str(&rest[plain..plain + pairs]);
        }
        rest = &rest[plain + pairs..];
    }
    Some(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
mod tests {
    use super::*;

    #[test]
    fn digits_go_in_pairs_where_that_is_shorter() {
        for (data, sets) in [
            ("AB12", "ƁAB12"),
            ("12", "Ć12"),
            ("123456", "Ć123456"),
            ("12345", "Ɓ1Ć2345"),
            ("TKT-0001", "ƁTKT-Ć0001"),
            ("AB12345CD", "ƁAB1Ć2345ƁCD"),
        ] {
            assert_eq!(code128_sets(data).unwrap(), sets, "{data}");
        }
        assert_eq!(code128_sets("tab\t"), None);
    }

    #[test]
    fn a_check_digit_is_added_or_proved() {
        // GS1 General Specifications, section 7.9: 629104150021 has the check digit 3.
        assert_eq!(checked("629104150021", 12).unwrap(), "6291041500213");
        assert_eq!(checked("6291041500213", 12).unwrap(), "6291041500213");
        assert!(checked("6291041500214", 12).unwrap_err().contains("is 3, not 4"));
        assert!(checked("62910415002", 12).unwrap_err().contains("12 digits, or 13"));
        assert_eq!(checked("9638507", 7).unwrap(), "96385074");
        assert_eq!(checked("03600029145", 11).unwrap(), "036000291452");
    }
}
