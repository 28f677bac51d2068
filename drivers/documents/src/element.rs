//! What a document is made of, as its file says it. Knows no layout and no values.

use crate::form::{Form, Mistakes};
use crate::limits::{CELLS_MAX, ELEMENTS_MAX};
use crate::words::{Words, is_name};
use driver_abi::{Align, Cut, Style, Symbology};

const ALIGNS: [(&str, Align); 3] =
    [("left", Align::Left), ("middle", Align::Middle), ("right", Align::Right)];
const KINDS: [&str; 8] = ["text", "columns", "rule", "qr", "barcode", "logo", "feed", "cut"];
/// Where a ticket's elements may stand, in mm.
const MM_MAX: f64 = 300.0;

/// One element of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// It is there only if this field has a value.
    pub only_if: Option<String>,
    /// Where it begins on a ticket, in mm from the top left corner.
    pub place: Option<(f64, f64)>,
    /// Where on its line it stands.
    pub align: Align,
    /// What it is.
    pub what: What,
}

/// What an element is.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Text, wrapped or, on one line, cut.
    Text {
        /// The text.
        words: Words,
        /// How it looks.
        style: Style,
        /// What is too long is cut.
        one_line: bool,
        /// On a ticket: how wide it may be, in mm.
        width_mm: Option<f64>,
    },
    /// Texts side by side.
    Columns {
        /// Each with its part of the width.
        cells: Vec<Cell>,
        /// How they look.
        style: Style,
    },
    /// A line across the paper.
    Rule {
        /// Two lines.
        double: bool,
    },
    /// A QR code.
    Qr {
        /// What is in it.
        words: Words,
        /// 0 L to 3 H.
        correction: u8,
        /// Dots; 0: as large as fits well.
        module: u8,
    },
    /// A barcode.
    Barcode {
        /// What is in it.
        words: Words,
        /// Of what kind.
        symbology: Symbology,
        /// In mm.
        height_mm: f64,
        /// Dots of the narrow bar.
        module: u8,
        /// Is its text below it?
        label: bool,
    },
    /// A picture.
    Logo {
        /// Its name, as the file says it.
        path: String,
        /// How much of the paper's width it may take, in percent.
        percent: u8,
    },
    /// Empty lines.
    Feed(u8),
    /// Cuts the paper, where the printer can.
    Cut(Cut),
}

/// One text of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The text.
    pub words: Words,
    /// Its part of the width.
    pub part: u32,
    /// Where in its part it stands.
    pub align: Align,
}

/// A document's elements.
pub fn elements(file: &Form<'_, '_>, mistakes: &mut Mistakes<'_>) -> Vec<Element> {
    let forms = file.tables(mistakes, "elements", "element", ELEMENTS_MAX);
    let elements: Vec<(&Form<'_, '_>, Element)> =
        forms.iter().filter_map(|form| Some((form, element(form, mistakes)?))).collect();
    if elements.iter().any(|(_, element)| element.place.is_some()) {
        for (form, element) in &elements {
            if element.place.is_none() && !matches!(element.what, What::Cut(_)) {
                form.complain(mistakes, "x and y are missing: on a ticket every element has its place");
            }
        }
    }
    elements.into_iter().map(|(_, element)| element).collect()
}

fn element(form: &Form<'_, '_>, mistakes: &mut Mistakes<'_>) -> Option<Element> {
    let found: Vec<&str> = KINDS.into_iter().filter(|kind| form.has(kind)).collect();
    let [kind] = found[..] else {
        let what = if found.is_empty() { "nothing of it".to_owned() } else { found.join(" and ") };
        form.complain(mistakes, &format!("it has to be one of {}; found {what}", KINDS.join(", ")));
        return None;
    };
    let what = match kind {
        "text" => text(form, mistakes),
        "columns" => columns(form, mistakes),
        "rule" => {
            known(form, mistakes, &["rule"]);
            let double = form.choice(mistakes, "rule", &[("single", false), ("double", true)]);
            double.map(|double| What::Rule { double })
        }
        "qr" => qr(form, mistakes),
        "barcode" => barcode(form, mistakes),
        "logo" => {
            known(form, mistakes, &["logo", "percent", "align"]);
            let percent = form.count(mistakes, "percent", 1..=100).unwrap_or(100);
            form.text(mistakes, "logo").map(|path| What::Logo { path: path.to_owned(), percent })
        }
        "feed" => {
            known(form, mistakes, &["feed"]);
            form.count(mistakes, "feed", 1..=20).map(What::Feed)
        }
        _ => {
            known(form, mistakes, &["cut"]);
            form.choice(mistakes, "cut", &[("partial", Cut::Partial), ("full", Cut::Full)]).map(What::Cut)
        }
    };
    // Columns have an align for each cell.
    let align = if kind == "columns" { None } else { form.choice(mistakes, "align", &ALIGNS) };
    let (only_if, place) = (only_if(form, mistakes), place(form, mistakes));
    Some(Element { only_if, place, align: align.unwrap_or_default(), what: what? })
}

fn known(form: &Form<'_, '_>, mistakes: &mut Mistakes<'_>, own: &[&str]) {
    let mut all = own.to_vec();
    all.extend(["if", "x", "y"]);
    form.only(mistakes, &all);
}

fn text(form: &Form<'_, '_>, mistakes: &mut Mistakes<'_>) -> Option<What> {
    known(
        form,
        mistakes,
        &["text", "bold", "underline", "invert", "size", "high", "small", "align", "one_line", "width"],
    );
    let style = style(form, mistakes);
    let one_line = form.flag(mistakes, "one_line").unwrap_or(false);
    let width_mm = form.number(mistakes, "width", 1.0..=MM_MAX);
    let words = words(form, mistakes, "text")?;
    Some(What::Text { words, style, one_line, width_mm })
}

