//! Rows on their way out, as CSV or NDJSON. Knows no column's meaning.
//!
//! A text that a spreadsheet would run as a formula (it begins with `=`, `+`, `-`, `@`, tab or CR) gets an apostrophe before
//! it, as spreadsheets write a text; an import takes it away again. So that this is exact both ways, a text that has such
//! apostrophes already gets one more.

use crate::read::{CSV_END, NDJSON_END};
use serde_json::Value;
use std::borrow::Cow;
use std::io::Write;

/// How a sheet is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Comma separated, with column names.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

/// Rows of the same columns; whoever has it gives each the bytes to append to.
#[derive(Clone, Debug)]
pub struct Sheet {
    form: Form,
    columns: Vec<&'static str>,
    rows: u64,
}

impl Sheet {
    /// Of these columns.
    pub fn new(form: Form, columns: Vec<&'static str>) -> Sheet {
        Sheet { form, columns, rows: 0 }
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends what comes before the rows.
    pub fn begin(&self, out: &mut Vec<u8>) {
        if self.form == Form::Csv {
            line(out, self.columns.iter().map(|name| Cow::Borrowed(*name)));
        }
    }

    /// Appends a row: a value for each column.
    ///
    /// # Panics
    /// When there are more values than columns, or fewer.
    pub fn row(&mut self, out: &mut Vec<u8>, values: Vec<Value>) {
        assert_eq!(values.len(), self.columns.len(), "a value for each column");
        self.rows += 1;
        match self.form {
            Form::Csv => line(out, values.iter().map(plain)),
            Form::Ndjson => {
                let names = self.columns.iter().map(|name| (*name).to_owned());
                let object: serde_json::Map<String, Value> = names.zip(values).collect();
                serde_json::to_writer(&mut *out, &object).expect("writing to a vector does not fail");
                out.push(b'\n');
            }
        }
    }

    /// Appends the mark of a whole sheet: what has no such last line was cut off.
    pub fn end(&self, out: &mut Vec<u8>) {
        let written = match self.form {
            Form::Csv => writeln!(out, "{CSV_END}{}", self.rows),
            Form::Ndjson => writeln!(out, "{NDJSON_END}{}}}", self.rows),
        };
        written.expect("writing to a vector does not fail");
    }
}

fn line<'v>(out: &mut Vec<u8>, values: impl Iterator<Item = Cow<'v, str>>) {
    for (n, value) in values.enumerate() {
        if n > 0 {
            out.push(b',');
        }
        let outer_blank = value.trim().len() < value.len();
        if outer_blank || value.contains([',', ';', '"', '\n', '\r', '\t']) {
            out.push(b'"');
            out.extend_from_slice(value.replace('"', "\"\"").as_bytes());
            out.push(b'"');
        } else {
            out.extend_from_slice(value.as_bytes());
        }
    }
    out.push(b'\n');
}

/// A value as a field of a spreadsheet.
fn plain(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) if is_formula(text) => Cow::Owned(format!("'{text}")),
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// Would a spreadsheet run this, or is it one that was kept from it?
fn is_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// A field as it was before it was kept from being a formula.
pub(crate) fn as_it_was(field: &str) -> &str {
    field.strip_prefix('\'').filter(|text| is_formula(text)).unwrap_or(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_field_is_a_formula_and_each_comes_back_as_it_was() {
        for text in ["=1+1", "+49 30", "-1", "@x", "'=x", "''=x", "'t Hart", "a=b", "", "'", "\tx", "a;b\"c"]
        {
            let value = json!(text);
            let field = plain(&value);
            assert!(!field.starts_with(['=', '+', '-', '@', '\t', '\r']), "{text}");
            assert_eq!(as_it_was(&field), text);
        }
    }

    #[test]
    fn a_sheet_names_its_columns_and_ends_with_the_number_of_its_rows() {
        let shown = |form| {
            let (mut sheet, mut out) = (Sheet::new(form, vec!["a", "b"]), Vec::new());
            sheet.begin(&mut out);
            sheet.row(&mut out, vec![json!("x,\"y\""), json!(3)]);
            sheet.row(&mut out, vec![json!(null), json!("=1")]);
            sheet.end(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(Form::Csv), "a,b\n\"x,\"\"y\"\"\",3\n,'=1\n#end,2\n");
        assert_eq!(
            shown(Form::Ndjson),
            "{\"a\":\"x,\\\"y\\\"\",\"b\":3}\n{\"a\":null,\"b\":\"=1\"}\n{\"end\":true,\"rows\":2}\n"
        );
    }
}
