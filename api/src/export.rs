//! Exports: the embedded store's history as CSV or NDJSON, streamed page by page. Reads the store beside a
//! running server; knows no engine.

use crate::cli::{Export, ExportForm, ExportWhat};
use crate::config::{Config, StoreChoice};
use crate::profile::rfc3339;
use crate::storage::{self, STORE_FILE};
use crate::tickets::code_text;
use anyhow::Context;
use engine::catalog::{Catalog, EventId};
use engine::decision::{Reason, Verdict};
use engine::ticket::{Ticket, TicketId};
use serde_json::{Value, json};
use std::io::{BufWriter, Write};
use store::{Order, Queries, ScanFilter, ScanRow};

/// Rows read at a time.
const PAGE: usize = 5_000;

/// Columns of the access log.
const SCAN_COLUMNS: [&str; 17] = [
    "cursor",
    "decided_at",
    "scanned_at",
    "device_id",
    "location",
    "event",
    "scan_id",
    "code",
    "kind",
    "access_granted",
    "reason",
    "attention",
    "direction",
    "people",
    "ticket",
    "passage",
    "repeats",
];
/// Columns of tickets.
const TICKET_COLUMNS: [&str; 16] = [
    "ticket",
    "event",
    "type",
    "status",
    "ticket_id",
    "holder",
    "order",
    "seat",
    "codes",
    "specimen",
    "used",
    "inside",
    "zone",
    "first_at",
    "first_gate",
    "last_at",
];

/// Writes an export.
///
/// # Errors
/// No store, an unknown event, a full disk.
pub fn run(config: &Config, options: &Export) -> anyhow::Result<()> {
    let path = config.data_dir.join(STORE_FILE);
    let embedded = matches!(config.store, StoreChoice::Sqlite);
    anyhow::ensure!(
        !embedded || path.exists(),
        "there is no store at {}; is --data-dir right?",
        path.display()
    );
    let queries = storage::open(config)?.queries()?;
    let catalog = queries.catalog().context("read the catalog")?;
    let event = match &options.event {
        Some(name) => Some(catalog.event_named(name).with_context(|| format!("there is no event '{name}'"))?),
        None => None,
    };
    let output: Box<dyn Write> = match &options.output {
        Some(path) => {
            Box::new(std::fs::File::create(path).with_context(|| format!("create {}", path.display()))?)
        }
        None => Box::new(std::io::stdout()),
    };
    let mut sheet = Sheet::new(output, options.format, columns(options.what))?;
    match options.what {
        ExportWhat::Scans => scans(queries.as_ref(), &catalog, event, &mut sheet)?,
        ExportWhat::Tickets => tickets(queries.as_ref(), &catalog, event, &mut sheet)?,
    }
    sheet.end()
}

fn columns(what: ExportWhat) -> &'static [&'static str] {
    match what {
        ExportWhat::Scans => &SCAN_COLUMNS,
        ExportWhat::Tickets => &TICKET_COLUMNS,
    }
}

/// Rows on their way out, as CSV or NDJSON.
enum Sheet {
    Csv(Box<csv::Writer<Box<dyn Write>>>),
    Ndjson(BufWriter<Box<dyn Write>>, &'static [&'static str]),
}

impl Sheet {
    fn new(
        output: Box<dyn Write>,
        form: ExportForm,
        columns: &'static [&'static str],
    ) -> anyhow::Result<Sheet> {
        Ok(match form {
            ExportForm::Csv => {
                let mut writer = csv::Writer::from_writer(output);
                writer.write_record(columns)?;
                Sheet::Csv(Box::new(writer))
            }
            ExportForm::Ndjson => Sheet::Ndjson(BufWriter::new(output), columns),
        })
    }

    fn row(&mut self, values: Vec<Value>) -> anyhow::Result<()> {
        match self {
            Sheet::Csv(writer) => writer.write_record(values.iter().map(plain))?,
            Sheet::Ndjson(writer, columns) => {
                let object: serde_json::Map<String, Value> =
                    columns.iter().map(|name| (*name).to_owned()).zip(values).collect();
                serde_json::to_writer(&mut *writer, &object)?;
                writer.write_all(b"\n")?;
            }
        }
        Ok(())
    }

    fn end(self) -> anyhow::Result<()> {
        match self {
            Sheet::Csv(mut writer) => writer.flush()?,
            Sheet::Ndjson(mut writer, _) => writer.flush()?,
        }
        Ok(())
    }
}

