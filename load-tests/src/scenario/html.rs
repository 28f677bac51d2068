//! The report as one page of HTML that needs nothing else: no network, no script, no file beside it. Knows how a report is
//! laid out; measures and judges nothing.

use std::fmt::Write as _;

use super::chart::{Chart, Line, Unit, escaped};
use super::report::Report;
use super::stagehand::Sample;
use super::stats::{PieceSummary, StreamSummary};
use crate::Outcome;
use crate::report::duration_text;

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub fn page(report: &Report) -> String {
    let title = escaped(&report.title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\" />\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n\
         <title>{title}</title>\n<style>\n{STYLE}</style></head>\n<body>\n<main>\n"
    );
    head(&mut page, report);
    tiles(&mut page, report);
    wants(&mut page, report);
    section(&mut page, "Streams", &streams_table(report));
    faults(&mut page, report);
    charts(&mut page, report);
    let remarks: String =
        report.remarks().iter().map(|remark| format!("<li>{}</li>\n", escaped(remark))).collect();
    section(&mut page, "Also seen", &format!("<ul>{remarks}</ul>"));
    section(&mut page, "Run", &facts(report));
    page + "</main>\n</body>\n</html>\n"
}

fn section(page: &mut String, title: &str, content: &str) {
    let _ = writeln!(page, "<section><h2>{title}</h2>\n{content}</section>");
}

fn head(page: &mut String, report: &Report) {
    let class = match report.outcome() {
        Outcome::Right => "right",
        Outcome::Missed => "missed",
        Outcome::Wrong => "wrong",
    };
    let _ = writeln!(
        page,
        "<header><p class=\"kind\">Gatehouse load scenario · {}</p><h1>{}</h1>\n<p>{}</p>\n\
         <p class=\"verdict {class}\">{}</p></header>",
        escaped(&report.scenario),
        escaped(&report.title),
        escaped(&report.about),
        escaped(&report.verdict())
    );
}

/// The four figures that are looked for first.
fn tiles(page: &mut String, report: &Report) {
    let first = report.streams.first();
    let sum = |count: fn(&crate::tally::Tally) -> u64| report.tallies().map(count).sum::<u64>();
    let peak = peak_per_s(&report.streams);
    let tiles = [
        ("admissions", sum(|tally| tally.admitted).to_string()),
        ("answered a second, at the peak", format!("{peak:.0}")),
        ("wrong or missing answers", (sum(|tally| tally.wrong) + sum(|tally| tally.lost)).to_string()),
        ("p50 of the first stream", first.map_or_else(String::new, |own| duration_text(own.latency.p50_us))),
        ("p99 of the first stream", first.map_or_else(String::new, |own| duration_text(own.latency.p99_us))),
    ];
    page.push_str("<div class=\"tiles\">\n");
    for (name, value) in tiles {
        let _ = writeln!(page, "<div><b>{}</b><span>{name}</span></div>", escaped(&value));
    }
    page.push_str("</div>\n");
}

fn peak_per_s(streams: &[StreamSummary]) -> f64 {
    let count = streams.iter().map(|stream| stream.over_time.len()).max().unwrap_or(0);
    // The last piece holds what came after the end, in however long.
    let at = |index: usize| {
        let pieces = streams.iter().filter_map(|stream| stream.over_time.get(index));
        pieces.map(|piece| piece.answered_per_s).sum::<f64>()
    };
    (0..count.saturating_sub(1)).map(at).fold(0.0, f64::max)
}

fn wants(page: &mut String, report: &Report) {
    if report.wants.is_empty() {
        return;
    }
    let mut table =
        "<table><thead><tr><th>wanted</th><th>came</th><th></th></tr></thead><tbody>\n".to_owned();
    for want in &report.wants {
        let (class, word) = if want.met { ("right", "✓ reached") } else { ("missed", "✗ missed") };
        let _ = writeln!(
            table,
            "<tr><td>{}</td><td>{}</td><td class=\"{class}\">{word}</td></tr>",
            escaped(&want.wanted),
            escaped(&want.came)
        );
    }
    section(page, "What was wanted and what came", &(table + "</tbody></table>"));
}

