//! Layouts of lists: ours as CSV and NDJSON, codes alone, and the files of SecuTix's access control (TnAC): semicolons, no
//! column names. Gives rows with their lines; knows no catalog.

use crate::columns::{self, Mapping};
use crate::lines::{Records, fields};
use crate::row::TicketRow;
use crate::text::{self, Decoder};
use serde_json::Value;
use std::io::Read;

/// A row with its line, or what is wrong with it.
pub type Line = (u64, Result<TicketRow, String>);

/// How a list is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// CSV or NDJSON, by its first byte.
    #[default]
    Auto,
    /// Fields separated by comma, semicolon or tab; the first line names the columns.
    Csv,
    /// A JSON object each line.
    Ndjson,
    /// A code each line and nothing else.
    Codes,
    /// SecuTix: codes that may enter.
    SecutixWhitelist,
    /// SecuTix: codes that may not.
    SecutixBlacklist,
    /// SecuTix: codes that were checked elsewhere.
    SecutixChecked,
}

/// How a list is to be read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Its layout.
    pub format: Format,
    /// Its encoding, where no byte order mark tells it; left out: UTF-8.
    pub encoding: Option<String>,
    /// What its columns are.
    pub mapping: Option<Mapping>,
    /// The type of rows that name none.
    pub kind: Option<String>,
    /// May a list have no type at all? Where it only names tickets that are there.
    pub names_only: bool,
    /// Read it although columns are not understood: for a preview, which tells.
    pub lenient: bool,
}

/// A column of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// As the list calls it.
    pub name: String,
    /// Which of [`columns::COLUMNS`] it is; `None`: it is passed over.
    pub target: Option<&'static str>,
}

/// The rows of a list, read one at a time.
pub struct Rows {
    records: Records,
    decoder: Decoder,
    layout: Layout,
    kind: String,
    columns: Vec<Column>,
    problem: Option<String>,
    given: u64,
    ended: bool,
}

enum Layout {
    Fields { delimiter: u8, targets: Vec<Option<usize>>, exact: bool },
    Json(Option<Mapping>),
    Codes,
}

/// The fields of SecuTix's files, and what is taken of them unless a mapping says otherwise. When a `validity_date` begins
/// or ends anything their description does not say, so it is taken only where it is mapped.
const WHITELIST: [&str; 9] = [
    "barcode",
    "season_code",
    "product_code",
    "category_id",
    "reduced_price",
    "is_specimen",
    "validity_date",
    "tag",
    "entranceBarcodeId",
];
const BLACKLIST: [&str; 5] = ["barcode", "reason", "season_code", "product_code", "blacklist_date"];
const CHECKED: [&str; 2] = ["barcode", "date"];
const SECUTIX_TAKEN: [(&str, &str); 3] =
    [("barcode", "code"), ("is_specimen", "specimen"), ("date", "checked_at")];

/// What the last line of an export begins with; the number of rows follows.
pub(crate) const CSV_END: &str = "#end,";
/// The same in NDJSON.
pub(crate) const NDJSON_END: &str = "{\"end\":true,\"rows\":";

/// The kind of a compressed file that begins so.
pub fn compressed(head: &[u8]) -> Option<&'static str> {
    let magics: [(&[u8], &str); 6] = [
        (b"PK\x03\x04", "zip (a spreadsheet .xlsx is one too)"),
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ", "xz"),
        (b"BZh", "bzip2"),
        (b"7z\xbc\xaf", "7z"),
    ];
    magics.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, name)| *name)
}