fn columns(form: &Form<'_, '_>, mistakes: &mut Mistakes<'_>) -> Option<What> {
    known(
        form,
        mistakes,
        &["columns", "widths", "align", "bold", "underline", "invert", "size", "high", "small"],
    );
    let style = style(form, mistakes);
    let texts = form.texts(mistakes, "columns")?;
    let count = texts.len();
    if !(1..=CELLS_MAX).contains(&count) {
        form.complain_of(mistakes, "columns", &format!("1 to {CELLS_MAX} texts are needed, found {count}"));
        return None;
    }
    let parts = form.counts(mistakes, "widths").unwrap_or_else(|| vec![1; count]);
    let aligns = form.choices(mistakes, "align", &ALIGNS).unwrap_or_else(|| {
        // Names on the left, numbers on the right.
        (0..count)
            .map(|index| if index > 0 && index + 1 == count { Align::Right } else { Align::Left })
            .collect()
    });
    for (key, found) in [("widths", parts.len()), ("align", aligns.len())] {
        if found != count {
            form.complain_of(
                mistakes,
                key,
                &format!("one for each of the {count} columns is needed, found {found}"),
            );
        }
    }
    let mut cells = Vec::new();
    for (text, (part, align)) in texts.into_iter().zip(parts.into_iter().zip(aligns)) {
        match Words::parse(text) {
            Ok(words) => cells.push(Cell { words, part, align }),
            Err(why) => form.complain_of(mistakes, "columns", &why),
        }
    }
    Some(What::Columns { cells, style })
}

fn qr(form: &Form<'_, '_>, mistakes: &mut Mistakes<'_>) -> Option<What> {
    known(form, mistakes, &["qr", "correction", "module", "align"]);
    let levels = [("L", 0), ("M", 1), ("Q", 2), ("H", 3)];
    let correction = form.choice(mistakes, "correction", &levels).unwrap_or(1);
    let module = form.count(mistakes, "module", 1..=16).unwrap_or(0);
    Some(What::Qr { words: words(form, mistakes, "qr")?, correction, module })
}

fn barcode(form: &Form<'_, '_>, mistakes: &mut Mistakes<'_>) -> Option<What> {
    known(form, mistakes, &["barcode", "kind", "height", "module", "label", "align"]);
    let kinds = [
        ("code128", Symbology::Code128),
        ("ean13", Symbology::Ean13),
        ("ean8", Symbology::Ean8),
        ("upca", Symbology::UpcA),
        ("code39", Symbology::Code39),
        ("itf", Symbology::Itf),
    ];
    let symbology = form.choice(mistakes, "kind", &kinds).unwrap_or(Symbology::Code128);
    let height_mm = form.number(mistakes, "height", 3.0..=50.0).unwrap_or(10.0);
    let module = form.count(mistakes, "module", 1..=8).unwrap_or(2);
    let label = form.flag(mistakes, "label").unwrap_or(true);
    Some(What::Barcode { words: words(form, mistakes, "barcode")?, symbology, height_mm, module, label })
}

fn style(form: &Form<'_, '_>, mistakes: &mut Mistakes<'_>) -> Style {
    let size = form.count(mistakes, "size", 1..=8).unwrap_or(1);
    Style {
        bold: form.flag(mistakes, "bold").unwrap_or(false),
        underline: form.flag(mistakes, "underline").unwrap_or(false),
        invert: form.flag(mistakes, "invert").unwrap_or(false),
        width: size,
        height: form.count(mistakes, "high", 1..=8).unwrap_or(size),
        font: u8::from(form.flag(mistakes, "small").unwrap_or(false)),
    }
}

fn only_if(form: &Form<'_, '_>, mistakes: &mut Mistakes<'_>) -> Option<String> {
    let name = form.text(mistakes, "if")?;
    if !is_name(name) {
        form.complain_of(mistakes, "if", "a field's name is needed, without braces, such as \"holder\"");
    }
    Some(name.to_owned())
}

fn place(form: &Form<'_, '_>, mistakes: &mut Mistakes<'_>) -> Option<(f64, f64)> {
    let x = form.number(mistakes, "x", 0.0..=MM_MAX);
    let y = form.number(mistakes, "y", 0.0..=MM_MAX);
    if form.has("x") != form.has("y") {
        form.complain(mistakes, "x and y belong together, in mm from the top left corner");
    }
    x.zip(y)
}

/// A key's text with its placeholders.
pub fn words(form: &Form<'_, '_>, mistakes: &mut Mistakes<'_>, key: &str) -> Option<Words> {
    match Words::parse(form.text(mistakes, key)?) {
        Ok(words) => Some(words),
        Err(why) => {
            form.complain_of(mistakes, key, &why);
            None
        }
    }
}

/// Where a step's lines stand.
pub fn align(form: &Form<'_, '_>, mistakes: &mut Mistakes<'_>) -> Align {
    form.choice(mistakes, "align", &ALIGNS).unwrap_or_default()
}

// === impl Element ===

impl Element {
    /// The texts in it.
    pub fn words(&self) -> Vec<&Words> {
        match &self.what {
            What::Text { words, .. } | What::Qr { words, .. } | What::Barcode { words, .. } => vec![words],
            What::Columns { cells, .. } => cells.iter().map(|cell| &cell.words).collect(),
            What::Rule { .. } | What::Logo { .. } | What::Feed(_) | What::Cut(_) => Vec::new(),
        }
    }
}
