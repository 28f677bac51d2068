//! The measurement of the store in words for people. Knows its figures; measures nothing.

use super::pace::Spread;
use super::{Figures, StoreFigures};

/// The figures as tables.
pub fn markdown(figures: &Figures) -> String {
    let mut text = String::from("# Measurement of the store\n\n");
    let machine = &figures.machine;
    text += &format!(
        "{}, {} cores, {} MiB, Linux {}; commit {}\n\n",
        machine.cpu_model, machine.core_count, machine.memory_mib, machine.kernel, figures.commit
    );
    if figures.too_busy {
        text += &format!(
            "**Others used {:.0} % of the machine before it began: these figures are no basis for a claim.**\n\n",
            figures.busy_share * 100.0
        );
    }
    figures.stores.iter().for_each(|store| text += &one(store, figures));
    text
}

fn one(store: &StoreFigures, figures: &Figures) -> String {
    let StoreFigures { drain, steady, import, .. } = store;
    let drained = drain.records as f64 / drain.all_s;
    let mut text = format!("## {}\n\n| what | figure | wanted |\n|---|---|---|\n", store.store);
    let mut row =
        |what: &str, figure: String, wanted: &str| text += &format!("| {what} | {figure} | {wanted} |\n");
    row(
        &format!("{} scans made while it was away", drain.records),
        format!(
            "{:.2} s, of these {:.2} s carrying over; {drained:.0} scans/s",
            drain.all_s, drain.carrying_s
        ),
        "",
    );
    let behind = &format!("behind at {:.0} scans/s for {:.0} s", steady.rate, figures.amounts.steady_s);
    row(&format!("seconds {behind}"), spread(&steady.lag_s, 2, "s"), "< 1 s");
    row(&format!("records {behind}"), spread(&steady.lag_records, 0, ""), "");
    if let Some(claims) = store.claims_per_s {
        let ratio = drained / claims;
        row(
            "its own claim: an UPDATE and a log line for each scan, 4 connections",
            format!("{claims:.0} scans/s; after the outage {ratio:.1} times as many"),
            "",
        );
    }
    let imported = format!("{:.2} s, {:.0} tickets/s", import.all_s, import.tickets_per_s);
    row(&format!("import of {} tickets", import.tickets), imported, "");
    row(
        &format!("up to {} tickets", figures.amounts.tickets),
        format!("{:.0} tickets/s", import.filling_tickets_per_s),
        "",
    );
    row(
        &format!("a log of {} scans", figures.amounts.log_scans),
        format!("{:.0} scans/s", import.log_scans_per_s),
        "",
    );
    row(
        &format!("the state of a node at {} tickets", figures.amounts.tickets),
        format!("{:.2} s", store.bootstrap_s),
        "≤ 10 s",
    );
    for asked in &store.questions {
        row(asked.kind, spread(&asked.ms, 2, "ms"), "≤ 5 ms");
    }
    text + "\n"
}

fn spread(own: &Spread, digits: usize, unit: &str) -> String {
    let Spread { median, p99, most } = own;
    format!("median {median:.digits$}, p99 {p99:.digits$}, most {most:.digits$} {unit}").trim_end().to_owned()
}
