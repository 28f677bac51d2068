//! What a list would come to, by its beginning: what it was recognized as, its columns, its first rows as tickets.

use super::{ImportSpec, Judge, Step};
use crate::app::App;
use crate::operations::RowError;
use crate::problem::Problem;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;
use tokio::runtime::Handle;
use utoipa::ToSchema;

/// Largest beginning of a list that is looked at, in bytes.
pub const PREVIEW_BYTES_MAX: usize = 1024 * 1024;
/// Rows that are shown, and mistakes.
const SHOWN_MAX: usize = 20;

/// A column of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewColumn {
    /// As the list calls it.
    #[schema(example = "Barcode")]
    name: String,
    /// What it is taken for; `null`: it is passed over.
    #[schema(example = "code")]
    target: Option<&'static str>,
}

/// A row as it would become a ticket.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewRow {
    /// Its line in the list.
    #[schema(example = 2)]
    line: u64,
    /// `add`, `change`, or `unchanged`.
    #[schema(example = "add")]
    outcome: &'static str,
    /// The row by our columns.
    #[schema(value_type = std::collections::BTreeMap<String, String>, example = json!({"code": "A-1", "type": "VIP"}))]
    row: BTreeMap<&'static str, String>,
}

/// What a list would come to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Preview {
    /// The encoding it is probably in: send it as `encoding` with the import.
    #[schema(example = "UTF-8")]
    encoding: String,
    /// How it is laid out: `csv`, `ndjson` or `codes`.
    #[schema(example = "csv")]
    layout: &'static str,
    /// What separates its fields.
    #[schema(example = ";")]
    delimiter: Option<char>,
    /// Its columns, where it has any.
    columns: Vec<PreviewColumn>,
    /// What columns would be taken for: change it, and send it as `mapping` with the import.
    #[schema(value_type = std::collections::BTreeMap<String, Option<String>>, example = json!({"Barcode": "code", "Remark": null}))]
    mapping: BTreeMap<String, Option<&'static str>>,
    /// Why the list would not be taken as a whole.
    problem: Option<String>,
    /// Rows that were looked at.
    #[schema(example = 812)]
    rows_seen: u64,
    /// How many of them are good.
    #[schema(example = 810)]
    rows_good: u64,
    /// The first of them.
    rows: Vec<PreviewRow>,
    /// The first mistakes.
    errors: Vec<RowError>,
}

/// Looks at the beginning of a list. Waits for the store where it has to: not for a thread that must not.
///
/// # Errors
/// It cannot be looked at as what it is said to be.
pub fn preview(
    app: &Arc<App>,
    runtime: &Handle,
    event: &str,
    spec: &ImportSpec,
    mut head: &[u8],
) -> Result<Preview, Problem> {
    let whole = head.len() < PREVIEW_BYTES_MAX;
    if !whole {
        // The last line is probably cut off.
        let end = head.iter().rposition(|byte| *byte == b'\n').map_or(head.len(), |at| at + 1);
        head = &head[..end];
    }
    let encoding = spec.encoding.clone().unwrap_or_else(|| lists::text::guess(head, whole).to_owned());
    let mut options = spec.options().map_err(|problem| Problem::malformed("mapping", problem))?;
    (options.encoding, options.lenient) = (Some(encoding), true);
    let refused = |problem: String| Problem::invalid("body", problem);
    let rows = lists::read(Cursor::new(head.to_vec()), &options).map_err(refused)?;
    let judge = Judge::new(app, runtime, event, spec).map_err(refused)?;
    let mut preview = Preview {
        encoding: rows.encoding().to_owned(),
        layout: rows.layout(),
        delimiter: rows.delimiter(),
        columns: Vec::new(),
        mapping: BTreeMap::new(),
        problem: rows.problem().map(str::to_owned),
        rows_seen: 0,
        rows_good: 0,
        rows: Vec::new(),
        errors: Vec::new(),
    };
    for column in rows.columns() {
        preview.mapping.insert(column.name.clone(), column.target);
        preview.columns.push(PreviewColumn { name: column.name.clone(), target: column.target });
    }
    let now = app.engine.now();
    for (line, row) in rows {
        preview.rows_seen += 1;
        let judged = row.map_err(|reason| (None, reason)).and_then(|row| {
            judge.judge(&row, now).map(|step| (row.clone(), step)).map_err(|reason| (Some(row.code), reason))
        });
        match judged {
            Ok((row, step)) => preview.good(line, row, &step),
            Err((code, reason)) if preview.errors.len() < SHOWN_MAX => {
                preview.errors.push(RowError { line, code: code.filter(|code| !code.is_empty()), reason });
            }
            Err(_) => {}
        }
    }
    Ok(preview)
}

impl Preview {
    fn good(&mut self, line: u64, row: lists::TicketRow, step: &Step) {
        self.rows_good += 1;
        if self.rows.len() >= SHOWN_MAX {
            return;
        }
        let outcome = match step {
            Step::Add(_) => "add",
            Step::Change(_) => "change",
            Step::Unchanged => "unchanged",
        };
        let said = row.said().collect();
        self.rows.push(PreviewRow { line, outcome, row: said });
    }
}