/// A value as a field of a spreadsheet. Text that a spreadsheet would run as a formula is kept from it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@']) => format!("'{text}"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn scans(
    queries: &dyn Queries,
    catalog: &Catalog,
    event: Option<EventId>,
    sheet: &mut Sheet,
) -> anyhow::Result<()> {
    let filter = ScanFilter { event, order: Order::OldestFirst, ..ScanFilter::default() };
    let mut after = None;
    loop {
        let page = queries.scans(&filter, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.lsn);
        for row in &page {
            sheet.row(scan_row(catalog, row))?;
        }
    }
}

fn scan_row(catalog: &Catalog, row: &ScanRow) -> Vec<Value> {
    let attention = match row.verdict {
        Verdict::Admit { attention } => attention.map(Reason::code),
        Verdict::Deny(_) => None,
    };
    vec![
        json!(row.lsn.0),
        json!(rfc3339(row.decided_at)),
        json!(row.scanned_at.map(rfc3339)),
        json!(catalog.device(row.device).map(|device| &device.name)),
        json!(catalog.gate(row.gate).map(|gate| &gate.name)),
        json!(row.event.and_then(|id| catalog.event(id)).map(|event| &event.name)),
        json!(row.scan_id()),
        json!(code_text(row.code_kind, &row.code)),
        json!(row.kind),
        json!(row.verdict.admits()),
        json!(row.verdict.denial().map(Reason::code)),
        json!(attention),
        json!(row.direction),
        json!(row.people),
        json!(row.ticket.map(|ticket| ticket.0)),
        json!(row.outcome),
        json!(row.repeats),
    ]
}

fn tickets(
    queries: &dyn Queries,
    catalog: &Catalog,
    event: Option<EventId>,
    sheet: &mut Sheet,
) -> anyhow::Result<()> {
    let events: Vec<EventId> =
        catalog.events().map(|(id, _)| id).filter(|id| event.is_none_or(|wanted| wanted == *id)).collect();
    for event in events {
        let mut after = None;
        loop {
            let page = queries.tickets_of(event, after, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            for (id, ticket) in &page {
                sheet.row(ticket_row(catalog, *id, ticket))?;
            }
        }
    }
    Ok(())
}

fn ticket_row(catalog: &Catalog, id: TicketId, ticket: &Ticket) -> Vec<Value> {
    let kind = catalog.ticket_type(ticket.type_id);
    let details = &ticket.details;
    let codes: Vec<String> = details.codes().map(|(kind, code)| code_text(kind, code)).collect();
    let usage = &ticket.usage;
    let seen = usage.used > 0;
    vec![
        json!(id.0),
        json!(kind.and_then(|kind| catalog.event(kind.event)).map(|event| &event.name)),
        json!(kind.map(|kind| &kind.name)),
        json!(ticket.status),
        json!(details.reference()),
        json!(details.holder()),
        json!(details.order()),
        json!(details.seat()),
        json!(codes.join("|")),
        json!(ticket.specimen),
        json!(usage.used),
        json!(usage.inside),
        json!(catalog.zone(usage.presence).map(|zone| &zone.name)),
        json!(seen.then(|| rfc3339(usage.first_at))),
        json!(seen.then(|| catalog.gate(usage.first_gate).map(|gate| &gate.name))),
        json!(seen.then(|| rfc3339(usage.last_at))),
    ]
}
