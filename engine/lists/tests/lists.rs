//! Ticket lists from outside: every way a list is written, every way it is wrong, and any bytes at all.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use engine::sim_disk::SplitMix64;
use lists::{Format, Options, TicketRow};
use std::io::Cursor;

/// Reads a list; each row as `line code/type/holder` or `line error`.
fn read(bytes: &[u8], encoding: Option<&str>) -> Result<Vec<String>, String> {
    let shown = |(line, row): (u64, Result<TicketRow, String>)| match row {
        Ok(row) => format!("{line} {}/{}/{}", row.code, row.kind, row.holder),
        Err(problem) => format!("{line} {problem}"),
    };
    let options = Options { encoding: encoding.map(str::to_owned), ..Options::default() };
    Ok(lists::read(Cursor::new(bytes.to_vec()), &options)?.map(shown).collect())
}

fn check(bytes: &[u8], encoding: Option<&str>, expected: &[&str]) {
    assert_eq!(read(bytes, encoding).unwrap(), expected);
}

#[test]
fn every_delimiter_and_line_end_is_read() {
    check(b"code,type,holder\nA,VIP,Jo\n", None, &["2 A/VIP/Jo"]);
    check(b"code;type;holder\r\nA;VIP;Jo\r\nB;STD;\r\n", None, &["2 A/VIP/Jo", "3 B/STD/"]);
    check(b"type\tcode\tholder\nVIP\tA\t\"Jo, the first\"", None, &["2 A/VIP/Jo, the first"]);
    check(b"Code , TYPE , Holder\n A , VIP , Jo \n", None, &["2 A/VIP/Jo"]);
}

#[test]
fn every_encoding_is_read() {
    check("\u{feff}code,type,holder\nA,VIP,Zoë\n".as_bytes(), None, &["2 A/VIP/Zoë"]);
    let wide: Vec<u8> =
        "\u{feff}code,type,holder\nA,VIP,Zoë\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    check(&wide, None, &["2 A/VIP/Zoë"]);
    check(b"code,type,holder\nA,VIP,Zo\xeb\n", Some("windows-1252"), &["2 A/VIP/Zoë"]);
}

#[test]
fn a_list_in_another_encoding_is_told_line_by_line() {
    let rows = read(b"code,type,holder\nA,VIP,Zo\xeb\nB,VIP,Al\n", None).unwrap();
    assert!(rows[0].starts_with("2 not UTF-8") && rows[0].contains("--encoding windows-1252"), "{rows:?}");
    assert_eq!(rows[1], "3 B/VIP/Al");
}

#[test]
fn ndjson_is_read_and_its_mistakes_are_told() {
    let rows = read(b"{\"code\":\"A\",\"type\":\"VIP\"}\n\n{\"code\":7}\n{\"code\":\"C\",\"type\":\"VIP\",\"colour\":1}\n", None).unwrap();
    assert_eq!(rows[0], "1 A/VIP/");
    assert!(rows[1].starts_with("3 not a ticket in JSON"), "{rows:?}");
    assert!(rows[2].contains("colour"), "{rows:?}");
}

#[test]
fn a_list_without_its_columns_is_refused_as_a_whole() {
    assert!(read(b"", None).unwrap_err().contains("empty"));
    assert!(read(b"code,holder\nA,Jo\n", None).unwrap_err().contains("no column 'type'"));
    assert!(read(b"code,type,colour\nA,VIP,red\n", None).unwrap_err().contains("unknown column 'colour'"));
    assert!(read(b"code,type\nA,VIP\n", Some("klingon")).unwrap_err().contains("klingon"));
}

#[test]
fn a_row_with_too_few_or_too_many_fields_is_told() {
    let rows = read(b"code,type\nA\nB,VIP,more\nC,VIP\n", None).unwrap();
    assert!(rows[0].contains("1 fields") && rows[1].contains("3 fields"), "{rows:?}");
    assert_eq!(rows[2], "4 C/VIP/");
}

