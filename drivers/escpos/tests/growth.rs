//! Devices and documents come and go, and nothing of them stays. Alone in its process: its memory is measured.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{Bench, FakeHost, FakePrinter, LONG};
use driver_escpos::Escpos;
use driver_sdk::{Align, Done, Driver, Op, Style};
use std::rc::Rc;

fn receipt() -> Vec<Op<'static>> {
    let text = |text: &'static str| [Op::Text(text.into()), Op::Newline];
    let mut ops = vec![Op::Align(Align::Middle), Op::Style(Style { bold: true, ..Style::default() })];
    ops.extend(text("Schloßgarten · 5 € · Дети"));
    ops.extend(text("山田様"));
    ops.push(Op::Rule { double: true });
    ops.push(Op::Cut(driver_sdk::Cut::Partial));
    ops
}

#[test]
fn ten_thousand_devices_and_documents_leave_nothing_behind() {
    let ops = receipt();
    let host = Rc::new(FakeHost::default());
    let devices = |times: usize| {
        for _ in 0..times {
            let mut driver = Escpos::create(host.clone(), "{}").unwrap();
            let mut printer = FakePrinter::new(&host);
            assert_eq!(driver.run(&mut printer, &ops, LONG).done, Done::Sent);
        }
    };
    let mut bench = Bench::new(r#"{"profile":"tm-t20"}"#);
    let mut documents = |times: usize| {
        for _ in 0..times {
            assert_eq!(bench.run(&ops).done, Done::Confirmed);
            bench.printer.printed.clear();
            bench.printer.writes.clear();
            bench.printer.asked.clear();
        }
    };
    devices(1_000);
    documents(1_000);
    let before = resident_kb();
    devices(9_000);
    documents(9_000);
    // A document is some KB and so is a device: one that stayed every time would be 10 MB or more.
    let grown = resident_kb().saturating_sub(before);
    assert!(grown < 1_024, "{grown} KB more");
    // Each gave its host back.
    assert_eq!(Rc::strong_count(&host), 1);
}

/// Memory of this process, in KB.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
