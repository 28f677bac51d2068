//! The Rust types are the header's: the header is compiled as C11 and as C++17, and every size, offset and number it
//! has is compared with ours.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use driver_abi::{Done, Fault, Kind, Status, raw};
use std::fmt::Write as _;
use std::mem::{offset_of, size_of};
use std::process::Command;

/// Name in C, and our value of it.
fn expected() -> Vec<(String, i64)> {
    let mut all: Vec<(String, i64)> = Vec::new();
    macro_rules! layout {
        ($c:literal, $rust:ty, $($field:ident),* $(,)?) => {
            all.push((format!("sizeof({})", $c), size_of::<$rust>() as i64));
            $(all.push((
                format!("offsetof({}, {})", $c, stringify!($field)),
                offset_of!($rust, $field) as i64,
            ));)*
        };
    }
    layout!("ghd_str", raw::Str, ptr, len);
    layout!("ghd_bytes", raw::Bytes, ptr, len);
    layout!("ghd_op", raw::Op, kind, flags, a, b, c, d, data);
    layout!("ghd_io", raw::Io, struct_size, ctx, write, read, control_in);
    layout!(
        "ghd_host",
        raw::Host,
        struct_size,
        abi_major,
        abi_minor,
        ctx,
        log,
        now_ms,
        cancelled,
        status_changed,
        encode,
        rasterise,
    );
    layout!(
        "ghd_result",
        raw::RunResult,
        struct_size,
        done,
        ops_done,
        device_bits,
        native_code,
        text_len,
        text,
    );
    layout!(
        "ghd_driver",
        raw::Driver,
        struct_size,
        magic,
        abi_major,
        abi_minor,
        kind,
        id,
        name,
        vendor,
        version,
        licence,
        match_json,
        config_schema,
        create,
        destroy,
        capabilities,
        probe,
        status,
        run,
        tick,
        reset,
    );
    all.extend(numbers());
    all
}

fn numbers() -> Vec<(String, i64)> {
    let mut all: Vec<(String, i64)> = vec![
        ("GHD_MAGIC".into(), raw::MAGIC.into()),
        ("GHD_ABI_MAJOR".into(), raw::ABI_MAJOR.into()),
        ("GHD_ABI_MINOR".into(), raw::ABI_MINOR.into()),
        ("GHD_RESULT_TEXT_MAX".into(), raw::RESULT_TEXT_MAX as i64),
        ("GHD_W_PRINT".into(), raw::W_PRINT.into()),
        ("GHD_W_ASK".into(), raw::W_ASK.into()),
        ("GHD_LOG_ERROR".into(), raw::LOG_ERROR.into()),
        ("GHD_LOG_DEBUG".into(), raw::LOG_DEBUG.into()),
        ("GHD_STYLE_BOLD".into(), raw::STYLE_BOLD.into()),
        ("GHD_STYLE_UNDERLINE".into(), raw::STYLE_UNDERLINE.into()),
        ("GHD_STYLE_INVERT".into(), raw::STYLE_INVERT.into()),
        ("GHD_BARCODE_CODE128".into(), 1 + driver_abi::Symbology::Code128 as i64),
        ("GHD_BARCODE_ITF".into(), 1 + driver_abi::Symbology::Itf as i64),
        ("GHD_OK".into(), 0),
        ("GHD_KIND_PRINTER".into(), Kind::Printer.number().into()),
        ("GHD_KIND_DISPLAY".into(), Kind::Display.number().into()),
        ("GHD_DONE_NONE".into(), Done::None.number().into()),
        ("GHD_DONE_SENT".into(), Done::Sent.number().into()),
        ("GHD_DONE_CONFIRMED".into(), Done::Confirmed.number().into()),
        ("GHD_DONE_UNKNOWN".into(), Done::Unknown.number().into()),
    ];
    all.extend(bits());
    all.extend(ops());
    all.extend(faults());
    all
}

fn bits() -> Vec<(String, i64)> {
    let bits = [
        ("ONLINE", Status::ONLINE),
        ("PAPER_LOW", Status::PAPER_LOW),
        ("PAPER_OUT", Status::PAPER_OUT),
        ("COVER_OPEN", Status::COVER_OPEN),
        ("CUTTER", Status::CUTTER),
        ("JAM", Status::JAM),
        ("DRAWER_OPEN", Status::DRAWER_OPEN),
        ("HOT", Status::HOT),
        ("BUSY", Status::BUSY),
        ("UNKNOWN", Status::UNKNOWN),
    ];
    bits.map(|(name, bit)| (format!("GHD_S_{name}"), i64::from(bit.0))).to_vec()
}