/// A list in another layout; each row as `line code/type/specimen/checked_at` or `line error`.
fn laid_out(format: Format, kind: Option<&str>, text: &str) -> Vec<String> {
    let shown = |(line, row): (u64, Result<TicketRow, String>)| match row {
        Ok(row) => format!("{line} {}/{}/{}/{}", row.code, row.kind, row.specimen, row.checked_at),
        Err(problem) => format!("{line} {problem}"),
    };
    let options = Options { format, kind: kind.map(str::to_owned), names_only: true, ..Options::default() };
    lists::read(Cursor::new(text.as_bytes().to_vec()), &options).unwrap().map(shown).collect()
}

#[test]
fn codes_alone_and_the_files_of_secutix_are_read() {
    let codes = laid_out(Format::Codes, Some("STD"), "A\n\"B\"\n\nC,1\n");
    assert_eq!(codes, ["1 A/STD//", "2 B/STD//", "4 C,1/STD//"]);
    assert_eq!(laid_out(Format::Codes, None, "Barcode\nA\n"), ["2 A///"]);
    let white =
        "100;S26;P1;0;FALSE;TRUE;2026-11-23 18:00:00;tag;\n101;S26;P1\n102;S26;P1;0;FALSE;FALSE;;;;more\n";
    let rows = laid_out(Format::SecutixWhitelist, Some("STD"), white);
    assert_eq!(rows[..2], ["1 100/STD/TRUE/", "2 101/STD//"]);
    assert!(rows[2].contains("10 fields where 9"), "{rows:?}");
    let black = "barcode;reason;season_code;product_code;blacklist_date\n100;STOLEN;S;P;\n";
    assert_eq!(laid_out(Format::SecutixBlacklist, None, black), ["2 100///"]);
    let checked = "ORG;;5012;\n24282035061813972260;2008-04-03T08:00:00;\n";
    let expected = ["2 24282035061813972260///2008-04-03T08:00:00"];
    assert_eq!(laid_out(Format::SecutixChecked, None, checked), expected);
}

#[test]
fn an_export_that_was_cut_and_joined_is_told() {
    check(b"code,type\nA,VIP\n#end,1\nB,VIP\n", None, &["2 A/VIP/"]);
    let short = read(b"code,type\nA,VIP\n#end,2,,,\n", None).unwrap();
    assert!(short[1].contains("says that it has 2 rows, but there were 1"), "{short:?}");
    let json = b"{\"code\":\"A\",\"type\":\"VIP\"}\n{\"end\":true,\"rows\":1}\n";
    check(json, None, &["1 A/VIP/"]);
}

#[test]
fn compressed_files_and_ten_thousand_columns_are_refused() {
    for magic in [b"PK\x03\x04rest".as_slice(), b"\x1f\x8b\x08rest", b"BZh9"] {
        assert!(read(magic, None).unwrap_err().contains("compressed"), "{magic:?}");
    }
    let wide = format!("{}\n", "code,".repeat(10_000));
    assert!(read(wide.as_bytes(), None).unwrap_err().contains("columns"));
}

/// Cases of the fuzz run.
const FUZZ_CASES: u64 = 20_000;

#[test]
fn fuzz_any_bytes_are_rows_or_reasons() {
    let corpus: [&[u8]; 4] = [
        b"code,type,holder,valid_from,status\nA,VIP,Jo,2026-01-01T00:00:00Z,active\n",
        b"{\"code\":\"A\",\"type\":\"VIP\",\"card\":\"04A1B2\"}\n",
        b"code;type\r\n\"A\"\"B\";VIP\r\n",
        b"\xff\xfec\0o\0d\0e\0,\0t\0y\0p\0e\0\n\0",
    ];
    let mut random = SplitMix64(20_261_123);
    for _ in 0..FUZZ_CASES {
        let mut bytes = corpus[random.below(corpus.len() as u64) as usize].to_vec();
        for _ in 0..=random.below(6) {
            let at = random.below(bytes.len() as u64 + 1) as usize;
            match random.below(3) {
                0 => bytes.insert(at, random.below(256) as u8),
                1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
                _ => bytes.truncate(at.max(1)),
            }
        }
        lists::fuzz_rows(&bytes);
    }
}
