//! Templates of receipts, badges, wristbands, tickets and displays: parsed, checked, filled in, laid out for what a device
//! is able to do. Knows no device, no process and no scan: values come as texts, pictures as bytes.
//!
//! ```toml
//! about = "What a guest takes along"            # for people
//! elements = [
//!   { text = "{venue}", bold = true, size = 2, align = "middle" },
//!   { rule = "single" },
//!   { columns = ["Gate", "{gate}"], widths = [1, 2] },
//!   { text = "{holder}", if = "holder" },       # only where there is a value
//!   { qr = "{code}", align = "middle" },
//!   { cut = "partial" },
//! ]
//! ```
//!
//! | element | keys beside `if`, and `x`, `y` (mm) on a ticket |
//! |---|---|
//! | `text` | `bold underline invert size high small align one_line`, `width` (mm, on a ticket) |
//! | `columns` (texts) | `widths` (parts of the whole), `align` (one each), `bold underline invert size high small` |
//! | `rule` | `"single"` or `"double"` |
//! | `qr` | `correction` L M Q H, `module` in dots (else as large as fits well), `align` |
//! | `barcode` | `kind` code128 ean13 ean8 upca code39 itf, `height` in mm, `module` in dots, `label`, `align` |
//! | `logo` (a PNG's name) | `percent` of the paper's width, `align` |
//! | `feed` (lines), `cut` (`"partial"` or `"full"`) | |
//!
//! A display has `steps = [{ lines = ["Welcome", "{holder}"], align, seconds, scroll_ms, bright, blink_ms }]` instead, and
//! may have `idle = { lines = […] }`. Placeholders and their formats are told in `words.rs`.

mod built_in;
mod display;
mod element;
mod form;
mod limits;
mod paper;
mod words;
mod wrap;

pub use built_in::{BUILT_IN, built_in};
pub use limits::{
    DISPLAY_LINES_MAX, DOCUMENT_OPS_MAX, ELEMENT_LINES_MAX, ELEMENTS_MAX, QR_BYTES_MAX, TEMPLATE_BYTES_MAX,
    TEXT_CHARS_MAX, VALUE_CHARS_MAX,
};

use display::Step;
use driver_abi::{Capabilities, Kind, Op};
use element::{Element, What};
use form::{Form, Mistakes};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use toml::de::DeTable;
use words::Words;

/// What a template's fields are filled with: name and text. Times are `2026-11-25T19:05:00` in the venue's own time.
pub type Values = BTreeMap<String, String>;

/// Pictures by the names a template calls them.
type Logos = BTreeMap<String, Arc<[u8]>>;

/// A template that was checked.
#[derive(Clone, Debug)]
pub struct Template {
    name: String,
    about: String,
    body: Body,
    logos: Logos,
}

#[derive(Clone, Debug)]
enum Body {
    Paper(Vec<Element>),
    Display { steps: Vec<Step>, idle: Option<Step> },
}

// === impl Template ===