/// Reads rows one at a time: a list of any length in bounded memory.
///
/// # Errors
/// When the list cannot be read at all: no known columns, an encoding nobody knows, a compressed file.
pub fn read(input: impl Read + 'static, options: &Options) -> Result<Rows, String> {
    let (input, decoder) = text::open(input, options.encoding.as_deref())?;
    let mut records = Records::new(input);
    let (line, first) = records.next().ok_or_else(|| "the list is empty".to_owned())?;
    if let Some(kind) = compressed(&records.text) {
        return Err(format!(
            "this is a compressed file, {kind}; unpack it, or save it as CSV, and send that"
        ));
    }
    first.map_err(|problem| format!("the first line cannot be read: {problem}"))?;
    let is_json = records.text.trim_ascii_start().starts_with(b"{");
    let mut rows = Rows {
        records,
        decoder,
        layout: Layout::Codes,
        kind: options.kind.clone().unwrap_or_default(),
        columns: Vec::new(),
        problem: None,
        given: 0,
        ended: false,
    };
    match options.format {
        Format::Auto if is_json => rows.json(line, options),
        Format::Ndjson => rows.json(line, options),
        Format::Auto | Format::Csv => rows.named_fields(line, options)?,
        Format::Codes => rows.codes(line),
        Format::SecutixWhitelist => rows.unnamed_fields(line, &WHITELIST, options),
        Format::SecutixBlacklist => rows.unnamed_fields(line, &BLACKLIST, options),
        // Its first line says whose tickets these are.
        Format::SecutixChecked => {
            rows.unnamed_fields(line, &CHECKED, options);
            rows.records.next();
        }
    }
    match rows.problem.take_if(|_| !options.lenient) {
        Some(problem) => Err(problem),
        None => Ok(rows),
    }
}

/// What separates the fields of the first line, and so of the others.
fn delimiter_of(first: &[u8]) -> u8 {
    let count = |delimiter: u8| first.iter().filter(|byte| **byte == delimiter).count();
    [b'\t', b';', b','].into_iter().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

impl Rows {
    /// The name of the encoding it is read in.
    pub fn encoding(&self) -> &'static str {
        self.decoder.name()
    }

    /// How it is laid out: `csv`, `ndjson` or `codes`.
    pub fn layout(&self) -> &'static str {
        match self.layout {
            Layout::Fields { .. } => "csv",
            Layout::Json(_) => "ndjson",
            Layout::Codes => "codes",
        }
    }

    /// What separates its fields.
    pub fn delimiter(&self) -> Option<char> {
        match self.layout {
            Layout::Fields { delimiter, .. } => Some(char::from(delimiter)),
            Layout::Json(_) | Layout::Codes => None,
        }
    }

    /// Its columns, where it has any.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Why it would not be read were it not for `lenient`.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    fn json(&mut self, line: u64, options: &Options) {
        self.records.again(line);
        self.layout = Layout::Json(options.mapping.clone());
    }

    /// The first line may say that these are codes.
    fn codes(&mut self, line: u64) {
        let first = self.decoder.text(&self.records.text);
        if first.is_ok_and(|first| columns::known(unquoted(&first)) != Some(0)) {
            self.records.again(line);
        }
    }

    fn named_fields(&mut self, line: u64, options: &Options) -> Result<(), String> {
        let delimiter = delimiter_of(&self.records.text);
        self.records.again(line);
        self.records.with_delimiter(delimiter);
        let (_, header) = self.records.next().ok_or_else(|| "the list is empty".to_owned())?;
        let unreadable = |problem: String| format!("cannot read the column names: {problem}");
        header.map_err(unreadable)?;
        let header = self.decoder.text(&self.records.text).map_err(unreadable)?;
        let mut names = Vec::new();
        fields(&header, delimiter, |_, name| names.push(name.to_owned()));
        columns::check(&names)?;
        let (targets, problem) = columns::targets(&names, options.mapping.as_ref());
        let has_type = options.names_only || options.kind.is_some();
        self.problem = problem.or_else(|| columns::missing(&targets, has_type));
        self.name_columns(names, &targets);
        self.layout = Layout::Fields { delimiter, targets, exact: true };
        Ok(())
    }

    fn unnamed_fields(&mut self, line: u64, names: &[&str], options: &Options) {
        let taken = |name: &str| {
            let own = SECUTIX_TAKEN.iter().find(|(theirs, _)| *theirs == name).map(|(_, own)| *own);
            columns::COLUMNS.iter().position(|column| Some(*column) == own)
        };
        let mapping = options.mapping.as_ref();
        let target = |name: &&str| mapping.and_then(|own| own.of(name)).unwrap_or_else(|| taken(name));
        let targets: Vec<Option<usize>> = names.iter().map(target).collect();
        let has_type = options.names_only || options.kind.is_some();
        self.problem = columns::missing(&targets, has_type);
        self.name_columns(names.iter().map(|name| (*name).to_owned()).collect(), &targets);
        // A list that was opened in a spreadsheet may have got their names.
        if !self.records.text.to_ascii_lowercase().starts_with(b"barcode;") {
            self.records.again(line);
        }
        self.records.with_delimiter(b';');
        self.layout = Layout::Fields { delimiter: b';', targets, exact: false };
    }

    fn name_columns(&mut self, names: Vec<String>, targets: &[Option<usize>]) {
        let column = |(name, target): (String, &Option<usize>)| Column {
            name,
            target: target.map(|target| columns::COLUMNS[target]),
        };
        self.columns = names.into_iter().zip(targets).map(column).collect();
    }

    fn row(&mut self) -> Result<Option<TicketRow>, String> {
        let text = self.decoder.text(&self.records.text)?;
        let end = if matches!(self.layout, Layout::Json(_)) { NDJSON_END } else { CSV_END };
        if let Some(count) = text.strip_prefix(end) {
            self.ended = true;
            let digits = count.find(|c: char| !c.is_ascii_digit()).unwrap_or(count.len());
            return ended(count[..digits].parse().ok(), self.given);
        }
        let mut row = match &self.layout {
            Layout::Json(mapping) => row_of_json(&text, mapping.as_ref())?,
            Layout::Codes => TicketRow { code: unquoted(&text).to_owned(), ..TicketRow::default() },
            Layout::Fields { delimiter, targets, exact } => {
                row_of_fields(&text, *delimiter, targets, *exact)?
            }
        };
        if row.kind.trim().is_empty() {
            row.kind.clone_from(&self.kind);
        }
        Ok(Some(row))
    }
}

