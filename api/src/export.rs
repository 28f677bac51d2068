//! Exports: the embedded store's history as CSV or NDJSON, streamed page by page. Reads the store beside a
//! running server; knows no engine.

use crate::cli::{Export, ExportForm, ExportWhat};
use crate::config::{Config, StoreChoice};
use crate::storage::{self, STORE_FILE};
use anyhow::Context;
use engine::catalog::{Catalog, EventId};
use lists::export;
use lists::sheet::{Form, Sheet};
use serde_json::Value;
use std::io::Write;
use store::{Order, Queries, ScanFilter};

/// Rows read at a time.
const PAGE: usize = 5_000;

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
    let columns = match options.what {
        ExportWhat::Scans => export::SCAN_COLUMNS.to_vec(),
        ExportWhat::Tickets => export::ticket_columns(true),
    };
    let mut out = Out { output, sheet: Sheet::new(form(options.format), columns), page: Vec::new() };
    out.sheet.begin(&mut out.page);
    match options.what {
        ExportWhat::Scans => scans(queries.as_ref(), &catalog, event, &mut out)?,
        ExportWhat::Tickets => tickets(queries.as_ref(), &catalog, event, &mut out)?,
    }
    out.flush()
}

fn form(form: ExportForm) -> Form {
    match form {
        ExportForm::Csv => Form::Csv,
        ExportForm::Ndjson => Form::Ndjson,
    }
}

/// Rows on their way out, a page at a time.
struct Out {
    output: Box<dyn Write>,
    sheet: Sheet,
    page: Vec<u8>,
}

impl Out {
    fn row(&mut self, values: Vec<Value>) {
        self.sheet.row(&mut self.page, values);
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.output.write_all(&self.page)?;
        self.page.clear();
        Ok(self.output.flush()?)
    }
}

fn scans(
    queries: &dyn Queries,
    catalog: &Catalog,
    event: Option<EventId>,
    out: &mut Out,
) -> anyhow::Result<()> {
    let filter = ScanFilter { event, order: Order::OldestFirst, ..ScanFilter::default() };
    let mut after = None;
    loop {
        let page = queries.scans(&filter, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.lsn);
        page.iter().for_each(|row| out.row(export::scan_row(catalog, row)));
        out.flush()?;
    }
}

fn tickets(
    queries: &dyn Queries,
    catalog: &Catalog,
    event: Option<EventId>,
    out: &mut Out,
) -> anyhow::Result<()> {
    let events: Vec<EventId> =
        catalog.events().map(|(id, _)| id).filter(|id| event.is_none_or(|wanted| wanted == *id)).collect();
    for event in events {
        let mut after = None;
        loop {
            let page = queries.tickets_of(event, after, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            page.iter().for_each(|(id, ticket)| out.row(export::ticket_row(catalog, *id, ticket, true)));
            out.flush()?;
        }
    }
    Ok(())
}