impl Template {
    /// A template from its file's text (TOML).
    ///
    /// # Errors
    /// Every mistake, each with its line and what is meant.
    pub fn parse(name: &str, text: &str) -> Result<Template, Vec<String>> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(vec![format!(
                "a template has at most {TEMPLATE_BYTES_MAX} bytes, found {}",
                text.len()
            )]);
        }
        let mut mistakes = Mistakes::new(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            mistakes.add(&error.span().unwrap_or(0..0), error.message());
        }
        // What a broken file seems to say is not worth a complaint.
        if !errors.is_empty() {
            return Err(mistakes.into_lines());
        }
        let file = Form::whole(&table);
        file.only(&mut mistakes, &["about", "elements", "steps", "idle"]);
        let about = file.text(&mut mistakes, "about").unwrap_or_default().to_owned();
        let body = match (file.has("elements"), file.has("steps")) {
            (true, false) => Body::Paper(element::elements(&file, &mut mistakes)),
            (false, true) => Body::Display {
                steps: display::steps(&file, &mut mistakes),
                idle: display::idle(&file, &mut mistakes),
            },
            _ => {
                file.complain(
                    &mut mistakes,
                    "either elements (for paper) or steps (for a display) are needed",
                );
                Body::Paper(Vec::new())
            }
        };
        if file.has("elements") && file.has("idle") {
            file.complain_of(&mut mistakes, "idle", "paper has none, only a display");
        }
        match mistakes.into_lines() {
            none if none.is_empty() => {
                Ok(Template { name: name.to_owned(), about, body, logos: Logos::new() })
            }
            found => Err(found),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for, for people.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Which kind of device it is for.
    pub fn kind(&self) -> Kind {
        match self.body {
            Body::Paper(_) => Kind::Printer,
            Body::Display { .. } => Kind::Display,
        }
    }

    /// The names of the fields it uses, in order.
    pub fn fields(&self) -> BTreeSet<&str> {
        let conditions = self.elements().iter().filter_map(|element| element.only_if.as_deref());
        self.words().into_iter().flat_map(Words::fields).map(|(name, _)| name).chain(conditions).collect()
    }

    /// Fields that would be printed as `(name?)`: used, without a value and without another text instead.
    pub fn missing(&self, values: &Values) -> BTreeSet<&str> {
        let there = |element: &&Element| {
            element.only_if.as_ref().is_none_or(|name| words::present(values, name).is_some())
        };
        let words = self.elements().iter().filter(there).flat_map(Element::words);
        let words = words.chain(self.steps_all().flat_map(|step| &step.lines));
        let needed = words.flat_map(Words::fields).filter(|(_, needed)| *needed).map(|(name, _)| name);
        needed.filter(|name| words::present(values, name).is_none()).collect()
    }

    /// The names of the pictures it wants.
    pub fn logos(&self) -> BTreeSet<&str> {
        self.elements()
            .iter()
            .filter_map(|element| match &element.what {
                What::Logo { path, .. } => Some(path.as_str()),
                _ => None,
            })
            .collect()
    }

    /// Gives it a picture (PNG) by the name it calls it. Without one its place stays empty.
    ///
    /// # Errors
    /// What is wrong with the picture.
    pub fn set_logo(&mut self, name: &str, png: Vec<u8>) -> Result<(), String> {
        driver_raster::logo(&png, 8, 8).map_err(|why| format!("{name}: {why}"))?;
        self.logos.insert(name.to_owned(), png.into());
        Ok(())
    }

    /// The document for a device like this; of a display's template its first step. Values are data: control characters and
    /// placeholders in them are made harmless.
    pub fn render(&self, values: &Values, capabilities: &Capabilities) -> Vec<Op<'static>> {
        match &self.body {
            Body::Paper(elements) => paper::lay_out(elements, values, &self.logos, capabilities),
            Body::Display { steps, .. } => {
                steps.first().map_or_else(Vec::new, |step| step.show(values, capabilities).0)
            }
        }
    }

    /// A display's steps, each with how long it stands; after the last one `idle` follows. Nothing for paper.
    pub fn steps(&self, values: &Values, capabilities: &Capabilities) -> Vec<(Vec<Op<'static>>, Duration)> {
        match &self.body {
            Body::Paper(_) => Vec::new(),
            Body::Display { steps, .. } => steps.iter().map(|step| step.show(values, capabilities)).collect(),
        }
    }

    /// What a display shows between guests, where the template says it.
    pub fn idle(&self, values: &Values, capabilities: &Capabilities) -> Option<Vec<Op<'static>>> {
        match &self.body {
            Body::Paper(_) => None,
            Body::Display { idle, .. } => Some(idle.as_ref()?.show(values, capabilities).0),
        }
    }

    fn elements(&self) -> &[Element] {
        match &self.body {
            Body::Paper(elements) => elements,
            Body::Display { .. } => &[],
        }
    }

    fn steps_all(&self) -> impl Iterator<Item = &Step> {
        let (steps, idle): (&[Step], _) = match &self.body {
            Body::Paper(_) => (&[], None),
            Body::Display { steps, idle } => (steps, idle.as_ref()),
        };
        steps.iter().chain(idle)
    }

    fn words(&self) -> Vec<&Words> {
        let elements = self.elements().iter().flat_map(Element::words);
        elements.chain(self.steps_all().flat_map(|step| &step.lines)).collect()
    }
}
