//! A display's template: steps one after the other, each with its time, and what stands there between guests. Laid out for
//! a display's columns and lines; knows no clock.

use crate::Values;
use crate::element::align;
use crate::form::{Form, Mistakes};
use crate::limits::{DISPLAY_LINES_MAX, ELEMENTS_MAX};
use crate::words::Words;
use crate::wrap;
use driver_abi::{Align, Capabilities, Op};
use std::time::Duration;

/// How long a step stands where its file does not say.
const SECONDS_USUAL: f64 = 4.0;
/// A text that is too long goes one column on after so many ms.
const SCROLL_MS_USUAL: u16 = 300;
/// A step lasts until its longest text ran through, but not longer than this.
const RUN_MAX: Duration = Duration::from_secs(15);
/// A text that ran through may be read for so long.
const READ: Duration = Duration::from_secs(1);

/// What a display shows at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its lines from the top.
    pub lines: Vec<Words>,
    /// Where they stand.
    pub align: Align,
    /// How long it stands.
    pub lasts: Duration,
    /// ms for a step of a text that is too long; 0: it is cut.
    pub scroll_ms: u16,
    /// 1 to 4.
    pub bright: Option<u8>,
    /// How long a blink is in ms.
    pub blink_ms: Option<u16>,
}

/// A display's steps.
pub fn steps(file: &Form<'_, '_>, mistakes: &mut Mistakes<'_>) -> Vec<Step> {
    let forms = file.tables(mistakes, "steps", "step", ELEMENTS_MAX);
    forms.iter().map(|form| step(form, mistakes)).collect()
}

/// What stands there between guests.
pub fn idle(file: &Form<'_, '_>, mistakes: &mut Mistakes<'_>) -> Option<Step> {
    Some(step(&file.table(mistakes, "idle")?, mistakes))
}

fn step(form: &Form<'_, '_>, mistakes: &mut Mistakes<'_>) -> Step {
    form.only(mistakes, &["lines", "align", "seconds", "scroll_ms", "bright", "blink_ms"]);
    let seconds = form.number(mistakes, "seconds", 0.2..=3_600.0).unwrap_or(SECONDS_USUAL);
    let ms = |number: f64| number as u16;
    let texts = form.texts(mistakes, "lines");
    let count = texts.as_ref().map_or(0, Vec::len);
    if !(1..=DISPLAY_LINES_MAX).contains(&count) {
        form.complain(mistakes, &format!("lines: 1 to {DISPLAY_LINES_MAX} texts are needed, found {count}"));
    }
    let mut lines = Vec::new();
    for text in texts.unwrap_or_default() {
        match Words::parse(text) {
            Ok(words) => lines.push(words),
            Err(why) => form.complain_of(mistakes, "lines", &why),
        }
    }
    Step {
        lines,
        align: align(form, mistakes),
        lasts: Duration::from_secs_f64(seconds),
        scroll_ms: form.number(mistakes, "scroll_ms", 0.0..=5_000.0).map_or(SCROLL_MS_USUAL, ms),
        bright: form.count(mistakes, "bright", 1..=4),
        blink_ms: form.number(mistakes, "blink_ms", 0.0..=10_000.0).map(ms),
    }
}

// === impl Step ===

impl Step {
    /// Its ops for a display like this, and how long it stands: at least until its texts ran through once.
    pub fn show(&self, values: &Values, capabilities: &Capabilities) -> (Vec<Op<'static>>, Duration) {
        let columns = usize::from(capabilities.columns).max(1);
        let mut ops = vec![Op::Clear];
        ops.extend(self.bright.map(Op::Bright));
        let mut lasts = self.lasts;
        for (line, words) in (1..=capabilities.lines.max(1)).zip(&self.lines) {
            let filled = words.fill(values);
            let text = filled.split_whitespace().collect::<Vec<_>>().join(" ");
            let width = wrap::width(&text);
            if width > columns && self.scroll_ms > 0 {
                let run = Duration::from_millis(u64::from(self.scroll_ms) * (width - columns) as u64);
                lasts = lasts.max((run + READ).min(RUN_MAX));
                ops.push(Op::Scroll { line, text: text.into(), step_ms: self.scroll_ms });
            } else {
                // Cut without a sign: no display's character set has one.
                let text =
                    wrap::pad(wrap::clipped(&text, columns), columns, self.align).trim_end().to_owned();
                ops.push(Op::Line { line, text: text.into() });
            }
        }
        ops.extend(self.blink_ms.map(Op::Blink));
        (ops, lasts)
    }
}
