//! Printers and displays on the metrics page. Knows the page's form and nothing of what the figures mean elsewhere.

use crate::metrics::Writer;
use ::peripherals::{Paper, PeripheralMetrics, RUN_MS_BOUNDS};
use prometheus_client::metrics::MetricType;

type Labels = Vec<(&'static str, String)>;

/// Writes the figures of all peripherals.
///
/// # Errors
/// The page's.
pub(crate) fn write(writer: &mut Writer<'_, '_>, all: &[PeripheralMetrics]) -> std::fmt::Result {
    let of = |pick: fn(&PeripheralMetrics) -> u64| all.iter().map(move |own| (label(own), pick(own)));
    let outcomes = all.iter().flat_map(|own| {
        let by_outcome = [
            ("none", own.outcome_none),
            ("sent", own.outcome_sent),
            ("confirmed", own.outcome_confirmed),
            ("unknown", own.outcome_unknown),
            ("expired", own.expired),
        ];
        by_outcome.map(|(outcome, count)| (with(own, "outcome", outcome), count))
    });
    writer.counters("peripheral_jobs", "Print jobs that came to an end, by what became of them", outcomes)?;
    writer.counters("peripheral_retries", "Tries of print jobs after the first", of(|own| own.retries))?;
    writer.counters(
        "peripheral_jobs_refused",
        "Print jobs refused because the queue was full",
        of(|own| own.refused_full),
    )?;
    writer.counters("peripheral_host_starts", "Driver hosts started", of(|own| own.starts))?;
    writer.counters(
        "peripheral_host_crashes",
        "Driver hosts that ended unasked or were killed because they hung",
        of(|own| own.crashes),
    )?;
    writer.counters("peripheral_shows", "Texts shown on displays", of(|own| own.shown))?;
    writer.counters(
        "peripheral_shows_replaced",
        "Texts that a newer one replaced before they were shown",
        of(|own| own.replaced),
    )?;
    writer.gauges("peripheral_queue", "Print jobs that wait", of(|own| own.queued))?;
    writer.gauges(
        "peripheral_unknown",
        "Print jobs that may have printed and wait for a person",
        of(|own| own.unresolved),
    )?;
    writer.gauges("peripheral_up", "1: the device works", of(|own| u64::from(own.up)))?;
    let papers = all.iter().flat_map(|own| {
        let papers = [Paper::Ok, Paper::Low, Paper::Out, Paper::Unknown];
        papers.map(|paper| (with(own, "paper", paper.word()), u64::from(own.paper == paper)))
    });
    writer.gauges("peripheral_paper", "1 at what is known of the paper", papers)?;
    run_seconds(writer, all)
}

fn label(own: &PeripheralMetrics) -> Labels {
    vec![("peripheral", own.name.clone())]
}

fn with(own: &PeripheralMetrics, name: &'static str, value: &str) -> Labels {
    let mut labels = label(own);
    labels.push((name, value.to_owned()));
    labels
}

fn run_seconds(writer: &mut Writer<'_, '_>, all: &[PeripheralMetrics]) -> std::fmt::Result {
    let mut metric = writer.encoder.encode_descriptor(
        "peripheral_run_seconds",
        "How long a device took for a document",
        None,
        MetricType::Histogram,
    )?;
    for own in all {
        let bounds = RUN_MS_BOUNDS.iter().map(|ms| *ms as f64 / 1e3).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(own.run_ms_buckets).collect();
        let count = own.run_ms_buckets.iter().sum();
        let labels = [("peripheral", own.name.as_str())];
        let mut family = metric.encode_family(&labels)?;
        let sum_s = own.run_ms_sum as f64 / 1e3;
        family.encode_histogram::<[(&str, &str); 0]>(sum_s, count, &buckets, None)?;
    }
    Ok(())
}
