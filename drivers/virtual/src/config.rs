//! The virtual printer's settings: which printer it stands in for. Refuses what it does not know.

use serde::Deserialize;

/// Columns of paper: a wristband's to a wide ticket's.
const COLUMNS: std::ops::RangeInclusive<u16> = 8..=200;
/// Dots of paper.
const DOTS: std::ops::RangeInclusive<u16> = driver_raster::PAPER_DOTS_MIN..=2_400;
/// Dots of a column in the usual font, and in the small one.
const COLUMN_DOTS: u16 = 12;
const COLUMN_SMALL_DOTS: u16 = 8;
/// Rows of a ticket.
const ROWS: std::ops::RangeInclusive<u16> = 64..=8_000;
/// Dots an inch.
const DPI: std::ops::RangeInclusive<u16> = 100..=600;

/// JSON Schema of the settings.
pub const SCHEMA: &str = r#"{"type":"object","additionalProperties":false,"properties":{
"form":{"enum":["text","png"],"default":"text","description":"lines of text, or one PNG for each document"},
"columns":{"type":"integer","minimum":8,"maximum":200,"default":48},
"dots":{"type":"integer","minimum":64,"maximum":2400,"description":"width that is printed; 12 for each column if not given"},
"dpi":{"type":"integer","minimum":100,"maximum":600,"default":203},
"ticket_rows":{"type":"integer","minimum":64,"maximum":8000,"description":"a ticket printer: height of a ticket in dots"},
"cuts":{"type":"boolean","default":true}}}"#;

/// What comes out of the printer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Lines of text.
    #[default]
    Text,
    /// One PNG for each document.
    Png,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Typed {
    form: Form,
    columns: Option<u16>,
    dots: Option<u16>,
    dpi: u16,
    ticket_rows: Option<u16>,
    cuts: bool,
}

/// The settings, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// What comes out.
    pub form: Form,
    /// Columns in the usual font.
    pub columns: u16,
    /// Columns in the small font; 0: there is none.
    pub columns_small: u16,
    /// Width that is printed.
    pub dots: u16,
    /// Dots an inch.
    pub dpi: u16,
    /// A ticket's height in dots; `None`: a roll.
    pub ticket_rows: Option<u16>,
    /// Does it cut?
    pub cuts: bool,
}

impl Default for Typed {
    fn default() -> Typed {
        Typed { form: Form::Text, columns: None, dots: None, dpi: 203, ticket_rows: None, cuts: true }
    }
}

// === impl Config ===

impl Config {
    /// Settings as they are typed; nothing at all are the usual ones.
    ///
    /// # Errors
    /// What is wrong with them, all of it.
    pub fn parse(json: &str) -> Result<Config, String> {
        let typed: Typed = driver_sdk::settings(json)?;
        let columns = typed.columns.or(typed.dots.map(|dots| dots / COLUMN_DOTS)).unwrap_or(48);
        let dots = typed.dots.unwrap_or(columns.saturating_mul(COLUMN_DOTS));
        let rows = typed.ticket_rows.unwrap_or(*ROWS.start());
        let ranges = [
            ("dots", dots, DOTS),
            ("columns", columns, COLUMNS),
            ("dpi", typed.dpi, DPI),
            ("ticket_rows", rows, ROWS),
        ];
        let wrong: Vec<String> = ranges
            .iter()
            .filter(|(_, found, range)| !range.contains(found))
            .map(|(name, found, range)| {
                format!("{name}: {} to {}, found {found}", range.start(), range.end())
            })
            .collect();
        if !wrong.is_empty() {
            return Err(wrong.join("; "));
        }
        let columns_small = match typed.form {
            Form::Text => 0,
            Form::Png => dots / COLUMN_SMALL_DOTS,
        };
        let Typed { form, dpi, ticket_rows, cuts, .. } = typed;
        Ok(Config { form, columns, columns_small, dots, dpi, ticket_rows, cuts })
    }
}