impl Iterator for Rows {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        if self.ended {
            return None;
        }
        let (line, record) = self.records.next()?;
        let row = match record {
            Ok(()) => self.row().transpose()?,
            Err(problem) => Err(problem),
        };
        self.given += 1;
        Some((line, row))
    }
}

/// An export says how many rows it has: one that was cut off and joined is told.
fn ended(said: Option<u64>, given: u64) -> Result<Option<TicketRow>, String> {
    match said {
        Some(said) if said != given => {
            Err(format!("the list ends here and says that it has {said} rows, but there were {given}"))
        }
        _ => Ok(None),
    }
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn row_of_fields(
    text: &str,
    delimiter: u8,
    targets: &[Option<usize>],
    exact: bool,
) -> Result<TicketRow, String> {
    let mut row = TicketRow::default();
    let mut said_too_much = false;
    let count = fields(text, delimiter, |n, field| match targets.get(n) {
        Some(Some(target)) => crate::sheet::as_it_was(field).clone_into(row.field(*target)),
        Some(None) => {}
        None => said_too_much |= !field.is_empty(),
    });
    if said_too_much || (exact && count != targets.len()) {
        return Err(format!("{count} fields where {} columns are meant", targets.len()));
    }
    Ok(row)
}

fn row_of_json(text: &str, mapping: Option<&Mapping>) -> Result<TicketRow, String> {
    let wrong = |error: serde_json::Error| format!("not a ticket in JSON: {error}");
    let Some(mapping) = mapping else { return serde_json::from_str(text).map_err(wrong) };
    let object: serde_json::Map<String, Value> = serde_json::from_str(text).map_err(wrong)?;
    let mut row = TicketRow::default();
    for (name, value) in object {
        let Some(target) = mapping.of(&name).unwrap_or_else(|| columns::known(&name)) else { continue };
        *row.field(target) = match value {
            Value::Null => continue,
            Value::String(text) => text,
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Array(_) | Value::Object(_) => {
                return Err(format!("'{name}' is not a text"));
            }
        };
    }
    Ok(row)
}

/// Runs any bytes through the reader; must neither panic nor run for ever.
#[doc(hidden)]
pub fn fuzz_rows(data: &[u8]) {
    let catalog = engine::catalog::Catalog::new();
    let formats = [Format::Auto, Format::Codes, Format::SecutixWhitelist, Format::SecutixChecked];
    for (n, encoding) in [None, Some("windows-1252"), Some("utf-16le"), Some("utf-8")].into_iter().enumerate()
    {
        let encoding = encoding.map(str::to_owned);
        let options = Options { encoding, format: formats[n], lenient: n == 1, ..Options::default() };
        if let Ok(rows) = read(std::io::Cursor::new(data.to_vec()), &options) {
            for row in rows.take(10_000).filter_map(|(_, row)| row.ok()) {
                let _ = row.ticket(&catalog, engine::catalog::EventId(0), engine::clock::Time(0));
            }
        }
    }
}