fn charts(page: &mut String, report: &Report) {
    let uploads = report.uploads.iter().map(|upload| &upload.stream);
    for stream in report.streams.iter().chain(uploads).filter(|stream| stream.latency.count > 0) {
        let title = format!("Latency of {}, from the intended moment to the answer", stream.name);
        let latency = |name: &str, color, of: fn(&PieceSummary) -> f64| {
            let value = |piece: &PieceSummary| (piece.latency.count > 0).then(|| of(piece));
            line(name, color, false, &stream.over_time, value)
        };
        let lines = vec![
            latency("max", 2, |piece| piece.latency.max_us),
            latency("p99", 1, |piece| piece.latency.p99_us),
            latency("p50", 0, |piece| piece.latency.p50_us),
        ];
        section(page, &escaped(&title), &chart(report, title.clone(), Unit::Latency, lines).svg());
    }
    let mut lines = Vec::new();
    for (color, stream) in report.streams.iter().enumerate() {
        let of = |due: bool| {
            let name = if due { format!("{} asked", stream.name) } else { stream.name.clone() };
            let value =
                move |piece: &PieceSummary| Some(if due { piece.due_per_s } else { piece.answered_per_s });
            // The last piece holds what came after the end.
            let pieces = &stream.over_time[..stream.over_time.len() - 1];
            line(&name, STREAM_COLORS[color % STREAM_COLORS.len()], due, pieces, value)
        };
        lines.extend([of(false), of(true)]);
    }
    let title = "Scans answered a second, and asked (dashed)";
    section(page, title, &chart(report, title.to_owned(), Unit::PerSecond, lines).svg());
    server_charts(page, report);
}

fn server_charts(page: &mut String, report: &Report) {
    let of = |name: &str, value: fn(&Sample) -> Option<f64>| {
        let samples = report.server.samples.iter().filter(|sample| sample.at_s <= report.run.seconds);
        let points: Vec<_> = samples.map(|sample| (sample.at_s, value(sample))).collect();
        let is_known = points.iter().any(|(_, value)| value.is_some());
        is_known.then(|| Line { name: name.to_owned(), color: 0, is_dashed: false, points })
    };
    let charts = [
        ("Cores the server used", of("cores", |sample| sample.cores)),
        (
            "Resident memory of the server, in MiB",
            of("MiB", |sample| Some(sample.resident_bytes? as f64 / 1_048_576.0)),
        ),
        ("Records the store lags behind", of("records", |sample| sample.lag_records.map(|lag| lag as f64))),
    ];
    for (title, line) in charts {
        if let Some(line) = line {
            let drawn = chart(report, title.to_owned(), Unit::Plain, vec![line]);
            section(page, title, &drawn.svg());
        }
    }
}

/// Colors of streams; the one between them is the longest latency's.
const STREAM_COLORS: [usize; 4] = [0, 1, 3, 4];

fn line(
    name: &str,
    color: usize,
    is_dashed: bool,
    pieces: &[PieceSummary],
    value: impl Fn(&PieceSummary) -> Option<f64>,
) -> Line {
    let points = pieces.iter().map(|piece| (piece.at_s, value(piece))).collect();
    Line { name: name.to_owned(), color, is_dashed, points }
}

fn chart(report: &Report, title: String, unit: Unit, lines: Vec<Line>) -> Chart<'_> {
    let bands = report.parts.iter().map(|part| (part.name.as_str(), part.from_s, part.to_s)).collect();
    Chart { title, unit, end_s: report.run.seconds, lines, bands, marks: report.marks() }
}

fn streams_table(report: &Report) -> String {
    let mut table = "<div class=\"wide\"><table class=\"numbers\">\n".to_owned();
    for (number, row) in report.stream_rows().iter().enumerate() {
        let cell = if number == 0 { "th" } else { "td" };
        let class = if row[0].starts_with(' ') { " class=\"part\"" } else { "" };
        let cells: String = row.iter().map(|text| format!("<{cell}>{}</{cell}>", escaped(text))).collect();
        let _ = writeln!(table, "<tr{class}>{cells}</tr>");
    }
    table + "</table></div>"
}

fn faults(page: &mut String, report: &Report) {
    let examples: String = report
        .tallies()
        .flat_map(|tally| &tally.examples)
        .map(|example| format!("<li>{}</li>\n", escaped(example)))
        .collect();
    if !examples.is_empty() {
        section(page, "The first of what went wrong", &format!("<ul class=\"wrong\">{examples}</ul>"));
    }
}

fn facts(report: &Report) -> String {
    let run = &report.run;
    let machine = format!(
        "{}, {} cores, {} MiB, Linux {}",
        run.machine.cpu_model, run.machine.core_count, run.machine.memory_mib, run.machine.kernel
    );
    let time = format!(
        "{} s, {} seconds of the venue in each; people, rates and readers × {}; seed {}",
        run.seconds, run.compress, run.scale, run.seed
    );
    let mut rows: Vec<(&str, String)> = vec![
        ("started", run.started_at.clone()),
        ("machine", machine),
        ("time", time),
        ("command", run.command.clone()),
        ("server", run.server.clone()),
        ("commit", run.commit.clone()),
    ];
    rows.extend(report.counters.iter().map(|(name, value)| (name.as_str(), format!("+ {value}"))));
    let rows: String = rows
        .iter()
        .map(|(name, value)| format!("<tr><th>{name}</th><td>{}</td></tr>\n", escaped(value)))
        .collect();
    format!("<table class=\"facts\">{rows}</table>")
}