fn ops() -> Vec<(String, i64)> {
    let ops = [
        ("TEXT", raw::OP_TEXT),
        ("NEWLINE", raw::OP_NEWLINE),
        ("FEED", raw::OP_FEED),
        ("STYLE", raw::OP_STYLE),
        ("ALIGN", raw::OP_ALIGN),
        ("RULE", raw::OP_RULE),
        ("QR", raw::OP_QR),
        ("BARCODE", raw::OP_BARCODE),
        ("IMAGE", raw::OP_IMAGE),
        ("CUT", raw::OP_CUT),
        ("DRAWER", raw::OP_DRAWER),
        ("BEEP", raw::OP_BEEP),
        ("PLACE", raw::OP_PLACE),
        ("D_CLEAR", raw::OP_D_CLEAR),
        ("D_LINE", raw::OP_D_LINE),
        ("D_SCROLL", raw::OP_D_SCROLL),
        ("D_BRIGHT", raw::OP_D_BRIGHT),
        ("D_BLINK", raw::OP_D_BLINK),
        ("D_CURSOR", raw::OP_D_CURSOR),
    ];
    ops.map(|(name, number)| (format!("GHD_OP_{name}"), i64::from(number))).to_vec()
}

fn faults() -> Vec<(String, i64)> {
    let faults = [
        ("INVALID", Fault::Invalid),
        ("UNSUPPORTED", Fault::Unsupported),
        ("TIMEOUT", Fault::Timeout),
        ("IO", Fault::Io),
        ("GONE", Fault::Gone),
        ("BUSY", Fault::Busy),
        ("CANCELLED", Fault::Cancelled),
        ("PROTOCOL", Fault::Protocol),
        ("NOMEM", Fault::NoMemory),
        ("PANIC", Fault::Panic),
        ("INTERNAL", Fault::Internal),
        ("CONFIG", Fault::Config),
        ("PAPER_OUT", Fault::PaperOut),
        ("COVER_OPEN", Fault::CoverOpen),
        ("CUTTER", Fault::Cutter),
        ("JAM", Fault::Jam),
        ("OVERHEAT", Fault::Overheat),
        ("OFFLINE", Fault::Offline),
    ];
    assert_eq!(faults.len(), Fault::ALL.len());
    faults.map(|(name, fault)| (format!("GHD_E_{name}"), i64::from(fault.number()))).to_vec()
}

fn compile_and_run(compiler: &str, extension: &str, flags: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join(format!("layout.{extension}"));
    let mut program = String::from("#include \"gatehouse_driver.h\"\n#include <stdio.h>\nint main(void) {\n");
    let expected = expected();
    for (name, _) in &expected {
        writeln!(program, "  printf(\"%lld\\n\", (long long)({name}));").unwrap();
    }
    writeln!(program, "  printf(\"%s\\n\", GHD_ENTRY);\n  return 0;\n}}").unwrap();
    std::fs::write(&source, program).unwrap();
    let binary = dir.path().join("layout");
    let include = concat!(env!("CARGO_MANIFEST_DIR"), "/include");
    let built = Command::new(compiler)
        .args(flags)
        .args(["-Wall", "-Wextra", "-Werror", "-I", include, "-o"])
        .arg(&binary)
        .arg(&source)
        .output()
        .unwrap_or_else(|error| panic!("{compiler}: {error}; install a C and C++ compiler"));
    assert!(built.status.success(), "{compiler}: {}", String::from_utf8_lossy(&built.stderr));
    let out = Command::new(&binary).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let mut lines = text.lines();
    for (name, ours) in &expected {
        assert_eq!(lines.next(), Some(ours.to_string().as_str()), "{compiler}: {name}");
    }
    assert_eq!(lines.next(), Some(raw::ENTRY));
}

#[test]
fn the_types_are_the_headers_in_c() {
    compile_and_run("cc", "c", &["-std=c11", "-pedantic"]);
}

#[test]
fn the_types_are_the_headers_in_cpp() {
    compile_and_run("c++", "cpp", &["-std=c++17"]);
}

#[test]
fn the_header_is_the_frozen_one() {
    // A size that changes breaks drivers that are in the field: 1.0 is frozen, growth is appended.
    assert_eq!(size_of::<raw::Driver>(), 192);
    assert_eq!(size_of::<raw::Host>(), 64);
    assert_eq!(size_of::<raw::Io>(), 40);
    assert_eq!(size_of::<raw::Op>(), 40);
    assert_eq!(size_of::<raw::RunResult>(), 184);
}
