//! QR codes and barcodes as a printer judges them before it prints: sizes and alphabets. ISO/IEC 18004 and Epson's
//! tables of `GS k`.

use super::paper::Barcode;

/// Codewords for data of each version, at corrections L, M, Q, H. ISO/IEC 18004.
const DATA_CODEWORDS: [[u16; 4]; 40] = [
    [19, 16, 13, 9],
    [34, 28, 22, 16],
    [55, 44, 34, 26],
    [80, 64, 48, 36],
    [108, 86, 62, 46],
    [136, 108, 76, 60],
    [156, 124, 88, 66],
    [194, 154, 110, 86],
    [232, 182, 132, 100],
    [274, 216, 154, 122],
    [324, 254, 180, 140],
    [370, 290, 206, 158],
    [428, 334, 244, 180],
    [461, 365, 261, 197],
    [523, 415, 295, 223],
    [589, 453, 325, 253],
    [647, 507, 367, 283],
    [721, 563, 397, 313],
    [795, 627, 445, 341],
    [861, 669, 485, 385],
    [932, 714, 512, 406],
    [1006, 782, 568, 442],
    [1094, 860, 614, 464],
    [1174, 914, 664, 514],
    [1276, 1000, 718, 538],
    [1370, 1062, 754, 596],
    [1468, 1128, 808, 628],
    [1531, 1193, 871, 661],
    [1631, 1267, 911, 701],
    [1735, 1373, 985, 745],
    [1843, 1455, 1033, 793],
    [1955, 1541, 1115, 845],
    [2071, 1631, 1171, 901],
    [2191, 1725, 1231, 961],
    [2306, 1812, 1286, 986],
    [2434, 1914, 1354, 1054],
    [2566, 1992, 1426, 1096],
    [2702, 2102, 1502, 1142],
    [2812, 2216, 1582, 1222],
    [2956, 2334, 1666, 1276],
];

/// Modules of a side of the smallest QR code for this; `None`: there is none so large.
pub(super) fn qr_modules(data: &[u8], correction: u8) -> Option<u32> {
    let digits = data.iter().all(u8::is_ascii_digit);
    let alphanumeric = data
        .iter()
        .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase() || b" $%*+-./:".contains(byte));
    (1..=40_u32).find_map(|version| {
        let wide = usize::from(version > 9) + usize::from(version > 26);
        let (count_bits, data_bits) = if digits {
            ([10, 12, 14][wide], (data.len() * 10).div_ceil(3))
        } else if alphanumeric {
            ([9, 11, 13][wide], (data.len() * 11).div_ceil(2))
        } else {
            ([8, 16, 16][wide], data.len() * 8)
        };
        let room = usize::from(DATA_CODEWORDS[version as usize - 1][usize::from(correction)]) * 8;
        (4 + count_bits + data_bits <= room).then_some(17 + 4 * version)
    })
}

/// A barcode of `GS k` with kind `m`, as printed, and the dots it is wide.
pub(super) fn barcode(kind: u8, data: &[u8], module: u8) -> Result<(&'static str, String, u32), String> {
    let digits = data.iter().all(u8::is_ascii_digit);
    let of = |alphabet: &[u8]| data.iter().all(|byte| alphabet.contains(byte));
    let length = data.len();
    let (name, fits, modules) = match kind {
        0 | 65 => ("UPC-A", digits && matches!(length, 11 | 12), 95),
        1 | 66 => ("UPC-E", digits && matches!(length, 6..=8 | 11 | 12), 51),
        2 | 67 => ("EAN13", digits && matches!(length, 12 | 13), 95),
        3 | 68 => ("EAN8", digits && matches!(length, 7 | 8), 67),
        4 | 69 => ("CODE39", of(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./"), 16 * (length + 2)),
        5 | 70 => ("ITF", digits && length.is_multiple_of(2) && length > 0, 9 * length + 9),
        6 | 71 => ("CODABAR", of(b"0123456789ABCDabcd$+-./:"), 12 * length),
        72 => ("CODE93", data.is_ascii(), 9 * length + 37),
        73 => return code128(data, module),
        _ => return Err(format!("barcode kind {kind} is not emulated")),
    };
    if !fits || length == 0 {
        return Err(format!("{:?} cannot be in a {name}", String::from_utf8_lossy(data)));
    }
    if matches!(kind, 0 | 2 | 3 | 65 | 67 | 68) {
        check_digit(name, data)?;
    }
    let text = String::from_utf8_lossy(data).into_owned();
    Ok((name, text, modules as u32 * u32::from(module)))
}

/// UPC-A, EAN13, EAN8 with all their digits: the last one follows from the others.
fn check_digit(name: &str, data: &[u8]) -> Result<(), String> {
    if !matches!((name, data.len()), ("UPC-A", 12) | ("EAN13", 13) | ("EAN8", 8)) {
        return Ok(());
    }
    let weighed = data.iter().rev().enumerate().map(|(at, digit)| {
        let weight = if at % 2 == 1 { 3 } else { 1 };
        u32::from(digit - b'0') * weight
    });
    match weighed.sum::<u32>() % 10 {
        0 => Ok(()),
        _ => Err(format!("{:?} has a wrong check digit for {name}", String::from_utf8_lossy(data))),
    }
}

/// Begins with `{A`, `{B` or `{C`; in set C each byte is two digits; `{{` is a brace.
fn code128(data: &[u8], module: u8) -> Result<(&'static str, String, u32), String> {
    let mut set = match data {
        [b'{', set @ (b'A' | b'B' | b'C'), ..] => *set,
        _ => return Err("a CODE128 begins with {A, {B or {C".to_owned()),
    };
    let (mut text, mut symbols, mut rest) = (String::new(), 3_u32, &data[2..]);
    while let [first, tail @ ..] = rest {
        rest = tail;
        symbols += 1;
        match (first, tail) {
            (b'{', [b'{', tail @ ..]) => {
                text.push('{');
                rest = tail;
            }
            (b'{', [next @ (b'A' | b'B' | b'C'), tail @ ..]) => (set, rest) = (*next, tail),
            (b'{', [b'S' | b'1'..=b'4', tail @ ..]) => rest = tail,
            (b'{', _) => return Err("a brace in a CODE128 is doubled".to_owned()),
            (pair @ 0..=99, _) if set == b'C' => text.push_str(&format!("{pair:02}")),
            (byte, _) if set == b'B' && (32..=127).contains(byte) => text.push(char::from(*byte)),
            (byte, _) if set == b'A' && *byte < 96 => text.push(char::from(*byte)),
            (byte, _) => return Err(format!("{byte:02X} is not in set {} of CODE128", char::from(set))),
        }
    }
    if text.is_empty() {
        return Err("a CODE128 of nothing".to_owned());
    }
    Ok(("CODE128", text, (11 * symbols + 2) * u32::from(module)))
}

/// A barcode that fits on a line, or why not.
pub(super) fn fitting(
    kind: u8,
    data: &[u8],
    width_dots: u32,
    mut template: Barcode,
) -> Result<Barcode, String> {
    let (symbology, data, wide) = barcode(kind, data, template.module)?;
    if wide > width_dots {
        return Err(format!(
            "a {symbology} of {wide} dots is wider than the line of {width_dots}: not printed"
        ));
    }
    template.symbology = symbology;
    template.data = data;
    Ok(template)
}
